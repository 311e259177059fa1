// listener.test.ts — whoever comes without a key, or with one and bad manners, is cut off; the site goes on for everybody else.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { afterEach, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { WebSocket } from 'ws';
import { encodeFrames } from './frame.js';
import { helloOf } from './hello.test-support.js';
import { keyOf, MemoryMembers, MemorySite } from './memory-site.test-support.js';
import { systemClock } from './system-clock.js';
import { tlsOptions } from './secure-channel.js';

/** Timers run twentyfold: the five seconds that a stranger gets are a quarter of one. */
const fast = { ...systemClock, setTimer: (ms: number, fire: () => void) => systemClock.setTimer(ms / 20, fire) };
const memberId = 'ab'.repeat(16);
const member = tlsOptions(keyOf(memberId));
const stranger = tlsOptions(keyOf('stranger'));

/** Of whom all sites here know. One of them runs nowhere: the test has its key. */
const acquainted = new MemoryMembers();
const sites: MemorySite[] = [];
const sockets: Socket[] = [];

async function site(...args: ConstructorParameters<typeof MemorySite>): Promise<MemorySite> {
  const [name, options] = args;
  const members = options?.members ?? acquainted;
  members.put(memberId, 'member', keyOf(memberId).identity);
  const started = await MemorySite.start(name, { ...options, members });
  sites.push(started);
  return started;
}

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(sites.splice(0).map((started) => started.syncer.stop()));
});

function raw(address: string): Socket {
  const [host, port] = address.split(':') as [string, string];
  const socket = connect(Number(port), host);
  socket.on('error', () => {}).resume();
  sockets.push(socket);
  return socket;
}

function webSocket(address: string, key = member, path = '/'): WebSocket {
  const socket = new WebSocket(`wss://${address}${path}`, key);
  socket.on('error', () => {});
  return socket;
}

async function closedWithin(socket: Socket | WebSocket, withinMs: number): Promise<void> {
  const startMs = performance.now();
  await new Promise((resolve) => socket.on('close', resolve));
  const tookMs = performance.now() - startMs;
  assert.ok(tookMs < withinMs, `closed after ${tookMs} ms`);
}

/** Another site links itself and gets what this one has. */
async function stillServes(paris: MemorySite): Promise<void> {
  await paris.write(1000);
  const oslo = await site(`oslo-${sites.length}`, { dial: [paris.address] });
  await oslo.until('served', () => oslo.store.log.length === paris.store.log.length && oslo.store.missingCount() === 0);
}

test('garbage instead of TLS is cut off at once', async () => {
  const paris = await site('paris');
  for (const bytes of [randomBytes(5000), Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.alloc(1_000_000, 0x16)]) {
    const socket = raw(paris.address);
    socket.write(bytes);
    await closedWithin(socket, 1000);
  }
  await stillServes(paris);
});

test('a slow-loris, or one who says nothing, is cut off in time', async () => {
  const paris = await site('paris', { clock: fast });
  const silent = raw(paris.address);
  const slow = raw(paris.address);
  const drip = setInterval(() => slow.write(Buffer.of(0x16)), 20);
  await Promise.all([closedWithin(silent, 1000), closedWithin(slow, 1000)]);
  clearInterval(drip);
  // The same once the key is proved: nothing but a WebSocket counts.
  const [host, port] = paris.address.split(':') as [string, string];
  const idle = connectTls({ host, port: Number(port), ...member });
  sockets.push(idle);
  idle.on('error', () => {}).resume();
  await once(idle, 'secureConnect');
  await closedWithin(idle, 1000);
  await stillServes(paris);
});

test('a crowd of strangers keeps no site out', async () => {
  const paris = await site('paris');
  const crowd = Array.from({ length: 200 }, () => raw(paris.address));
  await Promise.all(crowd.map((socket) => once(socket, 'connect')));
  await stillServes(paris);
  assert.ok(crowd.filter((socket) => !socket.closed).length <= 64);
});

test('a request that is no WebSocket is answered and closed', async () => {
  const paris = await site('paris');
  const [host, port] = paris.address.split(':') as [string, string];
  for (const request of [
    'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    'NONSENSE\r\n\r\n',
    `GET / HTTP/1.1\r\nX: ${'y'.repeat(8000)}`,
  ]) {
    const socket = connectTls({ host, port: Number(port), ...member });
    sockets.push(socket);
    socket.on('error', () => {}).resume();
    socket.write(request);
    await closedWithin(socket, 1000);
  }
  await stillServes(paris);
});

test('a member that says no hello, or anything else first, is cut off with a reason', async () => {
  const paris = await site('paris', { clock: fast });
  const mute = webSocket(paris.address);
  await closedWithin(mute, 2000);
  await paris.until('logged', () => paris.log.lines.some((line) => line.includes('said no hello')));
  const rude = webSocket(paris.address);
  await once(rude, 'open');
  rude.send(encodeFrames({ type: 'want', ids: ['ab'.repeat(32)] })[0]!);
  await closedWithin(rude, 2000);
  await paris.until('logged', () => paris.log.lines.some((line) => line.includes('sent want before its hello')));
  await stillServes(paris);
});

test('frames that are too large, text or garbage end the link and nothing else', async () => {
  const paris = await site('paris');
  for (const frame of [Buffer.alloc(9 * 1024 * 1024), 'text', randomBytes(3000), Buffer.alloc(0), Buffer.of(0, 99)]) {
    const socket = webSocket(paris.address);
    await once(socket, 'open');
    socket.send(frame);
    await closedWithin(socket, 2000);
  }
  const reasons = paris.log.lines.filter((line) => line.startsWith('link closed')).join('\n');
  assert.match(reasons, /Max payload size exceeded/);
  assert.match(reasons, /text where bytes belong/);
  assert.match(reasons, /message type 99 is not known/);
  await stillServes(paris);
});

test('a guest can ask to be let in and do nothing else', async () => {
  const paris = await site('paris');
  await paris.write(1000);
  const guest = webSocket(paris.address, stranger, '/join');
  const heard: Buffer[] = [];
  guest.on('message', (data: Buffer) => heard.push(data));
  await once(guest, 'open');
  guest.send(encodeFrames(helloOf(memberId))[0]!);
  await closedWithin(guest, 2000);
  assert.equal(heard.length, 1);
  assert.match(heard[0]!.toString(), /an invite allows to join, and nothing else/);
  assert.deepEqual(paris.syncer.peers(), []);
});

test('a stranger is told that it is one, and nothing else, however much it says', async () => {
  const paris = await site('paris');
  await paris.write(1000);
  const thief = webSocket(paris.address, stranger);
  const heard: Buffer[] = [];
  thief.on('message', (data: Buffer) => heard.push(data));
  await once(thief, 'open');
  thief.send(Buffer.alloc(100_000));
  await closedWithin(thief, 2000);
  assert.equal(heard.length, 1);
  assert.match(heard[0]!.toString(), /knows no site with the key/);
  assert.doesNotMatch(heard[0]!.toString(), /paris|team|volume-1/);
});

test('who shows no key is refused, and so is who speaks TLS 1.2 at most', async () => {
  const paris = await site('paris');
  const [host, port] = paris.address.split(':') as [string, string];
  const keyless = connectTls({ host, port: Number(port), rejectUnauthorized: false });
  sockets.push(keyless);
  keyless.on('error', () => {}).resume();
  await closedWithin(keyless, 1000);
  await paris.until('logged', () => paris.log.told.some((line) => line.includes('showed no key')));
  const { minVersion: _, ...old } = member;
  const downgraded = connectTls({ host, port: Number(port), ...old, maxVersion: 'TLSv1.2' });
  sockets.push(downgraded);
  const [error] = (await once(downgraded, 'error')) as [NodeJS.ErrnoException];
  assert.match(error.message, /alert protocol version/);
  await paris.until('logged', () => paris.log.told.some((line) => line.includes('does not speak TLS 1.3')));
  await stillServes(paris);
});
