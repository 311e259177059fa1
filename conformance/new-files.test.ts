// new-files.test.ts — files through the descriptor that created them, on a real mount: the kernel writes them to local files by itself
// where it may (root), and all must be as on any filesystem, also for other openers, after close(2), and after SIGKILL of the daemon.
// Needs root and /dev/fuse.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs, { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fallocate, mapShared } from '../lib/fuse/posix-calls.test-support.js';
import { Cluster } from '../scripts/sites/cluster.js';
import type { Site } from '../scripts/sites/site.js';

const { O_APPEND, O_CREAT, O_EXCL, O_RDWR, O_WRONLY } = fs.constants;
const NEW = O_CREAT | O_EXCL;
const FALLOC_KEEP_SIZE = 1;
const FALLOC_PUNCH_HOLE = 2;
/** A file that is created later than this after a small one is not taken for one of a burst, ms. */
const BURST_MS = 150;

function withFile<T>(path: string, flags: number, use: (fd: number) => T): T {
  const fd = fs.openSync(path, flags, 0o644);
  try {
    return use(fd);
  } finally {
    fs.closeSync(fd);
  }
}

describe('a file, through the descriptor that created it', () => {
  const cluster = new Cluster('weft-new-files');
  let site: Site;
  let made = 0;
  const fresh = (): string => join(site.mountpoint, `f${made++}`);
  const localFiles = (): string[] => readdirSync(join(site.state, 'work'));

  before(async () => {
    site = cluster.addSite('here');
    await site.create('new');
  });
  beforeEach(() => sleep(BURST_MS));
  after(() => cluster.close());

  test('what is written and read goes to a local file, which small files share one after the other', async () => {
    for (let i = 0; i < 3; i++) {
      const path = fresh();
      withFile(path, NEW | O_RDWR, (fd) => {
        fs.writeSync(fd, `${i}`.repeat(5000));
        assert.equal(fs.readFileSync(path, 'utf8'), `${i}`.repeat(5000));
        assert.equal(fs.fstatSync(fd).size, 5000);
      });
      assert.equal(fs.readFileSync(path, 'utf8'), `${i}`.repeat(5000));
      await sleep(BURST_MS);
    }
    assert.equal(localFiles().length, 1);
  });

  test('several openers see each other at once, by calls and through memory, and after all closed', () => {
    const path = fresh();
    withFile(path, NEW | O_RDWR, (creator) => {
      fs.writeSync(creator, 'a'.repeat(10_000), 0);
      withFile(path, O_RDWR, (other) => {
        fs.writeSync(other, 'other', 100);
        const seen = Buffer.alloc(5);
        fs.readSync(creator, seen, 0, 5, 100);
        assert.equal(seen.toString(), 'other');
        const mapping = mapShared(creator, 10_000);
        mapping.bytes.set(Buffer.from('mapped'), 200);
        fs.readSync(other, seen, 0, 5, 201);
        assert.equal(seen.toString(), 'apped');
        mapping.unmap();
        fs.ftruncateSync(other, 300);
        assert.equal(fs.fstatSync(creator).size, 300);
      });
    });
    assert.equal(fs.readFileSync(path, 'latin1').slice(95, 210), `aaaaaother${'a'.repeat(95)}mappedaaaa`);
  });

  test('memory that is mapped outlives the close, and what is stored there later is kept', async () => {
    const path = fresh();
    const mapping = withFile(path, NEW | O_RDWR, (fd) => {
      fs.writeSync(fd, 'before', 0);
      return mapShared(fd, 6);
    });
    await sleep(BURST_MS);
    fs.writeFileSync(fresh(), 'another file meanwhile');
    mapping.bytes.set(Buffer.from('after '));
    assert.equal(fs.readFileSync(path, 'utf8'), 'after ');
    mapping.unmap();
    for (const endMs = performance.now() + 5_000; performance.now() < endMs;) {
      if (fs.readFileSync(path, 'utf8') === 'after ' && localFiles().length <= 2) break;
      await sleep(10);
    }
    assert.equal(fs.readFileSync(path, 'utf8'), 'after ');
  });

  test('truncate, fallocate, holes, fsync and times are as on any filesystem', () => {
    const path = fresh();
    withFile(path, NEW | O_RDWR, (fd) => {
      fs.writeSync(fd, Buffer.alloc(20_000, 'x'), 0, 20_000, 0);
      fs.fsyncSync(fd);
      fallocate(fd, FALLOC_KEEP_SIZE | FALLOC_PUNCH_HOLE, 4096, 8192);
      fs.ftruncateSync(fd, 16_384);
      fs.truncateSync(path, 18_000);
      fs.fdatasyncSync(fd);
      assert.equal(fs.fstatSync(fd).size, 18_000);
      fs.futimesSync(fd, 1_000, 2_000);
    });
    const expected = Buffer.alloc(18_000, 'x');
    expected.fill(0, 4096, 12_288).fill(0, 16_384);
    assert.ok(fs.readFileSync(path).equals(expected));
    assert.equal(fs.statSync(path).mtimeMs, 2_000_000);
  });

  test('an unlinked file is there until it is closed', () => {
    const path = fresh();
    withFile(path, NEW | O_RDWR, (fd) => {
      fs.writeSync(fd, 'first', 0);
      fs.unlinkSync(path);
      fs.writeSync(fd, 'second', 5);
      assert.equal(fs.fstatSync(fd).nlink, 0);
      assert.equal(fs.readFileSync(fd, 'utf8'), 'firstsecond');
    });
    assert.throws(() => fs.statSync(path), { code: 'ENOENT' });
  });

  test('ctime moves with every write, whether the attributes were looked at before or not', async () => {
    const path = fresh();
    const fd = fs.openSync(path, NEW | O_WRONLY);
    try {
      let last = fs.fstatSync(fd).ctimeMs;
      for (let i = 0; i < 3; i++) {
        await sleep(15);
        fs.writeSync(fd, 'x');
        const { ctimeMs, mtimeMs, size } = fs.statSync(path);
        assert.ok(ctimeMs > last && ctimeMs >= mtimeMs, `${ctimeMs} after ${last}, mtime ${mtimeMs}`);
        assert.equal(size, i + 1);
        last = ctimeMs;
      }
    } finally {
      fs.closeSync(fd);
    }
    const { ctimeMs } = fs.statSync(path);
    await sleep(50);
    assert.equal(fs.statSync(path).ctimeMs, ctimeMs, 'nor does becoming a version');
  });

  test('two processes that append, one of which made the file, lose nothing', async () => {
    const path = fresh();
    const appender = (mark: string) =>
      once(
        spawn('sh', ['-c', `i=0; while [ $i -lt 500 ]; do printf '${mark}%03d\\n' $i; i=$((i+1)); done >>${path}`]),
        'close',
      );
    const fd = fs.openSync(path, NEW | O_WRONLY | O_APPEND);
    fs.writeSync(fd, 'head\n');
    await Promise.all([appender('a'), appender('b')]);
    fs.closeSync(fd);
    const lines = fs.readFileSync(path, 'utf8').trim().split('\n');
    assert.equal(lines.length, 1001);
    for (const mark of ['a', 'b']) {
      const own = lines.filter((line) => line.startsWith(mark));
      assert.deepEqual(
        own,
        Array.from({ length: 500 }, (_, i) => `${mark}${`${i}`.padStart(3, '0')}`),
      );
    }
  });

  for (const [what, bytes] of [
    ['small', 5_000],
    ['large', 3_000_000],
  ] as const) {
    test(`every write of a ${what} file that was acknowledged is there after SIGKILL and mounting again`, async () => {
      const path = fresh();
      const closed = fresh();
      const fd = fs.openSync(path, NEW | O_WRONLY);
      const data = Buffer.alloc(bytes, 'written ');
      for (let at = 0; at < bytes; at += 1_000) fs.writeSync(fd, data, at, 1_000, at);
      fs.writeFileSync(closed, data);
      await site.kill();
      await site.mount();
      fs.closeSync(fd);
      assert.ok(fs.readFileSync(path).equals(data));
      assert.ok(fs.readFileSync(closed).equals(data));
      await site.umount();
      await site.mount();
      assert.ok(fs.readFileSync(path).equals(data));
    });
  }
});
