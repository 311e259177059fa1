import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fdatasyncSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { USER, VolumeFixture } from './volume-fixture.test-support.js';

const O_RDONLY = 0;
const O_RDWR = 2;
const O_SYNC = 0o4010000;
const SEEK_DATA = 3;
const SIZE = 1_500_000;

/** A volume whose "kernel" takes local files; the tests write to their descriptors as the kernel would. */
function site(t: TestContext): VolumeFixture {
  const fixture = VolumeFixture.create();
  fixture.volume.allowPassthrough();
  t.after(() => fixture.remove());
  return fixture;
}

function backingOf(fixture: VolumeFixture, ino: number, flags: number): { handle: number; fd: number } {
  const { handle, backing } = fixture.volume.files.open(ino, flags, false, USER);
  assert.notEqual(backing, undefined, 'the open gives the local file');
  return { handle, fd: backing! };
}

test('what the kernel writes to a local file is shown at once, and a version after the close', async (t) => {
  const a = site(t);
  const bytes = randomBytes(SIZE);
  const ino = a.write('file', bytes);
  await a.publish();
  const { handle, fd } = backingOf(a, ino, O_RDWR);
  writeSync(fd, 'patched', 1_000_000);
  ftruncateSync(fd, SIZE + 5);
  assert.equal(a.volume.files.getattr(ino).size, SIZE + 5);
  a.volume.files.release(handle);
  await a.publish();
  const b = await a.join();
  t.after(() => b.remove());
  const expected = Buffer.concat([bytes, Buffer.alloc(5)]);
  expected.write('patched', 1_000_000);
  assert.deepEqual(b.read('file'), expected);
  assert.equal(b.list('').length, 1);
});

test('opening for writing without writing makes no version', async (t) => {
  const a = site(t);
  const ino = a.write('file', randomBytes(SIZE));
  await a.publish();
  const before = a.digest;
  const { handle } = backingOf(a, ino, O_RDWR);
  a.volume.files.release(handle);
  await a.publish();
  assert.equal(a.digest, before);
});

test('a file that is written through its local file keeps the mtime that utimes gave it afterwards, when it is closed too', async (t) => {
  const a = site(t);
  const bytes = randomBytes(SIZE);
  const ino = a.write('file', bytes);
  await a.publish();
  const { handle, fd } = backingOf(a, ino, O_RDWR);
  writeSync(fd, 'patched', 1_000_000);
  const set = { s: 619_869_727, ns: 5 };
  a.volume.files.setattr(ino, { mtime: set }, USER, undefined);
  await a.publish();
  assert.deepEqual(a.volume.files.getattr(ino).mtime, set);
  a.volume.files.release(handle);
  assert.deepEqual(a.volume.files.getattr(ino).mtime, set, 'after it was closed');
  await a.publish();
  assert.deepEqual(a.volume.files.getattr(ino).mtime, set, 'after its bytes were looked at');
  bytes.write('patched', 1_000_000);
  assert.deepEqual(a.read('file'), bytes);
});

test('all opens of a file go the same way: to its local file, or through the daemon', async (t) => {
  const a = site(t);
  const ino = a.write('file', randomBytes(SIZE));
  const first = backingOf(a, ino, O_RDONLY);
  const second = backingOf(a, ino, O_RDWR);
  assert.equal(first.fd, second.fd);
  a.volume.files.release(first.handle);
  a.volume.files.release(second.handle);
  const small = a.write('small', 'text');
  const reader = a.volume.files.open(small, O_RDONLY, false, USER);
  assert.equal(reader.backing, undefined);
});

test('a file of terabytes of hole leaves the local files of others, and its own, where they are', async (t) => {
  const a = site(t);
  const ino = a.write('file', randomBytes(SIZE));
  await a.publish();
  const sparse = a.write('sparse', randomBytes(SIZE));
  a.volume.files.setattr(sparse, { size: 2 ** 43 }, USER, undefined);
  await a.publish();
  for (const one of [ino, sparse]) a.volume.files.release(backingOf(a, one, O_RDONLY).handle);
});

test('after another site wrote the file its local file is not used any more', async (t) => {
  const a = site(t);
  const b = await a.join();
  t.after(() => b.remove());
  const ino = a.write('file', randomBytes(SIZE));
  await a.mergeWith(b);
  const newer = randomBytes(SIZE);
  b.write('file', newer);
  await b.sendTo(a);
  assert.equal(a.volume.files.open(ino, O_RDONLY, false, USER).backing, undefined);
  assert.deepEqual(a.read('file'), newer);
});

test('a file published while it stays open does not conflict with itself after a crash', async (t) => {
  const a = site(t);
  const ino = a.write('file', randomBytes(SIZE));
  await a.publish();
  const { fd } = backingOf(a, ino, O_RDWR);
  writeSync(fd, 'first', 0);
  await a.publish();
  writeSync(fd, 'second', 700_000);
  a.crash();
  await a.publish();
  assert.deepEqual(a.list(''), ['file']);
  const bytes = a.read('file');
  assert.equal(bytes.toString('latin1', 0, 5), 'first');
  assert.equal(bytes.toString('latin1', 700_000, 700_006), 'second');
});

for (const versions of [0, 1, 2]) {
  test(`what the kernel syncs at each write is there after power loss, ${versions} versions later`, async (t) => {
    const a = site(t);
    const bytes = randomBytes(SIZE);
    const ino = a.write('file', bytes);
    await a.publish();
    const { fd } = backingOf(a, ino, O_RDWR | O_SYNC);
    const expected = Buffer.from(bytes);
    for (let i = 0; i <= versions; i++) {
      if (i > 0) await a.publish();
      writeSync(fd, `write ${i}`, 500_000 * i);
      fdatasyncSync(fd);
      expected.write(`write ${i}`, 500_000 * i);
    }
    a.crash(0, () => {});
    assert.deepEqual(a.read('file'), expected);
  });
}

for (const [after, lose] of [
  ['power loss', () => {}],
  ['SIGKILL', undefined],
] as const)
  test(`what fsync covered is there after ${after}, though the local file has the time that it had when it was opened`, async (t) => {
    const a = site(t);
    const bytes = randomBytes(SIZE);
    const ino = a.write('file', bytes);
    await a.publish();
    const { handle, fd } = backingOf(a, ino, O_RDWR);
    const local = `/proc/${process.pid}/fd/${fd}`;
    const opened = join(a.directory, 'opened');
    execFileSync('touch', ['-r', local, opened]);
    writeSync(fd, 'patched', 1_000_000);
    a.volume.files.fsync(handle);
    // fdatasync(2) makes no time durable, and a tick of file times is milliseconds.
    execFileSync('touch', ['-r', opened, local]);
    a.crash(0, lose);
    await a.publish();
    bytes.write('patched', 1_000_000);
    assert.deepEqual(a.read('file'), bytes);
  });

test('what a program writes that kept a descriptor over a restart of the daemon is in no file that others open', async (t) => {
  const a = site(t);
  const bytes = randomBytes(SIZE);
  const ino = a.write('file', bytes);
  await a.publish();
  writeSync(backingOf(a, ino, O_RDWR).fd, 'patched', 1_000_000);
  bytes.write('patched', 1_000_000);
  a.crash();
  const [local] = readdirSync(join(a.directory, 'work'));
  const held = openSync(join(a.directory, 'work', local!), 'r+');
  t.after(() => closeSync(held));
  await a.publish();
  writeSync(held, 'too late', 0);
  const { handle, backing } = a.volume.files.open(ino, O_RDWR, false, USER);
  if (backing !== undefined) {
    const shown = Buffer.alloc(SIZE);
    readSync(backing, shown, 0, SIZE, 0);
    assert.deepEqual(shown, bytes);
  }
  a.volume.files.release(handle);
  assert.deepEqual(a.read('file'), bytes);
});

test('what is stored to mapped memory behind a worker that has read it, without a new file time, is in the version after the close', async (t) => {
  const a = site(t);
  const bytes = randomBytes(SIZE);
  const ino = a.write('file', bytes);
  await a.publish();
  const { handle, fd } = backingOf(a, ino, O_RDWR);
  const local = `/proc/${process.pid}/fd/${fd}`;
  const firstStored = join(a.directory, 'first-stored');
  writeSync(fd, 'first', 0);
  execFileSync('touch', ['-r', local, firstStored]);
  a.volume.publishAll();
  const results = await a.pack();
  assert.equal(results.length, 1);
  writeSync(fd, 'later', 0);
  execFileSync('touch', ['-r', firstStored, local]); // a page that is dirty already is written to without a fault
  a.volume.files.release(handle);
  for (const result of results) a.volume.arrivals.ingested(result);
  await a.publish();
  bytes.write('later', 0);
  assert.deepEqual(a.read('file'), bytes);
  const b = await a.join();
  t.after(() => b.remove());
  assert.deepEqual(b.read('file'), bytes);
});

test('a file that the kernel makes longer than any offset here is cut, fsync(2) says so once, and it goes on as a version', async (t) => {
  // Of tmpfs: ext4 has no files of that length.
  const a = new VolumeFixture(mkdtempSync('/dev/shm/weft-volume-'), randomBytes(16).toString('hex'), null);
  t.after(() => a.remove());
  a.claimSlot(() => 0);
  a.volume.registers.createRoot({ uid: 0, gid: 0, pid: 0 });
  a.volume.allowPassthrough();
  const bytes = randomBytes(SIZE);
  const ino = a.write('file', bytes);
  await a.publish();
  const { handle, fd } = backingOf(a, ino, O_RDWR);
  writeSync(fd, 'patched', 1_000_000);
  writeSync(fd, 'there', 2 ** 52);
  const beyond = [`of=/proc/${process.pid}/fd/${fd}`, 'oflag=seek_bytes', `seek=${2n ** 62n}`, 'conv=notrunc'];
  execFileSync('dd', [...beyond, 'status=none'], { input: 'beyond' });
  assert.equal(a.volume.files.getattr(ino).size, Number.MAX_SAFE_INTEGER);
  assert.deepEqual(
    a.notices.filter((notice) => notice.startsWith('lost')),
    ['lost /file can be no longer than 9007199254740991 bytes: what was written beyond is gone'],
  );
  assert.throws(() => a.volume.files.fsync(handle), { code: 'EFBIG' });
  a.volume.files.fsync(handle);
  a.volume.files.release(handle);
  await a.publish();
  const b = await a.join();
  t.after(() => b.remove());
  for (const site of [a, b]) {
    const opened = site.volume.files.open(site.resolve('file'), O_RDONLY, false, USER).handle;
    assert.equal(site.volume.files.getattr(ino).size, Number.MAX_SAFE_INTEGER);
    const block = Buffer.alloc(7);
    site.volume.files.read(opened, 1_000_000, 7, block, 0);
    assert.equal(block.toString(), 'patched');
    assert.equal(site.volume.files.lseek(opened, 2 ** 51, SEEK_DATA), 2 ** 52);
    site.volume.files.read(opened, 2 ** 52, 5, block, 0);
    assert.equal(block.toString('latin1', 0, 5), 'there');
    assert.equal(site.volume.files.read(opened, 2 ** 53 - 2, 7, block, 0), 1);
    site.volume.files.release(opened);
  }
});

test('a closed file that cannot be packed is tried again after a second, and until then waited for', async (t) => {
  const a = site(t);
  const bytes = randomBytes(SIZE);
  a.write('file', bytes);
  a.volume.fold();
  assert.equal((await a.pack()).length, 1);
  a.volume.arrivals.ingestFailed(1, []);
  let folds = 0;
  for (; (await a.pack()).length === 0; folds++) {
    assert.ok(a.volume.background.isPublishing);
    a.volume.fold();
  }
  assert.ok(folds > 50, `${folds} folds, of some milliseconds each`);
  assert.ok(folds < 2_000, `${folds} folds`);
});
