import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasContestedAttributes } from './attribute-conflicts.js';
import { conflictsIn, listConflicts } from './conflicts.js';
import { converge, partitioned, randomFrom, exchangeAll } from './convergence.test-support.js';
import { formatMode, formatModeWithoutSetId } from './fields.js';
import { ROOT_INO } from './ids.js';
import { SimulatedSite } from './simulated-site.test-support.js';

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
  const facts = { type: 'f', uid: 1000, value: undefined };
  assert.deepEqual(conflict!.winner, { ...facts, site: 'paris', stamp: theirs, path: ['d', 'x'], size: 6 });
  assert.deepEqual(conflict!.loser, { ...facts, site: 'oslo', stamp: mine, path: conflict!.path, size: 4 });
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
  (oslo.store.inode(0)!.registers as Map<string, unknown>).clear();
  const [conflict] = listConflicts(oslo.store, oslo.actors);
  assert.equal(conflict!.loser.site, '?');
});

/** Both sites do the same or not the same, and converge. */
function both(
  act: (site: SimulatedSite) => unknown,
  start: (site: SimulatedSite) => unknown = () => {},
): SimulatedSite {
  const [oslo, paris] = partitioned(start);
  act(oslo);
  paris.nowUs += 10;
  act(paris);
  converge(oslo, paris);
  return oslo;
}

test('chmod to different permissions at two sites is listed with both and what is shown', () => {
  const oslo = both(
    (site) => site.chmod('x', site.name === 'oslo' ? 0o664 : 0o645),
    (site) => site.write('x', 'base'),
  );
  const [conflict, ...more] = listConflicts(oslo.store, oslo.actors);
  assert.equal(more.length, 0);
  assert.deepEqual([conflict!.kind, conflict!.winner.value, conflict!.loser.value], ['mode', '0665', '0664']);
  assert.equal(conflict!.why, 'mode set to 0664 at oslo while paris set it to 0645');
  oslo.chmod('x', 0o665);
  assert.deepEqual(oslo.conflicts(), []);
});

test('owner, group and extended attributes that differ are listed, and close with the next change', () => {
  const oslo = both(
    (site) => {
      site.chown('d', site.name === 'oslo' ? 1 : 2, site.name === 'oslo' ? 3 : 4);
      site.setxattr('d', 'user.colour', site.name === 'oslo' ? 'red' : undefined);
    },
    (site) => {
      site.mkdir('d');
      site.setxattr('d', 'user.colour', 'blue');
    },
  );
  assert.deepEqual(oslo.conflicts(), ['group d', 'owner d', 'attribute user.colour of d']);
  const colour = listConflicts(oslo.store, oslo.actors).at(-1)!;
  assert.deepEqual([colour.winner.site, colour.winner.value, colour.loser.value], ['oslo', 'red', undefined]);
  oslo.chown('d', 1, 3);
  oslo.setxattr('d', 'user.colour', 'red');
  assert.deepEqual(oslo.conflicts(), []);
});

test('no phantom: equal content, permissions, owners and attributes set at both sites are no conflict', () => {
  const oslo = both(
    (site) => {
      site.write('x', 'same');
      site.chmod('x', 0o600);
      site.chown('x', 5, 6);
      site.setxattr('x', 'user.a', 'same');
      site.setxattr('x', 'user.b', undefined);
      site.saveByRename('y', 'saved');
      site.write('new', 'as new');
      site.symlink('x', 'l');
      site.mkdir('d');
      site.unlink('gone');
    },
    (site) => {
      for (const path of ['x', 'y', 'gone']) site.write(path, 'base');
      site.setxattr('x', 'user.b', '1');
    },
  );
  assert.deepEqual(oslo.conflicts(), []);
});

test('no phantom: chmod to the mode that it has, beside another chmod', () => {
  const oslo = both(
    (site) => site.chmod('x', site.name === 'oslo' ? 0o644 : 0o600),
    (site) => {
      site.write('x', 'base');
      site.chmod('x', 0o644);
    },
  );
  assert.deepEqual(oslo.conflicts(), []);
  assert.equal(oslo.mode('x'), 0o600);
});

test('no phantom: set-id bits that a chown drops, beside a chmod', () => {
  const inode = both(
    (site) => site.chmod('x', site.name === 'oslo' ? 0o640 : 0o604),
    (site) => site.write('x', 'base'),
  );
  const file = inode.store.inode(inode.find('x')!.ino)!;
  const [first, second] = file.registers.get('mode')!;
  file.write('mode', [
    { ...first!, value: formatMode(0o644, 0o600) },
    { ...second!, value: formatModeWithoutSetId(0o644) },
  ]);
  assert.ok(hasContestedAttributes(file));
  assert.deepEqual(inode.conflicts(), []);
});

test('no phantom: changes that come twice, in any order, or to a site that starts anew, make none', () => {
  const [oslo, paris] = partitioned((site) => site.write('x', 'base'));
  oslo.write('x', 'mine');
  paris.nowUs += 10;
  paris.chmod('x', 0o600);
  paris.mkdir('d');
  converge(oslo, paris);
  for (const change of oslo.changes) oslo.receiveAgain(change);
  const rebuilt = new SimulatedSite('rebuilt', 3);
  exchangeAll([rebuilt, paris], randomFrom(7));
  for (const site of [oslo, paris, rebuilt]) assert.deepEqual(site.conflicts(), []);
});

test('what is in conflict in one directory is what the whole list says of it', () => {
  const [oslo, paris] = partitioned((site) => {
    for (const path of ['a', 'b', 'a/c']) site.mkdir(path);
    for (const path of ['a/x', 'a/y', 'b/x', 'z']) site.write(path, 'base');
  });
  for (const [i, site] of [oslo, paris].entries()) {
    site.nowUs += i * 10;
    site.write('a/x', site.name);
    site.write('b/new', site.name);
    site.chmod('a/y', 0o600 + i);
    site.chmod('a', 0o700 + i);
    site.rename('z', `a/c/z-of-${site.name}`);
  }
  oslo.rename('a/c', 'b/c');
  paris.rename('b', 'a/c/b');
  converge(oslo, paris);
  const all = listConflicts(oslo.store, oslo.actors);
  assert.ok(all.length >= 6, oslo.conflicts().join('\n'));
  const directories = new Set([ROOT_INO, ...all.map(({ at }) => at.parent)]);
  const found = [...directories].flatMap((directory) => conflictsIn(oslo.store, oslo.actors, directory));
  const sorted = (list: typeof all): string[] => list.map((one) => JSON.stringify(one)).toSorted();
  assert.deepEqual(sorted(found), sorted(all));
});

test('a move that is deferred names the site whose move is in its way', () => {
  const [oslo, paris] = partitioned((site) => {
    site.mkdir('x');
    site.mkdir('y');
  });
  oslo.rename('x', 'y/z');
  paris.nowUs += 10;
  paris.rename('y', 'x/w');
  converge(oslo, paris);
  const [conflict] = listConflicts(oslo.store, oslo.actors);
  assert.deepEqual([conflict!.kind, conflict!.winner.site, conflict!.loser.site], ['move-deferred', 'oslo', 'paris']);
});
