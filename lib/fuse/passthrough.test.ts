import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { BackingFiles } from './backing-files.js';
import { MemoryMount } from './memory-mount.test-support.js';
import {
  copyFileRange,
  fallocate,
  linkDescriptor,
  lseek,
  mapShared,
  O_TMPFILE,
  SEEK_DATA,
  SEEK_HOLE,
  setxattr,
  statx,
} from './posix-calls.test-support.js';
import { isOnlyOpener } from './system-calls.js';

const { O_APPEND, O_CREAT, O_DIRECT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } = fs.constants;
const LEAST_BYTES = 8192;

let mount: MemoryMount;
let root: string;
let local: string;

before(async () => {
  local = fs.mkdtempSync(join(tmpdir(), 'weft-backing-'));
  mount = await MemoryMount.start([], undefined, { directory: local, leastBytes: LEAST_BYTES });
  root = mount.path;
});

after(async () => {
  await mount.unmount();
  fs.rmSync(local, { recursive: true });
});

let made = 0;

function fresh(): string {
  return join(root, `x${made++}`);
}

/** A file that is large enough to be backed from its next open on: 64 KiB that say where they are. */
function largeFile(): { path: string; content: Buffer } {
  const content = Buffer.alloc(65_536);
  for (let at = 0; at < content.length; at += 4) content.writeUInt32LE(at, at);
  const path = fresh();
  fs.writeFileSync(path, content);
  return { path, content };
}

function withFile<T>(path: string, flags: string | number, use: (fd: number) => T): T {
  const fd = fs.openSync(path, flags, 0o644);
  try {
    return use(fd);
  } finally {
    fs.closeSync(fd);
  }
}

async function requests(...names: string[]): Promise<number[]> {
  const counts = (await mount.order({ kind: 'counts' })) as Map<string, number>;
  return names.map((name) => counts.get(name) ?? 0);
}

/** The local file of an inode. */
function localFile(path: string): string {
  return join(local, `${fs.statSync(path).ino}`);
}

/** Nothing holds the local file any more: neither the filesystem, nor the kernel, nor a mapping. */
function isFree(file: string): boolean {
  return withFile(file, 'r+', isOnlyOpener);
}

async function untilFree(file: string): Promise<void> {
  for (const endMs = performance.now() + 5_000; !isFree(file);) {
    assert.ok(performance.now() < endMs, `${file} is still in use`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

function shell(command: string, uid?: number): void {
  const { status, stderr } = spawnSync('sh', ['-ec', command], { cwd: root, encoding: 'utf8', uid });
  assert.equal(status, 0, stderr);
}

test('reads and writes of a backed file make no request', async () => {
  const { path, content } = largeFile();
  const before = await requests('READ', 'WRITE');
  withFile(path, 'r+', (fd) => {
    assert.deepEqual(fs.readFileSync(fd), content);
    fs.writeSync(fd, 'through', 4096);
  });
  assert.deepEqual(await requests('READ', 'WRITE'), before);
  assert.equal(fs.readFileSync(path, 'latin1').slice(4096, 4103), 'through');
  assert.equal(fs.readFileSync(localFile(path), 'latin1').slice(4096, 4103), 'through');
});

test('files that are created and files without a name are backed at once where that is wanted', async () => {
  const directory = fs.mkdtempSync(join(tmpdir(), 'weft-backing-'));
  const other = await MemoryMount.start([], undefined, { directory, leastBytes: 0 });
  try {
    fs.writeFileSync(join(other.path, 'new'), 'created');
    assert.equal(fs.readFileSync(join(other.path, 'new'), 'utf8'), 'created');
    withFile(other.path, O_TMPFILE | O_RDWR, (fd) => {
      fs.writeSync(fd, 'nameless');
      linkDescriptor(fd, join(other.path, 'named'));
      assert.equal(fs.fstatSync(fd).size, 8);
    });
    assert.equal(fs.readFileSync(join(other.path, 'named'), 'utf8'), 'nameless');
    const counts = (await other.order({ kind: 'counts' })) as Map<string, number>;
    assert.deepEqual([counts.get('READ'), counts.get('WRITE'), counts.get('TMPFILE')], [undefined, undefined, 1]);
  } finally {
    await other.unmount();
    fs.rmSync(directory, { recursive: true });
  }
});

test('pages that the kernel kept from before are not shown after writes that it did not see', () => {
  const path = fresh();
  withFile(path, 'w+', (fd) => {
    fs.writeSync(fd, Buffer.alloc(20_000, 'a'));
    assert.equal(fs.readFileSync(path, 'latin1'), 'a'.repeat(20_000));
  });
  withFile(path, 'r+', (fd) => fs.writeSync(fd, Buffer.alloc(20_000, 'b')));
  assert.equal(fs.readFileSync(path, 'latin1'), 'b'.repeat(20_000));
});

test('stat is right after every kind of change', async () => {
  const { path } = largeFile();
  withFile(path, 'r+', (fd) => {
    const size = () => [fs.statSync(path).size, fs.fstatSync(fd).size, Number(statx(path).size), lsSize(path)];
    const all = (bytes: number) => assert.deepEqual(size(), [bytes, bytes, bytes, bytes]);
    all(65_536);
    fs.writeSync(fd, 'x', 70_000);
    all(70_001);
    withFile(path, O_WRONLY | O_APPEND, (other) => fs.writeSync(other, 'yy'));
    all(70_003);
    fs.ftruncateSync(fd, 10_000);
    all(10_000);
    assert.equal(fs.readFileSync(path).length, 10_000);
    fs.truncateSync(path, 12_000);
    all(12_000);
    fallocate(fd, 0, 0, 100_000);
    all(100_000);
    fallocate(fd, 1, 0, 200_000);
    all(100_000);
    assert.ok(fs.statSync(path).blocks * 512 >= 200_000);
    fs.writeSync(fd, 'end', 99_999);
    all(100_002);
    assert.equal(lseek(fd, 0, 2), 100_002);
    fs.utimesSync(path, 1_000_000, 2_000_000);
    assert.equal(fs.statSync(path).mtimeMs, 2_000_000_000);
    fs.writeSync(fd, 'later', 0);
    assert.ok(fs.statSync(path).mtimeMs > 2_000_000_000);
  });
  withFile(path, O_WRONLY | O_TRUNC, (fd) => assert.equal(fs.fstatSync(fd).size, 0));
  assert.equal(fs.statSync(path).size, 0);
});

/** As a listing with attributes shows it. */
function lsSize(path: string): number {
  const { stdout } = spawnSync('find', [root, '-maxdepth', '1', '-path', path, '-printf', '%s'], { encoding: 'utf8' });
  return Number(stdout);
}

test('two processes that append lose nothing', async () => {
  const { path, content } = largeFile();
  const appender = (mark: string) =>
    new Promise((resolve) => {
      spawn('sh', ['-c', `i=0; while [ $i -lt 500 ]; do printf '${mark}%03d\\n' $i; i=$((i+1)); done >>${path}`]).once(
        'close',
        resolve,
      );
    });
  assert.deepEqual(await Promise.all([appender('a'), appender('b')]), [0, 0]);
  assert.equal(fs.statSync(path).size, content.length + 5_000);
  const lines = fs.readFileSync(path).toString('latin1', content.length).trim().split('\n');
  for (const mark of ['a', 'b']) {
    const own = lines.filter((line) => line.startsWith(mark));
    assert.deepEqual(
      own,
      Array.from({ length: 500 }, (_, i) => `${mark}${`${i}`.padStart(3, '0')}`),
    );
  }
});

test('two openers see each other at once, also through memory', () => {
  const { path } = largeFile();
  withFile(path, 'r+', (one) =>
    withFile(path, 'r+', (two) => {
      const mapping = mapShared(two, 65_536);
      const seen = Buffer.alloc(3);
      fs.writeSync(one, 'one', 100);
      fs.readSync(two, seen, 0, 3, 100);
      assert.equal(seen.toString(), 'one');
      assert.equal(Buffer.from(mapping.bytes.subarray(100, 103)).toString(), 'one');
      mapping.bytes.set(Buffer.from('two'), 100);
      fs.readSync(one, seen, 0, 3, 100);
      assert.equal(seen.toString(), 'two');
      mapping.unmap();
    }),
  );
});

test('a write to mapped memory shows in the time of modification', async () => {
  const { path } = largeFile();
  fs.utimesSync(path, 1_000, 1_000);
  assert.equal(fs.statSync(path).mtimeMs, 1_000_000);
  const fd = fs.openSync(path, 'r+');
  const mapping = mapShared(fd, 65_536);
  assert.equal(fs.statSync(path).mtimeMs, 1_000_000);
  mapping.bytes[5] = 1;
  mapping.sync();
  const written = fs.statSync(path).mtimeMs;
  assert.ok(written > 1_000_000);
  fs.closeSync(fd);
  await new Promise((resolve) => setTimeout(resolve, 20));
  mapping.bytes[6] = 1;
  mapping.sync();
  assert.ok(fs.statSync(path).mtimeMs > written, 'also after the file was closed');
  mapping.unmap();
  assert.deepEqual([...fs.readFileSync(path).subarray(5, 7)], [1, 1]);
});

test('a file is released when it is closed, and no sooner than it is unmapped', async () => {
  const { path } = largeFile();
  const file = localFile(path);
  const fd = fs.openSync(path, 'r+');
  const mapping = mapShared(fd, 65_536);
  await mount.order({ kind: 'drain' });
  const [releases] = await requests('RELEASE');
  fs.closeSync(fd);
  await mount.order({ kind: 'drain' });
  assert.deepEqual(await requests('RELEASE'), [releases! + 1], 'the kernel says so when it is closed');
  assert.equal(isFree(file), false);
  // Opened and closed meanwhile: by the same backing.
  withFile(path, 'r+', (again) => {
    mapping.bytes[0] = 42;
    const first = Buffer.alloc(1);
    fs.readSync(again, first, 0, 1, 0);
    assert.equal(first[0], 42);
  });
  fs.unlinkSync(path);
  await mount.order({ kind: 'drain' });
  assert.ok(fs.existsSync(file), 'the filesystem keeps what is mapped');
  mapping.bytes[1] = 43;
  mapping.unmap();
  while (fs.existsSync(file)) await new Promise((resolve) => setTimeout(resolve, 2));
});

test('what was closed before a drain is released after it', async () => {
  const { path } = largeFile();
  const file = localFile(path);
  for (let round = 0; round < 100; round++) {
    withFile(path, 'r+', (fd) => fs.writeSync(fd, `${round}`));
    await mount.order({ kind: 'drain' });
    assert.equal(isFree(file), true, `round ${round}`);
  }
});

test('an unlinked file lives until it is closed', async () => {
  const { path } = largeFile();
  const file = localFile(path);
  withFile(path, 'r+', (fd) => {
    fs.unlinkSync(path);
    fs.writeSync(fd, 'still here', 0);
    assert.equal(fs.readFileSync(fd, 'latin1').length, 65_536);
    assert.ok(fs.existsSync(file));
  });
  await mount.order({ kind: 'drain' });
  assert.equal(fs.existsSync(file), false);
});

test('while a file is open without a backing it stays without, and is backed when it is opened next', async () => {
  const path = fresh();
  withFile(path, O_CREAT | O_RDWR, (fd) => {
    fs.writeSync(fd, Buffer.alloc(50_000, 'c'));
    assert.equal(fs.readFileSync(path, 'latin1'), 'c'.repeat(50_000));
  });
  const before = await requests('READ');
  assert.equal(fs.readFileSync(path, 'latin1'), 'c'.repeat(50_000));
  assert.deepEqual(await requests('READ'), before);
});

test('holes are found, and ranges are punched and copied', () => {
  const { path } = largeFile();
  const target = largeFile().path;
  withFile(path, 'r+', (fd) => {
    fallocate(fd, 3, 16_384, 16_384);
    assert.deepEqual([lseek(fd, 0, SEEK_HOLE), lseek(fd, 16_384, SEEK_DATA)], [16_384, 32_768]);
    fs.writeSync(fd, 'source', 40_000);
    withFile(target, 'r+', (to) => {
      assert.equal(copyFileRange(fd, 40_000n, to, 70_000n, 6), 6);
      assert.equal(fs.fstatSync(to).size, 70_006);
      const copied = Buffer.alloc(6);
      fs.readSync(to, copied, 0, 6, 70_000);
      assert.equal(copied.toString(), 'source');
    });
  });
  assert.equal(fs.readFileSync(target).toString('latin1', 70_000), 'source');
});

test('O_DIRECT reads and writes the local file directly', () => {
  const { path } = largeFile();
  const program =
    'import mmap,os,sys; m=mmap.mmap(-1,4096); m.write(b"d"*4096); ' +
    'f=os.open(sys.argv[1],os.O_RDWR|os.O_DIRECT); assert os.pwrite(f,m,8192)==4096; assert os.preadv(f,[m],12288)==4096';
  const { status, stderr } = spawnSync('python3', ['-c', program, path], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  assert.equal(fs.readFileSync(path).toString('latin1', 8192, 12_288), 'd'.repeat(4096));
  withFile(path, O_RDONLY | O_DIRECT, (fd) => assert.ok(fd > 0));
});

test('a program on a backed file runs, and keeps its file', async () => {
  const path = join(root, 'sleep');
  fs.copyFileSync('/bin/sleep', path);
  fs.chmodSync(path, 0o755);
  const file = localFile(path);
  const child = spawn(path, ['100']);
  await new Promise((resolve) => child.once('spawn', resolve));
  assert.equal(isFree(file), false);
  assert.throws(() => fs.openSync(path, 'r+'), { code: 'ETXTBSY' });
  child.kill();
  await new Promise((resolve) => child.once('close', resolve));
  await untilFree(file);
});

test('a write by a plain user drops the set-user-id bit', () => {
  const { path } = largeFile();
  fs.chmodSync(path, 0o6777);
  shell(`printf x >>${path}`, 65534);
  assert.equal(fs.statSync(path).mode & 0o7777, 0o777);
});

test('a backing that the kernel refuses fails the open, and nothing stays open', async () => {
  const { path } = largeFile();
  fs.closeSync(fs.openSync(path, 'r'));
  const file = localFile(path);
  await untilFree(file);
  setxattr(path, 'user.unfit', Buffer.from('1'));
  for (let i = 0; i < 3; i++) assert.throws(() => fs.openSync(path, 'r+'), { code: 'EIO' });
  assert.equal(isFree(file), true);
});

test('where the kernel takes no backings none are supported, and it is logged why', () => {
  const logged: unknown[] = [];
  const silent = () => {};
  const log = { debug: silent, warn: silent, error: silent, info: (details: object) => logged.push(details) };
  const device = fs.openSync('/dev/null', 'r+');
  withFile(join(local, 'probe'), 'w+', (fd) => assert.equal(new BackingFiles(device, log).probe(fd), false));
  fs.closeSync(device);
  assert.match(JSON.stringify(logged), /ENOTTY/);
});

test('opening and closing thousands of times leaves nothing behind', async () => {
  const { path } = largeFile();
  const file = localFile(path);
  const before = Number(fs.readFileSync('/proc/sys/fs/file-nr', 'utf8').split('\t')[0]);
  for (let i = 0; i < 2_500; i++) {
    const one = fs.openSync(path, 'r');
    fs.closeSync(fs.openSync(path, 'r+'));
    fs.closeSync(one);
  }
  await mount.order({ kind: 'drain' });
  assert.equal(isFree(file), true);
  const after = Number(fs.readFileSync('/proc/sys/fs/file-nr', 'utf8').split('\t')[0]);
  assert.ok(after - before < 1_000, `${after - before} files more are open in the whole system`);
});

test('throughput, for the record', (t) => {
  const block = Buffer.alloc(1 << 20, 7);
  const rate = (path: string) => {
    const speeds = ['w', 'r'].map((flags) =>
      withFile(path, flags === 'w' ? O_WRONLY | O_CREAT : O_RDONLY, (fd) => {
        const start = performance.now();
        for (let i = 0; i < 64; i++) {
          if (flags === 'w') fs.writeSync(fd, block, 0, block.length, i * block.length);
          else fs.readSync(fd, block, 0, block.length, i * block.length);
        }
        return Math.round(64_000 / (performance.now() - start));
      }),
    );
    fs.rmSync(path);
    return `writes ${speeds[0]} MiB/s, reads ${speeds[1]} MiB/s`;
  };
  t.diagnostic(`local file:  ${rate(join(local, 'rate'))}`);
  t.diagnostic(`passthrough: ${rate(largeFile().path)}`);
});
