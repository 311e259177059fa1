import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TokenBucket } from './token-bucket.js';

/** In bytes: with these what was earned was rounded, and it was not open yet when it should have been. */
const ENDED_A_MILLISECOND_EARLY = [
  180117, 10451, 126647, 57649, 161083, 5242, 118195, 9244, 39605, 62716, 28950, 45356, 189725, 81741, 82645, 198071,
  14161, 50976, 141605, 17013, 161493, 46327, 184718, 96217, 91958, 116490, 54784, 143410, 13300, 188308, 65815,
];

test('over any span no more goes by than the rate allows, and a burst and a message; and no less, when there is always more', () => {
  const message = fc.integer({ min: 1, max: 200_000 });
  fc.assert(
    fc.property(fc.integer({ min: 1000, max: 10_000_000 }), fc.array(message, { minLength: 50 }), (rate, messages) => {
      const bucket = new TokenBucket();
      let nowMs = 5000;
      bucket.limit(rate, nowMs);
      const sent: { atMs: number; bytes: number }[] = [];
      for (const bytes of messages) {
        nowMs += bucket.waitMs(nowMs);
        assert.ok(bucket.isOpen(nowMs));
        bucket.spend(bytes, nowMs);
        sent.push({ atMs: nowMs, bytes });
      }
      for (const [from, first] of sent.entries()) {
        let bytes = 0;
        for (const last of sent.slice(from)) {
          bytes += last.bytes;
          const allowed = ((last.atMs - first.atMs) * rate) / 1000 + rate / 4 + 200_000;
          assert.ok(bytes <= allowed, `${bytes} in ${last.atMs - first.atMs} ms at ${rate}/s`);
        }
      }
      const total = sent.slice(0, -1).reduce((sum, { bytes }) => sum + bytes, 0);
      // It rounds up to whole milliseconds.
      assert.ok(nowMs - 5000 <= (total * 1000) / rate + messages.length);
    }),
    { numRuns: 50, examples: [[1012, [...ENDED_A_MILLISECOND_EARLY, ...Array.from({ length: 50 }, () => 1)]]] },
  );
});

test('a limit that is changed holds from then on, debts included; without one nothing is counted', () => {
  const bucket = new TokenBucket();
  bucket.spend(1e9, 0);
  assert.equal(bucket.waitMs(0), 0);
  bucket.limit(1000, 0);
  bucket.spend(10_250, 0);
  assert.equal(bucket.waitMs(0), 10_001);
  bucket.limit(10_000, 0);
  assert.equal(bucket.waitMs(0), 1001);
  bucket.limit(null, 1);
  assert.ok(bucket.isOpen(1));
  bucket.limit(1000, 60_000);
  assert.ok(bucket.isOpen(60_000));
});
