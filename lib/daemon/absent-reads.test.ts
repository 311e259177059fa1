import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AbsentReads } from './absent-reads.js';

class Bench {
  nowMs = 0;
  peers = [{ site: 'oslo', state: 'connected', keepsAll: true }];
  readonly held = new Set<string>();
  readonly warnings: string[] = [];
  readonly failed: string[] = [];
  private timers: { atMs: number; fire: () => void }[] = [];
  readonly reads = new AbsentReads({
    clock: {
      now: () => this.nowMs,
      setTimer: (delayMs, fire) => {
        const timer = { atMs: this.nowMs + delayMs, fire };
        this.timers.push(timer);
        return () => (this.timers = this.timers.filter((other) => other !== timer));
      },
    },
    log: { debug: () => {}, info: () => {}, warn: (_, text) => this.warnings.push(text), error: () => {} },
    peers: () => this.peers,
    holds: (id) => this.held.has(id),
    giveUp: (ids) => this.failed.push(...ids),
  });

  advance(ms: number): void {
    this.nowMs += ms;
    const due = this.timers.filter(({ atMs }) => atMs <= this.nowMs);
    this.timers = this.timers.filter((timer) => !due.includes(timer));
    for (const { fire } of due) fire();
  }
}

test('the log says that a read failed although its bytes came', () => {
  const bench = new Bench();
  bench.reads.needed(['a', 'b'], '/notes');
  bench.reads.arrived(['a']);
  bench.held.add('b'); // by another way: packed again here, say
  bench.advance(60_000);
  assert.deepEqual([bench.warnings, bench.failed], [[], []]);
});

test('a read fails at once while no site is linked, as in the first second after a start', () => {
  const bench = new Bench();
  bench.peers = [{ site: 'oslo', state: 'unreachable', keepsAll: true }];
  bench.reads.needed(['a'], '/notes');
  bench.advance(10_000);
  assert.deepEqual(bench.failed, []);
  bench.advance(10_000);
  assert.deepEqual(bench.failed, ['a']);
  assert.match(bench.warnings[0]!, /cannot be reached now \(oslo\)/);
});

test('a read of many pages waits for each of them in turn', () => {
  const bench = new Bench();
  bench.peers = [{ site: 'oslo', state: 'unreachable', keepsAll: true }];
  bench.reads.needed(['a'], '/notes');
  bench.advance(15_000);
  bench.reads.needed(['a'], '/notes'); // the kernel once more, for the page alone
  assert.deepEqual([bench.failed, bench.warnings.length], [['a', 'a'], 1]);
  bench.reads.arrived(['b']); // somebody is there again
  bench.reads.needed(['a'], '/notes');
  bench.advance(14_000);
  assert.deepEqual(bench.failed, ['a', 'a']);
});

test('a read fails for ten seconds after the site that has its bytes is linked again', () => {
  const bench = new Bench();
  bench.peers = [{ site: 'oslo', state: 'unreachable', keepsAll: true }];
  bench.reads.needed(['a'], '/notes');
  bench.advance(15_000);
  bench.peers = [{ site: 'oslo', state: 'connected', keepsAll: true }];
  bench.reads.needed(['a'], '/notes');
  assert.deepEqual(bench.failed, ['a']);
  assert.deepEqual([...bench.reads.urgent], ['a']);
});

test('a read waits in vain for what no site has', () => {
  const bench = new Bench();
  bench.reads.needed(['a', 'b'], '/notes');
  bench.reads.absentEverywhere(['a', 'x']);
  assert.deepEqual(bench.failed, ['a']);
  assert.match(bench.warnings[0]!, /no site has its bytes/);
  bench.peers.push({ site: 'bergen', state: 'unreachable', keepsAll: true });
  bench.reads.absentEverywhere(['b']);
  assert.deepEqual(bench.failed, ['a']); // bergen may have it, and come
  bench.peers = [];
  bench.reads.needed(['c'], '/notes');
  assert.deepEqual(bench.failed, ['a', 'b', 'c']); // there is nobody to wait for
});

test('a read fails on a slow link that delivers all the while, or waits for ever', () => {
  const bench = new Bench();
  bench.reads.needed(['a'], '/notes');
  for (let seconds = 0; seconds < 200; seconds += 10) {
    bench.reads.arrived(['other']);
    bench.advance(10_000);
  }
  assert.deepEqual(bench.failed, []);
  for (let seconds = 200; seconds < 310; seconds += 10) {
    bench.reads.arrived(['other']);
    bench.advance(10_000);
  }
  assert.deepEqual(bench.failed, ['a']);
});
