import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LimitedPace, limitsAt } from './transfer-limits.js';
import type { LimitRule } from './transfer-limits.js';
import type { SyncClock } from './ports.js';

/** Time goes on when it is told to. */
class ManualClock implements SyncClock {
  private nowMs = 0;
  private readonly timers = new Set<{ atMs: number; fire: () => void }>();
  now(): number {
    return this.nowMs;
  }
  wallMs(): number {
    return this.nowMs;
  }
  setTimer(delayMs: number, fire: () => void): () => void {
    const timer = { atMs: this.nowMs + delayMs, fire };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }
  advance(ms: number): void {
    const endMs = this.nowMs + ms;
    for (;;) {
      const next = [...this.timers].filter(({ atMs }) => atMs <= endMs).toSorted((a, b) => a.atMs - b.atMs)[0];
      if (!next) break;
      this.timers.delete(next);
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.fire();
    }
    this.nowMs = endMs;
  }
}

test('of the limits for a time of day the lowest holds; a part of the day may go over midnight', () => {
  const rules: LimitRule[] = [
    { between: null, upBytesPerS: 1000, downBytesPerS: null },
    { between: { from: 8 * 60, to: 18 * 60 }, upBytesPerS: 200, downBytesPerS: 300 },
    { between: { from: 22 * 60, to: 6 * 60 }, upBytesPerS: 5000, downBytesPerS: 50 },
  ];
  const at = (hour: number): number[] => Object.values(limitsAt(rules, hour * 60)).map((limit) => limit ?? Infinity);
  assert.deepEqual(at(7), [1000, Infinity]);
  assert.deepEqual(at(8), [200, 300]);
  assert.deepEqual(at(17.98), [200, 300]);
  assert.deepEqual(at(18), [1000, Infinity]);
  assert.deepEqual(at(23), [1000, 50]);
  assert.deepEqual(at(0), [1000, 50]);
  assert.deepEqual(at(6), [1000, Infinity]);
});

test('a sender that always has more is held to its limit, live, and told when it may go on', () => {
  const clock = new ManualClock();
  let sentBytes = 0;
  const pace: LimitedPace = new LimitedPace(clock, () => {
    while (pace.maySend && sentBytes < 1e9) {
      sentBytes += 10_000;
      pace.sent(10_000);
    }
  });
  pace.limit({ upBytesPerS: 100_000, downBytesPerS: null });
  clock.advance(10_000);
  assert.ok(Math.abs(sentBytes - 1_025_000) <= 20_000, `${sentBytes} in 10 s at 100 000/s`);
  sentBytes = 0;
  pace.limit({ upBytesPerS: 1_000_000, downBytesPerS: null });
  clock.advance(10_000);
  assert.ok(Math.abs(sentBytes - 10_000_000) <= 100_000, `${sentBytes} in 10 s at 1 000 000/s`);
  pace.limit({ upBytesPerS: null, downBytesPerS: null });
  assert.equal(sentBytes, 1e9, 'without a limit it goes on at once');
});

test('a receiver asks again when what came is paid for, and asks for little ahead', () => {
  const clock = new ManualClock();
  let told = 0;
  const pace = new LimitedPace(clock, () => told++);
  assert.equal(pace.aheadBytes, Infinity);
  pace.limit({ upBytesPerS: null, downBytesPerS: 1000 });
  assert.equal(pace.aheadBytes, 500);
  told = 0;
  pace.received(2250);
  assert.equal(pace.mayAsk, false);
  assert.equal(pace.maySend, true);
  clock.advance(1990);
  assert.equal(told, 0);
  clock.advance(20);
  assert.equal(told, 1);
  assert.equal(pace.mayAsk, true);
  pace.received(10_000);
  pace.stop();
  clock.advance(60_000);
  assert.equal(told, 1);
});
