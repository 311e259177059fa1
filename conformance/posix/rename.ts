// rename.ts — rename(2) and renameat2(2): every kind over every kind, with each flag; what is where afterwards, and how often linked.

import { as, CALLERS, GID, OTHER, OWNER, PLAIN_CALLERS, UID } from './callers.js';
import { close, pread } from './file-calls.js';
import { must, type Result } from './libc.js';
import {
  link,
  mkdir,
  O_RDONLY,
  open,
  rename,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  RENAME_WHITEOUT,
  renameat2,
  rmdir,
  symlink,
} from './path-calls.js';
import { exists, fstat, lstat, stat } from './stat.js';
import { type Kind, KINDS, KINDS_BUT_DIRECTORY, make, makeFile, TYPE_BITS } from './things.js';
import type { Part, Trial } from './trial.js';

export const renamePart: Part = {
  syscalls: ['rename', 'renameat2'],
  run(trial) {
    for (const from of KINDS) {
      for (const to of KINDS) {
        for (const across of [false, true]) {
          checkReplacing(trial, from, to, across);
          checkNoReplace(trial, from, to, across);
          checkExchange(trial, from, to, across);
        }
      }
      checkToNew(trial, from);
      checkWhiteout(trial, from);
    }
    checkDirectories(trial);
    checkLinks(trial);
    checkFlags(trial);
    checkOpenVictim(trial);
    checkOwnership(trial);
  },
};

/** Two directories, or one under both names. */
function directories(trial: Trial, across: boolean): [string, string] {
  const d = make('directory', trial.name());
  return [d, across ? make('directory', trial.name()) : d];
}

function place(across: boolean): string {
  return across ? 'in another directory' : 'in the same directory';
}

function subdirectories(kind: Kind, count: number): number {
  return 2 + (kind === 'directory' ? count : 0);
}

function checkReplacing(trial: Trial, from: Kind, to: Kind, across: boolean): void {
  trial.about('rename', `${from} over ${to} ${place(across)}`);
  const [d, e] = directories(trial, across);
  const source = make(from, `${d}/x`);
  const target = make(to, `${e}/y`);
  const expected =
    from === to || (from !== 'directory' && to !== 'directory') ? 'ok' : from === 'directory' ? 'ENOTDIR' : 'EISDIR';
  const { ino } = lstat(source);
  if (!trial.decides('the call', expected, [d, e, source, target], () => rename(source, target))) return;
  trial.equal('the old name is there', exists(source), false);
  trial.equal('inode and type', `${lstat(target).ino} ${lstat(target).type}`, `${ino} ${TYPE_BITS[from]}`);
  trial.equal('links of the old directory', lstat(d).nlink, across ? 2 : subdirectories(from, 1));
  trial.equal('links of the new directory', lstat(e).nlink, subdirectories(from, 1));
}

function checkNoReplace(trial: Trial, from: Kind, to: Kind, across: boolean): void {
  trial.about('renameat2', `RENAME_NOREPLACE, ${from} over ${to} ${place(across)}`);
  const [d, e] = directories(trial, across);
  const source = make(from, `${d}/x`);
  const target = make(to, `${e}/y`);
  trial.refuses('the call', 'EEXIST', [d, e, source, target], () => renameat2(source, target, RENAME_NOREPLACE));
  const free = `${e}/z`;
  const { ino } = lstat(source);
  if (from !== to) return;
  trial.answers('to a free name', 'ok', renameat2(source, free, RENAME_NOREPLACE));
  trial.equal('to a free name: inode', lstat(free).ino, ino);
  trial.equal('to a free name: the old name is there', exists(source), false);
}

function checkExchange(trial: Trial, from: Kind, to: Kind, across: boolean): void {
  trial.about('renameat2', `RENAME_EXCHANGE, ${from} with ${to} ${place(across)}`);
  const [d, e] = directories(trial, across);
  const source = make(from, `${d}/x`);
  const target = make(to, `${e}/y`);
  const [a, b] = [lstat(source).ino, lstat(target).ino];
  trial.answers('the call', 'ok', renameat2(source, target, RENAME_EXCHANGE));
  trial.equal(
    'inode and type at the first name',
    `${lstat(source).ino} ${lstat(source).type}`,
    `${b} ${TYPE_BITS[to]}`,
  );
  trial.equal('inode and type at the second', `${lstat(target).ino} ${lstat(target).type}`, `${a} ${TYPE_BITS[from]}`);
  const both = [from, to].filter((kind) => kind === 'directory').length;
  trial.equal('links of the first directory', lstat(d).nlink, across ? subdirectories(to, 1) : 2 + both);
  trial.equal('links of the second directory', lstat(e).nlink, across ? subdirectories(from, 1) : 2 + both);
  if (from === 'directory') trial.equal('.. of what came', stat(`${target}/..`).ino, lstat(e).ino);
  if (to === 'directory') trial.equal('.. of what went', stat(`${source}/..`).ino, lstat(d).ino);
  const missing = `${e}/missing`;
  trial.refuses('with nothing', 'ENOENT', [d, e, source], () => renameat2(source, missing, RENAME_EXCHANGE));
  trial.refuses('of nothing', 'ENOENT', [d, e, source], () => renameat2(missing, source, RENAME_EXCHANGE));
}

function checkToNew(trial: Trial, kind: Kind): void {
  trial.about('rename', `${kind} to a new name`);
  const [d, e] = directories(trial, true);
  const source = make(kind, `${d}/x`, { mode: 0o751 });
  const before = lstat(source);
  trial.answers('in another directory', 'ok', rename(source, `${e}/y`));
  const after = lstat(`${e}/y`);
  const facts = ({ ino, mode, type, uid, gid, mtime, atime, btime, nlink }: typeof after): string =>
    [ino, mode, type, uid, gid, mtime, atime, btime, nlink].join(' ');
  trial.equal('all but ctime', facts(after), facts(before));
  trial.answers('back', 'ok', rename(`${e}/y`, source));
  trial.equal('the new name is there', exists(`${e}/y`), false);
  trial.answers(
    'with a slash behind the old name',
    kind === 'directory' ? 'ok' : 'ENOTDIR',
    rename(`${source}/`, `${d}/y`),
  );
  const at = kind === 'directory' ? `${d}/y` : source;
  trial.answers('with a slash behind the new name', kind === 'directory' ? 'ok' : 'ENOTDIR', rename(at, `${d}/z/`));
}

function checkWhiteout(trial: Trial, kind: Kind): void {
  trial.about('renameat2', `RENAME_WHITEOUT of a ${kind}`);
  const [d, e] = directories(trial, true);
  const source = make(kind, `${d}/x`);
  const { ino } = lstat(source);
  trial.answers('the call', 'ok', renameat2(source, `${e}/y`, RENAME_WHITEOUT));
  trial.equal('inode at the new name', exists(`${e}/y`) && lstat(`${e}/y`).ino, ino);
  if (!trial.equal('something is at the old name', exists(source), true)) return;
  const { type, mode, deviceMajor, deviceMinor } = lstat(source);
  const got = `${type.toString(8)} ${mode} ${deviceMajor}:${deviceMinor}`;
  trial.equal('type, mode and device of the whiteout', got, '20000 0 0:0');
  trial.answers('over another', 'ok', renameat2(make(kind, `${d}/z`), `${e}/y`, RENAME_WHITEOUT));
  trial.equal('over another: a whiteout', lstat(`${d}/z`).type, TYPE_BITS['character device']);
  const both = RENAME_WHITEOUT | RENAME_NOREPLACE;
  const more = make(kind, `${d}/w`);
  trial.refuses('and RENAME_NOREPLACE', 'EEXIST', [d, e, more], () => renameat2(more, `${e}/y`, both));
}

function checkDirectories(trial: Trial): void {
  trial.about('rename', 'directories');
  const top = make('directory', trial.name());
  for (const path of ['a', 'a/b', 'a/b/c', 'full', 'full/x', 'empty']) must('mkdir', mkdir(`${top}/${path}`, 0o755));
  const watched = ['a', 'a/b', 'a/b/c', 'full', 'full/x', 'empty'].map((path) => `${top}/${path}`);
  const refusals: readonly [what: string, from: string, to: string, errno: string | string[]][] = [
    ['into itself', 'a', 'a/x', 'EINVAL'],
    ['into what it holds', 'a', 'a/b/x', 'EINVAL'],
    ['over what it holds', 'a', 'a/b', 'EINVAL'],
    ['over what it holds deeper', 'a', 'a/b/c', 'EINVAL'],
    ['over its parent', 'a/b', 'a', 'ENOTEMPTY'],
    ['over its grandparent', 'a/b/c', 'a', 'ENOTEMPTY'],
    ['over a full one', 'empty', 'full', 'ENOTEMPTY'],
    ['of .', 'a/.', 'x', 'EBUSY'],
    ['of ..', 'a/b/..', 'x', 'EBUSY'],
    ['to .', 'empty', 'a/.', 'EBUSY'],
    ['to ..', 'empty', 'a/b/..', 'EBUSY'],
  ];
  for (const [what, from, to, errno] of refusals)
    trial.refuses(what, errno, watched, () => rename(`${top}/${from}`, `${top}/${to}`));
  trial.about('renameat2', 'directories');
  const exchanges: readonly [what: string, from: string, to: string][] = [
    ['with what it holds', 'a', 'a/b'],
    ['with what holds it', 'a/b', 'a'],
    ['with what it holds deeper', 'a', 'a/b/c'],
    ['with what holds it higher', 'a/b/c', 'a'],
  ];
  for (const [what, from, to] of exchanges) {
    const call = (): Result => renameat2(`${top}/${from}`, `${top}/${to}`, RENAME_EXCHANGE);
    trial.refuses(`RENAME_EXCHANGE ${what}`, 'EINVAL', watched, call);
  }
  trial.about('rename', 'directories');
  trial.answers('over an empty one', 'ok', rename(`${top}/full`, `${top}/empty`));
  trial.equal('what it holds came along', exists(`${top}/empty/x`), true);
  trial.answers('deeper', 'ok', rename(`${top}/empty`, `${top}/a/b/c/d`));
  trial.equal('.. of what moved', stat(`${top}/a/b/c/d/..`).ino, lstat(`${top}/a/b/c`).ino);
  trial.equal('links of where it was', lstat(top).nlink, 3);
  must('rmdir', rmdir(`${top}/a/b/c/d/x`));
  trial.answers(
    'over the symlink to it',
    'ENOTDIR',
    (must('symlink', symlink('a', `${top}/s`)), rename(`${top}/a/b`, `${top}/s`)),
  );
}

function checkLinks(trial: Trial): void {
  trial.about('rename', 'hard links');
  for (const kind of KINDS_BUT_DIRECTORY) {
    const [d, e] = directories(trial, true);
    const source = make(kind, `${d}/x`);
    must('link', link(source, `${e}/y`));
    trial.refuses(`of a ${kind} to its other name: nothing`, 'ok', [d, e, source, `${e}/y`], () =>
      rename(source, `${e}/y`),
    );
    trial.equal(`of a ${kind} to its other name: links`, lstat(source).nlink, 2);
    const other = make(kind, `${d}/z`);
    trial.answers(`of a ${kind} over one name of another`, 'ok', rename(other, `${e}/y`));
    trial.equal(`of a ${kind} over one name of another: links left`, lstat(source).nlink, 1);
    trial.about('renameat2', 'hard links');
    must('link', link(source, `${e}/w`));
    trial.refuses(`RENAME_NOREPLACE of a ${kind} to its other name`, 'EEXIST', [d, e, source], () =>
      renameat2(source, `${e}/w`, RENAME_NOREPLACE),
    );
    trial.answers(`RENAME_EXCHANGE of two names of a ${kind}`, 'ok', renameat2(source, `${e}/w`, RENAME_EXCHANGE));
    trial.equal(`RENAME_EXCHANGE of two names of a ${kind}: links`, lstat(source).nlink, 2);
    trial.about('rename', 'hard links');
  }
}

function checkFlags(trial: Trial): void {
  trial.about('renameat2', 'flags');
  for (const kind of KINDS) {
    for (const flags of [3, 6, 7, 8, 0x100, 0x8000_0000]) {
      const [d, e] = directories(trial, true);
      const source = make(kind, `${d}/x`);
      const target = make(kind, `${e}/y`);
      trial.refuses(`0x${flags.toString(16)} of a ${kind}`, 'EINVAL', [d, e, source, target], () =>
        renameat2(source, target, flags),
      );
    }
  }
}

/** What is replaced stays readable for who has it open. */
function checkOpenVictim(trial: Trial): void {
  trial.about('rename', 'over an open file');
  const victim = makeFile(trial.name(), 'old content');
  const source = makeFile(trial.name(), 'new content');
  const fd = must('open', open(victim, O_RDONLY));
  trial.answers('the call', 'ok', rename(source, victim));
  const bytes = Buffer.alloc(20);
  trial.equal('bytes read through the descriptor', pread(fd, bytes, 0), 11);
  trial.equal('what they are', bytes.toString('latin1', 0, 11), 'old content');
  trial.equal('links of what was replaced', fstat(fd).nlink, 0);
  must('close', close(fd));
  const again = must('open', open(victim, O_RDONLY));
  trial.equal('bytes read by name', pread(again, bytes, 0), 11);
  trial.equal('what they are by name', bytes.toString('latin1', 0, 11), 'new content');
  must('close', close(again));
}

/** A directory that gets another parent is written to, since its `..` changes: its own mode counts. */
function checkOwnership(trial: Trial): void {
  trial.about('rename', 'a directory to another parent');
  for (const caller of CALLERS) {
    for (const mode of [0o777, 0o555, 0o755]) {
      const d = make('directory', trial.name(), { mode: 0o777 });
      const e = make('directory', trial.name(), { mode: 0o777 });
      const source = make('directory', `${d}/x`, { mode });
      const writes = !PLAIN_CALLERS.includes(caller) || mode === 0o777 || (caller.uid === UID && mode === 0o755);
      const what = `of mode ${mode.toString(8)}`;
      trial.decides(what, writes ? 'ok' : 'EACCES', [d, e, source], () => rename(source, `${e}/y`), caller);
      const staying = make('directory', `${d}/z`, { mode });
      const within = as(caller, () => rename(staying, `${d}/w`));
      trial.answers(`${what} within its parent, by ${caller.name}`, 'ok', within);
    }
  }
  trial.about('rename', 'over what belongs to somebody else');
  for (const kind of KINDS_BUT_DIRECTORY) {
    const d = make('directory', trial.name(), { uid: OWNER.uid, gid: GID, mode: 0o755 });
    trial.rootStep(() => {
      const source = make(kind, `${d}/x`, { uid: 0, gid: 0, mode: 0 });
      const target = make(kind, `${d}/y`, { uid: OTHER.uid, gid: 0, mode: 0 });
      trial.answers(
        `a ${kind}, by the directory’s owner`,
        'ok',
        as(OWNER, () => rename(source, target)),
      );
      trial.equal(`a ${kind}: its owner stays`, lstat(target).uid, 0);
    });
  }
}
