// site-exchange.test.ts — simulated sites and links: whatever order, loss and delay, sites that are linked in the end hold the same.
// Each run follows from its seed alone. WEFT_SEED=n replays one, WEFT_RUNS=n runs more.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Connection, Ending } from './connection.js';
import { encodeFrames, FrameAssembler } from './frame.js';
import { MemorySyncStore } from './memory-sync-store.test-support.js';
import type { Hello, Message } from './message.js';
import { SiteExchange } from './site-exchange.js';
import { covers } from './version-vector.js';
import type { SyncLog } from './ports.js';
import type { ObjectId } from '../crdt/ids.js';

const RUNS = Number(process.env['WEFT_RUNS'] ?? 150);
const quiet: SyncLog = { debug() {}, info() {}, warn() {} };

/** mulberry32: small, seeded, good enough to choose events. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One end of a simulated connection: what was sent and has not arrived. */
interface End {
  readonly site: SimSite;
  readonly queue: Message[];
  queuedBytes: number;
  connection: Connection | undefined;
  readonly asked: Set<ObjectId>;
  closing: boolean;
}

interface Wire {
  readonly ends: [End, End];
  up: boolean;
}

class SimSite {
  readonly pending: (() => void)[] = [];
  readonly store: MemorySyncStore;
  readonly exchange: SiteExchange;
  readonly actors: string[];
  readonly endings: Ending[] = [];
  constructor(readonly index: number) {
    const digit = (index + 1).toString(16);
    this.actors = [digit.repeat(32), `${digit}${'0'.repeat(31)}`];
    this.store = new MemorySyncStore(`site-${index}`, digit.repeat(32), (work) => this.pending.push(work), {
      slot: index + 1,
    });
    this.exchange = new SiteExchange(this.store, quiet, {
      admit: () => null,
      ready: () => {},
      isMember: () => true,
      closed: (_connection, ending) => this.endings.push(ending),
      changed: () => {},
    });
    this.store.onAdvanced = () => this.exchange.advanced();
  }
}

/** Whether both ends of a connection have durably what either has, as far as this one knows. */
function isSettled({ store }: SimSite, { session }: Connection): boolean {
  const [here, there] = [store.vector(), session.acknowledged];
  return session.missingAtPeer === 0 && store.missingCount() === 0 && covers(here, there) && covers(there, here);
}

class Simulation {
  readonly sites: SimSite[];
  readonly wires: Wire[] = [];
  readonly edges: [number, number][];
  readonly random: () => number;
  ticked = false;
  mostQueuedBytes = 0;
  sentMessages = 0;

  constructor(seed: number, edges?: [number, number][]) {
    this.random = randomFrom(seed);
    const count = edges ? Math.max(...edges.flat()) + 1 : 2 + this.below(5);
    this.sites = Array.from({ length: count }, (_, index) => new SimSite(index));
    this.edges = edges ?? [];
    if (edges) return;
    // A random tree, so that all are linked in the end, and some further edges.
    for (let b = 1; b < count; b++) this.edges.push([this.below(b), b]);
    for (let i = this.below(count + 1); i > 0; i--) {
      const [a, b] = [this.below(count), this.below(count)];
      if (a !== b) this.edges.push([a, b]);
    }
  }

  below(limit: number): number {
    return Math.floor(this.random() * limit);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  connect([a, b]: [number, number]): void {
    const linked = this.wires.some(
      ({ up, ends }) => up && ends.some((e) => e.site.index === a) && ends.some((e) => e.site.index === b),
    );
    if (linked) return;
    const ends = [a, b].map((index) => ({
      site: this.sites[index]!,
      queue: [],
      queuedBytes: 0,
      connection: undefined,
      asked: new Set<ObjectId>(),
      closing: false,
    })) as unknown as [End, End];
    const wire: Wire = { ends, up: true };
    this.wires.push(wire);
    for (const end of ends) {
      const transport = {
        send: (message: Message) => {
          this.observe(end, message);
          end.queue.push(message);
          this.sentMessages++;
          end.queuedBytes += encodeFrames(message).reduce((sum, frame) => sum + frame.length, 0);
          this.mostQueuedBytes = Math.max(this.mostQueuedBytes, end.queuedBytes);
          return this.random() > 0.1;
        },
        close: () => {
          end.closing = true;
        },
      };
      const describe = { instance: `${'0'.repeat(15)}${end.site.index}`, address: '', introductions: [] };
      end.site.exchange.connect(transport, describe, null, (connection) => {
        end.connection = connection;
      });
    }
  }

  disconnect(wire: Wire): void {
    wire.up = false;
    for (const end of wire.ends) end.connection!.lost('cut by the simulation');
  }

  /** Delivers the next message that `from` sent, through its bytes. */
  deliver(wire: Wire, from: End): void {
    const to = wire.ends[0] === from ? wire.ends[1] : wire.ends[0];
    const message = from.queue.shift()!;
    const assembler = new FrameAssembler();
    let decoded: Message | undefined;
    for (const frame of encodeFrames(message)) {
      from.queuedBytes -= frame.length;
      decoded = assembler.push(frame);
    }
    if (decoded!.type === 'absent') for (const id of decoded!.ids) to.asked.delete(id);
    to.connection!.receive(decoded!);
    if (from.queue.length === 0) from.connection!.drained();
  }

  /** No site asks two peers for one object at a time, as long as none of them is late. */
  private observe(end: End, message: Message): void {
    if (message.type !== 'want') return;
    for (const id of message.ids) {
      const held = end.site.store.objects.has(id);
      const others = this.wires.filter(
        ({ up, ends }) => up && ends.some((other) => other !== end && other.site === end.site && other.asked.has(id)),
      );
      assert.ok(this.ticked || held || others.length === 0, `${end.site.store.siteName} asks twice for ${id}`);
      end.asked.add(id);
    }
  }

  /** Nothing is believed of a peer that is not durable there. */
  check(): void {
    for (const { up, ends } of this.wires) {
      if (!up) continue;
      for (const [here, there] of [ends, ends.toReversed()] as [End, End][]) {
        const believed = here.connection!.session.acknowledged;
        assert.ok(
          covers(there.site.store.vector(), believed),
          `${here.site.store.siteName} believes that ${there.site.store.siteName} holds more than is durable there`,
        );
      }
    }
    for (const site of this.sites)
      assert.deepEqual(
        site.endings.filter((ending) => ending.by !== 'transport'),
        [],
      );
  }

  moves(): (() => void)[] {
    const live = this.wires.filter((wire) => wire.up);
    const deliveries = live.flatMap((wire) =>
      wire.ends.filter((end) => end.queue.length > 0).map((end) => () => this.deliver(wire, end)),
    );
    const works = this.sites.filter((site) => site.pending.length > 0).map((site) => () => site.pending.shift()!());
    return [...deliveries, ...works];
  }

  commit(site: SimSite): void {
    const files = Array.from({ length: this.below(3) }, () =>
      site.store.putFile(Array.from({ length: this.below(4) }, () => Buffer.from(`chunk ${this.random()}`))),
    );
    void site.store.commit(this.pick(site.actors), files, this.below(200));
  }

  async run(steps: number): Promise<void> {
    for (let step = 0; step < steps; step++) {
      const dice = this.random();
      const live = this.wires.filter((wire) => wire.up);
      if (dice < 0.12) this.commit(this.pick(this.sites));
      else if (dice < 0.17) this.connect(this.pick(this.edges));
      else if (dice < 0.19 && live.length > 0) this.disconnect(this.pick(live));
      else if (dice < 0.2) {
        this.ticked = true;
        this.pick(this.sites).exchange.tick(this.below(1e6));
      } else {
        const moves = this.moves();
        if (moves.length > 0) this.pick(moves)();
      }
      // Let promises settle: the stores' answers are part of the step.
      await turn();
      this.check();
    }
  }

  /** Until nothing is left to do. */
  async settle(): Promise<void> {
    for (let step = 0; ; step++) {
      assert.ok(step < 200_000, 'does not come to rest');
      const moves = this.moves();
      if (moves.length === 0) return;
      this.pick(moves)();
      await turn();
    }
  }

  converged(): void {
    const [first, ...rest] = this.sites;
    for (const site of rest) {
      assert.deepEqual([...site.store.vector()].toSorted(), [...first!.store.vector()].toSorted());
      const lacking = [...first!.store.objects.keys()].filter((id) => !site.store.objects.has(id));
      assert.deepEqual([lacking, site.store.missingCount()], [[], 0], `${site.store.siteName} lacks objects`);
    }
    for (const { up, ends } of this.wires) {
      if (up) for (const { site, connection } of ends) assert.ok(isSettled(site, connection!));
    }
  }
}

async function converge(seed: number): Promise<void> {
  const simulation = new Simulation(seed);
  await simulation.run(250);
  for (const edge of simulation.edges) simulation.connect(edge);
  await simulation.settle();
  simulation.check();
  simulation.converged();
}

test('sites converge whatever is lost, late or cut', async () => {
  const only = process.env['WEFT_SEED'];
  const seeds = only === undefined ? Array.from({ length: RUNS }, (_, i) => i + 1) : [Number(only)];
  for (const seed of seeds) {
    await converge(seed).catch((error: unknown) => {
      throw new Error(`replay with WEFT_SEED=${seed}`, { cause: error });
    });
  }
});

test('a seed gives the same run again', async () => {
  const counts: number[] = [];
  for (let i = 0; i < 2; i++) {
    const simulation = new Simulation(4711);
    await simulation.run(400);
    counts.push(simulation.sentMessages);
  }
  assert.equal(counts[0], counts[1]);
});

test('a chain passes changes and objects on to a site that knows only its middle', async () => {
  const simulation = new Simulation(5, [
    [0, 1],
    [1, 2],
  ]);
  for (let i = 0; i < 30; i++) simulation.commit(simulation.sites[0]!);
  for (const edge of simulation.edges) simulation.connect(edge);
  await simulation.settle();
  simulation.converged();
  assert.ok(simulation.sites[2]!.store.objects.size > 30);
});

test('a peer that takes nothing in costs a bounded amount of memory', async () => {
  const simulation = new Simulation(6, [[0, 1]]);
  const [source, sink] = simulation.sites as [SimSite, SimSite];
  for (let i = 0; i < 40; i++) {
    const file = source.store.putFile([Buffer.alloc(1024 * 1024, i)]);
    void source.store.commit(source.actors[0]!, [file], 500_000);
  }
  while (source.pending.length > 0) source.pending.shift()!();
  simulation.connect([0, 1]);
  const wire = simulation.wires[0]!;
  // The sink never makes durable what it got; it asks for what it learns of all the same.
  for (let step = 0; step < 400; step++) {
    for (const end of wire.ends) if (end.queue.length > 0) simulation.deliver(wire, end);
    while (source.pending.length > 0) source.pending.shift()!();
    await turn();
  }
  assert.equal(sink.store.log.length, 0);
  assert.ok(simulation.mostQueuedBytes < 6 * 1024 * 1024, `${simulation.mostQueuedBytes} bytes under way`);
  await simulation.settle();
  simulation.converged();
  assert.ok(simulation.mostQueuedBytes < 24 * 1024 * 1024, `${simulation.mostQueuedBytes} bytes under way`);
});

test('a site without room keeps taking changes, and fetches objects once there is room', async () => {
  const simulation = new Simulation(7, [[0, 1]]);
  const [source, sink] = simulation.sites as [SimSite, SimSite];
  const file = source.store.putFile([Buffer.from('content')]);
  void source.store.commit(source.actors[0]!, [file]);
  const storeObjects = sink.store.storeObjects.bind(sink.store);
  sink.store.storeObjects = () => Promise.reject(Object.assign(new Error('disk full'), { code: 'ENOSPC' }));
  simulation.connect([0, 1]);
  await simulation.settle();
  assert.equal(sink.store.log.length, 1);
  assert.equal(sink.store.missingCount(), 1);
  sink.store.storeObjects = storeObjects;
  for (let i = 0; i < 6; i++) sink.exchange.tick(0);
  await simulation.settle();
  simulation.converged();
});

test('an object that a stalled peer was asked for comes from another one', async () => {
  const simulation = new Simulation(8, [
    [0, 1],
    [1, 2],
    [0, 2],
  ]);
  const [source, , other] = simulation.sites as [SimSite, SimSite, SimSite];
  const file = source.store.putFile([Buffer.from('content')]);
  void source.store.commit(source.actors[0]!, [file]);
  simulation.connect([0, 2]);
  await simulation.settle();
  simulation.connect([0, 1]);
  const stalled = simulation.wires[1]!;
  // Only changes get through from site 0: its objects stay in the queue.
  const sink = simulation.sites[1]!;
  for (let i = 0; i < 20; i++) {
    for (const end of stalled.ends) {
      if (end.queue.length > 0 && end.queue[0]!.type !== 'objects') simulation.deliver(stalled, end);
    }
    while (sink.pending.length > 0) sink.pending.shift()!();
    while (source.pending.length > 0) source.pending.shift()!();
    await turn();
  }
  assert.equal(sink.store.missingCount(), 1);
  simulation.connect([1, 2]);
  simulation.ticked = true;
  for (let i = 0; i < 6; i++) sink.exchange.tick(0);
  const open = simulation.wires[2]!;
  for (let i = 0; i < 40; i++) {
    for (const end of open.ends) if (end.queue.length > 0) simulation.deliver(open, end);
    for (const site of simulation.sites) while (site.pending.length > 0) site.pending.shift()!();
    await turn();
  }
  assert.equal(sink.store.missingCount(), 0);
  assert.ok(other.store.objects.size >= 2);
});

/** Two sites whose hellos differ as told; gives how their connections ended. */
function refusal(
  change: (a: MemorySyncStore, b: MemorySyncStore) => void,
  helloOfB?: (hello: Hello) => Message,
): (Ending | undefined)[] {
  const simulation = new Simulation(9, [[0, 1]]);
  const [a, b] = simulation.sites as [SimSite, SimSite];
  change(a.store, b.store);
  simulation.connect([0, 1]);
  const wire = simulation.wires[0]!;
  const first = wire.ends[1].queue[0]!;
  if (helloOfB && first.type === 'hello') wire.ends[1].queue[0] = helloOfB(first);
  simulation.deliver(wire, wire.ends[1]);
  while (wire.ends[0].queue.length > 0 && !wire.ends[1].connection!.ended) simulation.deliver(wire, wire.ends[0]);
  return [a.endings[0], b.endings[0]];
}

function assertRefused([here, there]: (Ending | undefined)[], code: string, words: RegExp): void {
  assert.equal(here?.code, code);
  assert.match(here?.reason ?? '', words);
  assert.ok(there !== undefined, 'the other side was not told');
  assert.match(there.reason, words);
}

test('sites that cannot be linked are told why, at both ends', () => {
  const set = Object.assign;
  assertRefused(
    refusal((_, b) => set(b, { volumeId: 'other' })),
    'volume',
    /different volumes .*join with an invite/,
  );
  assertRefused(
    refusal((a, b) => set(b, { siteId: a.siteId })),
    'same-site',
    /copies of one state directory; delete one/,
  );
});

test('a site of another protocol version is told which one has to be upgraded', () => {
  const simulation = new Simulation(13, [[0, 1]]);
  simulation.connect([0, 1]);
  const [near, far] = simulation.wires[0]!.ends;
  near.connection!.receive({ type: 'foreign-hello', version: 7 });
  assert.match(near.site.endings[0]!.reason, /"site-0" speaks 4, the other site 7; upgrade weft at site "site-0"/);
  simulation.deliver(simulation.wires[0]!, near);
  simulation.deliver(simulation.wires[0]!, near);
  assert.deepEqual([far.site.endings[0]!.by, far.site.endings[0]!.code], ['peer', 'version']);
});

test('a peer that sends beyond its credit is cut off', async () => {
  const simulation = new Simulation(14, [[0, 1]]);
  simulation.connect([0, 1]);
  const wire = simulation.wires[0]!;
  simulation.deliver(wire, wire.ends[1]);
  const { connection, site } = wire.ends[0];
  // Nothing is made durable meanwhile, so nothing is granted.
  for (let seq = 1; seq <= 6 && !connection!.ended; seq++) {
    const bytes = Buffer.from(
      JSON.stringify({ actor: 'cd'.repeat(16), seq, after: [], objects: [], filler: '.'.repeat(1e6) }),
    );
    connection!.receive({ type: 'changes', changes: [{ actor: 'cd'.repeat(16), seq, bytes, deps: [] }] });
  }
  assert.match(site.endings[0]!.reason, /without credit/);
  assert.equal(site.endings[0]!.code, 'protocol');
});

test('nothing is accepted before the hello, and nothing unasked after it', () => {
  const early = refusal(
    () => {},
    () => ({ type: 'changes', changes: [] }),
  );
  assertRefused(early, 'protocol', /sent changes before its hello/);
  const simulation = new Simulation(10, [[0, 1]]);
  simulation.connect([0, 1]);
  const wire = simulation.wires[0]!;
  const { connection, site } = wire.ends[0];
  simulation.deliver(wire, wire.ends[1]);
  connection!.receive({ type: 'objects', objects: [{ id: 'ab'.repeat(32), kind: 1, bytes: Buffer.from('x') }] });
  assert.match(site.endings[0]!.reason, /object abab.*not asked for/);
});

test('a change without the ones before it ends the link', () => {
  const simulation = new Simulation(11, [[0, 1]]);
  simulation.connect([0, 1]);
  const wire = simulation.wires[0]!;
  const { connection, site } = wire.ends[0];
  simulation.deliver(wire, wire.ends[1]);
  const change = { actor: 'cd'.repeat(16), seq: 2, bytes: Buffer.from('x'), deps: [] };
  connection!.receive({ type: 'changes', changes: [change] });
  assert.match(site.endings[0]!.reason, /change 2 of actor cd.* came without change 1/);
});

test('a barrier brings what the peer had not committed yet', async () => {
  const simulation = new Simulation(12, [[0, 1]]);
  simulation.connect([0, 1]);
  await simulation.settle();
  const [a, b] = simulation.sites as [SimSite, SimSite];
  void b.store.commit(b.actors[0]!);
  const { connection } = simulation.wires[0]!.ends[0];
  assert.ok(isSettled(a, connection!), 'site 0 cannot know of it yet');
  connection!.step({ on: 'barrier' });
  assert.ok(connection!.session.barrierPending);
  await simulation.settle();
  assert.ok(!connection!.session.barrierPending);
  assert.equal(a.store.log.length, 1);
});

test('what a site holds is told on to sites that are not linked to it', async () => {
  const simulation = new Simulation(5, [
    [0, 1],
    [1, 2],
  ]);
  for (const edge of simulation.edges) simulation.connect(edge);
  void simulation.sites[0]!.store.commit('aa'.repeat(16));
  await simulation.settle();
  for (let i = 0; i < 3; i++) {
    for (const site of simulation.sites) site.exchange.tick(1_000);
    await simulation.settle();
  }
  const [first, , last] = simulation.sites;
  const holding = first!.exchange.members.get(last!.store.siteId);
  assert.deepEqual(holding, { siteId: last!.store.siteId, vector: new Map([['aa'.repeat(16), 1]]), seenMs: 1_000 });
});
