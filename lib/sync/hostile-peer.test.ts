// hostile-peer.test.ts — a member of the volume that keeps to no rule: it costs this site little, leaves nothing behind, and others go on.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { afterEach, test } from 'node:test';
import { WebSocket } from 'ws';
import { encodeFrames, FrameAssembler } from './frame.js';
import { helloOf } from './hello.test-support.js';
import { MAX_ACTORS } from './message.js';
import type { Hello, Message } from './message.js';
import { redeemInvite } from './join.js';
import { keyOf, MemoryMembers, MemorySite } from './memory-site.test-support.js';
import { tlsOptions } from './secure-channel.js';
import { systemClock } from './system-clock.js';

const hostileId = 'ab'.repeat(16);
/** Timers run twentyfold. */
const fast = { ...systemClock, setTimer: (ms: number, fire: () => void) => systemClock.setTimer(ms / 20, fire) };
const sites: MemorySite[] = [];
const peers: HostilePeer[] = [];

afterEach(async () => {
  for (const peer of peers.splice(0)) peer.socket.terminate();
  await Promise.all(sites.splice(0).map((site) => site.syncer.stop()));
});

async function site(...[name, options]: ConstructorParameters<typeof MemorySite>): Promise<MemorySite> {
  const members = options?.members ?? new MemoryMembers();
  members.put(hostileId, 'hostile', keyOf(hostileId).identity);
  const started = await MemorySite.start(name, { ...options, members });
  sites.push(started);
  return started;
}

/** Has a member's key, and says what the test wants. */
class HostilePeer {
  readonly heard: Message[] = [];
  readonly closed: Promise<void>;

  private constructor(
    readonly socket: WebSocket,
    private readonly site: MemorySite,
  ) {
    const assembler = new FrameAssembler();
    socket.on('message', (data) => {
      const message = assembler.push(data as Buffer);
      if (message) this.heard.push(message);
    });
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
  }

  static async of(target: MemorySite): Promise<HostilePeer> {
    const socket = new WebSocket(`wss://${target.address}/`, tlsOptions(keyOf(hostileId)));
    socket.on('error', () => {});
    const peer = new HostilePeer(socket, target);
    peers.push(peer);
    await new Promise((resolve) => socket.once('open', resolve));
    return peer;
  }

  say(message: Message): void {
    for (const frame of encodeFrames(message)) this.socket.send(frame);
  }

  hello(more: Partial<Hello> = {}): void {
    const { volumeId } = this.site.store;
    const instance = randomBytes(8).toString('hex');
    this.say(helloOf(hostileId, { volumeId, instance, site: 'hostile', slot: 77, ...more }));
  }

  get reason(): string {
    const goodbye = this.heard.find((message) => message.type === 'goodbye');
    return goodbye?.type === 'goodbye' ? goodbye.reason : 'no goodbye';
  }
}

test('a member that says hello as another site changes what is known of that one, or makes up sites without end', async () => {
  const paris = await site('paris');
  const claimed = 'cd'.repeat(16);
  const peer = await HostilePeer.of(paris);
  peer.hello({ siteId: claimed, site: 'oslo', address: '192.0.2.1:1' });
  await peer.closed;
  assert.match(peer.reason, /said hello as cdcd/);
  assert.deepEqual(paris.syncer.peers(), []);
  assert.deepEqual(paris.syncer.known(), []);
});

test('a peer that names no address where it listens keeps this site from resuming its links, and from starting again', async () => {
  const paris = await site('paris');
  for (const address of ['nowhere', 'host:99999', '192.0.2.1:0']) {
    const peer = await HostilePeer.of(paris);
    peer.hello({ address });
    await peer.closed;
    assert.match(peer.reason, /listen address .* is none/);
  }
  paris.syncer.pause(null);
  paris.syncer.resume(null);
});

test('a peer that names ever more actors as held fills the memory', async () => {
  const paris = await site('paris');
  const peer = await HostilePeer.of(paris);
  peer.hello();
  const half = MAX_ACTORS / 2 + 1;
  for (let i = 0; i < 2; i++) {
    const vector = new Map<string, number>();
    for (let n = 0; n < half; n++) vector.set(`${i}${n.toString(16).padStart(31, '0')}`, 1);
    peer.say({ type: 'have', vector, missingCount: 0, arrived: [] });
  }
  await peer.closed;
  assert.match(peer.reason, /named more than 262144 actors/);
});

test('a member that opens one connection after the other and says nothing takes all file descriptors', async () => {
  const paris = await site('paris');
  const many = await Promise.all(Array.from({ length: 40 }, () => HostilePeer.of(paris)));
  const open = (): number => many.filter(({ socket }) => socket.readyState === WebSocket.OPEN).length;
  await paris.until('the older ones are closed', () => open() <= 4);
  assert.ok(open() > 0);
});

test('a peer that never says what it keeps stops evictions for good', async () => {
  const paris = await site('paris', { clock: fast });
  const peer = await HostilePeer.of(paris);
  peer.hello();
  await paris.linked('hostile');
  assert.deepEqual(await paris.syncer.keptElsewhere(['ef'.repeat(32)], paris.store.vector()), []);
  await peer.closed;
  assert.match(peer.reason, /what is kept/);
});

test('a guest without a name joins, and nobody takes any more what its host says', async () => {
  const paris = await site('paris');
  const invite = paris.syncer.invite(60_000);
  const guest = { key: keyOf('guest'), siteId: '12'.repeat(16), site: '', volumeId: '' };
  await assert.rejects(redeemInvite(invite, guest), /without a name/);
  const grant = await redeemInvite(invite, { ...guest, site: 'oslo' });
  assert.equal(grant.volumeName, 'team', 'the invite was not used up');
});
