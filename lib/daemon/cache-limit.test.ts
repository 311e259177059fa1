import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import { CacheLimit } from './cache-limit.js';

const MIB = 1 << 20;

class Bench {
  nowMs = 0;
  storedBytes = 0;
  freeBytes = 1 << 30;
  cacheBytes: number | null = 100 * MIB;
  keepFreeBytes: number | null = null;
  /** Bytes that each eviction was asked for; what it gives up is up to `finish`. */
  readonly asked: number[] = [];
  finish: (bytes: number) => void = () => {};
  changes = 0;
  private timers: { atMs: number; fire: () => void }[] = [];
  readonly limit = new CacheLimit({
    clock: {
      now: () => this.nowMs,
      wallMs: () => this.nowMs,
      setTimer: (delayMs, fire) => {
        const timer = { atMs: this.nowMs + delayMs, fire };
        this.timers.push(timer);
        return () => (this.timers = this.timers.filter((other) => other !== timer));
      },
    },
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    cacheBytes: () => this.cacheBytes,
    keepFreeBytes: () => this.keepFreeBytes,
    storedBytes: async () => this.storedBytes,
    freeBytes: () => this.freeBytes,
    evict: (bytes) => {
      this.asked.push(bytes);
      return new Promise((resolve) => {
        this.finish = (given) => {
          this.storedBytes -= given;
          this.freeBytes += given;
          resolve({ objects: 1, bytes: given, lastCopyBytes: 0, freedBytes: given, removedPacks: [] });
        };
      });
    },
    changed: () => this.changes++,
  });

  store(bytes: number): void {
    this.storedBytes += bytes;
    this.limit.stored(bytes);
  }

  async end(given: number): Promise<void> {
    this.finish(given);
    for (let i = 0; i < 4; i++) await turn();
  }

  async advance(ms: number): Promise<void> {
    this.nowMs += ms;
    const due = this.timers.filter(({ atMs }) => atMs <= this.nowMs);
    this.timers = this.timers.filter((timer) => !due.includes(timer));
    for (const { fire } of due) fire();
    for (let i = 0; i < 4; i++) await turn();
  }
}

test('a full cache makes room before it is full, and fetching waits when it is', async () => {
  const bench = new Bench();
  bench.store(70 * MIB);
  assert.deepEqual(bench.asked, []);
  bench.store(10 * MIB);
  assert.ok(bench.asked.length === 1 && bench.asked[0]! > 15 * MIB && bench.asked[0]! < 25 * MIB);
  assert.equal(bench.limit.isFull, false);
  bench.store(10 * MIB);
  assert.equal(bench.limit.isFull, true);
  await bench.end(bench.asked[0]!);
  assert.deepEqual([bench.limit.isFull, bench.changes], [false, 1]);
});

test('reads wait for ever when nothing of a full cache may be given up', async () => {
  const bench = new Bench();
  bench.store(120 * MIB);
  assert.equal(bench.limit.isFull, true);
  await bench.end(0);
  assert.equal(bench.limit.isFull, false);
  bench.store(MIB);
  assert.deepEqual([bench.asked.length, bench.limit.isFull], [1, false], 'asked again at once');
  await bench.advance(11_000);
  bench.store(MIB);
  assert.equal(bench.asked.length, 2);
  bench.limit.close();
});

test('content goes while the disk has less free than it shall have', async () => {
  const bench = new Bench();
  bench.cacheBytes = null;
  bench.keepFreeBytes = 100 * MIB;
  bench.storedBytes = 500 * MIB;
  await bench.limit.look();
  assert.deepEqual(bench.asked, []);
  bench.freeBytes = 60 * MIB;
  await bench.advance(5_000);
  assert.deepEqual(bench.asked, [48 * MIB]);
  assert.equal(bench.limit.isFull, false);
  await bench.end(48 * MIB);
  await bench.advance(5_000);
  assert.equal(bench.asked.length, 1);
  bench.limit.close();
});

test('a site without limits is never looked at', async () => {
  const bench = new Bench();
  bench.cacheBytes = null;
  await bench.limit.look();
  bench.store(1 << 30);
  await bench.advance(60_000);
  assert.deepEqual(bench.asked, []);
});
