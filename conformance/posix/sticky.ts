// sticky.ts — in a sticky directory only the owner of the file, of the directory, and root remove or rename: EPERM for others.
// POSIX.1-2024 unlink(), rename(), rmdir() (Linux answers EPERM, not EACCES); inode(7).

import { as, type Caller, CALLERS, GID, IS_ROOT, OTHER, OWNER, ROOT, SUPPLEMENTARY, UID } from './callers.js';
import { must, type Result } from './libc.js';
import { chmod, lchown, rename, RENAME_EXCHANGE, RENAME_NOREPLACE, renameat2, rmdir, unlink } from './path-calls.js';
import { exists } from './stat.js';
import { type Kind, KINDS, make, SOMEBODY } from './things.js';
import type { Part, Trial } from './trial.js';

interface Removal {
  readonly syscall: string;
  readonly how: string;
  /** `path` lies in the sticky directory, `outside` is the caller's own and lies in an open one. */
  readonly call: (path: string, outside: string, kind: Kind) => Result;
  readonly outside: boolean;
  readonly gone: boolean;
}

const REMOVALS: readonly Removal[] = [
  {
    syscall: 'unlink',
    how: 'sticky',
    call: (path, _, kind) => (kind === 'directory' ? rmdir(path) : unlink(path)),
    outside: false,
    gone: true,
  },
  { syscall: 'rename', how: 'within it', call: (path) => rename(path, `${path} new`), outside: false, gone: true },
  { syscall: 'rename', how: 'out of it', call: (path, outside) => rename(path, outside), outside: false, gone: true },
  {
    syscall: 'rename',
    how: 'over one in it',
    call: (path, outside) => rename(outside, path),
    outside: true,
    gone: false,
  },
  {
    syscall: 'renameat2',
    how: 'RENAME_NOREPLACE within it',
    call: (path) => renameat2(path, `${path} new`, RENAME_NOREPLACE),
    outside: false,
    gone: true,
  },
  {
    syscall: 'renameat2',
    how: 'RENAME_EXCHANGE with one in it',
    call: (path, outside) => renameat2(outside, path, RENAME_EXCHANGE),
    outside: true,
    gone: false,
  },
];

export const sticky: Part = {
  syscalls: ['unlink', 'rmdir', 'rename', 'renameat2'],
  run(trial) {
    for (const kind of KINDS) {
      for (const caller of CALLERS) {
        for (const directoryOwner of IS_ROOT ? [0, UID, OTHER.uid] : [UID]) {
          for (const fileOwner of IS_ROOT ? [0, UID, SUPPLEMENTARY.uid] : [UID]) {
            for (const removal of REMOVALS) check(trial, { kind, caller, directoryOwner, fileOwner, removal });
          }
        }
      }
    }
    checkAdding(trial);
  },
};

interface Case {
  readonly kind: Kind;
  readonly caller: Caller;
  readonly directoryOwner: number;
  readonly fileOwner: number;
  readonly removal: Removal;
}

function check(trial: Trial, { kind, caller, directoryOwner, fileOwner, removal }: Case): void {
  const syscall = removal.syscall === 'unlink' && kind === 'directory' ? 'rmdir' : removal.syscall;
  trial.about(syscall, `sticky, ${removal.how}`);
  const directory = make('directory', trial.name(), { uid: directoryOwner, mode: 0o1777 });
  const path = make(kind, `${directory}/x`, { uid: fileOwner, mode: 0o777 });
  const outside = trial.name();
  if (removal.outside) make(kind, outside, { uid: caller.uid, mode: 0o777 });
  const allowed = caller === ROOT || caller.uid === directoryOwner || caller.uid === fileOwner;
  // A directory that changes its parent is written to: its own mode allows that to all here.
  const what = `a ${kind} of ${fileOwner} in a directory of ${directoryOwner}`;
  const call = (): Result => removal.call(path, outside, kind);
  if (trial.decides(what, allowed ? 'ok' : 'EPERM', [directory, path, outside, '.'], call, caller))
    trial.equal(`${what}, by ${caller.name}: it is there`, exists(path), !removal.gone);
}

/** The bit does not stop anybody from adding, nor does it do anything on a file. */
function checkAdding(trial: Trial): void {
  trial.about('rename', 'sticky');
  for (const caller of CALLERS) {
    const directory = make('directory', trial.name(), { ...SOMEBODY, mode: 0o1777 });
    const path = make('file', trial.name(), { uid: caller.uid });
    trial.answers(
      `into it, by ${caller.name}`,
      'ok',
      as(caller, () => rename(path, `${directory}/x`)),
    );
    trial.answers(
      `the own within it, by ${caller.name}`,
      'ok',
      as(caller, () => rename(`${directory}/x`, `${directory}/y`)),
    );
    trial.about('unlink', 'sticky');
    trial.answers(
      `the own, by ${caller.name}`,
      'ok',
      as(caller, () => unlink(`${directory}/y`)),
    );
    const file = make('file', `${directory}/z`, { ...SOMEBODY, mode: 0o1777 });
    must('chmod', chmod(directory, 0o777));
    must('lchown', lchown(directory, OWNER.uid, GID));
    trial.answers(
      `a sticky file in an ordinary directory, by ${caller.name}`,
      'ok',
      as(caller, () => unlink(file)),
    );
    trial.about('rename', 'sticky');
  }
}
