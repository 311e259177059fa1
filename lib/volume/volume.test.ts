import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import { ROOT_INO } from '../crdt/ids.js';
import { USER, VolumeFixture } from './volume-fixture.test-support.js';

const O_RDONLY = 0;
const O_RDWR = 2;

function site(t: TestContext): VolumeFixture {
  const fixture = VolumeFixture.create();
  t.after(() => fixture.remove());
  return fixture;
}

async function twoSites(t: TestContext): Promise<[VolumeFixture, VolumeFixture]> {
  const a = site(t);
  const b = await a.join();
  t.after(() => b.remove());
  return [a, b];
}

test('what was written is read back, small and large, before and after it became a version', async (t) => {
  const a = site(t);
  const large = randomBytes(3_000_000);
  a.write('small', 'hello');
  a.write('large', large);
  assert.equal(a.text('small'), 'hello');
  assert.deepEqual(a.read('large'), large);
  await a.publish();
  assert.equal(a.text('small'), 'hello');
  assert.deepEqual(a.read('large'), large);
  a.reopen();
  assert.equal(a.text('small'), 'hello');
  assert.deepEqual(a.read('large'), large);
});

test('a part of a large file is rewritten without its other parts changing', async (t) => {
  const a = site(t);
  const bytes = randomBytes(2_000_000);
  const ino = a.write('file', bytes);
  await a.publish();
  const { handle } = a.volume.files.open(ino, O_RDWR, false, USER);
  const patch = Buffer.from('patched');
  a.volume.files.write(handle, 1_000_001, patch, false);
  a.volume.files.release(handle);
  patch.copy(bytes, 1_000_001);
  assert.deepEqual(a.read('file'), bytes);
  await a.publish();
  a.reopen();
  assert.deepEqual(a.read('file'), bytes);
});

test('an unlinked file stays readable and writable until its last close, and is not published', async (t) => {
  const a = site(t);
  const ino = a.write('file', 'before');
  const { handle } = a.volume.files.open(ino, O_RDWR, false, USER);
  a.unlink('file');
  assert.equal(a.volume.files.getattr(ino).nlink, 0);
  a.volume.files.write(handle, 0, Buffer.from('after!'), false);
  const into = Buffer.alloc(6);
  assert.equal(a.volume.files.read(handle, 0, 6, into, 0), 6);
  assert.equal(into.toString(), 'after!');
  a.volume.files.release(handle);
  await a.publish();
  assert.deepEqual(a.list(''), []);
});

test('a file that another one took the place of is empty to who had found its name before', async (t) => {
  const a = site(t);
  for (const [length, isNew] of [
    [20_000, true],
    [300_000, true],
    [20_000, false],
  ] as const) {
    const ino = a.write('file', 'first');
    if (!isNew) await a.publish();
    a.write('file', Buffer.alloc(length, 1));
    a.write('file.new', Buffer.alloc(length, 2));
    a.rename('file.new', 'file');
    await a.publish();
    assert.throws(() => a.volume.files.open(ino, O_RDONLY, false, USER), { code: 'ESTALE' });
    const { nlink, size, blocks } = a.volume.files.getattr(ino);
    assert.deepEqual({ nlink, size }, { nlink: 0, size: length });
    assert.ok(blocks * 512 >= length, `${blocks} blocks`);
    a.unlink('file');
  }
});

test('a file that was removed after a version of it was made can be opened by who had found its name before', async (t) => {
  const a = site(t);
  const ino = a.write('file', 'all of it');
  await a.publish();
  a.unlink('file');
  const { handle } = a.volume.files.open(ino, O_RDONLY, false, USER);
  const into = Buffer.alloc(20);
  assert.equal(into.toString('latin1', 0, a.volume.files.read(handle, 0, 20, into, 0)), 'all of it');
  a.volume.files.release(handle);
});

test('a large file removed while its version was being made does not come back', async (t) => {
  const a = site(t);
  a.write('closed', Buffer.alloc(300_000, 1));
  a.volume.fold();
  a.unlink('closed');
  const { attributes, opened } = a.volume.files.create(ROOT_INO, 'open', 0o644, O_RDWR, 0o022, USER);
  a.volume.files.write(opened.handle, 0, Buffer.alloc(300_000, 2), false);
  a.volume.publishAll();
  a.unlink('open');
  await a.publish();
  a.volume.fold();
  assert.deepEqual(a.list(''), []);
  assert.equal(a.volume.files.getattr(attributes.ino).nlink, 0);
  a.volume.files.release(opened.handle);
  a.reopen();
  assert.deepEqual(a.list(''), []);
});

test('a directory counts its subdirectories, a file its names', (t) => {
  const a = site(t);
  a.mkdir('d');
  a.mkdir('d/sub');
  const ino = a.write('d/file', 'x');
  assert.equal(a.volume.files.getattr(a.resolve('d')).nlink, 3);
  assert.equal(a.volume.files.getattr(ROOT_INO).nlink, 3);
  a.volume.files.link(ino, ROOT_INO, 'other');
  assert.equal(a.volume.files.getattr(ino).nlink, 2);
  a.unlink('d/file');
  assert.equal(a.volume.files.getattr(ino).nlink, 1);
  assert.equal(a.text('other'), 'x');
});

test('errors of names are those that POSIX names', (t) => {
  const a = site(t);
  a.mkdir('d');
  a.write('d/file', 'x');
  const code = (expected: string) => (error: { code?: string }) => error.code === expected;
  assert.throws(() => a.mkdir('d'), code('EEXIST'));
  assert.throws(() => a.rmdir('d'), code('ENOTEMPTY'));
  assert.throws(() => a.unlink('none'), code('ENOENT'));
  assert.throws(() => a.rmdir('d/file'), code('ENOTDIR'));
  assert.throws(() => a.unlink('d'), code('EISDIR'));
  assert.throws(() => a.mkdir('n'.repeat(256)), code('ENAMETOOLONG'));
  a.mkdir('d/sub');
  assert.throws(() => a.rename('d', 'd/sub/below'), code('EINVAL'));
  assert.throws(() => a.rename('d/file', 'd/sub'), code('EISDIR'));
  assert.throws(() => a.volume.files.getxattr(a.resolve('d'), 'user.none'), code('ENODATA'));
  assert.throws(
    () => a.volume.files.setxattr(a.resolve('d'), 'system.other', Buffer.alloc(1), 0, false),
    code('EOPNOTSUPP'),
  );
});

test('new files belong to the caller, and to the group of a set-group-id directory', (t) => {
  const a = site(t);
  const d = a.mkdir('d');
  a.volume.files.setattr(d, { gid: 77 }, USER, undefined);
  a.volume.files.setattr(d, { mode: 0o2775 }, USER, undefined);
  const file = a.volume.files.getattr(a.write('d/file', ''));
  const sub = a.volume.files.getattr(a.mkdir('d/sub'));
  assert.deepEqual([file.uid, file.gid, file.mode & 0o7777], [1000, 77, 0o644]);
  assert.deepEqual([sub.gid, sub.mode & 0o7777], [77, 0o2755]);
  assert.equal(a.volume.files.getattr(a.write('plain', '')).gid, 1000);
});

test('a second site sees names, attributes and bytes of the first', async (t) => {
  const [a, b] = await twoSites(t);
  a.mkdir('d');
  const ino = a.write('d/file', 'text');
  a.volume.files.setattr(ino, { mode: 0o600, mtime: { s: -5, ns: 7 } }, USER, undefined);
  a.volume.files.symlink(a.resolve('d'), 'link', '../\xff', USER);
  a.volume.files.setxattr(ino, 'user.k', Buffer.from([0, 255]), 0, false);
  await a.sendTo(b);
  assert.equal(b.text('d/file'), 'text');
  const { mode, mtime, uid } = b.volume.files.getattr(ino);
  assert.deepEqual([mode, mtime, uid], [0o100600, { s: -5, ns: 7 }, 1000]);
  assert.equal(b.volume.files.readlink(b.resolve('d/link')), '../\xff');
  assert.deepEqual(b.volume.files.getxattr(ino, 'user.k'), Buffer.from([0, 255]));
  assert.equal(a.digest, b.digest);
});

test('both sites edit one file: the later is at its path, the other beside it, at both sites', async (t) => {
  const [a, b] = await twoSites(t);
  a.write('plan', 'base');
  await a.mergeWith(b);
  a.write('plan', 'from a');
  b.write('plan', 'from b');
  await a.publish();
  await b.publish();
  await a.mergeWith(b);
  assert.equal(a.digest, b.digest);
  const names = a.list('');
  assert.equal(names.length, 2);
  assert.deepEqual(names, b.list(''));
  const texts = names.map((name) => a.text(name)).toSorted();
  assert.deepEqual(texts, ['from a', 'from b']);
  // The copy is a file like any other: edited, it is one of its own.
  const copy = names.find((name) => name !== 'plan')!;
  a.write(copy, 'edited copy');
  await a.mergeWith(b);
  assert.equal(b.text(copy), 'edited copy');
  assert.equal(a.digest, b.digest);
});

test('a file removed at one site and edited at the other comes back with the edit', async (t) => {
  const [a, b] = await twoSites(t);
  a.mkdir('d');
  a.write('d/file', 'base');
  a.write('d/sibling', 'gone');
  await a.mergeWith(b);
  a.unlink('d/file');
  a.unlink('d/sibling');
  a.rmdir('d');
  b.write('d/file', 'edited');
  await a.mergeWith(b);
  assert.equal(a.digest, b.digest);
  assert.deepEqual(a.list('d'), ['file']);
  assert.equal(a.text('d/file'), 'edited');
  // Whoever works in the revived directory keeps it.
  a.unlink('d/file');
  assert.deepEqual(a.list(''), ['d']);
  a.rmdir('d');
  await a.mergeWith(b);
  assert.deepEqual(b.list(''), []);
});

test('directories moved into each other at two sites stay reachable, without a cycle', async (t) => {
  const [a, b] = await twoSites(t);
  a.mkdir('x');
  a.mkdir('y');
  a.write('x/in-x', '1');
  a.write('y/in-y', '2');
  await a.mergeWith(b);
  a.rename('x', 'y/x');
  b.rename('y', 'x/y');
  await a.mergeWith(b);
  assert.equal(a.digest, b.digest);
  const found = a.list('')[0] === 'x' ? ['x/in-x', 'x/y/in-y'] : ['y/in-y', 'y/x/in-x'];
  for (const path of found) assert.ok(a.read(path).length === 1);
});

test('a handle keeps its version when another site writes, and a write through it makes a concurrent one', async (t) => {
  const [a, b] = await twoSites(t);
  const ino = a.write('file', 'old');
  await a.mergeWith(b);
  const reader = a.volume.files.open(ino, O_RDONLY, false, USER);
  const writer = a.volume.files.open(ino, O_RDWR, false, USER);
  b.write('file', 'newer');
  await b.sendTo(a);
  const into = Buffer.alloc(8);
  assert.equal(a.volume.files.read(reader.handle, 0, 8, into, 0), 3);
  assert.ok(a.volume.files.open(ino, O_RDONLY, false, USER).directIo, 'one page cache cannot serve two versions');
  a.volume.files.write(writer.handle, 0, Buffer.from('OLD'), false);
  a.volume.files.release(writer.handle);
  a.volume.files.release(reader.handle);
  await a.mergeWith(b);
  assert.equal(a.digest, b.digest);
  const texts = a
    .list('')
    .map((name) => a.text(name))
    .toSorted();
  assert.deepEqual(texts, ['OLD', 'newer']);
});

test('while handles show several versions, the size is that of the longest, and later openers do not find the pages of the first', async (t) => {
  const [a, b] = await twoSites(t);
  const ino = a.write('file', 'the first one');
  await a.mergeWith(b);
  const { files } = a.volume;
  const open = () => files.open(ino, O_RDONLY, false, USER);
  const shown = () => [files.getattr(ino).size, files.getattr(ino).seconds];
  const first = open();
  assert.deepEqual(shown(), [13, undefined]);
  b.write('file', 'second');
  await b.sendTo(a);
  assert.deepEqual(shown(), [13, 0]);
  const second = open();
  assert.deepEqual(shown(), [13, 0]);
  b.write('file', 'the third is longer');
  await b.sendTo(a);
  assert.deepEqual(shown(), [13, 0]);
  const third = open();
  assert.deepEqual(shown(), [19, 0]);
  files.release(third.handle);
  assert.deepEqual(shown(), [13, 0]);
  files.release(first.handle);
  assert.deepEqual(shown(), [6, 0]);
  files.release(second.handle);
  assert.deepEqual(shown(), [19, undefined]);
  const late = open();
  b.write('file', 'fourth');
  await b.sendTo(a);
  const last = open();
  assert.deepEqual([late.directIo, last.directIo], [false, true]);
  files.release(late.handle);
  const { directIo, keepCache, handle } = open();
  assert.deepEqual(
    { directIo, keepCache },
    { directIo: false, keepCache: false },
    'the kernel has pages of the third version',
  );
  assert.ok(open().keepCache);
  for (const other of [last.handle, handle]) files.release(other);
});

test('readdir goes on from any cookie while entries come and go', (t) => {
  const a = site(t);
  for (let i = 0; i < 1000; i++) a.write(`f${i}`, '');
  const seen: string[] = [];
  let cookie = 0;
  for (let round = 0; ; round++) {
    let taken = 0;
    a.volume.files.readdir(ROOT_INO, cookie, (entry) => {
      if (taken === 37) return false;
      taken++;
      cookie = entry.cookie;
      seen.push(entry.name);
      return true;
    });
    if (taken === 0) break;
    a.write(`new${round}`, '');
    if (seen.includes(`f${round}`)) a.unlink(`f${round}`);
  }
  const kept = seen.filter((name) => name.startsWith('f'));
  assert.equal(new Set(seen).size, seen.length, 'no entry twice');
  assert.equal(kept.length, 1000, 'every entry that was there all the time');
});

test('an operation that another site has is not lost or doubled by a restart', async (t) => {
  const [a, b] = await twoSites(t);
  a.write('one', '1');
  await a.mergeWith(b);
  a.reopen();
  a.write('two', '2');
  await a.mergeWith(b);
  b.reopen();
  assert.deepEqual(b.list(''), ['one', 'two']);
  assert.equal(a.digest, b.digest);
});

test('what was done just before a crash does not count as done after it', async (t) => {
  const [a, b] = await twoSites(t); // the clock of b is an hour ahead
  a.write('file', 'base');
  a.write('moved', '');
  await a.mergeWith(b);
  a.write('file', 'before the crash');
  a.rename('moved', 'by-a');
  a.crash(24 * 3_600_000);
  b.write('file', 'later');
  b.rename('moved', 'by-b');
  await a.mergeWith(b);
  assert.equal(a.digest, b.digest);
  assert.equal(a.text('file'), 'later');
  assert.ok(a.list('').includes('by-b'));
});

test('what was written to a file still open at a crash does not count as written after it, though much was folded since', async (t) => {
  const [a, b] = await twoSites(t); // the clock of b is an hour ahead
  const ino = a.write('file', 'base');
  await a.mergeWith(b);
  const { handle } = a.volume.files.open(ino, O_RDWR, false, USER);
  a.volume.files.write(handle, 0, Buffer.from('open'), false);
  a.write('other', '');
  a.volume.fold();
  a.crash(24 * 3_600_000);
  b.write('file', 'later');
  await a.mergeWith(b);
  assert.equal(a.digest, b.digest);
  assert.equal(a.text('file'), 'later');
});

const O_APPEND = 0o2000;

test('a write with O_APPEND goes to the end of what its handle shows, though another site made the file longer', async (t) => {
  const [a, b] = await twoSites(t);
  const ino = a.write('log', 'start\n');
  await a.mergeWith(b);
  const { handle } = a.volume.files.open(ino, O_RDWR | O_APPEND, false, USER);
  b.write('log', 'start\nfrom b\n');
  await b.sendTo(a);
  assert.equal(a.volume.files.getattr(ino).size, 'start\n'.length);
  // A kernel that has heard of the other size, through a handle that shows it.
  a.volume.files.write(handle, 'start\nfrom b\n'.length, Buffer.from('from a\n'), false);
  assert.ok(a.notices.includes(`inode ${ino} content`), 'the kernel has pages at the wrong place');
  a.volume.files.release(handle);
  assert.equal(a.text('log'), 'start\nfrom a\n');
});

test('after the last close of a written file the kernel forgets its pages when another site wrote on from that version', async (t) => {
  const [a, b] = await twoSites(t);
  const ino = a.write('file', 'one');
  const { handle } = a.volume.files.open(ino, O_RDWR, false, USER);
  a.volume.files.write(handle, 0, Buffer.from('two'), false);
  await a.mergeWith(b);
  b.write('file', 'three');
  await b.sendTo(a);
  a.notices.length = 0;
  a.volume.files.release(handle);
  a.volume.fold();
  assert.ok(a.notices.includes(`inode ${ino} content`));
  assert.equal(a.text('file'), 'three');
});
