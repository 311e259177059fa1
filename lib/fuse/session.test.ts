import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { MemoryMount } from './memory-mount.test-support.js';
import {
  copyFileRange,
  fallocate,
  getxattr,
  linkDescriptor,
  listxattr,
  lseek,
  mknod,
  nameToHandle,
  O_TMPFILE,
  openByHandle,
  pread,
  pwrite,
  removexattr,
  renameat2,
  SEEK_DATA,
  SEEK_HOLE,
  setxattr,
  statx,
  utimensat,
  UTIME_NOW,
  UTIME_OMIT,
} from './posix-calls.test-support.js';

let mount: MemoryMount;
let root: string;

before(async () => {
  mount = await MemoryMount.start();
  root = mount.path;
});

after(() => mount.unmount());

let made = 0;

/** A path that is not used yet. */
function fresh(): string {
  return join(root, `x${made++}`);
}

function fileWith(text: string): string {
  const path = fresh();
  fs.writeFileSync(path, text);
  return path;
}

function withFile<T>(path: string, flags: string | number, use: (fd: number) => T): T {
  const fd = fs.openSync(path, flags);
  try {
    return use(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function mode(path: string): number {
  return fs.lstatSync(path).mode & 0o7777;
}

/** Runs a shell command as a plain user. */
function asNobody(command: string): { status: number | null; stderr: string } {
  return spawnSync('sh', ['-c', command], { uid: 65534, gid: 65534, encoding: 'utf8' });
}

test('a file is created, written, read, appended to and truncated', () => {
  const path = fileWith('hello');
  assert.equal(fs.readFileSync(path, 'utf8'), 'hello');
  fs.appendFileSync(path, ' world');
  assert.equal(fs.readFileSync(path, 'utf8'), 'hello world');
  fs.truncateSync(path, 4);
  assert.equal(fs.readFileSync(path, 'utf8'), 'hell');
  fs.truncateSync(path, 6);
  assert.deepEqual(fs.readFileSync(path), Buffer.from('hell\0\0'));
  fs.writeFileSync(path, '');
  assert.equal(fs.statSync(path).size, 0);
  assert.throws(() => fs.openSync(path, 'wx'), { code: 'EEXIST' });
});

test('megabytes arrive as they were written, through the page cache and directly', () => {
  const data = Buffer.alloc(3_500_001);
  for (let i = 0; i < data.length; i += 7) data[i] = i % 251;
  const path = fresh();
  fs.writeFileSync(path, data);
  fs.writeFileSync('/proc/sys/vm/drop_caches', '1');
  assert.ok(fs.readFileSync(path).equals(data));
  setxattr(path, 'user.direct', Buffer.from('1'));
  assert.ok(fs.readFileSync(path).equals(data));
  withFile(path, fs.constants.O_RDWR, (fd) => assert.equal(fs.writeSync(fd, 'direct', 100), 6));
  assert.equal(fs.readFileSync(path).toString('latin1', 100, 106), 'direct');
});

test('names are bytes, up to 255 of them', () => {
  const name = Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0xfe, 0x20, 0xc3])]);
  fs.writeFileSync(name, 'bytes');
  assert.equal(fs.readFileSync(name, 'utf8'), 'bytes');
  const listed = fs.readdirSync(root, { encoding: 'buffer' }).map((entry) => entry.toString('latin1'));
  assert.ok(listed.includes('\xff\xfe \xc3'));
  fs.unlinkSync(name);
  fs.writeFileSync(join(root, 'n'.repeat(255)), '');
  fs.unlinkSync(join(root, 'n'.repeat(255)));
  for (const length of [256, 1000]) {
    const path = join(root, 'n'.repeat(length));
    assert.throws(() => fs.writeFileSync(path, ''), { code: 'ENAMETOOLONG' });
    assert.throws(() => fs.mkdirSync(path), { code: 'ENAMETOOLONG' });
    assert.throws(() => fs.renameSync(root, path), { code: /EXDEV|EBUSY|ENAMETOOLONG|EINVAL/ });
    assert.throws(() => fs.statSync(path), { code: 'ENAMETOOLONG' });
  }
});

test('directories are made, listed, counted and removed', () => {
  const path = fresh();
  fs.mkdirSync(path, 0o750);
  assert.equal(mode(path), 0o750);
  fs.mkdirSync(join(path, 'sub'));
  assert.equal(fs.statSync(path).nlink, 3);
  assert.throws(() => fs.rmdirSync(path), { code: 'ENOTEMPTY' });
  assert.throws(() => fs.mkdirSync(path), { code: 'EEXIST' });
  fs.rmdirSync(join(path, 'sub'));
  assert.equal(fs.statSync(path).nlink, 2);
  assert.deepEqual(fs.readdirSync(path), []);
  withFile(path, 'r', (fd) => fs.fsyncSync(fd));
  fs.rmdirSync(path);
  assert.throws(() => fs.statSync(path), { code: 'ENOENT' });
});

test('a large directory is listed completely, also while it is emptied', () => {
  const path = fresh();
  fs.mkdirSync(path);
  const names = Array.from({ length: 3000 }, (_, i) => `entry-${i}`);
  for (const name of names) fs.closeSync(fs.openSync(join(path, name), 'w'));
  assert.deepEqual(new Set(fs.readdirSync(path)), new Set(names));
  assert.deepEqual(new Set(fs.readdirSync(path)), new Set(names), 'from the cached listing');
  fs.unlinkSync(join(path, 'entry-7'));
  assert.equal(fs.readdirSync(path).length, 2999);
  const types = fs.readdirSync(path, { withFileTypes: true });
  assert.ok(types.every((entry) => entry.isFile()));
  execFileSync('rm', ['-r', path]);
  assert.equal(fs.existsSync(path), false);
});

test('the umask is applied, and set-group-id directories pass on their group', () => {
  const before = process.umask(0o027);
  try {
    const path = fresh();
    fs.mkdirSync(path, 0o777);
    assert.equal(mode(path), 0o750);
    fs.writeFileSync(join(path, 'file'), '', { mode: 0o666 });
    assert.equal(mode(join(path, 'file')), 0o640);
    fs.chownSync(path, 0, 99);
    fs.chmodSync(path, 0o2775);
    fs.writeFileSync(join(path, 'inherits'), '');
    assert.equal(fs.statSync(join(path, 'inherits')).gid, 99);
  } finally {
    process.umask(before);
  }
});

test('special files, symbolic links and hard links', () => {
  const fifo = fresh();
  mknod(fifo, fs.constants.S_IFIFO | 0o600, 0);
  assert.ok(fs.lstatSync(fifo).isFIFO());
  const device = fresh();
  mknod(device, fs.constants.S_IFCHR | 0o600, 0x105);
  const stat = statx(device);
  assert.deepEqual([stat.rdevMajor, stat.rdevMinor], [1, 5]);
  assert.equal(fs.statSync(device).rdev, 0x105);

  const symlink = fresh();
  const target = `../${'t'.repeat(3000)}`;
  fs.symlinkSync(target, symlink);
  assert.equal(fs.readlinkSync(symlink), target);
  assert.equal(fs.readlinkSync(symlink), target, 'cached');
  assert.equal(fs.lstatSync(symlink).size, target.length);

  const path = fileWith('linked');
  const other = fresh();
  fs.linkSync(path, other);
  assert.equal(fs.statSync(path).nlink, 2);
  assert.equal(fs.statSync(other).ino, fs.statSync(path).ino);
  assert.throws(() => fs.linkSync(path, other), { code: 'EEXIST' });
  fs.unlinkSync(path);
  assert.equal(fs.statSync(other).nlink, 1);
  assert.equal(fs.readFileSync(other, 'utf8'), 'linked');
});

test('rename, over a file, across directories, without replacing, exchanging, and leaving a whiteout', () => {
  const [a, b] = [fileWith('a'), fileWith('b')];
  const directory = fresh();
  fs.mkdirSync(directory);
  assert.throws(() => renameat2(a, b, 1), { code: 'EEXIST' });
  renameat2(a, b, 2);
  assert.equal(fs.readFileSync(a, 'utf8'), 'b');
  fs.renameSync(a, b);
  assert.equal(fs.existsSync(a), false);
  assert.equal(fs.readFileSync(b, 'utf8'), 'b');
  fs.renameSync(b, join(directory, 'c'));
  assert.equal(fs.readFileSync(join(directory, 'c'), 'utf8'), 'b');
  renameat2(join(directory, 'c'), join(directory, 'd'), 4);
  assert.ok(fs.lstatSync(join(directory, 'c')).isCharacterDevice());
  const full = fresh();
  fs.mkdirSync(full);
  assert.throws(() => fs.renameSync(full, directory), { code: 'ENOTEMPTY' });
});

test('an unlinked file stays readable until it is closed', () => {
  const path = fileWith('still here');
  withFile(path, 'r+', (fd) => {
    fs.unlinkSync(path);
    assert.equal(fs.fstatSync(fd).nlink, 0);
    fs.writeSync(fd, 'STILL', 0);
    const into = Buffer.alloc(10);
    fs.readSync(fd, into, 0, 10, 0);
    assert.equal(into.toString(), 'STILL here');
    fs.fchmodSync(fd, 0o600);
    fs.ftruncateSync(fd, 2);
    assert.equal(fs.fstatSync(fd).size, 2);
  });
});

test('a file without a name (O_TMPFILE) gets one by linkat', () => {
  const path = fresh();
  withFile(root, O_TMPFILE | fs.constants.O_RDWR, (fd) => {
    fs.writeSync(fd, 'nameless');
    assert.equal(fs.fstatSync(fd).nlink, 0);
    linkDescriptor(fd, path);
    assert.equal(fs.fstatSync(fd).nlink, 1);
  });
  assert.equal(fs.readFileSync(path, 'utf8'), 'nameless');
});

test('times have nanoseconds, may lie before 1970, and may be now or left alone', () => {
  const path = fileWith('');
  utimensat(path, { s: -1_000_000_000, ns: 123_456_789 }, { s: 4_000_000_000, ns: 1 });
  let stat = statx(path);
  assert.deepEqual(stat.atime, { s: -1_000_000_000, ns: 123_456_789 });
  assert.deepEqual(stat.mtime, { s: 4_000_000_000, ns: 1 });
  const now = Date.now() / 1000;
  utimensat(path, UTIME_OMIT, UTIME_NOW);
  stat = statx(path);
  assert.deepEqual(stat.atime, { s: -1_000_000_000, ns: 123_456_789 });
  assert.ok(Math.abs(stat.mtime.s - now) < 5);
  assert.ok(Math.abs(stat.ctime.s - now) < 5);
});

test('statx shows when a file was born', () => {
  const path = fileWith('');
  const born = statx(path).btime;
  assert.ok(Math.abs(born.s - Date.now() / 1000) < 5);
  assert.equal(statx(path).mask & 0x800, 0x800);
  utimensat(path, { s: 1, ns: 0 }, { s: 1, ns: 0 });
  assert.deepEqual(statx(path).btime, born);
});

test('what the kernel caches of attributes follows each operation', () => {
  const path = fileWith('abc');
  const old = { s: 1000, ns: 0 };
  const directory = fs.statSync(root, { bigint: true });
  utimensat(path, old, old);
  const touched = (change: () => void) => {
    const before = fs.statSync(path, { bigint: true });
    change();
    const after = fs.statSync(path, { bigint: true });
    return { before, after, ctime: after.ctimeNs > before.ctimeNs, mtime: after.mtimeNs > before.mtimeNs };
  };
  const chmod = touched(() => fs.chmodSync(path, 0o640));
  assert.deepEqual([chmod.after.mode & 0o7777n, chmod.ctime, chmod.mtime], [0o640n, true, false]);
  const write = touched(() => withFile(path, 'r+', (fd) => fs.writeSync(fd, 'longer than before')));
  assert.deepEqual([write.after.size, write.ctime, write.mtime], [18n, true, true]);
  const linked = fresh();
  const link = touched(() => fs.linkSync(path, linked));
  assert.deepEqual([link.after.nlink, link.ctime, link.mtime], [2n, true, false]);
  const unlink = touched(() => fs.unlinkSync(linked));
  assert.deepEqual([unlink.after.nlink, unlink.ctime], [1n, true]);
  const xattr = touched(() => setxattr(path, 'user.k', Buffer.from('v')));
  assert.equal(xattr.ctime, true);
  const truncate = touched(() => withFile(path, 'w', () => {}));
  assert.deepEqual([truncate.after.size, truncate.ctime, truncate.mtime], [0n, true, true]);
  const after = fs.statSync(root, { bigint: true });
  assert.ok(after.mtimeNs > directory.mtimeNs && after.ctimeNs > directory.ctimeNs);
});

test('set-user-id and set-group-id end when a plain user changes the file, or anyone its owner', () => {
  const privileged = () => {
    const path = fileWith('#!');
    fs.chownSync(path, 65534, 65534);
    fs.chmodSync(path, 0o6777);
    assert.equal(mode(path), 0o6777);
    return path;
  };
  for (const command of ['echo more >> "$F"', ': > "$F"', 'truncate -s 1 "$F"', 'fallocate -l 100 "$F"']) {
    const path = privileged();
    const result = asNobody(`F=${path}; ${command}`);
    assert.deepEqual([result.status, result.stderr], [0, '']);
    assert.equal(mode(path), 0o777, command);
  }
  const chowned = privileged();
  fs.chownSync(chowned, 1, 1);
  assert.equal(mode(chowned), 0o777);
  const keeps = privileged();
  fs.appendFileSync(keeps, 'by root');
  assert.equal(mode(keeps), 0o6777);
});

test('permissions are checked for whoever calls', () => {
  const path = fileWith('secret');
  fs.chmodSync(path, 0o600);
  assert.match(asNobody(`cat ${path}`).stderr, /Permission denied/);
  fs.chmodSync(path, 0o644);
  assert.equal(asNobody(`cat ${path}`).status, 0);
  assert.match(asNobody(`touch ${root}/mine`).stderr, /Permission denied/);
  const open = fresh();
  fs.mkdirSync(open);
  fs.chmodSync(open, 0o1777);
  assert.equal(asNobody(`touch ${open}/mine`).status, 0);
  assert.deepEqual([fs.statSync(`${open}/mine`).uid, fs.statSync(`${open}/mine`).gid], [65534, 65534]);
});

test('holes are found, made and filled', () => {
  const path = fresh();
  withFile(path, 'w+', (fd) => {
    fs.writeSync(fd, Buffer.alloc(4096, 1), 0, 4096, 65536);
    assert.equal(lseek(fd, 0, SEEK_DATA), 65536);
    assert.equal(lseek(fd, 65536, SEEK_HOLE), 65536 + 4096);
    assert.equal(lseek(fd, 0, SEEK_HOLE), 0);
    assert.throws(() => lseek(fd, 65536 + 4096, SEEK_DATA), { code: 'ENXIO' });
    fallocate(fd, 0, 0, 200_000);
    assert.equal(fs.fstatSync(fd).size, 200_000);
    fallocate(fd, 3, 65536, 4096);
    assert.throws(() => lseek(fd, 0, SEEK_DATA), { code: 'ENXIO' });
    const into = Buffer.alloc(10, 9);
    fs.readSync(fd, into, 0, 10, 65536);
    assert.deepEqual(into, Buffer.alloc(10));
    assert.throws(() => fallocate(fd, 8, 0, 4096), { code: 'EOPNOTSUPP' });
  });
});

test('copy_file_range copies within the mount', () => {
  const source = fileWith('0123456789');
  const target = fileWith('..........');
  withFile(source, 'r', (from) => withFile(target, 'r+', (to) => assert.equal(copyFileRange(from, 2n, to, 4n, 5), 5)));
  assert.equal(fs.readFileSync(target, 'utf8'), '....23456.');
});

test('offsets beyond 2^53 are past the end of every file, or EFBIG', () => {
  const path = fileWith('x');
  withFile(path, 'r+', (fd) => {
    for (const offset of [2n ** 53n, 2n ** 60n]) {
      assert.equal(pread(fd, Buffer.alloc(10), offset), 0);
      assert.throws(() => pwrite(fd, Buffer.from('x'), offset), { code: 'EFBIG' });
      assert.throws(() => lseek(fd, offset, SEEK_DATA), { code: 'ENXIO' });
      assert.throws(() => copyFileRange(fd, 0n, fd, offset, 1), { code: 'EFBIG' });
    }
    assert.throws(() => fallocate(fd, 0, 2 ** 53 - 10, 4096), { code: 'EFBIG' });
    assert.equal(pwrite(fd, Buffer.from('far'), 2n ** 45n), 3);
    assert.equal(fs.fstatSync(fd).size, 2 ** 45 + 3);
  });
  assert.equal(fs.statSync(path).size, 2 ** 45 + 3);
});

test('extended attributes: set, get, list, remove, and the errors in between', () => {
  const path = fileWith('');
  setxattr(path, 'user.one', Buffer.from('1'));
  setxattr(path, 'user.two', Buffer.from('zwei'), 1);
  assert.throws(() => setxattr(path, 'user.two', Buffer.from('2'), 1), { code: 'EEXIST' });
  assert.throws(() => setxattr(path, 'user.three', Buffer.from('3'), 2), { code: 'ENODATA' });
  assert.equal(getxattr(path, 'user.two').toString(), 'zwei');
  assert.throws(() => getxattr(path, 'user.two', 3), { code: 'ERANGE' });
  assert.deepEqual(listxattr(path), ['user.one', 'user.two']);
  removexattr(path, 'user.one');
  assert.throws(() => getxattr(path, 'user.one'), { code: 'ENODATA' });
  assert.throws(() => removexattr(path, 'user.one'), { code: 'ENODATA' });
  const large = Buffer.alloc(65536, 7);
  setxattr(path, 'user.large', large);
  assert.ok(getxattr(path, 'user.large').equals(large));
  assert.deepEqual(listxattr(fileWith('')), []);
});

test('statfs shows what the filesystem says', () => {
  const statfs = fs.statfsSync(root);
  assert.deepEqual([statfs.bsize, statfs.blocks, statfs.bfree, statfs.bavail], [4096, 2 ** 30, 2 ** 29, 2 ** 28]);
});

test('df and the mount table show the source and fuse.weft', () => {
  const line = fs
    .readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .find((each) => each.includes(root));
  assert.match(line!, /^memory \S+ fuse\.weft rw,.*default_permissions,allow_other/);
});

test('locks are kept by the kernel', () => {
  const path = fileWith('');
  const held = spawnSync('flock', ['-n', path, 'flock', '-n', path, 'true']);
  assert.equal(held.status, 1, 'a second lock is refused');
  assert.equal(spawnSync('flock', ['-n', path, 'true']).status, 0);
});

test('fsync and fdatasync return', () => {
  withFile(fileWith('x'), 'r+', (fd) => {
    fs.fsyncSync(fd);
    fs.fdatasyncSync(fd);
  });
});

test('a file handle finds its file again, and an ended one is ESTALE', () => {
  const path = fileWith('by handle');
  const handle = nameToHandle(path);
  const directory = fs.openSync(root, 'r');
  try {
    fs.writeFileSync('/proc/sys/vm/drop_caches', '2');
    const fd = openByHandle(directory, handle, fs.constants.O_RDONLY);
    assert.equal(fs.readFileSync(fd, 'utf8'), 'by handle');
    fs.closeSync(fd);
    fs.unlinkSync(path);
    fs.writeFileSync('/proc/sys/vm/drop_caches', '2');
    assert.throws(() => openByHandle(directory, handle, fs.constants.O_RDONLY), { code: 'ESTALE' });
  } finally {
    fs.closeSync(directory);
  }
});

test('a memory-mapped program runs from the mount', () => {
  const path = join(root, 'true');
  fs.copyFileSync('/bin/true', path);
  fs.chmodSync(path, 0o755);
  assert.equal(spawnSync(path).status, 0);
});

test('opening a directory, flushing and checking access cost no request', async () => {
  const path = fileWith('x');
  fs.readdirSync(root);
  fs.accessSync(path);
  fs.readFileSync(path);
  const count = async () => {
    const counts = (await mount.order({ kind: 'counts' })) as Map<string, number>;
    return ['OPENDIR', 'FLUSH', 'ACCESS', 'READDIR', 'READDIRPLUS', 'LOOKUP', 'GETATTR'].map(
      (name) => counts.get(name) ?? 0,
    );
  };
  const before = await count();
  for (let i = 0; i < 100; i++) {
    fs.readdirSync(root);
    fs.accessSync(path);
    fs.closeSync(fs.openSync(path, 'r'));
    fs.existsSync(join(root, 'not there'));
  }
  const after = await count();
  assert.equal(after[0], before[0], 'OPENDIR');
  assert.equal(after[1], before[1], 'FLUSH');
  assert.equal(after[2], before[2], 'ACCESS');
  assert.ok(after[3]! + after[4]! - before[3]! - before[4]! <= 2, 'READDIR');
  assert.ok(after[5]! - before[5]! <= 2, 'LOOKUP, of a name that is not there too');
});

test('forgetting a whole tree at once disturbs nothing', async () => {
  await mount.order({ kind: 'many', directory: 'storm', count: 50_000 });
  const listed = execFileSync('find', [join(root, 'storm')], { maxBuffer: 1 << 26, encoding: 'utf8' });
  assert.equal(listed.trim().split('\n').length, 50_001);
  fs.writeFileSync('/proc/sys/vm/drop_caches', '2');
  assert.equal(fs.statSync(join(root, 'storm', 'f49999')).isFile(), true);
  const counts = (await mount.order({ kind: 'counts' })) as Map<string, number>;
  assert.ok((counts.get('BATCH_FORGET') ?? 0) + (counts.get('FORGET') ?? 0) > 0);
});
