import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { listConflicts } from '../crdt/conflicts.js';
import type { AttributeChanges } from './file-system.js';
import { USER, VolumeFixture } from './volume-fixture.test-support.js';

// What people do at two sites that is no conflict, and must not become one.

const open: VolumeFixture[] = [];
after(() => open.forEach((fixture) => fixture.remove()));

const O_RDWR = 2;

type Act = (site: VolumeFixture) => void;

function setattr(site: VolumeFixture, path: string, changes: AttributeChanges): void {
  site.volume.files.setattr(site.resolve(path), changes, USER, undefined);
}

function setxattr(site: VolumeFixture, path: string, name: string, value: string): void {
  site.volume.files.setxattr(site.resolve(path), name, Buffer.from(value), 0, false);
}

function symlink(site: VolumeFixture, path: string, target: string): void {
  const slash = path.lastIndexOf('/');
  site.volume.files.symlink(site.resolve(path.slice(0, slash)), path.slice(slash + 1), target, USER);
}

function saveByRename(site: VolumeFixture, path: string, text: string): void {
  site.write(`${path}.tmp`, text);
  site.rename(`${path}.tmp`, path);
}

/** As `npm ci` leaves it: directories, files of which some are executable, symlinks, and what was only there meanwhile. */
const installPackages: Act = (site) => {
  for (const path of [
    '/node_modules',
    '/node_modules/.bin',
    '/node_modules/a',
    '/node_modules/a/lib',
    '/node_modules/b',
  ])
    site.mkdir(path);
  for (const name of ['a', 'b']) {
    saveByRename(site, `/node_modules/${name}/package.json`, `{"name":"${name}"}`);
    site.write(`/node_modules/${name}/cli.js`, `#!/usr/bin/env node\n${name}\n`);
    setattr(site, `/node_modules/${name}/cli.js`, { mode: 0o755 });
    symlink(site, `/node_modules/.bin/${name}`, `../${name}/cli.js`);
  }
  site.write('/node_modules/a/lib/large.js', Buffer.alloc(300_000, 'code '));
  saveByRename(site, '/node_modules/.package-lock.json', '{}');
};

const START: Act = (site) => {
  for (const path of ['/d', '/d/e', '/old', '/old/deep']) site.mkdir(path);
  for (const path of ['/x', '/y', '/d/x', '/d/e/y', '/old/deep/z']) site.write(path, 'base');
  setattr(site, '/x', { mode: 0o644, uid: 1000, gid: 1000 });
  setxattr(site, '/x', 'user.a', 'base');
};

const ALIKE: Record<string, Act> = {
  'npm ci': installPackages,
  'npm ci over an older installation': (site) => {
    site.unlink('/old/deep/z');
    site.rmdir('/old/deep');
    site.rmdir('/old');
    installPackages(site);
  },
  'git checkout: files removed and made anew with the same bytes, directories gone and new': (site) => {
    for (const path of ['/x', '/d/x', '/d/e/y']) site.unlink(path);
    site.rmdir('/d/e');
    site.mkdir('/src');
    for (const path of ['/x', '/d/x', '/src/y']) site.write(path, 'of the other branch');
  },
  'mkdir -p of one tree, twice': (site) => {
    for (const path of ['/a', '/a/b', '/a/b/c']) site.mkdir(path);
    assert.throws(() => site.mkdir('/a/b/c'), { code: 'EEXIST' });
  },
  'touch, of files, of a directory, of a new file': (site) => {
    site.write('/empty', '');
    for (const path of ['/x', '/d', '/empty']) setattr(site, path, { mtime: 'now', atime: 'now' });
  },
  'an editor that saves the same bytes in place': (site) => void site.write('/x', 'the same at both'),
  'an editor that saves the same bytes by rename': (site) => saveByRename(site, '/x', 'the same at both'),
  'an editor that saves with a backup of the old file': (site) => {
    site.rename('/x', '/x~');
    site.write('/x', 'the same at both');
  },
  'a save that changes nothing': (site) => void site.write('/x', 'base'),
  'truncation to one size': (site) => setattr(site, '/x', { size: 2 }),
  'the same rename of a file': (site) => site.rename('/x', '/d/renamed'),
  'the same rename of a directory': (site) => site.rename('/d', '/old/d'),
  'the same rename over another file': (site) => site.rename('/x', '/y'),
  'a rename and back': (site) => {
    site.rename('/d', '/elsewhere');
    site.rename('/elsewhere', '/d');
  },
  'rm -rf of one tree': (site) => {
    site.unlink('/old/deep/z');
    site.rmdir('/old/deep');
    site.rmdir('/old');
  },
  'the same chmod, chown and setfattr': (site) => {
    setattr(site, '/x', { mode: 0o600 });
    setattr(site, '/d', { mode: 0o700 });
    setattr(site, '/x', { uid: 5, gid: 6 });
    setxattr(site, '/x', 'user.a', 'changed');
    setxattr(site, '/d', 'user.b', 'new');
  },
  'the same hard link and the same symlink': (site) => {
    site.volume.files.link(site.resolve('/x'), 1, 'second name');
    symlink(site, '/l', 'x');
  },
};

/** What the second site does changes nothing, so that what the first one does stands. */
const NOTHING_CHANGED: Record<
  string,
  [here: Act, there: Act, outcome: (site: VolumeFixture) => unknown, expected: unknown]
> = {
  'an edit, beside a save that changes nothing': [
    (site) => void site.write('/x', 'edited'),
    (site) => void site.write('/x', 'base'),
    (site) => site.text('/x'),
    'edited',
  ],
  'a removal, beside a save that changes nothing': [
    (site) => site.unlink('/x'),
    (site) => void site.write('/x', 'base'),
    (site) => site.list('').includes('x'),
    false,
  ],
  'an edit, beside touch': [
    (site) => void site.write('/x', 'edited'),
    (site) => setattr(site, '/x', { mtime: 'now' }),
    (site) => site.text('/x'),
    'edited',
  ],
  'chmod, beside chmod to the mode that it has': [
    (site) => setattr(site, '/x', { mode: 0o600 }),
    (site) => setattr(site, '/x', { mode: 0o644 }),
    (site) => site.volume.files.getattr(site.resolve('/x')).mode & 0o777,
    0o600,
  ],
  'chown, beside chown to the owner that it has': [
    (site) => setattr(site, '/x', { uid: 7, gid: 8 }),
    (site) => setattr(site, '/x', { uid: 1000, gid: 1000 }),
    (site) => [site.volume.files.getattr(site.resolve('/x')).uid, site.volume.files.getattr(site.resolve('/x')).gid],
    [7, 8],
  ],
  'setfattr, beside setfattr to the value that it has': [
    (site) => setxattr(site, '/x', 'user.a', 'changed'),
    (site) => setxattr(site, '/x', 'user.a', 'base'),
    (site) => site.volume.files.getxattr(site.resolve('/x'), 'user.a').toString(),
    'changed',
  ],
};

async function assertNoConflict(sites: readonly VolumeFixture[]): Promise<void> {
  const [one, ...others] = sites as [VolumeFixture, ...VolumeFixture[]];
  for (const other of others) await one.mergeWith(other);
  for (const other of others) await one.mergeWith(other);
  for (const site of sites) {
    assert.equal(site.digest, one.digest);
    const { store, actors } = site.volume.journal;
    assert.deepEqual(
      listConflicts(store, actors).map(({ kind, path, why }) => `${kind} ${path.join('/')}: ${why}`),
      [],
    );
  }
}

async function twoSites(): Promise<[VolumeFixture, VolumeFixture]> {
  const one = VolumeFixture.create();
  open.push(one);
  START(one);
  const other = await one.join();
  open.push(other);
  await one.mergeWith(other);
  return [one, other];
}

for (const [what, act] of Object.entries(ALIKE)) {
  test(`no conflict: ${what}, at both sites`, async () => {
    const [one, other] = await twoSites();
    act(one);
    await one.publish();
    act(other);
    await assertNoConflict([one, other]);
    one.reopen();
    other.crash();
    const rebuilt = await other.join();
    open.push(rebuilt);
    await assertNoConflict([one, other, rebuilt]);
  });
}

for (const [what, [here, there, outcome, expected]] of Object.entries(NOTHING_CHANGED)) {
  test(`no conflict: ${what}`, async () => {
    for (const isFirst of [true, false]) {
      const [one, other] = await twoSites();
      const [earlier, later] = isFirst ? [one, other] : [other, one];
      here(earlier);
      there(later);
      await assertNoConflict([one, other]);
      for (const site of [one, other]) assert.deepEqual(outcome(site), expected);
    }
  });
}

test('a save that changes nothing moves the time, also over a crash and at the other site', async () => {
  const [one, other] = await twoSites();
  const before = one.volume.files.getattr(one.resolve('/x')).mtime;
  one.write('/x', 'base');
  const written = one.volume.files.getattr(one.resolve('/x')).mtime;
  assert.notDeepEqual(written, before);
  await one.publish();
  one.crash();
  await one.mergeWith(other);
  for (const site of [one, other]) assert.deepEqual(site.volume.files.getattr(site.resolve('/x')).mtime, written);
});

for (const [kind, size] of [
  ['small', 100],
  ['large', 300_000],
] as const) {
  const base = Buffer.alloc(size, 'base');
  const theirs = Buffer.concat([base, Buffer.from('theirs')]);

  test(`what another site made of a ${kind} version stands, when that version is saved again unchanged`, async () => {
    const [one, other] = await twoSites();
    const ino = one.write('/x', base);
    await one.publish();
    await one.mergeWith(other);
    const { handle } = one.volume.files.open(ino, O_RDWR, false, USER);
    other.write('/x', theirs);
    await other.publish();
    await other.sendTo(one);
    one.volume.files.write(handle, 0, base, false);
    one.volume.files.release(handle);
    await one.publish();
    await assertNoConflict([one, other]);
    for (const site of [one, other]) assert.ok(site.read('/x').equals(theirs));
  });

  test(`what another site made of a ${kind} version stands, when the first was killed with that file open`, async () => {
    const [one, other] = await twoSites();
    const ino = one.resolve('/x');
    const { handle } = one.volume.files.open(ino, O_RDWR, false, USER);
    one.volume.files.write(handle, 0, base, false);
    await one.publish();
    await one.mergeWith(other);
    other.write('/x', theirs);
    await other.publish();
    await other.sendTo(one);
    one.volume.fold();
    one.crash();
    await one.publish();
    await assertNoConflict([one, other]);
    for (const site of [one, other]) assert.ok(site.read('/x').equals(theirs));
  });
}

test('to set what is set still moves ctime, and settles what is contested', async () => {
  const [one, other] = await twoSites();
  const ino = one.resolve('/x');
  const before = one.volume.files.getattr(ino).ctime;
  setattr(one, '/x', { uid: 1000 });
  assert.notDeepEqual(one.volume.files.getattr(ino).ctime, before);
  setattr(one, '/x', { uid: 1 });
  setattr(other, '/x', { uid: 2 });
  await one.mergeWith(other);
  const { store, actors } = one.volume.journal;
  one.volume.fold();
  assert.deepEqual(
    listConflicts(store, actors).map(({ kind }) => kind),
    ['owner'],
  );
  setattr(one, '/x', { uid: one.volume.files.getattr(ino).uid });
  await assertNoConflict([one, other]);
});
