import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ActorTable } from './ids.js';
import { nearestCommonVersions, type Version } from './version-graph.js';

const headOf = (n: number) => ({
  manifest: String(n).padStart(64, '0'),
  size: 0,
  mtime: { s: n, ns: 0 },
  copyIno: 2 + n,
});
const actors = new ActorTable();
actors.intern('a'.repeat(32));

/** Versions by number; each names those that it overwrote. @param contents which show the same are told by the same number */
function graph(preds: readonly (readonly number[])[], contents: readonly number[] = []): Version[] {
  const op = (n: number) => ({ counter: n + 1, actor: 0 });
  return preds.map((of, n) => ({ ...op(n), stamp: n, head: headOf(contents[n] ?? n), preds: of.map(op) }));
}

function common(versions: readonly Version[], left: readonly number[], right: readonly number[]) {
  const found = nearestCommonVersions(
    left.map((n) => versions[n]!),
    right.map((n) => versions[n]!),
    ({ counter }) => versions[counter - 1],
    actors,
  );
  return found?.map(({ counter }) => counter - 1).toSorted((a, b) => a - b);
}

test('two versions on one have that one in common; versions of a file that was empty have none', () => {
  assert.deepEqual(common(graph([[], [0], [0]]), [1], [2]), [0]);
  assert.deepEqual(common(graph([[], []]), [0], [1]), []);
});

test('two merges of the same two versions have both in common', () => {
  assert.deepEqual(common(graph([[], [0], [0], [1, 2], [1, 2]]), [3], [4]), [1, 2]);
});

test('a version that was written over a merge goes back to what another merge is made of', () => {
  // 1, 2 and 3 on 0; 4 merges 1 and 2; 5 merges all three; 6 was written over 4.
  assert.deepEqual(common(graph([[], [0], [0], [0], [1, 2], [1, 2, 3], [4]]), [5], [6]), [1, 2]);
});

test('a copy that became a file at two sites began with one version, which what was written at one of them goes back to', () => {
  // 0 and 1 are that version; 2 was written on 0.
  assert.deepEqual(common(graph([[], [], [0]], [0, 0]), [2], [1]), [1]);
  assert.deepEqual(common(graph([[], [], [1]], [0, 0]), [2], [0]), [0]);
  // 3 was written on 1.
  assert.deepEqual(common(graph([[], [], [0], [1]], [0, 0]), [2], [3]), [1]);
  // 4 merged 2 with that version, as 1.
  assert.deepEqual(common(graph([[], [], [0], [1], [1, 2]], [0, 0]), [3], [4]), [1]);
  assert.deepEqual(common(graph([[], [], [0], [], [1, 2]], [0, 0, 2, 0]), [3], [4]), [3]);
});

test('where the history is not known, nothing is said', () => {
  const versions = graph([[], [0], [0]]);
  assert.equal(
    nearestCommonVersions([versions[1]!], [versions[2]!], () => undefined, actors),
    undefined,
  );
});

test('what is found are the common ancestors that no other one goes back to, and first versions that are the same count as one', () => {
  const preds = fc.array(fc.array(fc.nat(30), { maxLength: 3 }), { minLength: 1, maxLength: 24 });
  const sides = [fc.array(fc.nat(23), { minLength: 1, maxLength: 3 }), fc.nat(23)] as const;
  fc.assert(
    fc.property(preds, ...sides, fc.boolean(), (raw, lefts, right, isTwinned) => {
      const edges = raw.map((of, n) => [...new Set(of.filter((pred) => pred < n))]);
      const first = edges.findIndex((of) => of.length === 0);
      const one = (n: number): number => (isTwinned && edges[n]!.length === 0 ? first : n);
      const versions = graph(
        edges,
        edges.map((_, n) => one(n)),
      );
      const ancestors = edges.map((_, n) => new Set([one(n)]));
      for (const [n, of] of edges.entries())
        for (const pred of of) for (const a of ancestors[pred]!) ancestors[n]!.add(a);
      const left = lefts.map((n) => n % edges.length);
      const opposite = right % edges.length;
      const reached = new Set(left.flatMap((n) => [...ancestors[n]!]));
      const shared = [...ancestors[opposite]!].filter((n) => reached.has(n));
      const nearest = shared.filter((n) => !shared.some((other) => other !== n && ancestors[other]!.has(n)));
      assert.deepEqual(
        common(versions, left, [opposite])?.map(one),
        nearest.toSorted((a, b) => a - b),
      );
    }),
    { numRuns: 1000 },
  );
});
