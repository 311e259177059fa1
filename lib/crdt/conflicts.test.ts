import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listConflicts } from './conflicts.js';
import { converge, partitioned } from './convergence.test-support.js';

test('a conflict says where, who, when and why', () => {
  const [oslo, paris] = partitioned((site) => {
    site.mkdir('d');
    site.write('d/x', 'base');
  });
  oslo.write('d/x', 'mine');
  const mine = oslo.changes.at(-1)!.stamp;
  paris.nowUs += 10;
  paris.write('d/x', 'theirs');
  const theirs = paris.changes.at(-1)!.stamp;
  converge(oslo, paris);
  const [conflict, ...more] = listConflicts(paris.store, paris.actors);
  assert.equal(more.length, 0);
  assert.equal(conflict!.kind, 'copy');
  assert.equal(conflict!.path[0], 'd');
  assert.match(conflict!.path[1]!, /^x\.~oslo-/);
  assert.deepEqual(conflict!.winner, { site: 'paris', stamp: theirs });
  assert.deepEqual(conflict!.loser, { site: 'oslo', stamp: mine });
  assert.equal(conflict!.why, 'written at oslo while paris wrote another version');
});

test('a tree without conflicts has none, merged directories and equal files included', () => {
  const [oslo, paris] = partitioned();
  for (const site of [oslo, paris]) {
    site.mkdir('d');
    site.write('d/x', 'same');
  }
  converge(oslo, paris);
  assert.deepEqual(listConflicts(oslo.store, oslo.actors), []);
});

test('paths lead through directories that are themselves shown under suffixed names', () => {
  const [oslo, paris] = partitioned((site) => {
    site.mkdir('a');
    site.write('a/x', 'base');
  });
  oslo.write('a/x', 'mine');
  oslo.rename('a', 'b');
  paris.nowUs += 10;
  paris.write('a/x', 'theirs');
  paris.mkdir('b');
  converge(oslo, paris);
  const conflicts = listConflicts(oslo.store, oslo.actors);
  assert.deepEqual(conflicts.map(({ kind }) => kind).toSorted(), ['copy', 'name']);
  for (const { path } of conflicts) assert.ok(oslo.find(path.join('/')), path.join('/'));
});

test('a site that never gave its name is a question mark', () => {
  const [oslo, paris] = partitioned();
  oslo.write('x', '1');
  paris.write('x', '2');
  converge(oslo, paris);
  for (const { winner, loser } of listConflicts(oslo.store, oslo.actors)) {
    assert.deepEqual([winner.site, loser.site].toSorted(), ['oslo', 'paris']);
  }
  oslo.store.inode(0)!.registers.clear();
  const [conflict] = listConflicts(oslo.store, oslo.actors);
  assert.equal(conflict!.loser.site, '?');
});
