// descriptors-of-paths.ts — O_PATH and /proc/self/fd, openat2(2) and its RESOLVE flags, file handles (open_by_handle_at(2)), statfs(2).

import { randomBytes } from 'node:crypto';
import { as, CALLERS, OTHER, OWNER, PLAIN_CALLERS, possible } from './callers.js';
import { close, fchmod, fsetxattr, fsync, ftruncate, pread, read, write } from './file-calls.js';
import { must, type Result } from './libc.js';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  chmod,
  chown,
  mkdir,
  nameToHandle,
  newHandle,
  O_CREAT,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  O_TRUNC,
  O_WRONLY,
  open,
  openat,
  openat2,
  openByHandle,
  readlink,
  RESOLVE,
  statfs,
  symlink,
  truncate,
  unlink,
} from './path-calls.js';
import { fstat, lstat, stat } from './stat.js';
import { KINDS, make, makeFile, SOMEBODY, TYPE_BITS } from './things.js';
import type { Part, Trial } from './trial.js';

function closing(result: Result): Result {
  return result < 0 ? result : close(result);
}

export const descriptorsOfPaths: Part = {
  syscalls: ['open', 'openat2', 'name_to_handle_at', 'open_by_handle_at', 'statfs'],
  run(trial) {
    checkPathOnly(trial);
    checkProc(trial);
    checkResolve(trial);
    checkHow(trial);
    checkHandles(trial);
    checkStatfs(trial);
  },
};

function checkPathOnly(trial: Trial): void {
  for (const kind of KINDS) {
    trial.about('open', `O_PATH of a ${kind}`);
    const path = make(kind, trial.name(), { mode: 0 });
    for (const caller of CALLERS) {
      const fd = as(caller, () => open(path, O_PATH | O_NOFOLLOW));
      if (!trial.answers(`mode 0, by ${caller.name}`, 'ok', fd)) continue;
      const { ino, type } = fstat(fd);
      trial.equal(`by ${caller.name}: inode and type`, `${ino} ${type}`, `${lstat(path).ino} ${TYPE_BITS[kind]}`);
      trial.answers(`read, by ${caller.name}`, 'EBADF', read(fd, Buffer.alloc(1)));
      trial.answers(`fchmod, by ${caller.name}`, 'EBADF', fchmod(fd, 0o777));
      trial.answers(`ftruncate, by ${caller.name}`, 'EBADF', ftruncate(fd, 0));
      trial.answers(`fsetxattr, by ${caller.name}`, 'EBADF', fsetxattr(fd, 'user.a', Buffer.from('v')));
      must('close', close(fd));
    }
    const fd = must('open', open(path, O_PATH | O_NOFOLLOW));
    trial.equal('its mode stays', lstat(path).mode, kind === 'symlink' ? 0o777 : 0);
    if (kind === 'directory') must('rmdir', closing(open(path, O_PATH)));
    else must('unlink', unlink(path));
    trial.equal('links after unlink', fstat(fd).nlink, kind === 'directory' ? 2 : 0);
    must('close', close(fd));
  }
}

function checkProc(trial: Trial): void {
  trial.about('open', '/proc/self/fd');
  const path = makeFile(trial.name(), 'content', { mode: 0o600 });
  const fd = must('open', open(path, O_PATH));
  const proc = `/proc/self/fd/${fd}`;
  const reader = open(proc, O_RDONLY);
  const bytes = Buffer.alloc(10);
  if (trial.answers('reading through it', 'ok', reader)) {
    trial.equal('bytes read', pread(reader, bytes, 0), 7);
    must('close', close(reader));
  }
  for (const caller of possible([OTHER])) {
    trial.answers(
      'by other',
      'EACCES',
      as(caller, () => open(proc, O_RDONLY)),
    );
  }
  trial.answers('by owner', 'ok', closing(as(OWNER, () => open(proc, O_RDONLY))));
  trial.answers('chmod through it', 'ok', chmod(proc, 0o640));
  trial.equal('the mode', lstat(path).mode, 0o640);
  trial.answers('truncate through it', 'ok', truncate(proc, 3));
  trial.rootStep(() => {
    trial.answers('chown through it', 'ok', chown(proc, 5, 6));
    trial.equal('size and owner', `${lstat(path).size} ${lstat(path).uid}`, '3 5');
  });
  trial.equal('stat through it', stat(proc).ino, lstat(path).ino);
  must('unlink', unlink(path));
  trial.equal('stat after unlink', stat(proc).nlink, 0);
  const again = open(proc, O_RDWR);
  if (trial.answers('opening what has no name', 'ok', again)) must('close', close(again));
  const into = Buffer.alloc(4096);
  const length = must('readlink', readlink(proc, into));
  trial.holds('readlink says that it is gone', into.toString('latin1', 0, length).endsWith(' (deleted)'));
  must('close', close(fd));
  trial.about('open', 'O_TMPFILE by /proc/self/fd');
  const unnamed = must('open', open('.', O_TMPFILE | O_RDWR, 0o600));
  trial.answers('again', 'ok', closing(open(`/proc/self/fd/${unnamed}`, O_RDONLY)));
  must('close', close(unnamed));
}

function checkResolve(trial: Trial): void {
  const top = make('directory', trial.name(), SOMEBODY);
  must('mkdir', mkdir(`${top}/in`, 0o755));
  makeFile(`${top}/in/file`, 'x');
  makeFile(`${top}/outside`, 'x');
  for (const [name, target] of [
    ['up', '../outside'],
    ['same', 'file'],
    ['absolute', '/etc/passwd'],
    ['root', '/file'],
    ['self', '/proc/self/exe'],
  ] as const)
    must('symlink', symlink(target, `${top}/in/${name}`));
  const directory = must('open', open(`${top}/in`, O_PATH));
  const cases: readonly [path: string, resolve: keyof typeof RESOLVE, answer: string][] = [
    ['file', 'beneath', 'ok'],
    ['same', 'beneath', 'ok'],
    ['../outside', 'beneath', 'EXDEV'],
    ['up', 'beneath', 'EXDEV'],
    ['absolute', 'beneath', 'EXDEV'],
    ['/etc/passwd', 'beneath', 'EXDEV'],
    ['missing', 'beneath', 'ENOENT'],
    ['file', 'inRoot', 'ok'],
    ['/file', 'inRoot', 'ok'],
    ['root', 'inRoot', 'ok'],
    ['../file', 'inRoot', 'ok'],
    ['up', 'inRoot', 'ENOENT'],
    ['absolute', 'inRoot', 'ENOENT'],
    ['file', 'noSymlinks', 'ok'],
    ['same', 'noSymlinks', 'ELOOP'],
    ['up', 'noSymlinks', 'ELOOP'],
    ['self', 'noMagicLinks', 'ELOOP'],
    ['same', 'noMagicLinks', 'ok'],
    ['file', 'noXdev', 'ok'],
    ['absolute', 'noXdev', 'EXDEV'],
    ['up', 'noXdev', 'ok'],
  ];
  for (const [path, resolve, answer] of cases) {
    trial.about('openat2', resolve);
    for (const flags of [O_RDONLY, O_PATH]) {
      const call = (): Result => closing(openat2(directory, path, { flags, resolve: RESOLVE[resolve] }));
      // With O_PATH a magic link itself may still not be followed.
      trial.decides(`${path}${flags === O_PATH ? ', O_PATH' : ''}`, answer, [top, `${top}/in`], call);
    }
  }
  trial.about('openat2', 'beneath');
  const made = { flags: O_CREAT | O_WRONLY, mode: 0o644, resolve: RESOLVE.beneath };
  trial.refuses('making something above', 'EXDEV', [top], () => openat2(directory, '../new', made));
  trial.answers('making something within', 'ok', closing(openat2(directory, 'new', made)));
  trial.about('openat2', 'cached');
  const cached = closing(openat2(directory, 'file', { flags: O_RDONLY, resolve: RESOLVE.cached }));
  trial.answers('what was just looked up', ['ok', 'EAGAIN'], cached);
  const remade = openat2(directory, 'z', { flags: O_CREAT | O_WRONLY, mode: 0o600, resolve: RESOLVE.cached });
  trial.answers('making something', 'EAGAIN', remade);
  must('close', close(directory));
}

function checkHow(trial: Trial): void {
  trial.about('openat2', 'struct open_how');
  const path = makeFile(trial.name(), 'content');
  const watched = ['.', path];
  const how = { flags: O_RDONLY };
  trial.refuses('too small', 'EINVAL', watched, () => openat2(AT_FDCWD, path, how, 16));
  trial.answers('longer, the rest 0', 'ok', closing(openat2(AT_FDCWD, path, how, 64)));
  trial.refuses('longer, the rest not 0', 'E2BIG', watched, () => openat2(AT_FDCWD, path, how, 64, 1));
  trial.refuses('an unknown resolve flag', 'EINVAL', watched, () =>
    openat2(AT_FDCWD, path, { ...how, resolve: 0x1000 }),
  );
  trial.refuses('beneath and in root', 'EINVAL', watched, () =>
    openat2(AT_FDCWD, path, { ...how, resolve: RESOLVE.beneath | RESOLVE.inRoot }),
  );
  trial.refuses('a mode without O_CREAT', 'EINVAL', watched, () => openat2(AT_FDCWD, path, { ...how, mode: 0o644 }));
  trial.refuses('mode bits above 07777', 'EINVAL', watched, () =>
    openat2(AT_FDCWD, trial.name(), { flags: O_CREAT, mode: 0o10000 }),
  );
  trial.refuses('an unknown flag', 'EINVAL', watched, () => openat2(AT_FDCWD, path, { flags: 0x4000_0000 * 2 }));
  trial.refuses('O_PATH and O_RDWR', 'EINVAL', watched, () => openat2(AT_FDCWD, path, { flags: O_PATH | O_RDWR }));
  trial.refuses('a bad descriptor', 'EBADF', watched, () => openat2(9999, path, how));
  const file = must('open', open(path, O_RDONLY));
  trial.refuses('relative to a file', 'ENOTDIR', watched, () => openat2(file, 'x', how));
  must('close', close(file));
}

function checkHandles(trial: Trial): void {
  const mount = must('open', open('.', O_RDONLY | O_DIRECTORY));
  for (const kind of KINDS) {
    trial.about('name_to_handle_at', kind);
    const path = make(kind, trial.name());
    const handle = newHandle();
    trial.answers('a handle', 'ok', nameToHandle(path, handle));
    const again = newHandle();
    must('name_to_handle_at', nameToHandle(path, again));
    trial.holds('the same handle again', handle.equals(again));
    const small = newHandle(0);
    trial.refuses('no room', 'EOVERFLOW', [path], () => nameToHandle(path, small));
    trial.equal('no room: how much is needed', small.readUInt32LE(0), handle.readUInt32LE(0));
    trial.refuses('too much room', 'EINVAL', [path], () => nameToHandle(path, newHandle(1000)));
    const fd = must('open', open(path, O_PATH | O_NOFOLLOW));
    const byDescriptor = newHandle();
    trial.answers('AT_EMPTY_PATH', 'ok', nameToHandle('', byDescriptor, AT_EMPTY_PATH, fd));
    trial.holds('AT_EMPTY_PATH: the same handle', byDescriptor.equals(handle));
    must('close', close(fd));

    trial.about('open_by_handle_at', kind);
    trial.rootStep(() => {
      const opened = openByHandle(mount, handle, O_PATH);
      if (trial.answers('O_PATH', 'ok', opened)) {
        trial.equal('its inode', fstat(opened).ino, lstat(path).ino);
        must('close', close(opened));
      }
    });
    for (const caller of PLAIN_CALLERS)
      trial.answers(
        `by ${caller.name}`,
        'EPERM',
        as(caller, () => openByHandle(mount, handle, O_PATH)),
      );
    trial.rootStep(() => {
      trial.answers('a bad descriptor', 'EBADF', openByHandle(9999, handle, O_PATH));
      if (kind === 'directory') return;
      must('unlink', unlink(path));
      trial.answers('of what is gone', 'ESTALE', openByHandle(mount, handle, O_PATH));
    });
  }
  trial.rootStep(() => checkContentByHandle(trial, mount));
  must('close', close(mount));
}

function checkContentByHandle(trial: Trial, mount: number): void {
  trial.about('open_by_handle_at', 'content');
  const path = makeFile(trial.name(), 'content');
  const handle = newHandle();
  must('name_to_handle_at', nameToHandle(path, handle));
  const fd = openByHandle(mount, handle, O_RDWR);
  if (trial.answers('O_RDWR', 'ok', fd)) {
    const bytes = Buffer.alloc(10);
    trial.equal('bytes read', pread(fd, bytes, 0), 7);
    trial.equal('which are', bytes.toString('latin1', 0, 7), 'content');
    must('close', close(fd));
  }
}

function checkStatfs(trial: Trial): void {
  trial.about('statfs');
  const directory = make('directory', trial.name());
  const look = (path: string): Buffer => {
    const struct = Buffer.alloc(120);
    trial.answers(path === directory ? 'a directory' : 'a path', 'ok', statfs(path, struct));
    return struct;
  };
  const struct = look(directory);
  const field = (at: number): bigint => struct.readBigInt64LE(at);
  const [blockSize, blocks, free, available, files, filesFree] = [8, 16, 24, 32, 40, 48].map(field) as [
    bigint,
    bigint,
    bigint,
    bigint,
    bigint,
    bigint,
  ];
  trial.holds(
    'a block size that is a power of two',
    blockSize >= 512n && (blockSize & (blockSize - 1n)) === 0n,
    () => `${blockSize}`,
  );
  trial.holds(
    'blocks ≥ free ≥ available > 0',
    blocks >= free && free >= available && available > 0n,
    () => `${blocks} ${free} ${available}`,
  );
  trial.holds('files ≥ free files', files >= filesFree, () => `${files} ${filesFree}`);
  trial.equal('the longest name', field(64), 255n);
  for (const kind of KINDS) {
    if (kind === 'symlink') continue;
    const path = make(kind, trial.name(), { mode: 0 });
    const other = Buffer.alloc(120);
    for (const caller of CALLERS)
      trial.answers(
        `a ${kind} of mode 0, by ${caller.name}`,
        'ok',
        as(caller, () => statfs(path, other)),
      );
    trial.equal(`a ${kind}: the same filesystem`, other.readBigInt64LE(56), struct.readBigInt64LE(56));
  }
  checkFreeSpace(trial, `${directory}/filler`);
  const fd = must('open', open(directory, O_PATH));
  trial.answers('a file in an O_PATH directory', 'ok', closing(openat(fd, 'x', O_CREAT | O_WRONLY, 0o644)));
  must('close', close(fd));
}

/** What is free goes down by what is written and synced. Others may free space meanwhile, but not each time. */
function checkFreeSpace(trial: Trial, path: string): void {
  const BYTES = 16 * 2 ** 20;
  const struct = Buffer.alloc(120);
  const free = (): number => {
    must('statfs', statfs(path, struct));
    return Number(struct.readBigInt64LE(24) * struct.readBigInt64LE(8));
  };
  let taken = 0;
  for (let i = 0; i < 5 && taken < BYTES * 0.9; i++) {
    const fd = must('open', open(path, O_CREAT | O_RDWR | O_TRUNC, 0o600));
    const before = free();
    // Random, for a filesystem may keep equal bytes once, or fewer of them.
    must('write', write(fd, randomBytes(BYTES)));
    must('fsync', fsync(fd));
    taken = before - free();
    must('close', close(fd));
  }
  trial.holds(`${BYTES} bytes written are free no more`, taken >= BYTES * 0.9, () => `${taken} of them`);
  must('unlink', unlink(path));
}
