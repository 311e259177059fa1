import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import type { DriverLog } from './driver-log.js';
import { type FuseNativeMount, startFuseNative } from './fuse-native-driver.js';
import { MemoryFileSystem } from './memory-file-system.test-support.js';
import { mountAt } from './mount-table.js';
import { MNT_DETACH, unmountNow } from './system-calls.js';

const silent: DriverLog = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const root = fs.mkdtempSync(join(tmpdir(), 'weft-native-'));
const fileSystem = new MemoryFileSystem();
const absent: string[] = [];
let mount: FuseNativeMount;

function takeDown(): void {
  if (mountAt(root) !== undefined) unmountNow(root, MNT_DETACH);
}
process.once('exit', takeDown);

before(async () => {
  mount = await startFuseNative({
    fileSystem,
    mountpoint: root,
    options: ['nosuid'],
    source: 'memory',
    log: silent,
    onAbsent: (ids) => absent.push(...ids),
  });
});

after(async () => {
  await mount.unmount(false);
  await mount.ended;
  fs.rmdirSync(root);
});

// The filesystem runs on this event loop: everything below is asynchronous.
const { promises: files } = fs;

test('the mount table shows the source, fuse.weft and the flags', () => {
  const line = fs
    .readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .find((each) => each.includes(root));
  assert.match(line!, /^memory \S+ fuse\.weft rw,nosuid/);
});

test('files are written, read, truncated, renamed and removed', async () => {
  const path = join(root, 'fil\u00e9');
  const data = Buffer.alloc(700_000, 'weft');
  await files.writeFile(path, data);
  assert.ok((await files.readFile(path)).equals(data));
  await files.truncate(path, 10);
  assert.equal((await files.stat(path)).size, 10);
  await files.rename(path, join(root, 'renamed'));
  await assert.rejects(files.stat(path), { code: 'ENOENT' });
  await files.unlink(join(root, 'renamed'));
  assert.deepEqual(await files.readdir(root), []);
});

test('directories, links and attributes', async () => {
  const directory = join(root, 'directory');
  await files.mkdir(directory, 0o750);
  await files.writeFile(join(directory, 'a'), 'text');
  await files.link(join(directory, 'a'), join(directory, 'b'));
  await files.symlink('../ziel', join(directory, 's'));
  assert.equal(await files.readlink(join(directory, 's')), '../ziel');
  assert.equal(await files.readFile(join(directory, 'b'), 'utf8'), 'text');
  assert.deepEqual(new Set(await files.readdir(directory)), new Set(['a', 'b', 's']));
  await files.chmod(join(directory, 'a'), 0o604);
  await files.chown(join(directory, 'a'), 5, 6);
  await files.utimes(join(directory, 'a'), 1000.25, 1000.25);
  const stat = await files.stat(join(directory, 'a'));
  assert.deepEqual([stat.mode & 0o7777, stat.uid, stat.gid, stat.mtimeMs], [0o604, 5, 6, 1_000_250]);
  await assert.rejects(files.rmdir(directory), { code: 'ENOTEMPTY' });
  await files.rm(directory, { recursive: true });
  await assert.rejects(files.stat(directory), { code: 'ENOENT' });
});

test('statfs and fsync', async () => {
  assert.equal((await files.statfs(root)).bsize, 4096);
  const file = await files.open(join(root, 'synced'), 'w+');
  await file.write('x');
  await file.sync();
  await file.truncate(0);
  assert.equal((await file.stat()).size, 0);
  await file.close();
  await files.unlink(join(root, 'synced'));
});

test('a read of bytes that are not here waits for them', async () => {
  const path = join(root, 'absent');
  await files.writeFile(path, 'there after all');
  fileSystem.setxattr(fileSystem.lookup(1, 'absent')!.ino, 'user.absent', Buffer.from('object-1'), 0);
  const reading = files.readFile(path, 'utf8');
  while (absent.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(absent, ['object-1']);
  fileSystem.arrive(['object-1']);
  assert.equal(await reading, 'there after all');
  await files.unlink(path);
});

test('a missing mountpoint and an unknown option are refused', async () => {
  const options = { fileSystem, mountpoint: root, options: [], source: 'x', log: silent, onAbsent: () => {} };
  await assert.rejects(startFuseNative({ ...options, mountpoint: '/nowhere/at/all' }), /does not exist: create it/);
  await assert.rejects(startFuseNative({ ...options, options: ['nope'] }), /unknown mount option 'nope'/);
});
