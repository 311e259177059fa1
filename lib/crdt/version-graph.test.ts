import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ActorTable, type OpId } from './ids.js';
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
    { version: ({ counter }) => versions[counter - 1], heirs: () => [], isBornTwice: false },
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
    nearestCommonVersions(
      [versions[1]!],
      [versions[2]!],
      { version: () => undefined, heirs: () => [], isBornTwice: false },
      actors,
    ),
    undefined,
  );
});

test('the text of a copy that became a file at two sites is there twice when what one of them wrote is known no more', () => {
  // 0 and 1 are the version that both began with; 2 was written on 0, and what it goes back to is dropped.
  const versions = graph([[], [], [0]], [0, 0]);
  const [begun, written] = [versions[1]!, { ...versions[2]!, preds: [{ counter: 0, actor: 0 }] }];
  const known = { version: () => undefined, heirs: () => [written], isBornTwice: true };
  assert.equal(nearestCommonVersions([written], [begun], known, actors), undefined);
});

test('the first version of a file stays beside what another site appends, once nobody knows that it was the first', () => {
  const versions = graph([[], []]);
  const known = dropped(versions, 1);
  assert.deepEqual(nearestCommonVersions([known.version(versions[0]!)!], [versions[1]!], known, actors), []);
});

/** The common ancestors that no other one goes back to, worked out from all ancestors of each. */
function nearestOf(
  edges: readonly (readonly number[])[],
  one: (n: number) => number,
  left: readonly number[],
  right: number,
): number[] {
  const ancestors = edges.map((_, n) => new Set([one(n)]));
  for (const [n, of] of edges.entries()) for (const pred of of) for (const a of ancestors[pred]!) ancestors[n]!.add(a);
  const reached = new Set(left.flatMap((n) => [...ancestors[n]!]));
  const shared = [...ancestors[right]!].filter((n) => reached.has(n));
  const nearest = shared.filter((n) => !shared.some((other) => other !== n && ancestors[other]!.has(n)));
  return nearest.toSorted((a, b) => a - b);
}

/** The versions when the first `dropped` of them are no longer known, but for those that none of these overwrote. */
function dropped(versions: readonly Version[], count: number, isBornTwice = false) {
  const gone = versions.slice(0, count);
  const overwritten = new Set(gone.flatMap(({ preds }) => preds.map(({ counter }) => counter)));
  const base = gone.filter(({ counter }) => !overwritten.has(counter));
  const inBase = new Map(base.map((one) => [one.counter, { ...one, preds: [{ counter: 0, actor: 0 }] }]));
  const version = ({ counter }: OpId) => (counter > count ? versions[counter - 1] : inBase.get(counter));
  const heirs = ({ counter }: OpId) => (counter <= count ? base : []);
  return { version, heirs, isBornTwice };
}

test('what was written on a version that is not known any more goes back to what was written on it', () => {
  // 1 and 2 on 0; 3 merges them; 4 was written on 1. Of all this 0 and what it says of 1 is dropped.
  const versions = graph([[], [0], [0], [1, 2], [1]]);
  const known = dropped(versions, 2);
  const [merged, later] = [versions[3]!, versions[4]!];
  const found = nearestCommonVersions([merged], [later], known, actors);
  assert.deepEqual(
    found?.map(({ counter }) => counter - 1),
    [1],
  );
  // What 2 has in common with 4 is 0, and nobody knows what that was.
  assert.equal(nearestCommonVersions([versions[2]!], [later], known, actors), undefined);
});

test('whatever is not known any more, what is found is what would be found if all were known, or nothing', () => {
  const preds = fc.array(fc.array(fc.nat(30), { maxLength: 3 }), { minLength: 1, maxLength: 24 });
  const sides = [fc.array(fc.nat(23), { minLength: 1, maxLength: 3 }), fc.nat(23)] as const;
  let found = 0;
  fc.assert(
    fc.property(preds, ...sides, fc.nat(23), fc.boolean(), (raw, lefts, right, count, isTwinned) => {
      const edges = raw.map((of, n) => [...new Set(of.filter((pred) => pred < n))]);
      const first = edges.findIndex((of) => of.length === 0);
      const one = (n: number): number => (isTwinned && edges[n]!.length === 0 ? first : n);
      const versions = graph(
        edges,
        edges.map((_, n) => one(n)),
      );
      const droppedCount = count % edges.length;
      // Of two writings of one version that are both dropped nobody knows that they are one: merging them is what comes to nothing then.
      if (isTwinned && edges.slice(0, droppedCount).filter((of) => of.length === 0).length > 1) return;
      const known = dropped(versions, droppedCount, isTwinned);
      const [left, [opposite]] = [lefts, [right]].map((all) => all.map((n) => n % edges.length)) as [
        number[],
        [number],
      ];
      const sidesOf = [left, [opposite]].map((all) => all.map((n) => known.version({ counter: n + 1, actor: 0 })));
      if (!sidesOf.flat().every((one) => one !== undefined)) return;
      const is = nearestCommonVersions(sidesOf[0] as Version[], sidesOf[1] as Version[], known, actors);
      if (!is) return;
      found++;
      // Of a version that both began with one writing may be known as the first, and of the other only that it is there.
      const numbers = new Set(is.map(({ counter }) => one(counter - 1)));
      assert.deepEqual(
        [...numbers].toSorted((a, b) => a - b),
        nearestOf(edges, one, left, opposite),
      );
    }),
    { numRuns: 4000 },
  );
  assert.ok(found > 300, `${found} of 4000`);
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
      const left = lefts.map((n) => n % edges.length);
      const opposite = right % edges.length;
      assert.deepEqual(common(versions, left, [opposite])?.map(one), nearestOf(edges, one, left, opposite));
    }),
    { numRuns: 1000 },
  );
});
