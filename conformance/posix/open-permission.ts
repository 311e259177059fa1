// open-permission.ts — which kinds of file who may open how, and what a refused opening leaves: open(2) and creat(2).

import { as, type Caller, CALLERS, GID, modeFor, permits, READ, ROOT, UID, WRITE } from './callers.js';
import { close } from './file-calls.js';
import { must, type Result } from './libc.js';
import {
  creat,
  O_APPEND,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOATIME,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  O_TRUNC,
  O_WRONLY,
  open,
  symlink,
} from './path-calls.js';
import { lstat } from './stat.js';
import { type Kind, KINDS, make, makeFile } from './things.js';
import type { Part, Trial } from './trial.js';

function closing(result: Result): Result {
  return result < 0 ? result : close(result);
}

const WAYS: readonly [name: string, flags: number, wanted: number][] = [
  ['O_RDONLY', O_RDONLY, READ],
  ['O_WRONLY', O_WRONLY, WRITE],
  ['O_RDWR', O_RDWR, READ | WRITE],
  ['O_WRONLY|O_TRUNC', O_WRONLY | O_TRUNC, WRITE],
  ['O_RDONLY|O_TRUNC', O_RDONLY | O_TRUNC, READ | WRITE],
  ['O_WRONLY|O_APPEND', O_WRONLY | O_APPEND, WRITE],
  ['O_RDWR|O_CREAT', O_RDWR | O_CREAT, READ | WRITE],
];

/** What opening something other than a file answers once the mode allows it; nobody reads the fifo, nothing listens. */
function opened(kind: Kind, flags: number): string {
  const writes = (flags & 3) !== O_RDONLY;
  if (kind === 'directory') return writes || (flags & (O_CREAT | O_TRUNC)) !== 0 ? 'EISDIR' : 'ok';
  if (kind === 'fifo') return (flags & 3) === O_WRONLY ? 'ENXIO' : 'ok';
  return kind === 'socket' || kind === 'block device' ? 'ENXIO' : 'ok';
}

export const openPermission: Part = {
  syscalls: ['open', 'creat'],
  run(trial) {
    for (const caller of CALLERS) {
      for (let bits = 0; bits < 8; bits++) {
        for (const kind of KINDS) if (kind !== 'symlink') checkKind(trial, kind, caller, bits);
      }
      checkNoatime(trial, caller);
    }
    checkFlags(trial);
  },
};

function checkKind(trial: Trial, kind: Kind, caller: Caller, bits: number): void {
  const mode = modeFor(caller, bits);
  const permissions = { uid: UID, gid: GID, mode, directory: kind === 'directory' };
  for (const [name, flags, wanted] of WAYS) {
    trial.about('open', `${kind}, ${name}`);
    const path = kind === 'file' ? makeFile(trial.name(), 'content', { mode }) : make(kind, trial.name(), { mode });
    // The kernel says what a directory is before it looks at its mode.
    const right = opened(kind, flags);
    const expected = right === 'EISDIR' || permits(caller, permissions, wanted) ? right : 'EACCES';
    const what = `the caller has ${bits}`;
    const truncates = (flags & O_TRUNC) !== 0 && expected === 'ok';
    trial.decides(what, expected, [path], () => closing(open(path, flags | O_NONBLOCK, 0o777)), caller);
    if (kind === 'file') {
      trial.equal(`${what}, by ${caller.name}: the size`, lstat(path).size, truncates ? 0n : 7n);
      trial.equal(`${what}, by ${caller.name}: the mode`, lstat(path).mode.toString(8), mode.toString(8));
    }
  }
  if (kind !== 'file') return;
  trial.about('creat', 'an existing file');
  const path = makeFile(trial.name(), 'content', { mode });
  const expected = permits(caller, permissions, WRITE) ? 'ok' : 'EACCES';
  trial.decides(`the caller has ${bits}`, expected, [path], () => closing(creat(path, 0o777)), caller);
  trial.equal(`the caller has ${bits}, by ${caller.name}: the size`, lstat(path).size, expected === 'ok' ? 0n : 7n);
}

function checkNoatime(trial: Trial, caller: Caller): void {
  trial.about('open', 'O_NOATIME');
  const expected = caller === ROOT || caller.uid === UID ? 'ok' : 'EPERM';
  for (const kind of ['file', 'directory', 'fifo'] as const) {
    const path = make(kind, trial.name(), { mode: 0o777 });
    trial.decides(`a ${kind}`, expected, [path], () => closing(open(path, O_NOATIME | O_NONBLOCK)), caller);
  }
}

function checkFlags(trial: Trial): void {
  trial.about('open', 'flags');
  for (const kind of KINDS) {
    const path = make(kind, trial.name(), { mode: 0o777 });
    const isDirectory = kind === 'directory';
    const refusals: readonly [what: string, errno: string, flags: number][] = [
      ['O_DIRECTORY', isDirectory ? 'ok' : kind === 'symlink' ? 'ENOENT' : 'ENOTDIR', O_DIRECTORY],
      ['O_DIRECTORY|O_NOFOLLOW', isDirectory ? 'ok' : 'ENOTDIR', O_DIRECTORY | O_NOFOLLOW],
      ['O_PATH|O_DIRECTORY|O_NOFOLLOW', isDirectory ? 'ok' : 'ENOTDIR', O_PATH | O_DIRECTORY | O_NOFOLLOW],
      ['O_PATH|O_NOFOLLOW', 'ok', O_PATH | O_NOFOLLOW],
      ['O_NOFOLLOW', kind === 'symlink' ? 'ELOOP' : opened(kind, 0), O_NOFOLLOW],
      ['O_CREAT|O_EXCL', 'EEXIST', O_CREAT | O_EXCL],
      ['O_CREAT|O_EXCL|O_TRUNC', 'EEXIST', O_CREAT | O_EXCL | O_TRUNC | O_RDWR],
      ['O_CREAT|O_DIRECTORY', 'EINVAL', O_CREAT | O_DIRECTORY],
      ['O_TMPFILE|O_RDWR', isDirectory ? 'ok' : kind === 'symlink' ? 'ENOENT' : 'ENOTDIR', O_TMPFILE | O_RDWR],
      ['O_TMPFILE|O_RDONLY', 'EINVAL', O_TMPFILE],
    ];
    for (const [what, errno, flags] of refusals) {
      trial.decides(`${what} of a ${kind}`, errno, [path, '.'], () => closing(open(path, flags | O_NONBLOCK, 0o600)));
    }
  }
  const target = trial.name();
  const dangling = trial.name();
  must('symlink', symlink(target, dangling));
  trial.answers('O_CREAT through a dangling symlink', 'ok', closing(open(dangling, O_CREAT, 0o640)));
  trial.equal('what O_CREAT made through a symlink', lstat(target).mode, 0o640);
  trial.answers(
    'O_CREAT through it again',
    'ok',
    as(ROOT, () => closing(open(dangling, O_CREAT, 0o600))),
  );
  trial.equal('the mode after O_CREAT again', lstat(target).mode, 0o640);
}
