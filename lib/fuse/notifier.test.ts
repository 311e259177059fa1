import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { MemoryMount } from './memory-mount.test-support.js';

let mount: MemoryMount;

before(async () => {
  mount = await MemoryMount.start();
});

after(() => mount.unmount());

test('a name that another site made is seen, although its absence was cached', async () => {
  const path = join(mount.path, 'made');
  assert.equal(fs.existsSync(path), false);
  assert.equal(fs.existsSync(path), false);
  await mount.order({ kind: 'mkfile', parent: 1, name: 'made', text: 'elsewhere' });
  await mount.settle();
  assert.equal(fs.readFileSync(path, 'utf8'), 'elsewhere');
});

test('a name that another site made is listed, although the listing was cached and the name never asked for', async () => {
  assert.equal(fs.readdirSync(mount.path).includes('listed'), false);
  assert.equal(fs.readdirSync(mount.path).includes('listed'), false);
  await mount.order({ kind: 'mkfile', parent: 1, name: 'listed', text: '' });
  await mount.settle();
  assert.equal(fs.readdirSync(mount.path).includes('listed'), true);
});

test('a name that another site removed is gone, from the listing too', async () => {
  const path = join(mount.path, 'removed');
  fs.writeFileSync(path, 'x');
  assert.equal(fs.readdirSync(mount.path).includes('removed'), true);
  await mount.order({ kind: 'remove', parent: 1, name: 'removed' });
  await mount.settle();
  assert.throws(() => fs.statSync(path), { code: 'ENOENT' });
  assert.equal(fs.readdirSync(mount.path).includes('removed'), false);
});

test('an inotify watch sees the removal of a file by another site', async () => {
  const path = join(mount.path, 'watched');
  fs.writeFileSync(path, 'x');
  const watcher = fs.watch(path);
  try {
    const event = new Promise<string>((resolve) => watcher.once('change', resolve));
    await mount.order({ kind: 'remove', parent: 1, name: 'watched' });
    assert.equal(await event, 'rename');
  } finally {
    watcher.close();
  }
});

test('cached attributes and pages stay until they are announced stale, then they change', async () => {
  const path = join(mount.path, 'pages');
  const ino = (await mount.order({ kind: 'mkfile', parent: 1, name: 'pages', text: 'old text' })) as number;
  await mount.settle();
  assert.equal(fs.readFileSync(path, 'utf8'), 'old text');
  const mtime = fs.statSync(path).mtimeMs; // after the read, which made the kernel ask for atime again
  await mount.order({ kind: 'overwrite', ino, text: 'new text', announce: false });
  assert.equal(fs.statSync(path).mtimeMs, mtime, 'cached');
  assert.equal(fs.readFileSync(path, 'utf8'), 'old text', 'cached');
  await mount.order({ kind: 'overwrite', ino, text: 'new text', announce: true });
  await mount.settle();
  assert.notEqual(fs.statSync(path).mtimeMs, mtime);
  assert.equal(fs.readFileSync(path, 'utf8'), 'new text');
});

test('a mapping of an open file follows too', async () => {
  const ino = (await mount.order({ kind: 'mkfile', parent: 1, name: 'open', text: 'before!' })) as number;
  await mount.settle();
  const fd = fs.openSync(join(mount.path, 'open'), 'r');
  try {
    const into = Buffer.alloc(7);
    fs.readSync(fd, into, 0, 7, 0);
    assert.equal(into.toString(), 'before!');
    await mount.order({ kind: 'overwrite', ino, text: 'after!!', announce: true });
    await mount.settle();
    fs.readSync(fd, into, 0, 7, 0);
    assert.equal(into.toString(), 'after!!');
  } finally {
    fs.closeSync(fd);
  }
});

test('notices while their directory is busy do not block the serving thread', async () => {
  const work = Array.from({ length: 300 }, async (_, i) => {
    const path = join(mount.path, `busy-${i}`);
    await fs.promises.writeFile(path, 'x');
    await mount.order({ kind: 'mkfile', parent: 1, name: `remote-${i}`, text: 'y' });
    await fs.promises.unlink(path);
  });
  for (const each of work) await each;
  await mount.settle();
  const names = fs.readdirSync(mount.path);
  assert.equal(names.filter((name) => name.startsWith('remote-')).length, 300);
  assert.equal(names.filter((name) => name.startsWith('busy-')).length, 0);
});

test('File exists, says open without O_EXCL: a file that another site makes while one is created here is opened', async () => {
  const path = join(mount.path, 'raced');
  assert.equal(fs.existsSync(path), false); // the kernel remembers
  await mount.order({ kind: 'mkfile unannounced', parent: 1, name: 'raced', text: 'elsewhere' });
  fs.closeSync(fs.openSync(path, 'a'));
  assert.equal(fs.readFileSync(path, 'utf8'), 'elsewhere');
  assert.throws(() => fs.openSync(path, 'wx'), { code: 'EEXIST' });
});
