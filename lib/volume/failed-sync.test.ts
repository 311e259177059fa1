// What fsync(2) says after a sync that failed: the system reports that once, and success from then on, though it gave up what it could
// not write.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { ROOT_INO } from '../crdt/ids.js';
import { USER, VolumeFixture } from './volume-fixture.test-support.js';

const O_RDWR = 2;
const SMALL = Buffer.from('small');
const LARGE = Buffer.alloc(300_000, 1);

function site(t: TestContext): VolumeFixture {
  const fixture = VolumeFixture.create();
  fixture.volume.allowPassthrough();
  t.after(() => {
    try {
      fixture.remove();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EIO') throw error; // it ended as by SIGKILL
      fs.rmSync(fixture.directory, { recursive: true });
    }
  });
  return fixture;
}

/** When the local files were written to, ns. */
function timesOf({ directory }: VolumeFixture): Map<string, bigint> {
  const work = join(directory, 'work');
  return new Map(fs.readdirSync(work).map((name) => [name, fs.statSync(join(work, name), { bigint: true }).mtimeNs]));
}

/** The files that are written to, by the folder or file of the state directory. */
function writtenFiles(t: TestContext): Set<string> {
  const { writeSync } = fs;
  const written = new Set<string>();
  const noting = t.mock.method(fs, 'writeSync', ((fd: number, ...rest: [Buffer]) => {
    const path = fs.readlinkSync(`/proc/self/fd/${fd}`);
    if (!path.endsWith('sync.mark')) written.add(path.endsWith('-wal') ? 'wal' : basename(dirname(path)));
    return writeSync(fd, ...rest);
  }) as typeof writeSync);
  syncBuiltinESMExports();
  t.after(() => {
    noting.mock.restore();
    syncBuiltinESMExports();
  });
  return written;
}

/** From now on the first fdatasync(2) of a file that `isIt` fails, and those that follow succeed, as Linux has it. */
function failOnce(t: TestContext, isIt: (path: string) => boolean): void {
  const { fdatasyncSync } = fs;
  const failed = new Set<string>();
  const failing = t.mock.method(fs, 'fdatasyncSync', (fd: number) => {
    const path = fs.readlinkSync(`/proc/self/fd/${fd}`);
    if (isIt(path) && !failed.has(path)) {
      failed.add(path);
      throw Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO', errno: -5, syscall: 'fdatasync' });
    }
    fdatasyncSync(fd);
  });
  syncBuiltinESMExports();
  t.after(() => {
    failing.mock.restore();
    syncBuiltinESMExports();
  });
}

function opened({ volume: { files } }: VolumeFixture, name: string, bytes: Buffer): number {
  const { opened: file } = files.create(ROOT_INO, name, 0o644, O_RDWR, 0o022, USER);
  files.write(file.handle, 0, bytes, false);
  return file.handle;
}

test('an fsync of a small file that follows one that failed is said to have succeeded', (t) => {
  const a = site(t);
  const { volume } = a;
  const handle = opened(a, 'file', SMALL);
  failOnce(t, (path) => basename(dirname(path)) === 'intent');
  for (let i = 0; i < 3; i++) assert.throws(() => volume.files.fsync(handle), { code: 'EIO' }, `fsync ${i}`);
  const other = opened(a, 'other', SMALL);
  assert.throws(() => volume.files.fsync(other), { code: 'EIO' }, 'of another file');
  assert.throws(() => volume.files.fsyncdir(), { code: 'EIO' }, 'of the directory');
  assert.throws(
    () => volume.background.run(() => false),
    { code: 'EIO' },
    'nothing is durable any more: the site ends',
  );
});

test('an fsync of a large file that follows one that failed is said to have succeeded, and other files suffer', async (t) => {
  const a = site(t);
  const handle = opened(a, 'file', LARGE);
  const other = opened(a, 'other', LARGE);
  let failing = '';
  failOnce(t, (path) => basename(dirname(path)) === 'work' && path === (failing ||= path));
  for (let i = 0; i < 3; i++) assert.throws(() => a.volume.files.fsync(handle), { code: 'EIO' }, `fsync ${i}`);
  a.volume.files.fsync(other);
  a.volume.files.release(handle);
  await a.publish();
  assert.ok(a.read('file').equals(LARGE));
  const again = a.volume.files.open(a.resolve('file'), O_RDWR, false, USER);
  a.volume.files.fsync(again.handle); // of a version, which is in a pack
  a.volume.files.write(again.handle, 0, SMALL, false);
  a.volume.files.fsync(again.handle); // of another local file
});

test('an fsync of a version that follows one that failed is said to have succeeded', async (t) => {
  for (const failing of ['packs', 'state.db-wal']) {
    const a = site(t);
    a.write('file', SMALL);
    await a.publish();
    const { handle } = a.volume.files.open(a.resolve('file'), O_RDWR, false, USER);
    failOnce(t, (path) => path.startsWith(a.directory) && path.includes(`/${failing}`));
    for (let i = 0; i < 3; i++)
      assert.throws(() => a.volume.files.fsync(handle), { code: 'EIO' }, `${failing}: fsync ${i}`);
    assert.throws(() => a.volume.folding.commit(), { code: 'EIO' });
    t.mock.restoreAll();
  }
});

test('a disk that cannot sync the local file of a file that is synced again and again ends the site when a version of it is made', async (t) => {
  const a = site(t);
  const handle = opened(a, 'file', LARGE);
  a.volume.files.fsync(handle);
  a.volume.files.write(handle, 0, Buffer.from('newer'), false);
  a.volume.publishAll();
  const [result] = await a.pack();
  a.volume.files.fsync(handle);
  a.volume.files.write(handle, 0, Buffer.alloc(100_000, 2), false); // too long to be logged
  failOnce(t, (path) => basename(dirname(path)) === 'work');
  a.volume.arrivals.ingested(result!);
  assert.equal(a.read('file').length, LARGE.length);
  assert.equal(a.volume.background.unpackedCount, 1);
  await a.publish();
  assert.equal(a.volume.background.unpackedCount, 0);
});

test('a site that starts after a sync failed builds on what the system gave up to write', async (t) => {
  for (const failing of ['intent', 'packs', 'work']) {
    const a = site(t);
    const large = opened(a, 'large', LARGE);
    a.write('small', SMALL);
    a.volume.publishAll();
    a.volume.folding.commit();
    failOnce(t, (path) => path.startsWith(a.directory) && basename(dirname(path)) === failing);
    const { handle } = a.volume.files.open(a.resolve('small'), O_RDWR, false, USER);
    assert.throws(
      () => {
        a.volume.files.fsync(large);
        a.volume.files.fsync(handle);
      },
      { code: 'EIO' },
    );
    t.mock.restoreAll();
    const times = timesOf(a);
    const written = writtenFiles(t);
    a.crash();
    assert.deepEqual([...written].toSorted(), ['intent', 'packs', 'wal', 'work'], failing);
    assert.ok(a.read('large').equals(LARGE));
    assert.ok(a.read('small').equals(SMALL));
    for (const [name, time] of times) assert.equal(timesOf(a).get(name) ?? time, time);
    written.clear();
    a.crash();
    assert.deepEqual([...written], [], 'only once');
  }
});
