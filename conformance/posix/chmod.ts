// chmod.ts — chmod(2) and fchmod(2): only the owner and root; set-group-id is lost by an owner who is not of the group.

import { as, type Caller, CALLERS, GID, OWNER, PLAIN_CALLERS, possible, ROOT, UID } from './callers.js';
import { close, fchmod } from './file-calls.js';
import { must } from './libc.js';
import { chmod, O_NONBLOCK, O_PATH, O_RDONLY, open, symlink } from './path-calls.js';
import { fstat, lstat } from './stat.js';
import { KINDS_WITH_MODE, make, makeFile } from './things.js';
import type { Part, Trial } from './trial.js';

const MODES = [0, 0o777, 0o640, 0o111, 0o4755, 0o2755, 0o2644, 0o1777, 0o1644, 0o6711, 0o7777];
const OWNER_IN_GROUP: Caller = { ...OWNER, name: 'owner in the group', groups: [GID] };

export const chmodPart: Part = {
  syscalls: ['chmod', 'fchmod'],
  run(trial) {
    for (const kind of KINDS_WITH_MODE) {
      for (const caller of possible([...CALLERS, OWNER_IN_GROUP])) {
        trial.about('chmod', kind);
        const path = make(kind, trial.name(), { mode: 0o701 });
        for (const mode of MODES) checkMode(trial, path, mode, caller);
      }
    }
    checkDescriptors(trial);
    checkSymlink(trial);
  },
};

function expectedMode(mode: number, caller: Caller): number {
  const member = caller === ROOT || caller.gid === GID || caller.groups.includes(GID);
  return member ? mode : mode & ~0o2000;
}

function checkMode(trial: Trial, path: string, mode: number, caller: Caller): void {
  const what = `to ${mode.toString(8)}`;
  const before = lstat(path);
  if (caller !== ROOT && caller.uid !== UID) {
    trial.refuses(what, 'EPERM', [path], () => chmod(path, mode), caller);
    return;
  }
  trial.answers(
    `${what}, by ${caller.name}`,
    'ok',
    as(caller, () => chmod(path, mode)),
  );
  const after = lstat(path);
  trial.equal(`${what}, by ${caller.name}: the mode`, after.mode.toString(8), expectedMode(mode, caller).toString(8));
  trial.equal(`${what}, by ${caller.name}: the type`, after.type, before.type);
  trial.equal(`${what}, by ${caller.name}: mtime and owners`, same(after), same(before));
}

function same({ mtime, uid, gid, size, nlink, ino }: ReturnType<typeof lstat>): string {
  return [mtime, uid, gid, size, nlink, ino].join(' ');
}

function checkDescriptors(trial: Trial): void {
  for (const kind of ['file', 'directory', 'fifo'] as const) {
    trial.about('fchmod', kind);
    const path = make(kind, trial.name());
    const fd = must('open', open(path, O_RDONLY | O_NONBLOCK));
    for (const mode of MODES) {
      trial.answers(`to ${mode.toString(8)}`, 'ok', fchmod(fd, mode));
      trial.equal(`to ${mode.toString(8)}: the mode`, fstat(fd).mode.toString(8), mode.toString(8));
    }
    for (const caller of PLAIN_CALLERS) {
      if (caller.uid === UID) continue;
      trial.refuses('by who does not own it', 'EPERM', [path], () => fchmod(fd, 0o777), caller);
    }
    must('close', close(fd));
    const pathOnly = must('open', open(path, O_PATH));
    trial.refuses('of an O_PATH descriptor', 'EBADF', [path], () => fchmod(pathOnly, 0o777));
    must('close', close(pathOnly));
    trial.refuses('of a closed descriptor', 'EBADF', [path], () => fchmod(pathOnly, 0o777));
  }
}

function checkSymlink(trial: Trial): void {
  trial.about('chmod', 'a symlink');
  const target = makeFile(trial.name(), 'content', { mode: 0o600 });
  const path = trial.name();
  must('symlink', symlink(target, path));
  const before = lstat(path);
  trial.answers('changes what it leads to', 'ok', chmod(path, 0o4711));
  trial.equal('the mode of the target', lstat(target).mode, 0o4711);
  trial.equal('the mode of the symlink', lstat(path).mode, before.mode);
  trial.equal('ctime of the symlink', lstat(path).ctime, before.ctime);
}
