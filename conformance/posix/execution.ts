// execution.ts — execve(2): who may execute what, a program that is being written or run (ETXTBSY), scripts, and set-user-id programs.
// A process is started for each assertion, so they are few. The program is a copy of id(1).

import { spawnSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import {
  type Caller,
  CALLERS,
  GID,
  IS_ROOT,
  modeFor,
  OTHER,
  permits,
  PLAIN_CALLERS,
  EXECUTE,
  ROOT,
  UID,
} from './callers.js';
import { close } from './file-calls.js';
import { must } from './libc.js';
import { chmod, lchown, O_RDONLY, O_WRONLY, open, truncate, unlink } from './path-calls.js';
import { lstat } from './stat.js';
import { KINDS_WITH_MODE, make, makeFile } from './things.js';
import type { Part, Trial } from './trial.js';

const PROGRAM = '/usr/bin/id';

/** 'ok' when the program could be started, else the errno's name. `output` is what it printed. */
function execute(path: string, args: readonly string[], caller: Caller): { answer: string; output: string } {
  const ids = IS_ROOT ? { uid: caller.uid, gid: caller.gid } : {};
  const { error, stdout } = spawnSync(path, args, { ...ids, encoding: 'latin1' });
  return {
    answer: error ? ((error as NodeJS.ErrnoException).code ?? String(error)) : 'ok',
    output: (stdout ?? '').trim(),
  };
}

function program(name: string, mode: number): string {
  const path = `./${name}`;
  copyFileSync(PROGRAM, path);
  must('lchown', lchown(path, UID, GID));
  must('chmod', chmod(path, mode));
  return path;
}

export const execution: Part = {
  syscalls: ['execve'],
  run(trial) {
    trial.about('execve');
    // A child has no supplementary groups but root's.
    for (const caller of CALLERS.filter(({ groups }) => groups.length === 0)) {
      for (const bits of [0, 1, 4, 5, 6, 7]) {
        const mode = modeFor(caller, bits);
        const path = program(trial.name(), mode);
        const expected = permits(caller, { uid: UID, gid: GID, mode, directory: false }, EXECUTE) ? 'ok' : 'EACCES';
        const { answer } = execute(path, [], caller);
        trial.equal(`the caller has ${bits} on the program, by ${caller.name}`, answer, expected);
        if (expected === 'EACCES') trial.equal(`the mode stays, by ${caller.name}`, lstat(path).mode, mode);
      }
    }
    for (const kind of KINDS_WITH_MODE) {
      const path = make(kind, trial.name(), { mode: 0o777 });
      // The kernel says ENOEXEC of an empty file; libc takes it for a script of the shell then (execvp(3)).
      const expected = kind === 'file' ? 'ok' : 'EACCES';
      trial.equal(`a ${kind}`, execute(`./${path}`, [], ROOT).answer, expected);
    }
    trial.rootStep(() => checkSetId(trial));
    checkBusy(trial);
    checkScript(trial);
  },
};

function checkSetId(trial: Trial): void {
  for (const [mode, uid, gid] of [
    [0o755, OTHER.uid, OTHER.gid],
    [0o4755, UID, OTHER.gid],
    [0o2755, OTHER.uid, GID],
    [0o6755, UID, GID],
    [0o2745, OTHER.uid, OTHER.gid],
  ] as const) {
    const path = program(trial.name(), mode);
    const what = `mode ${mode.toString(8)}, by other`;
    // Set-group-id without execution by the group is none.
    trial.equal(`${what}: effective uid`, execute(path, ['-u'], OTHER).output, `${uid}`);
    trial.equal(`${what}: effective gid`, execute(path, ['-g'], OTHER).output, `${gid}`);
  }
}

function checkBusy(trial: Trial): void {
  const path = program(trial.name(), 0o777);
  const fd = must('open', open(path, O_WRONLY));
  trial.equal('a program that is open for writing', execute(path, [], ROOT).answer, 'ETXTBSY');
  must('close', close(fd));
  const reader = must('open', open(path, O_RDONLY));
  trial.equal('a program that is open for reading', execute(path, [], ROOT).answer, 'ok');
  must('close', close(reader));
  must('truncate', truncate(path, 0));
  trial.equal('a program that was emptied prints', execute(path, [], ROOT).output, '');
  must('unlink', unlink(path));
  trial.equal('a program that is gone', execute(path, [], ROOT).answer, 'ENOENT');
}

function checkScript(trial: Trial): void {
  const script = `./${makeFile(trial.name(), '#!/bin/sh\necho "$0" "$1"\n', { mode: 0o755 })}`;
  trial.equal('a script', execute(script, ['x'], PLAIN_CALLERS.at(-1)!).output, `${script} x`);
  const lost = `./${makeFile(trial.name(), '#!/missing/interpreter\n', { mode: 0o755 })}`;
  trial.equal('a script without its interpreter', execute(lost, [], PLAIN_CALLERS.at(-1)!).answer, 'ENOENT');
}
