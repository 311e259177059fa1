// links.ts — hard links, symbolic links, and names without end: link(2), linkat(2), symlink(2), readlink(2), unlink(2) of what is open.

import { as, type Caller, CALLERS, OTHER, OWNER, possible, ROOT, UID } from './callers.js';
import { close, fsync, pread, pwrite } from './file-calls.js';
import { must, type Result } from './libc.js';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_FOLLOW,
  link,
  linkat,
  mkdir,
  O_DIRECTORY,
  O_EXCL,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  O_WRONLY,
  open,
  openat,
  O_CREAT,
  readlink,
  rmdir,
  symlink,
  unlink,
} from './path-calls.js';
import { exists, fstat, lstat, stat } from './stat.js';
import { KINDS, KINDS_BUT_DIRECTORY, make, makeFile, TYPE_BITS } from './things.js';
import type { Part, Trial } from './trial.js';

/** Enough to see that no small number limits them; ext4 allows 65,000. */
const MANY_LINKS = 300;

export const links: Part = {
  syscalls: ['link', 'linkat', 'symlink', 'readlink', 'unlink', 'rmdir', 'open', 'mkdir'],
  run(trial) {
    checkLink(trial);
    checkManyLinks(trial);
    checkProtected(trial);
    checkSymlink(trial);
    checkUnlinkOpen(trial);
    checkDirectoryGone(trial);
    checkRmdir(trial);
    for (const caller of CALLERS) checkTmpfile(trial, caller);
    checkMkdirLinks(trial);
  },
};

function checkLink(trial: Trial): void {
  for (const kind of KINDS) {
    trial.about('link', kind);
    const path = make(kind, trial.name(), { mode: 0o751 });
    const name = trial.name();
    if (kind === 'directory') {
      for (const caller of CALLERS) trial.refuses('a directory', 'EPERM', [path, '.'], () => link(path, name), caller);
      continue;
    }
    const before = lstat(path);
    trial.answers('a further name', 'ok', link(path, name));
    const after = lstat(name);
    trial.equal('inode and type', `${after.ino} ${after.type}`, `${before.ino} ${TYPE_BITS[kind]}`);
    trial.equal('links by both names', `${after.nlink} ${lstat(path).nlink}`, '2 2');
    trial.equal(
      'mode, owner and mtime',
      [after.mode, after.uid, after.mtime].join(),
      [before.mode, before.uid, before.mtime].join(),
    );
    trial.about('unlink', kind);
    trial.answers('the first name', 'ok', unlink(path));
    trial.equal('links by the second', lstat(name).nlink, 1);
    trial.answers('the second', 'ok', unlink(name));
    trial.refuses('what is gone', 'ENOENT', ['.'], () => unlink(name));
  }
  trial.about('linkat');
  const target = makeFile(trial.name(), 'content');
  const [path, through, plain] = [trial.name(), trial.name(), trial.name()];
  must('symlink', symlink(target, path));
  trial.answers('a symlink itself', 'ok', linkat(AT_FDCWD, path, AT_FDCWD, plain, 0));
  trial.equal('a symlink itself: its type', lstat(plain).type, TYPE_BITS.symlink);
  trial.answers('AT_SYMLINK_FOLLOW', 'ok', linkat(AT_FDCWD, path, AT_FDCWD, through, AT_SYMLINK_FOLLOW));
  trial.equal('AT_SYMLINK_FOLLOW: its inode', lstat(through).ino, lstat(target).ino);
  trial.refuses('an unknown flag', 'EINVAL', ['.', target], () =>
    linkat(AT_FDCWD, target, AT_FDCWD, trial.name(), 0x8000),
  );
  trial.refuses('a bad descriptor', 'EBADF', ['.', target], () => linkat(9999, target, AT_FDCWD, trial.name(), 0));
  const fd = must('open', open(target, O_RDONLY));
  trial.refuses('relative to a file', 'ENOTDIR', ['.', target], () => linkat(AT_FDCWD, target, fd, trial.name(), 0));
  trial.answers('AT_EMPTY_PATH', 'ok', linkat(fd, '', AT_FDCWD, trial.name(), AT_EMPTY_PATH));
  trial.equal('AT_EMPTY_PATH: links', fstat(fd).nlink, 3);
  must('close', close(fd));
}

function checkManyLinks(trial: Trial): void {
  trial.about('link', 'many');
  const directory = make('directory', trial.name());
  const path = makeFile(`${directory}/0`, 'content');
  let made = 0;
  for (let i = 1; i < MANY_LINKS; i++) if (link(path, `${directory}/${i}`) === 0) made++;
  trial.equal('calls that succeed', made, MANY_LINKS - 1);
  trial.equal('links', lstat(path).nlink, MANY_LINKS);
  let removed = 0;
  for (let i = 1; i < MANY_LINKS; i += 2) if (unlink(`${directory}/${i}`) === 0) removed++;
  trial.equal('links after half of them went', lstat(path).nlink, MANY_LINKS - removed);
}

/** Who may link what others own is up to fs.protected_hardlinks; what one may read and write and owns is always allowed. */
function checkProtected(trial: Trial): void {
  trial.about('link', 'by others');
  const directory = make('directory', trial.name(), { mode: 0o777 });
  for (const caller of CALLERS) {
    for (const kind of KINDS_BUT_DIRECTORY) {
      const path = make(kind, `${directory}/${trial.name()}`, { uid: caller.uid });
      const name = `${directory}/${trial.name()}`;
      trial.answers(
        `the own ${kind}, by ${caller.name}`,
        'ok',
        as(caller, () => link(path, name)),
      );
    }
    const path = makeFile(`${directory}/${trial.name()}`, 'x', { uid: UID, mode: 0o666 });
    const name = `${directory}/${trial.name()}`;
    trial.answers(
      `a file that all may read and write, by ${caller.name}`,
      'ok',
      as(caller, () => link(path, name)),
    );
  }
}

function checkSymlink(trial: Trial): void {
  trial.about('symlink');
  const targets = [
    'a',
    'a/b/../c',
    '/',
    '/absolute',
    ' ',
    '..',
    'x'.repeat(255),
    'y'.repeat(4095),
    '\xff\x01\n',
    '//a//',
  ];
  for (const target of targets) {
    const path = trial.name();
    const what = `to ${JSON.stringify(target.slice(0, 20))} of ${target.length} bytes`;
    trial.answers(what, 'ok', symlink(target, path));
    trial.about('readlink');
    const into = Buffer.alloc(5000);
    trial.equal(`${what}: length`, readlink(path, into), target.length);
    trial.equal(`${what}: target`, into.toString('latin1', 0, target.length), target);
    trial.equal(`${what}: size`, lstat(path).size, BigInt(target.length));
    const short = Buffer.alloc(2);
    trial.equal(`${what}, into two bytes`, readlink(path, short), Math.min(2, target.length));
    trial.refuses(`${what}, into no bytes`, 'EINVAL', [path], () => readlink(path, short, 0));
    trial.about('symlink');
  }
  const path = trial.name();
  trial.refuses('to nothing', 'ENOENT', ['.', path], () => symlink('', path));
  trial.refuses('to 4096 bytes', 'ENAMETOOLONG', ['.', path], () => symlink('y'.repeat(4096), path));
  trial.refuses('to a null pointer', 'EFAULT', ['.', path], () => symlink(null, path));
  trial.about('readlink');
  for (const kind of KINDS) {
    if (kind === 'symlink') continue;
    const thing = make(kind, trial.name());
    for (const caller of CALLERS) trial.refuses(`a ${kind}`, 'EINVAL', [thing], () => readlink(thing), caller);
  }
}

function checkUnlinkOpen(trial: Trial): void {
  trial.about('unlink', 'of what is open');
  const path = makeFile(trial.name(), 'content');
  const fd = must('open', open(path, O_RDWR));
  trial.answers('the call', 'ok', unlink(path));
  trial.equal('links', fstat(fd).nlink, 0);
  const bytes = Buffer.alloc(20);
  trial.equal('bytes read', pread(fd, bytes, 0), 7);
  trial.equal('what they are', bytes.toString('latin1', 0, 7), 'content');
  trial.equal('bytes written', pwrite(fd, 'more', 7), 4);
  trial.equal('the size', fstat(fd).size, 11n);
  trial.answers('fsync', 'ok', fsync(fd));
  makeFile(path, 'another');
  trial.equal('bytes read after the name was taken again', pread(fd, bytes, 0), 11);
  trial.equal('what they are then', bytes.toString('latin1', 0, 11), 'contentmore');
  trial.answers(
    'linking it again by /proc',
    'ENOENT',
    linkat(AT_FDCWD, `/proc/self/fd/${fd}`, AT_FDCWD, trial.name(), AT_SYMLINK_FOLLOW),
  );
  must('close', close(fd));
}

function checkDirectoryGone(trial: Trial): void {
  trial.about('rmdir', 'of what is open');
  const path = make('directory', trial.name());
  const fd = must('open', open(path, O_RDONLY | O_DIRECTORY));
  trial.answers('the call', 'ok', rmdir(path));
  trial.equal('links', fstat(fd).nlink, 0);
  trial.answers('a file in it', 'ENOENT', openat(fd, 'x', O_CREAT | O_WRONLY, 0o644));
  trial.answers('looking for something in it', 'ENOENT', openat(fd, 'x', O_RDONLY));
  const self = openat(fd, '.', O_RDONLY);
  trial.answers('itself', ['ok', 'ENOENT'], self);
  if (self >= 0) close(self);
  must('close', close(fd));
}

function checkRmdir(trial: Trial): void {
  trial.about('rmdir');
  for (const kind of KINDS) {
    const path = make(kind, trial.name());
    if (kind !== 'directory') trial.refuses(`a ${kind}`, 'ENOTDIR', [path, '.'], () => rmdir(path));
    const full = make('directory', trial.name());
    const inner = make(kind, `${full}/x`);
    for (const caller of [ROOT, OWNER]) {
      // The directory that holds it is everybody's.
      trial.refuses(`one that holds a ${kind}`, 'ENOTEMPTY', [full, inner, '.'], () => rmdir(full), caller);
    }
  }
  const path = make('directory', trial.name());
  trial.refuses('.', 'EINVAL', [path], () => rmdir(`${path}/.`));
  trial.refuses('..', 'ENOTEMPTY', [path], () => rmdir(`${path}/..`));
  trial.answers('with a slash', 'ok', rmdir(`${path}/`));
  trial.about('unlink');
  const directory = make('directory', trial.name());
  for (const caller of CALLERS)
    trial.refuses('a directory', 'EISDIR', [directory, '.'], () => unlink(directory), caller);
}

function checkTmpfile(trial: Trial, caller: Caller): void {
  trial.about('open', 'O_TMPFILE');
  const directory = make('directory', trial.name(), { mode: 0o777 });
  const fd = as(caller, () => open(directory, O_TMPFILE | O_RDWR, 0o640));
  if (!trial.answers(`by ${caller.name}`, 'ok', fd)) return;
  trial.equal(`by ${caller.name}: bytes written`, pwrite(fd, 'unnamed', 0), 7);
  trial.equal(`by ${caller.name}: entries in the directory`, lstat(directory).nlink, 2);
  trial.about('linkat', 'O_TMPFILE');
  const path = `${directory}/x`;
  const naming = (): Result => linkat(AT_FDCWD, `/proc/self/fd/${fd}`, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
  trial.answers(`giving a name, by ${caller.name}`, 'ok', as(caller, naming));
  const { nlink, size, uid, mode } = lstat(path);
  trial.equal(
    `by ${caller.name}: links, size, uid and mode`,
    [nlink, size, uid, mode].join(' '),
    `1 7 ${caller.uid} 416`,
  );
  trial.equal(`by ${caller.name}: the same inode`, fstat(fd).ino, lstat(path).ino);
  trial.answers(
    `a second name, by ${caller.name}`,
    'ok',
    as(caller, () => link(path, `${directory}/y`)),
  );
  trial.refuses('a name that is taken', 'EEXIST', [directory, path], naming);
  must('close', close(fd));
  const reader = must('open', open(path, O_RDONLY));
  const bytes = Buffer.alloc(10);
  trial.equal(
    `by ${caller.name}: what it holds`,
    bytes.toString('latin1', 0, Math.max(0, pread(reader, bytes, 0))),
    'unnamed',
  );
  must('close', close(reader));
  const never = as(caller, () => open(directory, O_TMPFILE | O_EXCL | O_RDWR, 0o600));
  trial.answers(`O_EXCL, by ${caller.name}`, 'ok', never);
  trial.answers(
    `O_EXCL: no name, by ${caller.name}`,
    'ENOENT',
    linkat(AT_FDCWD, `/proc/self/fd/${never}`, AT_FDCWD, `${directory}/z`, AT_SYMLINK_FOLLOW),
  );
  must('close', close(never));
  trial.equal(`entries that came, by ${caller.name}`, exists(`${directory}/z`), false);
}

function checkMkdirLinks(trial: Trial): void {
  trial.about('mkdir', 'links');
  const top = make('directory', trial.name());
  for (let i = 0; i < 50; i++) must('mkdir', mkdir(`${top}/${i}`, 0o755));
  trial.equal('of a directory of 50 directories', lstat(top).nlink, 52);
  for (let i = 0; i < 20; i++) must('rmdir', rmdir(`${top}/${i}`));
  trial.equal('after 20 went', lstat(top).nlink, 32);
  trial.equal('.. of one', stat(`${top}/30/..`).ino, lstat(top).ino);
  trial.about('open', 'O_PATH');
  const fd = must('open', open(top, O_PATH));
  trial.equal('of a directory: its links', fstat(fd).nlink, 32);
  trial.equal('a path from it', must('openat', openat(fd, '30', O_PATH)) >= 0, true);
  must('close', close(fd));
  trial.about('link', 'by others');
  for (const caller of possible([OTHER]))
    trial.refuses('a directory, by other', 'EPERM', [top], () => link(top, trial.name()), caller);
}
