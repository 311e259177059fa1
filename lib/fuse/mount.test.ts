import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { MemoryMount } from './memory-mount.test-support.js';
import { unmountKernel } from './mount.js';
import { mountAt } from './mount-table.js';

const scratch = fs.mkdtempSync(join(tmpdir(), 'weft-mount-'));
after(() => fs.rmSync(scratch, { recursive: true }));

let made = 0;
function freshDirectory(): string {
  const path = join(scratch, `d${made++}`);
  fs.mkdirSync(path);
  return path;
}

test('a mount appears, serves, and vanishes; what is below shows again', async () => {
  const path = freshDirectory();
  fs.writeFileSync(join(path, 'below'), '');
  const mount = await MemoryMount.start([], path);
  assert.deepEqual(fs.readdirSync(path), []);
  fs.writeFileSync(join(path, 'above'), '');
  await unmountKernel(path, false);
  await mount.ended;
  assert.deepEqual(fs.readdirSync(path), ['below']);
});

test('mount flags take effect, and fsname is shown', async () => {
  const path = freshDirectory();
  const mount = await MemoryMount.start(['ro,noexec,nosuid', 'nodev,fsname=a team,noauto,x-test'], path);
  assert.throws(() => fs.writeFileSync(join(path, 'x'), ''), { code: 'EROFS' });
  const line = fs
    .readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .find((each) => each.includes(path));
  assert.match(line!, /^a\\040team \S+ fuse\.weft ro,nosuid,nodev,noexec,/);
  await unmountKernel(path, false);
  await mount.ended;
});

test('what cannot be mounted on is named with the remedy', async () => {
  const file = join(scratch, 'file');
  fs.writeFileSync(file, '');
  await assert.rejects(
    MemoryMount.start([], join(scratch, 'missing')),
    /missing does not exist: create it with 'mkdir -p/,
  );
  await assert.rejects(MemoryMount.start([], file), /file is not a directory: mount on a directory/);
  await assert.rejects(MemoryMount.start([], join(file, 'x')), /part of the path is not a directory/);
  await assert.rejects(MemoryMount.start(['nonsense'], freshDirectory()), /unknown mount option 'nonsense'/);
});

test('a mountpoint that is taken is named with what is there', async () => {
  const path = freshDirectory();
  const mount = await MemoryMount.start([], path);
  await assert.rejects(MemoryMount.start([], path), /is a mount already \(memory, fuse\.weft\): 'umount /);
  await unmountKernel(path, false);
  await mount.ended;
});

test('a mount in use is not unmounted, the error says how to find by whom; lazily it ends with its last user', async () => {
  const path = freshDirectory();
  const mount = await MemoryMount.start([], path);
  const fd = fs.openSync(join(path, 'open'), 'w+');
  await assert.rejects(unmountKernel(path, false), /is in use: 'fuser -vm/);
  fs.writeSync(fd, 'still served');
  await unmountKernel(path, true);
  assert.equal(mountAt(path), undefined);
  fs.writeSync(fd, 'still served after');
  fs.closeSync(fd);
  await mount.ended;
});

test('unmounting what is not mounted is no error', async () => {
  await unmountKernel(freshDirectory(), false);
});

const HERE = dirname(fileURLToPath(import.meta.url));

/** Serves a mount from another process, whose code lies in `from`; resolves with what it said. */
async function serveElsewhere(path: string, options: string[], from = HERE, uid?: number) {
  const child = spawn(process.execPath, [join(from, 'serve-mount.test-support.js'), path, ...options], {
    stdio: ['pipe', 'pipe', 'inherit'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  let output = '';
  for await (const chunk of child.stdout) {
    output += (chunk as Buffer).toString();
    if (output.includes('\n')) break;
  }
  return { child, ended, said: output.trim() };
}

test('after the daemon was killed, the next mount takes the place of the dead one', async () => {
  const path = freshDirectory();
  fs.writeFileSync(join(path, 'below'), '');
  const { child, ended, said } = await serveElsewhere(path, []);
  assert.equal(said, 'mounted');
  child.kill('SIGKILL');
  await ended;
  assert.throws(() => fs.readdirSync(path), { code: 'ENOTCONN' });
  const mount = await MemoryMount.start([], path);
  assert.deepEqual(fs.readdirSync(path), []);
  await unmountKernel(path, false);
  await mount.ended;
  assert.deepEqual(fs.readdirSync(path), ['below']);
  assert.equal(mountAt(path), undefined);
});

test('a process that ends takes its mount along', async () => {
  const path = freshDirectory();
  const { child, ended, said } = await serveElsewhere(path, []);
  assert.equal(said, 'mounted');
  child.stdin!.end();
  await ended;
  assert.equal(mountAt(path), undefined);
});

const NOBODY = 65534;
const NO_ACCOUNT = 61999;

/** /dev/fuse as distributions ship it, while `run` runs. */
async function withOpenDevice(run: () => Promise<void>): Promise<void> {
  const { mode } = fs.statSync('/dev/fuse');
  fs.chmodSync('/dev/fuse', 0o666);
  try {
    await run();
  } finally {
    fs.chmodSync('/dev/fuse', mode);
  }
}

/** A copy of the built code that a plain user can read, wherever the project lies. */
function readableCopy(): string {
  const target = join(scratch, 'code');
  if (!fs.existsSync(target)) {
    fs.chmodSync(scratch, 0o755);
    fs.mkdirSync(target);
    fs.writeFileSync(join(target, 'package.json'), '{"type":"module"}');
    for (const folder of ['fuse', 'codec', 'chunks', 'volume']) {
      fs.cpSync(join(HERE, '..', folder), join(target, 'lib', folder), { recursive: true });
    }
    for (const file of ['errno.js', 'file-calls.js'])
      fs.copyFileSync(join(HERE, '..', file), join(target, 'lib', file));
    const [packages] = createRequire(import.meta.url)
      .resolve('koffi')
      .split('/koffi/');
    for (const folder of ['koffi', '@koromix']) {
      fs.cpSync(join(packages!, folder), join(target, 'node_modules', folder), { recursive: true });
    }
  }
  return join(target, 'lib', 'fuse');
}

test('a plain user mounts through fusermount3, reads and writes, and unmounts', async () => {
  const path = freshDirectory();
  fs.chownSync(path, NOBODY, NOBODY);
  await withOpenDevice(async () => {
    const { child, ended, said } = await serveElsewhere(path, ['noatime,nosuid'], readableCopy(), NOBODY);
    assert.equal(said, 'mounted');
    try {
      const use = spawnSync('sh', ['-c', `echo mine > ${path}/f; cat ${path}/f; stat -c %u ${path}/f`], {
        uid: NOBODY,
        gid: NOBODY,
        encoding: 'utf8',
      });
      assert.equal(use.stdout, `mine\n${NOBODY}\n`, use.stderr);
      assert.throws(() => fs.readdirSync(path), { code: 'EACCES' }, 'without allow_other not even root looks in');
      const line = fs
        .readFileSync('/proc/self/mounts', 'utf8')
        .split('\n')
        .find((each) => each.includes(path));
      assert.match(line!, /^memory \S+ fuse\.weft rw,nosuid,nodev,noatime,user_id=65534/);
    } finally {
      spawnSync('fusermount3', ['-u', path], { uid: NOBODY, gid: NOBODY });
      child.stdin!.end();
      await ended;
    }
    assert.equal(mountAt(path), undefined);
  });
});

test('what fusermount3 refuses is passed on with the remedy', async () => {
  const path = freshDirectory();
  fs.chownSync(path, NOBODY, NOBODY);
  await withOpenDevice(async () => {
    const other = await serveElsewhere(path, ['allow_other'], readableCopy(), NOBODY);
    assert.match(other.said, /add the line user_allow_other to \/etc\/fuse\.conf, or mount without -o allow_other/);
    await other.ended;
    const notMine = await serveElsewhere(freshDirectory(), [], readableCopy(), NOBODY);
    assert.match(notMine.said, /mount on a directory that you own/);
    await notMine.ended;
    const foreign = freshDirectory();
    fs.chownSync(foreign, NO_ACCOUNT, NO_ACCOUNT);
    const nameless = await serveElsewhere(foreign, [], readableCopy(), NO_ACCOUNT);
    assert.match(nameless.said, /could not determine username: it wants an account \(getent passwd 61999\)/);
    await nameless.ended;
  });
});
