import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatHead } from '../crdt/fields.js';
import { nearestCommonVersions } from '../crdt/version-graph.js';
import { Journal } from './journal.js';
import { temporaryDirectory } from './temporary-directory.js';
import { VersionHistory } from './version-history.js';

const ACTORS = ['a'.repeat(32), 'b'.repeat(32)];

test('each version that was overwritten is found by its operation, with what it overwrote; nothing else is', (t) => {
  const journal = Journal.open(temporaryDirectory(t));
  t.after(() => journal.close());
  const history = new VersionHistory(journal);
  const written: { op: string; pred: string[]; size: number; stamp: number }[] = [];
  for (let n = 0; n < 60; n++) {
    const actor = ACTORS[n % 3 === 0 ? 1 : 0]!;
    const [stamp, first] = [1_000 + n, journal.maxOp + 1];
    const pred = written.slice(-1 - (n % 2)).map(({ op }) => op);
    // Every other change begins with operations of other kinds.
    const others = Array.from({ length: n % 4 }, (_, i) => ({ key: `${100 + i}.uid`, value: n, pred: [] }));
    const value = formatHead({ manifest: '0'.repeat(64), size: n, mtime: { s: n, ns: 0 }, copyIno: 2 });
    const { bytes, change } = journal.author(actor, [...others, { key: '7.head', value, pred }], stamp);
    journal.appendChange(bytes, change);
    written.push({ op: `${first + others.length}@${actor}`, pred, size: n, stamp });
  }
  for (const { op, pred, size, stamp } of written) {
    const version = history.version(history.parseOp(op));
    assert.deepEqual([version?.head.size, version?.stamp], [size, stamp]);
    const preds = version!.preds.map(({ counter, actor }) => `${counter}@${journal.actors.id(actor)}`);
    assert.deepEqual(preds, pred);
    if (size % 4 === 0) continue;
    const { counter, actor } = history.parseOp(op);
    assert.equal(history.version({ counter: counter - 1, actor }), undefined, 'another register');
  }
  assert.equal(history.version({ counter: journal.maxOp + 1, actor: 0 }), undefined, 'not written yet');
  assert.equal(history.version(history.parseOp(`1@${'c'.repeat(32)}`)), undefined, 'of an actor without changes');
});

test('files were no longer merged once history was dropped: what they go on from is still known', (t) => {
  const journal = Journal.open(temporaryDirectory(t));
  t.after(() => journal.close());
  const history = new VersionHistory(journal);
  const write = (actor: string, size: number, pred: string[]): string => {
    const op = `${journal.maxOp + 1}@${actor}`;
    const value = formatHead({ manifest: '0'.repeat(64), size, mtime: { s: 1, ns: 0 }, copyIno: 2 });
    const { bytes, change } = journal.author(actor, [{ key: '7.head', value, pred }], 1_000 + size);
    journal.appendChange(bytes, change);
    return op;
  };
  const first = write(ACTORS[0]!, 1, []);
  const base = write(ACTORS[0]!, 2, [first]);
  // What was asked for before is no more known afterwards than the rest.
  assert.ok(history.version(history.parseOp(first)));
  journal.truncate(
    () => true,
    () => false,
  );
  const ops = [write(ACTORS[0]!, 3, [base]), write(ACTORS[1]!, 4, [base])].map(history.parseOp);
  const known = history.versionsOf(7);
  const [left, right] = ops.map((op) => known.version(op)!);
  const common = nearestCommonVersions([left!], [right!], known, journal.actors);
  assert.deepEqual(
    common?.map(({ head }) => head.size),
    [2],
  );
  assert.equal(known.version(history.parseOp(first)), undefined);
  // Whether two that are in the base have something in common is not known.
  const alone = history.versionsOf(8);
  assert.equal(nearestCommonVersions([left!], [right!], alone, journal.actors), undefined);
});
