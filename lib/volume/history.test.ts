import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { HistoryIndex } from '../journal/history-index.js';
import { JournalPast } from '../journal/past-registers.js';
import { RemovedTrees } from '../journal/removed-trees.js';
import { PastViews } from '../journal/past-views.js';
import { snapshotsOf } from '../crdt/snapshots.js';
import { namesIn, PathHistory } from '../journal/path-history.js';
import type { HistoryRow } from '../journal/path-history.js';
import { visitHeldVersions } from '../journal/held-versions.js';
import { StateSnapshot } from '../journal/state-snapshot.js';
import { isDirectoryEntry, PastTree } from '../crdt/past-tree.js';
import type { PastDirectory } from '../crdt/past-tree.js';
import { VolumeFixture } from './volume-fixture.test-support.js';

const opened: VolumeFixture[] = [];
afterEach(() => {
  for (const fixture of opened.splice(0)) fixture.remove();
});

function created(): VolumeFixture {
  const fixture = VolumeFixture.create();
  opened.push(fixture);
  return fixture;
}

function withHistory<T>(fixture: VolumeFixture, use: (history: PathHistory, index: HistoryIndex) => T): T {
  fixture.volume.publishAll();
  const index = HistoryIndex.open(fixture.directory);
  index.catchUp();
  const present = StateSnapshot.open(fixture.directory);
  try {
    return use(new PathHistory(index, present.store), index);
  } finally {
    present.close();
    index.close();
  }
}

function historyOf(fixture: VolumeFixture, path: string, limit = 1000): HistoryRow[] {
  return withHistory(fixture, (history) => history.rows(history.resolve(namesIn(path)), limit));
}

function lines(rows: readonly HistoryRow[]): string[] {
  return rows.map(({ event, path, detail, size }) =>
    [event, path, size ?? '', detail].filter((s) => s !== '').join(' '),
  );
}

test('a file is followed through its renames, under each of its names, and when it is gone', () => {
  const site = created();
  site.mkdir('/d');
  site.write('/d/a', 'one');
  site.volume.fold();
  site.rename('/d/a', '/d/b');
  site.volume.files.setattr(site.resolve('/d/b'), { mode: 0o600 }, { uid: 0, gid: 0, pid: 1 }, undefined);
  site.volume.fold();
  site.write('/d/b', 'second');
  site.volume.fold();
  site.unlink('/d/b');
  const expected = [
    'removed /d/b',
    'written /d/b 6',
    'changed /d/b mode 0600',
    'renamed /d/b from /d/a',
    'written /d/a 3',
    'created /d/a',
  ];
  assert.deepEqual(lines(historyOf(site, '/d/a')), expected);
  assert.deepEqual(lines(historyOf(site, '/d/b')), expected);
  assert.deepEqual(lines(historyOf(site, '/d')), [...expected, 'created /d']);
  assert.deepEqual(lines(historyOf(site, '/d', 2)), expected.slice(0, 2));
  const [, written] = historyOf(site, '/d/b');
  assert.equal(written!.uid, 1000);
  assert.equal(written!.site, `site${site.siteId.slice(0, 2)}`);
  assert.ok(!written!.current);
  site.rmdir('/d');
  assert.deepEqual(lines(historyOf(site, '/d/b')), expected);
  assert.deepEqual(historyOf(site, '/d/never'), []);
});

test('the files that a name had one after the other are its history: programs save by renaming', () => {
  const site = created();
  site.write('/f', 'one');
  site.volume.fold();
  site.write('/f.new', 'second');
  site.volume.fold();
  site.rename('/f.new', '/f');
  assert.deepEqual(lines(historyOf(site, '/f')), [
    'renamed /f from /f.new',
    'removed /f',
    'written /f.new 6',
    'created /f.new',
    'written /f 3',
    'created /f',
  ]);
  withHistory(site, (history, index) => {
    const versions = history.versions(history.resolve(['f']));
    assert.deepEqual(
      versions.map(({ size }) => size),
      [6, 3],
    );
    for (const version of versions)
      assert.deepEqual(PathHistory.matching(versions, version.id, index.actors), [version]);
    const [counter] = versions[0]!.id.split('-');
    assert.deepEqual(PathHistory.matching(versions, `${counter}-${'0'.repeat(32)}`, index.actors), []);
    assert.deepEqual(PathHistory.matching(versions, 'yesterday', index.actors), []);
  });
});

test('what other sites wrote has their name, and concurrent versions are all there', async () => {
  const paris = created();
  paris.write('/f', 'one');
  const oslo = await paris.join();
  opened.push(oslo);
  paris.write('/f', 'paris');
  oslo.write('/f', 'from oslo');
  await paris.mergeWith(oslo);
  for (const site of [paris, oslo]) {
    const versions = historyOf(site, '/f').filter(({ version }) => version !== null);
    assert.deepEqual(
      versions.map(({ size, site: name, current }) => [size, name, current]),
      [
        [9, `site${oslo.siteId.slice(0, 2)}`, true],
        [5, `site${paris.siteId.slice(0, 2)}`, false],
        [3, `site${paris.siteId.slice(0, 2)}`, false],
      ],
    );
  }
});

function paths(tree: PastTree, directory: PastDirectory, prefix = ''): string[] {
  return tree.list(directory).flatMap((entry) => {
    const path = `${prefix}/${entry.name}`;
    return [path, ...(isDirectoryEntry(entry) ? paths(tree, entry.directory, path) : [])];
  });
}

test('the tree of a moment is what was there then', () => {
  const site = created();
  const moments: { stamp: number; shown: string[] }[] = [];
  const mark = (shown: string[]): void => {
    site.volume.publishAll();
    const stamp = site.volume.journal.db.prepare('select max(stamp) from change').pluck().get() as number;
    moments.push({ stamp, shown });
  };
  mark([]);
  site.mkdir('/d');
  site.write('/d/a', 'one');
  mark(['/d', '/d/a']);
  site.rename('/d', '/e');
  site.write('/e/b', 'x');
  mark(['/e', '/e/a', '/e/b']);
  site.unlink('/e/a');
  site.unlink('/e/b');
  site.rmdir('/e');
  mark([]);
  withHistory(site, (_history, index) => {
    for (const { stamp, shown } of moments) {
      const tree = new PastTree(new JournalPast(index, index.vectorAt(stamp)), index.actors);
      assert.deepEqual(paths(tree, tree.root!), shown);
    }
    assert.equal(new PastTree(new JournalPast(index, index.vectorAt(1)), index.actors).root, undefined);
  });
});

test('an index that is damaged, or of another journal, is made again', () => {
  const site = created();
  site.write('/f', 'one');
  const before = lines(historyOf(site, '/f'));
  writeFileSync(join(site.directory, 'history.db'), 'no database at all');
  assert.deepEqual(lines(historyOf(site, '/f')), before);

  const other = created();
  other.write('/g', 'x');
  other.write('/h', 'x');
  historyOf(other, '/g');
  for (const suffix of ['', '-wal', '-shm']) rmSync(join(site.directory, `history.db${suffix}`), { force: true });
  const index = HistoryIndex.open(other.directory);
  index.db.exec(`vacuum into '${join(site.directory, 'history.db')}'`);
  index.close();
  assert.deepEqual(lines(historyOf(site, '/f')), before);
  assert.deepEqual(historyOf(site, '/g'), []);
});

test('what was removed in one go comes back, not what had been removed from it before', () => {
  const site = created();
  site.mkdir('/t');
  for (const name of ['/t/a', '/t/b', '/t/long-gone']) site.write(name, name);
  site.volume.publishAll();
  site.unlink('/t/long-gone');
  site.volume.fold();
  site.crash(60_000);
  for (const name of ['/t/a', '/t/b']) site.unlink(name);
  site.rmdir('/t');
  site.volume.publishAll();
  const removed = withHistory(site, (history, index) => {
    const present = StateSnapshot.open(site.directory);
    try {
      return new RemovedTrees(index, present.store, history).latest(['t'])!;
    } finally {
      present.close();
    }
  });
  assert.deepEqual(
    removed.links.map(({ name }) => name),
    ['t', 'a', 'b'],
  );
  assert.deepEqual(site.volume.restoring.placeAgain(removed.links, true), ['t', 'a', 'b']);
  assert.deepEqual(site.volume.restoring.placeAgain(removed.links, true), [null, null, null]);
  assert.deepEqual(site.list('/t'), ['a', 'b']);
  assert.equal(site.text('/t/a'), '/t/a');
});

test('what one site brings back and another changed meanwhile merges', async () => {
  const paris = created();
  paris.mkdir('/t');
  paris.write('/t/f', 'one');
  const oslo = await paris.join();
  opened.push(oslo);
  const lost = [paris.resolve('/t'), paris.resolve('/t/f')];
  const places = [
    { ino: lost[0]!, link: 0, parent: 1, name: 't' },
    { ino: lost[1]!, link: 0, parent: lost[0]!, name: 'f' },
  ];
  paris.unlink('/t/f');
  paris.rmdir('/t');
  await paris.mergeWith(oslo);
  // Both bring it back; one writes to it, the other makes something of that name.
  paris.volume.restoring.placeAgain(places, true);
  oslo.volume.restoring.placeAgain(places, true);
  oslo.write('/t/f', 'oslo');
  await paris.mergeWith(oslo);
  for (const site of [paris, oslo]) assert.equal(site.text('/t/f'), 'oslo');
  assert.equal(paris.digest, oslo.digest);
  assert.deepEqual(paris.list('/'), ['t']);
});

/** The sizes of the old versions that are kept as history, largest first. */
function keptAsHistory(fixture: VolumeFixture, nowUs: number): number[] {
  const snapshot = StateSnapshot.open(fixture.directory);
  const sizes: number[] = [];
  try {
    const rules = { nowUs, keepHistoryMs: null, acknowledged: null };
    visitHeldVersions(snapshot, rules, ({ reason, size }) => (reason === 'history' ? sizes.push(size) : 0));
  } finally {
    snapshot.close();
  }
  return sizes.toSorted((a, b) => b - a);
}

test('of old versions those are kept that gave way last, as many and as much as is said', async () => {
  const site = created();
  for (let size = 1; size <= 5; size++) {
    for (const name of ['/f', '/g']) {
      site.write(name, 'x'.repeat(size));
      await site.publish();
    }
  }
  site.unlink('/g');
  site.volume.fold();
  const nowUs = site.volume.journal.db.prepare('select max(stamp) from change').pluck().get() as number;
  const after = (limits: { age?: number; count?: number; bytes?: number }): number[] => {
    site.volume.ownPast.keep('volume', limits);
    return keptAsHistory(site, nowUs);
  };
  assert.deepEqual(after({}), [5, 4, 4, 3, 3, 2, 2, 1, 1]);
  assert.deepEqual(after({ age: 0 }), []);
  assert.deepEqual(after({ count: 2 }), [5, 4, 4, 3]);
  assert.deepEqual(after({ count: 0 }), []);
  assert.deepEqual(after({ bytes: 13 }), [5, 4, 4]);
  site.volume.ownPast.keep('site', { count: 1 });
  assert.deepEqual(after({ bytes: 8 }), [5]);
  assert.deepEqual(after({ bytes: 9 }), [5, 4]);
  site.volume.ownPast.keep('site', {});
  assert.deepEqual(after({}), [5, 4, 4, 3, 3, 2, 2, 1, 1]);
});

test('what a snapshot shows is what was there, whatever is written and removed later', async () => {
  const site = created();
  site.write('/f', 'then');
  await site.publish();
  site.volume.ownPast.create('before');
  site.write('/f', 'now');
  await site.publish();
  site.unlink('/f');
  site.volume.fold();
  withHistory(site, (_history, index) => {
    const present = StateSnapshot.open(site.directory);
    const views = new PastViews(index, () => 0);
    try {
      const [snapshot] = snapshotsOf(present.store.inode(0), present.actors);
      const root = views.open('before', snapshot!.vector)!;
      const file = views.lookup(root.number, 'f')!;
      assert.equal(file.size, 4);
      assert.deepEqual(
        views.list(root.number, 0)!.entries.map(({ name, inode }) => [name, inode]),
        [['f', file]],
      );
      assert.deepEqual(new PastViews(index, () => 0).inode(file.number), file);
      assert.equal(views.lookup(root.number, 'g'), undefined);
      assert.equal(views.inode(5), undefined);
    } finally {
      present.close();
    }
  });
  assert.throws(() => site.volume.ownPast.create('before'), /choose another name, or delete it first/);
  site.volume.ownPast.delete('before');
  assert.throws(() => site.volume.ownPast.delete('before'), /no snapshot before: weft snapshot list/);
  site.volume.ownPast.create('before');
});
