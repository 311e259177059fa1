// mounted.test.ts — what concerns a mount as a whole: remounting it, its atime options, handles that outlive it (NFS), what inotify(7) tells of
// other sites, and that the extremes of names, times and attributes are kept.
// Needs root and /dev/fuse.

import assert from 'node:assert/strict';
import {
  closeSync,
  constants,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { mkdir, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster } from '../scripts/sites/cluster.js';
import { runChecked } from '../scripts/sites/command.js';
import type { Site } from '../scripts/sites/site.js';
import { close, copyFileRange, pread, pwrite } from './posix/file-calls.js';
import { Watch } from './posix/inotify.js';
import { must } from './posix/libc.js';
import {
  nameToHandle,
  newHandle,
  O_DIRECTORY,
  O_NOATIME,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  open,
  openByHandle,
} from './posix/path-calls.js';
import { fstat, lstat } from './posix/stat.js';

const PATIENCE_MS = 20_000;
/** So long after a small new file the next one is written by the kernel itself. */
const PAST_BURST_MS = 150;
/** Long after a file that was closed has become a version. */
const LATE_MS = 400;
/** Longer than a tick of the slowest kernel clock (HZ=100). */
const TICK_MS = 15;
/** The kernel reads and writes a file of this size in a local file. */
const LARGE_BYTES = 1 << 20;

/** Reads a file, which the kernel may have in its cache; returns its atime before and after. */
function atimesOfReading(path: string): [before: bigint, after: bigint] {
  const fd = must('open', open(path, O_RDONLY));
  const before = fstat(fd).atime;
  must('pread', pread(fd, Buffer.alloc(10), 0));
  must('close', close(fd));
  return [before, lstat(path).atime];
}

/** `first`: an atime that is older than the last change moves; `second`: a later one, too. */
async function looksAtReading(path: string, first: boolean, second: boolean): Promise<void> {
  const old = atimesOfReading(path);
  assert.equal(old[1] > old[0], first);
  if (!first) await utimes(path, 3000, 2000);
  await sleep(TICK_MS);
  const late = atimesOfReading(path);
  assert.equal(late[1] > late[0], second);
}

/** Times from 1901 to 2446 and beyond, all that a file can have, and a path as long as one can be. */
const WRITE_EXTREMES = `
  set -euo pipefail
  cd "$1"; mkdir times attributes
  for time in -2147483648 -2147483647.999999999 -0.000000001 0 2147483647.999999999 2147483648 15032385534.999999999 15032385535; do
    : > times/$time; mkdir times/d$time; ln -s target times/s$time
    touch -h -d @$time times/$time times/d$time times/s$time
  done
  # What no register holds becomes what is nearest.
  for time in -9223372036854775808 -8796093022209.5 8796093022208.5 9007199254740993 9223372036854775807; do
    echo content > times/$time; touch -d @$time times/$time
  done
  cd attributes
  for mode in 0 1777 2755 4711 7777; do : > $mode; chown 4294967294:61001 $mode; chmod $mode $mode; done
  mkfifo pipe; mknod null c 1 3; mknod loop b 4095 1048575
  : > attributed
  setfattr -n user.$(printf 'n%.0s' {1..250}) -v value attributed
  setfattr -n user.large -v 0x$(printf '00ff%.0s' {1..1500}) attributed
  setfattr -n trusted.one -v secret attributed
  setfacl -m u:1234:rw,g:2345:r,m::rw attributed
  setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 attributed # cap_net_raw+ep
  mkdir listed; setfacl -d -m u:1234:rwx,o::- listed
  cd ..
  name=$(printf 'p%.0s' {1..255})
  mkdir deep; cd deep
  for depth in {1..14}; do mkdir $name; cd $name; done
  : > $name
`;

/** {@link WRITE_EXTREMES}, a file of 1000 names, and names of 255 bytes of every value. */
async function writeExtremes(top: string): Promise<void> {
  mkdirSync(join(top, 'names'), { recursive: true });
  for (let byte = 1; byte < 256; byte++) {
    if (byte === 0x2f || byte === 0x2e) continue;
    writeFileSync(Buffer.concat([Buffer.from(`${top}/names/`), Buffer.alloc(255, byte)]), String(byte));
  }
  mkdirSync(join(top, 'links'));
  writeFileSync(join(top, 'links/0'), 'linked');
  for (let i = 1; i < 1000; i++) linkSync(join(top, 'links/0'), join(top, `links/${i}`));
  await runChecked('bash', ['-c', WRITE_EXTREMES, 'bash', top]);
}

/** All that find(1) and getfattr(1) see of a tree. */
async function extremes(top: string): Promise<string> {
  const script = `
    set -euo pipefail; cd "$1"
    find . -printf '%P %y %m %U:%G %n %s %T@ %l\\0' | sort -z | base64 -w 0
    find times links attributes -printf '%P %y %m %U:%G %n %s %T@ %l\\n' | sort
    stat -c '%n %t %T' attributes/null attributes/loop
    cd attributes; getfattr -h -d -m - -e hex attributed listed
  `;
  return runChecked('bash', ['-c', script, 'bash', top], { env: { LC_ALL: 'C' } });
}

/** Bytes on disk of what is written to files and is no version yet, and of what is kept of versions. */
function spaceOfLocalFiles({ state }: Site): number {
  const work = join(state, 'work');
  return readdirSync(work).reduce((sum, name) => sum + statSync(join(work, name)).blocks * 512, 0);
}

describe('a mount', () => {
  const cluster = new Cluster('weft-mounted');
  let here: Site;
  let there: Site;

  before(async () => {
    here = cluster.addSite('here');
    await here.create('mounted');
    there = cluster.addSite('there');
    await there.join(await here.invite());
  });
  after(() => cluster.close());

  // -i: mount(8) would hand the mount of a fuse.TYPE to a program that is named TYPE (mount.fuse3(8)).
  test('remounted read-only, what is written is refused with EROFS, and other sites still show', async () => {
    const path = join(here.mountpoint, 'remounted');
    await writeFile(path, 'first');
    await runChecked('mount', ['-i', '-o', 'remount,ro', here.mountpoint]);
    try {
      assert.equal(await readFile(path, 'utf8'), 'first');
      await assert.rejects(writeFile(path, 'second'), { code: 'EROFS' });
      await assert.rejects(rm(path), { code: 'EROFS' });
      await here.sync();
      await writeFile(join(there.mountpoint, 'remounted'), 'from there');
      await there.sync();
      assert.equal(await readFile(path, 'utf8'), 'from there');
    } finally {
      await runChecked('mount', ['-i', '-o', 'remount,rw', here.mountpoint]);
    }
    await writeFile(path, 'third');
    assert.equal(await readFile(path, 'utf8'), 'third');
  });

  for (const [option, first, second] of [
    ['relatime', true, false],
    ['strictatime', true, true],
    ['noatime', false, false],
  ] as const) {
    test(`mounted with ${option}, reading ${first ? 'moves' : 'does not move'} an atime that is older than mtime, and ${second ? 'moves' : 'does not move'} a later one`, async () => {
      const site = cluster.addSite(option, [option]);
      await site.create(option);
      const path = join(site.mountpoint, 'read');
      await writeFile(path, 'content');
      await utimes(path, 1000, 2000);
      await sleep(TICK_MS);
      await writeFile(join(site.mountpoint, 'before'), 'content'); // the one after it is written through the page cache
      await writeFile(join(site.mountpoint, 'new'), Buffer.alloc(8192, 'content'));
      await sleep(TICK_MS);
      const fresh = atimesOfReading(join(site.mountpoint, 'new'));
      assert.equal(fresh[1] > fresh[0], first, 'of a file that was just written');
      await looksAtReading(path, first, second);
    });

    // The kernel reads it by itself, and tells nobody.
    test(`mounted with ${option}, the same of a large file, as it was written, once it is a version, and open`, async () => {
      const site = cluster.addSite(`${option}-large`, [option]);
      await site.create(`${option}-large`);
      const path = join(site.mountpoint, 'read');
      await writeFile(path, Buffer.alloc(LARGE_BYTES, 'content'));
      for (const settle of [() => Promise.resolve(), () => site.sync()]) {
        await settle();
        await utimes(path, 1000, 2000);
        await sleep(TICK_MS);
        await looksAtReading(path, first, second);
      }
      const fd = must('open', open(path, O_RDWR));
      try {
        await utimes(path, 1000, 2000);
        assert.equal(fstat(fd).atime, 1000n * 1_000_000_000n, 'what was set counts, whatever was read before');
        await sleep(TICK_MS);
        await looksAtReading(path, first, second);
        must('pwrite', pwrite(fd, Buffer.from('changed'), 0));
        await sleep(TICK_MS);
        await looksAtReading(path, first, second);
      } finally {
        must('close', close(fd));
      }
      const { atime } = lstat(path);
      await sleep(TICK_MS);
      closeSync(openSync(path, 'r'));
      assert.equal(lstat(path).atime, atime, 'opening it is not reading it');
    });
  }

  test('copying a file by copy_file_range(2), as cp does, is reading it, unless it was opened with O_NOATIME', async () => {
    for (const [bytes, flags] of [
      [8192, 0],
      [LARGE_BYTES, 0],
      [8192, O_NOATIME],
      [LARGE_BYTES, O_NOATIME],
    ] as const) {
      const path = join(here.mountpoint, `copied-${bytes}-${flags}`);
      await writeFile(path, Buffer.alloc(bytes, 'content'));
      await utimes(path, 1000, 2000);
      const from = must('open', open(path, O_RDONLY | flags));
      const to = openSync(`${path}-to`, 'w');
      assert.equal(must('copy_file_range', copyFileRange(from, 0, to, 0, bytes)), bytes);
      must('close', close(from));
      closeSync(to);
      // The kernel is told a moment after.
      const until = performance.now() + (flags === 0 ? PATIENCE_MS : LATE_MS);
      while (lstat(path).atime < 1_000_000n * 1_000_000_000n && performance.now() < until) await sleep(1);
      assert.equal(lstat(path).atime === 1000n * 1_000_000_000n, flags !== 0, `${bytes} bytes`);
    }
  });

  test('mounted with nodiratime, reading a directory does not move its atime, reading a file does', async () => {
    const site = cluster.addSite('nodiratime', ['nodiratime']);
    await site.create('nodiratime');
    const directory = join(site.mountpoint, 'listed');
    await mkdir(directory);
    const path = join(directory, 'read');
    await writeFile(path, 'content');
    for (const one of [path, directory]) await utimes(one, 1000, 2000);
    await sleep(TICK_MS);
    assert.deepEqual(await readdir(directory), ['read']);
    assert.equal(lstat(directory).atime, 1000n * 1_000_000_000n);
    const [before, after] = atimesOfReading(path);
    assert.ok(after > before);
  });

  test('the extremes of names, paths, times, links and attributes are kept by SIGKILL, by unmounting, and at another site', async () => {
    const top = join(here.mountpoint, 'extremes');
    await writeExtremes(top);
    const expected = await extremes(top);
    assert.match(expected, /-2147483648\.0000000000/);
    assert.match(expected, /15032385535\.0000000000/);
    assert.match(expected, /\n9223372036854775807 f .* 8796093022208\.0000000000/);
    assert.match(expected, /\n-9223372036854775808 f .* -8796093022208\.0000000000/);
    await here.kill();
    await here.mount();
    assert.equal(await extremes(top), expected, 'after SIGKILL');
    await here.umount();
    await here.mount();
    assert.equal(await extremes(top), expected, 'after unmounting');
    await cluster.settle([here, there]);
    assert.equal(await extremes(join(there.mountpoint, 'extremes')), expected, 'at the other site');
  });

  test('a handle is good for the same file after the daemon was started again, and stale once that is gone', async () => {
    const path = join(here.mountpoint, 'handled');
    await writeFile(path, 'content');
    const handle = newHandle();
    must('name_to_handle_at', nameToHandle(path, handle));
    await here.umount();
    await here.mount();
    const mount = must('open', open(here.mountpoint, O_RDONLY | O_DIRECTORY));
    try {
      const fd = must('open_by_handle_at', openByHandle(mount, handle, O_RDONLY));
      assert.equal(fstat(fd).size, 7n);
      must('close', close(fd));
      await rm(path);
      assert.equal(openByHandle(mount, handle, O_PATH), -116, 'ESTALE');
    } finally {
      must('close', close(mount));
    }
  });

  test('a removed file that only an O_PATH descriptor holds can be opened and given a name again with all that was written to it', async () => {
    for (const [name, length] of [
      ['small', 1000],
      ['large', 32 << 20],
    ] as const) {
      const path = join(here.mountpoint, name);
      const bytes = Buffer.alloc(length, name);
      writeFileSync(path, bytes);
      const fd = must('open', open(path, O_PATH));
      await rm(path);
      await sleep(LATE_MS);
      assert.deepEqual(await readFile(`/proc/self/fd/${fd}`), bytes);
      assert.ok(spaceOfLocalFiles(here) >= (length < 1 << 20 ? 0 : length), 'the local file is there');
      must('close', close(fd));
      const endMs = Date.now() + PATIENCE_MS;
      while (spaceOfLocalFiles(here) >= 16 << 20) {
        assert.ok(Date.now() < endMs, 'what nothing leads to any more takes space');
        await sleep(10);
      }

      const unnamed = must('open', open(here.mountpoint, O_TMPFILE | O_RDWR, 0o600));
      writeSync(unnamed, bytes);
      const held = must('open', open(`/proc/self/fd/${unnamed}`, O_PATH));
      must('close', close(unnamed));
      await sleep(LATE_MS);
      await runChecked('ln', ['-L', `/proc/${process.pid}/fd/${held}`, `${path} named`]);
      must('close', close(held));
      assert.deepEqual(await readFile(`${path} named`), bytes);
    }
  });

  test('umount --force does not wait for those who have files open: they get errors, and what they wrote is kept', async () => {
    const path = join(here.mountpoint, 'open at the end');
    // The kernel asks the daemon at each write.
    const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_DSYNC);
    try {
      writeSync(fd, 'kept');
      assert.match((await here.weft(['umount', here.mountpoint])).stderr, /is in use: .* --force/);
      await here.umount('--force');
      assert.throws(() => writeSync(fd, ' and lost'), /ENOTCONN|ECONNABORTED/);
    } finally {
      closeSync(fd);
    }
    await here.mount();
    assert.equal(await readFile(path, 'utf8'), 'kept');
    assert.equal((await here.weft(['fsck', here.mountpoint, '--data'])).code, 0);
  });

  test('what is written to an open file by the kernel itself is kept, and after umount --force it is there at the next mount', async () => {
    const path = join(here.mountpoint, 'written behind the end');
    await sleep(PAST_BURST_MS);
    let expected = 'before';
    const fd = openSync(path, 'w');
    try {
      writeSync(fd, 'before');
      await here.umount('--force');
      try {
        writeSync(fd, ', behind');
        expected += ', behind';
      } catch (error) {
        assert.match(String(error), /ENOTCONN|ECONNABORTED/, 'without passthrough');
      }
    } finally {
      closeSync(fd);
    }
    await here.mount();
    assert.equal(await readFile(path, 'utf8'), expected);
    await here.sync();
    assert.equal(await readFile(join(there.mountpoint, 'written behind the end'), 'utf8'), expected);
    assert.equal((await here.weft(['fsck', here.mountpoint, '--data'])).code, 0);
  });

  test('a watched file that another site removes is seen to end', async () => {
    const path = join(here.mountpoint, 'watched');
    await writeFile(path, 'content');
    await here.sync();
    const watch = new Watch(path);
    try {
      await rm(join(there.mountpoint, 'watched'));
      await there.sync();
      const seen: string[] = [];
      for (const until = Date.now() + PATIENCE_MS; !seen.includes('DELETE_SELF') && Date.now() < until; await sleep(20))
        seen.push(...watch.events());
      assert.deepEqual(seen, ['DELETE_SELF', 'IGNORED']);
    } finally {
      watch.close();
    }
  });
});
