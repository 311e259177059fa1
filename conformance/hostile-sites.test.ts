// hostile-sites.test.ts — a member with a key of the volume floods, stalls and forges, on a real daemon: calls at the mount go on as before, and
// so do the links of others. Needs root and /dev/fuse.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { WebSocket } from 'ws';
import { encodeChange } from '../lib/journal/change-codec.js';
import { encodeFrames } from '../lib/sync/frame.js';
import { PROTOCOL_VERSION } from '../lib/sync/message.js';
import type { Message } from '../lib/sync/message.js';
import { tlsOptions } from '../lib/sync/secure-channel.js';
import { parseSiteKey } from '../lib/sync/site-key.js';
import { Cluster } from '../scripts/sites/cluster.js';

const CALLS = 400;

describe('a hostile member', () => {
  const cluster = new Cluster('weft-hostile');
  const paris = cluster.addSite('paris');
  const oslo = cluster.addSite('oslo');
  const rome = cluster.addSite('rome');
  const sockets: WebSocket[] = [];
  let address = '';
  let volumeId = '';
  let siteId = '';

  before(async () => {
    await paris.create('team');
    await oslo.join(await paris.invite());
    await rome.join(await paris.invite());
    await cluster.settle();
    address = (await paris.status()).listen;
    ({ volumeId, siteId } = JSON.parse(readFileSync(join(oslo.state, 'site.json'), 'utf8')) as {
      volumeId: string;
      siteId: string;
    });
    await oslo.umount();
  });
  after(async () => {
    for (const socket of sockets) socket.terminate();
    await cluster.close();
  });

  /** Links itself with oslo's key. */
  async function hostile(): Promise<{ socket: WebSocket; say: (message: Message) => void }> {
    const key = parseSiteKey(readFileSync(join(oslo.state, 'site.key'), 'utf8'));
    const socket = new WebSocket(`wss://${address}/`, tlsOptions(key));
    socket.on('error', () => {});
    sockets.push(socket);
    await new Promise((resolve) => socket.once('open', resolve));
    const say = (message: Message): void => {
      if (socket.readyState !== WebSocket.OPEN) return;
      for (const frame of encodeFrames(message)) socket.send(frame);
    };
    say({
      type: 'hello',
      version: PROTOCOL_VERSION,
      volumeId,
      siteId,
      instance: randomBytes(8).toString('hex'),
      site: 'oslo',
      slot: 9,
      address: '',
      vector: new Map(),
      missingCount: 0,
      keepsAll: true,
      introductions: [],
    } as Message);
    return { socket, say };
  }

  /** The median of some calls that change something, in milliseconds. */
  async function medianMs(name: string): Promise<number> {
    const tookMs: number[] = [];
    for (let i = 0; i < CALLS; i++) {
      const startMs = performance.now();
      writeFileSync(join(paris.mountpoint, `${name}-${i % 20}`), `${i}`);
      statSync(join(paris.mountpoint, `${name}-${i % 20}`));
      tookMs.push(performance.now() - startMs);
      // The flood comes from this very process.
      await new Promise((resolve) => setImmediate(resolve));
    }
    return tookMs.toSorted((a, b) => a - b)[CALLS / 2]!;
  }

  test('that floods with questions and pings, and one that reads nothing, do not delay calls at the mount', async () => {
    const quietMs = await medianMs('quiet');
    const flood = await hostile();
    const stalled = await hostile();
    stalled.socket.pause();
    const timer = setInterval(() => {
      for (const { socket, say } of [flood, stalled]) {
        if (socket.readyState !== WebSocket.OPEN || socket.bufferedAmount > 4 << 20) continue;
        for (let i = 0; i < 20; i++) {
          say({ type: 'want', ids: Array.from({ length: 50 }, () => randomBytes(32).toString('hex')) });
          say({ type: 'have', vector: new Map([[randomBytes(16).toString('hex'), 1]]), missingCount: 0, arrived: [] });
          socket.ping();
        }
      }
    }, 5);
    try {
      const floodedMs = await medianMs('flooded');
      assert.ok(floodedMs < Math.max(20 * quietMs, 50), `${floodedMs} ms instead of ${quietMs} ms`);
      await cluster.settle([rome]);
      writeFileSync(join(rome.mountpoint, 'from-rome'), 'others go on');
      await paris.statusUntil('there', () => {
        try {
          return readFileSync(join(paris.mountpoint, 'from-rome'), 'utf8') === 'others go on';
        } catch {
          return false;
        }
      });
    } finally {
      clearInterval(timer);
      for (const { socket } of [flood, stalled]) socket.terminate();
    }
  });

  test('that forges changes is named for it, and nothing of them is shown anywhere', async () => {
    const { socket, say } = await hostile();
    const actor = randomBytes(16).toString('hex');
    const forged = encodeChange({
      actor,
      seq: 1,
      startOp: 1,
      stamp: Date.now() * 1000,
      deps: [],
      ops: [
        { key: `0.actor:${actor}`, value: siteId, pred: [] },
        { key: '0.slot:77', value: 'ab'.repeat(16), pred: [] },
      ],
    });
    say({ type: 'changes', changes: [{ actor, seq: 1, bytes: forged.bytes, deps: [] }] } as Message);
    await paris.statusUntil('it is quarantined', () =>
      /a change was quarantined/.test(readFileSync(join(paris.state, 'daemon.log'), 'utf8')),
    );
    const rows = (await paris.peers()) as unknown as { site: string; quarantined: number }[];
    assert.equal(rows.find(({ site }) => site === 'oslo')!.quarantined, 1);
    // It never answers, and would be waited for.
    socket.terminate();
    await paris.statusUntil('gone', ({ peers }) =>
      peers.every(({ site, state }) => site !== 'oslo' || state !== 'connected'),
    );
    await cluster.settle([paris, rome]);
    assert.equal((await paris.status()).digest, (await rome.status()).digest);
  });
});
