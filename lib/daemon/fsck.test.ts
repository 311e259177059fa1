import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import Database from 'better-sqlite3';
import { parseHead } from '../crdt/fields.js';
import { sumsPath } from '../journal/page-sums.js';
import { statePath } from '../journal/schema.js';
import { VolumeFixture } from '../volume/volume-fixture.test-support.js';
import { fsck } from './fsck.js';
import type { FsckReport, Tell } from './fsck-report.js';

async function siteWithFiles(t: TestContext): Promise<VolumeFixture> {
  const site = VolumeFixture.create();
  t.after(() => site.remove());
  site.mkdir('/dir');
  for (let i = 0; i < 30; i++) site.write(`/dir/file ${i}`, `content ${i} `.repeat(20));
  site.write('/large', Buffer.alloc(300_000, 'abcdefg'));
  site.rename('/dir/file 3', '/moved');
  site.unlink('/dir/file 4');
  // With more names than are kept in one row.
  for (let i = 0; i < 80; i++) site.volume.files.link(site.resolve('/moved'), site.resolve('/dir'), `name ${i}`);
  await site.publish();
  site.volume.fold();
  return site;
}

function check(site: VolumeFixture, options: { data?: boolean; repair?: boolean } = {}): Promise<FsckReport> {
  return fsck({
    directory: site.directory,
    config: { volume: 'team', site: 'paris', slot: 1 },
    data: options.data ?? false,
    repair: options.repair ?? false,
    daemon: null,
    tell: () => {},
  });
}

/** Beside a site that runs, and does something at each step of the check. */
function checkRunning(site: VolumeFixture, data: boolean, tell: Tell): Promise<FsckReport> {
  return fsck({
    directory: site.directory,
    config: { volume: 'team', site: 'paris', slot: 1 },
    data,
    repair: false,
    daemon: async () => assert.fail('nothing is to be repaired'),
    tell,
  });
}

/** Changes a closed state behind everybody's back, as a bad disk would, without its page sums to tell. */
function damage(site: VolumeFixture, sql: string): void {
  const db = new Database(statePath(site.directory));
  const { changes } = db.prepare(sql).run();
  assert.ok(changes > 0, sql);
  db.close();
}

test('a sound site is clean, running and closed, with every object read', async (t) => {
  const site = await siteWithFiles(t);
  const running = await checkRunning(site, true, () => {});
  assert.deepEqual(running.faults, []);
  assert.equal(running.exitCode, 0);
  assert.ok(running.checked.objects > 30 && running.checked.bytes > 0 && running.checked.entries > 30);
  site.volume.close();
  assert.deepEqual((await check(site, { data: true })).faults, []);
  site.reopenClosed();
});

test('changes were told as damaged that a running site dropped while it was checked', async (t) => {
  const site = await siteWithFiles(t);
  for (let i = 0; i < 500; i++) {
    site.write('/dir/file 1', `again ${i}`);
    site.volume.publishAll();
    site.volume.fold();
  }
  let wasDropped = false;
  const { faults, checked } = await checkRunning(site, false, (what) => {
    if (wasDropped || what !== 'changes') return;
    const { truncating, journal, background } = site.volume;
    truncating.ask({ frontier: new Map(journal.vector()), keepHistoryMs: 0, nowUs: Infinity });
    while (background.run(() => false));
    site.volume.folding.commit();
    wasDropped = true;
  });
  assert.ok(wasDropped);
  assert.deepEqual(faults, []);
  assert.equal(checked.changes, 0, 'all were dropped');
});

test('an object was told as lost that a running site gave up while it was checked', async (t) => {
  const site = await siteWithFiles(t);
  const { manifest } = parseHead(
    site.volume.journal.store.inode(site.resolve('/dir/file 7'))!.registers.get('head')![0]!.value,
  );
  let isGone = false;
  const { faults } = await checkRunning(site, true, (what) => {
    if (isGone || what !== 'objects') return;
    site.write('/dir/file 7', 'another version');
    site.volume.publishAll();
    site.volume.fold();
    // As a collection does that keeps no history.
    const { db } = site.volume.journal;
    isGone = db.prepare('delete from object where id = ?').run(Buffer.from(manifest, 'hex')).changes === 1;
    site.volume.folding.commit();
  });
  assert.ok(isGone);
  assert.deepEqual(faults, []);
});

const DAMAGES: readonly [what: string, sql: string, says: RegExp][] = [
  ['an entry that leads elsewhere', "update dirent set ino = ino + 1 where name = 'file 7'", /entry "file 7"/],
  ['an entry that is gone', "delete from dirent where name = 'file 8'", /entry "file 8".*has no row/],
  [
    'an inode that is gone',
    "delete from inode where ino = (select ino from dirent where name = 'file 9')",
    /has no row/,
  ],
  [
    'an inode whose bytes changed',
    "update inode set state = zeroblob(40) where ino = (select ino from dirent where name = 'file 10')",
    /damaged/,
  ],
  ['a link that is gone', 'delete from link where link % 7 = 0', /links have a row, should be/],
  [
    'a link whose bytes changed',
    'update link set state = zeroblob(9) where link % 5 = 0',
    /link \d+ of inode .*damaged/,
  ],
  [
    'a link that its inode knows nothing of',
    'insert into link(ino, link, state, sum) select 1, 5, state, sum from link limit 1',
    /inode 1: has rows of links that it knows nothing of/,
  ],
  [
    'an actor with another name',
    "update actor set name = iif(name like '0%', '1', '0') || substr(name, 2) where id = 0",
    /actor/,
  ],
  ['a state that forgot where it ends', 'update progress set max_op = max_op - 1', /where the state ends/],
  ['a change under another hash', 'update change set hash = zeroblob(32) where lsn = 2', /another hash/],
  ['an index that forgot an object', 'delete from object where kind = 1', /neither here nor asked/],
];

for (const [what, sql, says] of DAMAGES) {
  test(`${what} is found, and put right from what is here`, async (t) => {
    const site = await siteWithFiles(t);
    const { digest } = site;
    site.volume.close();
    damage(site, sql);
    const found = await check(site);
    assert.equal(found.exitCode, 4);
    assert.match(found.faults.map((fault) => fault.what).join('\n'), says);
    const repaired = await check(site, { repair: true });
    assert.equal(repaired.exitCode & ~1, 0, JSON.stringify(repaired.faults.filter((fault) => !fault.repaired)));
    const after = await check(site, { data: true });
    assert.deepEqual(after.faults, []);
    site.reopenClosed();
    assert.equal(site.digest, digest);
    assert.equal(site.text('/dir/file 7'), 'content 7 '.repeat(20));
    site.write('/new', 'goes on');
    assert.equal(site.text('/new'), 'goes on');
  });
}

test('a pack whose writer was killed before it wrote anything is no fault', async (t) => {
  const site = await siteWithFiles(t);
  site.volume.close();
  writeFileSync(join(site.directory, 'packs', 'ingest-000000000000-0.pack'), '');
  assert.deepEqual((await check(site, { data: true })).faults, []);
  site.reopenClosed();
});

test('a pack that a failed sync left, in which the index names nothing, is told as damaged', async (t) => {
  const site = await siteWithFiles(t);
  site.volume.close();
  const packs = join(site.directory, 'packs');
  const named = readdirSync(packs);
  writeFileSync(join(packs, 'ingest-000000000000-1.pack'), 'no pack');
  assert.deepEqual((await check(site)).faults, []);
  for (const name of named) {
    const bytes = readFileSync(join(packs, name));
    writeFileSync(join(packs, name), Buffer.concat([Buffer.from('X'), bytes.subarray(1)]));
  }
  assert.equal((await check(site)).faults.length, named.length);
  site.reopenClosed();
});

test('a damaged object is named by the paths that it shows in, and taken from another site', async (t) => {
  const site = await siteWithFiles(t);
  const other = await site.join();
  t.after(() => other.remove());
  site.volume.close();
  for (const name of readdirSync(join(site.directory, 'packs'))) {
    const path = join(site.directory, 'packs', name);
    const bytes = readFileSync(path);
    const at = bytes.indexOf('content 12 ');
    if (at < 0) continue;
    bytes[at]! ^= 1;
    writeFileSync(path, bytes);
  }
  assert.deepEqual((await check(site)).faults, []); // content is not read without --data
  const found = await check(site, { data: true });
  assert.deepEqual(
    found.faults.map((fault) => [fault.class, fault.paths]),
    [['object', ['/dir/file 12']]],
  );
  const given = await check(site, { data: true, repair: true });
  assert.equal(given.exitCode, 4);
  assert.match(given.faults[0]!.remedy, /a linked site/);
  site.reopenClosed();
  await other.sendTo(site);
  assert.equal(site.text('/dir/file 12'), 'content 12 '.repeat(20));
});

test('a change that is gone is not made up: what it did stays, and the exit code says that it is missing', async (t) => {
  const site = await siteWithFiles(t);
  const other = await site.join();
  t.after(() => other.remove());
  const { digest } = site;
  site.volume.close();
  damage(site, 'update change set bytes = zeroblob(length(bytes)) where lsn = 3');
  const found = await check(site, { repair: true });
  assert.equal(found.exitCode & 4, 4);
  assert.match(
    found.faults.map((fault) => fault.what).join(),
    /change \d+ of actor [0-9a-f]{32}: its bytes are damaged/,
  );
  site.reopenClosed();
  assert.equal(site.digest, digest);
  assert.equal(site.volume.journal.lostChanges, 1);
  await other.sendTo(site);
  assert.equal(site.volume.journal.lostChanges, 0);
  assert.equal(site.digest, other.digest);
  // Where the state ends counts the change that came again, too.
  site.volume.close();
  assert.deepEqual((await check(site)).faults, []);
  site.reopenClosed();
});

const TABLE_DAMAGES: readonly [what: string, text: string, byte: number, mask: number][] = [
  ['of a create statement that is no SQL any more', 'CREATE TABLE inode(', 3, 0x20],
  ['of the name of a table', 'CREATE TABLE dirent(', 14, 0x01],
  ['of the name of a column', 'CREATE TABLE claim(parent', 20, 0x02],
  ['of an index', 'CREATE UNIQUE INDEX change_of_actor', 9, 0x11],
  ['of a table of objects', 'CREATE TABLE missing', 8, 0x04],
];

for (const [what, text, byte, mask] of TABLE_DAMAGES) {
  test(`a flipped bit ${what} is found, and put right`, async (t) => {
    const site = await siteWithFiles(t);
    site.volume.close();
    rmSync(sumsPath(statePath(site.directory)));
    const bytes = readFileSync(statePath(site.directory));
    const at = bytes.toString('latin1').toLowerCase().lastIndexOf(text.toLowerCase());
    assert.ok(at > 0);
    bytes[at + byte]! ^= mask;
    writeFileSync(statePath(site.directory), bytes);

    const found = await check(site);
    assert.deepEqual(readFileSync(statePath(site.directory)), bytes, 'a check changes nothing');
    assert.equal(found.faults.length, 1);
    assert.match(found.faults[0]!.what, /^state\.db: (table|index) \w+ is damaged$/);
    assert.equal(found.faults[0]!.remedy, 'weft fsck --repair');
    assert.equal(found.exitCode, 4);

    const repaired = await check(site, { repair: true });
    assert.deepEqual(
      repaired.faults.map((fault) => fault.repaired),
      [true],
    );
    assert.equal(repaired.exitCode, 1);
    assert.deepEqual((await check(site, { data: true })).faults, []);
    site.reopenClosed();
    assert.equal(String(site.read('/dir/file 7')), 'content 7 '.repeat(20));
  });
}
