// What becomes of the blocks of removed inodes (journal/removed-inodes.ts) when they are damaged: a site with the sizes that the product has.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import Database from 'better-sqlite3';
import { statePath } from '../journal/schema.js';
import { VolumeFixture } from '../volume/volume-fixture.test-support.js';
import { fsck } from './fsck.js';
import type { FsckReport } from './fsck-report.js';

const REMOVED = 4_200;

/** One whose journal is through with thousands of removed files; closed. */
function closedSite(t: TestContext): VolumeFixture {
  const site = VolumeFixture.create();
  t.after(() => site.remove());
  site.mkdir('/dir');
  for (let i = 0; i < REMOVED; i++) site.mkdir(`/dir/gone ${i}`);
  for (let i = 0; i < REMOVED; i++) site.rmdir(`/dir/gone ${i}`);
  site.write('/left', 'of it all');
  site.volume.fold();
  const { truncating, journal, background } = site.volume;
  truncating.ask({ frontier: new Map(journal.vector()), keepHistoryMs: 0, nowUs: Infinity });
  while (background.run(() => false));
  site.volume.close();
  return site;
}

function check(site: VolumeFixture, repair: boolean): Promise<FsckReport> {
  return fsck({
    directory: site.directory,
    config: { volume: 'team', site: 'paris', slot: 1 },
    data: true,
    repair,
    daemon: null,
    tell: () => {},
  });
}

/** Runs SQL on a closed state behind everybody's back, as a bad disk would. */
function on<T>(site: VolumeFixture, use: (db: Database.Database) => T): T {
  const db = new Database(statePath(site.directory));
  try {
    return use(db);
  } finally {
    db.close();
  }
}

function count(site: VolumeFixture, table: string): number {
  return on(site, (db) => db.prepare(`select count(*) from ${table}`).pluck().get() as number);
}

/** Everything that is known of inodes. */
function known(site: VolumeFixture): unknown[] {
  const { store } = site.volume.journal;
  return [...store.inodes()].map((ino) => [ino, store.inode(ino)!.nlink, [...store.inode(ino)!.registers].toSorted()]);
}

const DAMAGES: readonly [what: string, sql: string, says: RegExp][] = [
  [
    'a block that counts its inodes wrong',
    'update removed_block set live = 3 where id = 2',
    /block 2 .* counts 3, there are 64/,
  ],
  [
    'an inode of which nothing says in which block it is',
    'delete from removed where rowid % 500 = 0',
    /counts 64, there are 63/,
  ],
];

for (const [what, sql, says] of DAMAGES) {
  test(`${what} is found, and put right from what is here`, async (t) => {
    const site = closedSite(t);
    assert.ok(count(site, 'removed') > 4_000, 'they are packed');
    assert.deepEqual((await check(site, false)).faults, []);
    site.reopenClosed();
    const before = known(site);
    site.volume.close();
    on(site, (db) => db.exec(sql));
    const found = await check(site, false);
    assert.equal(found.exitCode, 4);
    assert.match(found.faults.map((fault) => fault.what).join('\n'), says);
    const repaired = await check(site, true);
    assert.deepEqual(
      repaired.faults.filter((fault) => !fault.repaired),
      [],
    );
    assert.deepEqual((await check(site, false)).faults, []);
    assert.equal(count(site, 'removed'), 0, 'what waits is packed again by and by');
    assert.ok(count(site, 'removed_due') >= REMOVED);
    site.reopenClosed();
    assert.deepEqual(known(site), before);
  });
}

test('a block that is damaged is told: what was known of its inodes is gone, of all others nothing', async (t) => {
  const site = closedSite(t);
  on(site, (db) => db.exec("update removed_block set state = x'00' || substr(state, 2) where id = 2"));
  const found = await check(site, false);
  assert.equal(found.exitCode, 4);
  assert.match(
    found.faults.map((fault) => fault.what).join('\n'),
    /block 2 of removed inodes: its row in state.db is damaged/,
  );
  const repaired = await check(site, true);
  assert.match(
    repaired.faults
      .filter((fault) => !fault.repaired)
      .map((fault) => fault.what)
      .join(),
    /^what is known of 64 removed files could not be read$/,
  );
  assert.deepEqual((await check(site, false)).faults, []);
  site.reopenClosed();
  assert.equal(site.text('/left'), 'of it all');
  assert.equal(known(site).length, REMOVED + 4 - 64, 'the root, the volume, a directory and a file besides');
});
