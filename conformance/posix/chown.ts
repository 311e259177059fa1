// chown.ts — chown(2), lchown(2), fchown(2): who may give away what, and which set-id bits a change takes.
// POSIX.1-2024 chown(), Linux inode(7) and notify_change(): set-group-id without group execution is no privilege and stays for members.

import { as, type Caller, CALLERS, GID, OTHER, OWNER, possible, ROOT, UID } from './callers.js';
import { close, fchown } from './file-calls.js';
import { must } from './libc.js';
import { chown, lchown, O_PATH, O_RDONLY, open, symlink } from './path-calls.js';
import { lstat } from './stat.js';
import { type Kind, KINDS, make, makeFile } from './things.js';
import type { Part, Trial } from './trial.js';

const MEMBER_GROUP = 61777;
const OWNER_IN_GROUPS: Caller = { ...OWNER, name: 'owner in both groups', groups: [GID, MEMBER_GROUP] };

interface Change {
  readonly what: string;
  readonly uid: number;
  readonly gid: number;
}

const CHANGES: readonly Change[] = [
  { what: 'nothing', uid: -1, gid: -1 },
  { what: 'the same uid', uid: UID, gid: -1 },
  { what: 'the same gid', uid: -1, gid: GID },
  { what: 'the same uid and gid', uid: UID, gid: GID },
  { what: 'another uid', uid: OTHER.uid, gid: -1 },
  { what: 'uid 0', uid: 0, gid: -1 },
  { what: 'the owner’s own gid', uid: -1, gid: OWNER.gid },
  { what: 'a supplementary gid', uid: -1, gid: MEMBER_GROUP },
  { what: 'a foreign gid', uid: -1, gid: OTHER.gid },
  { what: 'gid 0', uid: -1, gid: 0 },
  { what: 'the same uid and the owner’s own gid', uid: UID, gid: OWNER.gid },
  { what: 'another uid and a supplementary gid', uid: OTHER.uid, gid: MEMBER_GROUP },
  { what: 'the highest ids', uid: 0xffff_fffe, gid: 0xffff_fffe },
];

/** Root may everything; the owner may change the group to one that it is in. */
function allowed(caller: Caller, { uid, gid }: Change): boolean {
  if (caller === ROOT || (uid === -1 && gid === -1)) return true;
  if (caller.uid !== UID) return false;
  const groupFits = gid === -1 || gid === GID || gid === caller.gid || caller.groups.includes(gid);
  return (uid === -1 || uid === UID) && groupFits;
}

export const chownPart: Part = {
  syscalls: ['chown', 'lchown', 'fchown'],
  run(trial) {
    for (const kind of KINDS) {
      for (const caller of possible([...CALLERS, OWNER_IN_GROUPS])) {
        for (const change of CHANGES) checkChange(trial, kind, caller, change);
      }
    }
    for (const mode of [0o4755, 0o2755, 0o6755, 0o6644, 0o2644, 0o4644, 0o7777, 0o1755]) {
      for (const kind of KINDS) if (kind !== 'symlink') checkSetId(trial, kind, mode);
    }
    trial.rootStep(() => checkFollowing(trial));
    checkDescriptors(trial);
  },
};

function checkChange(trial: Trial, kind: Kind, caller: Caller, change: Change): void {
  trial.about(kind === 'symlink' ? 'lchown' : 'chown', kind);
  const path = make(kind, trial.name());
  const call = kind === 'symlink' ? lchown : chown;
  const before = lstat(path);
  const expected = allowed(caller, change) ? 'ok' : 'EPERM';
  if (!trial.decides(change.what, expected, [path], () => call(path, change.uid, change.gid), caller)) return;
  const after = lstat(path);
  const uid = change.uid === -1 ? before.uid : change.uid;
  const gid = change.gid === -1 ? before.gid : change.gid;
  trial.equal(`${change.what}, by ${caller.name}: uid and gid`, `${after.uid} ${after.gid}`, `${uid} ${gid}`);
  const kept = (stat: typeof after): string => [stat.mtime, stat.atime, stat.mode, stat.size, stat.type].join(' ');
  trial.equal(`${change.what}, by ${caller.name}: mode, mtime and atime`, kept(after), kept(before));
}

/** The mode after chown(2) by somebody. */
function modeAfter(kind: Kind, mode: number, member: boolean): number {
  if (kind === 'directory') return mode;
  const executable = (mode & 0o010) !== 0;
  return mode & ~0o4000 & (executable || !member ? ~0o2000 : ~0);
}

function checkSetId(trial: Trial, kind: Kind, mode: number): void {
  trial.about('chown', `${kind} of mode ${mode.toString(8)}`);
  const changes: readonly [what: string, uid: number, gid: number][] = [
    ['uid and gid', UID, MEMBER_GROUP],
    ['nothing', -1, -1],
    ['the gid', -1, MEMBER_GROUP],
    ['the same uid', UID, -1],
  ];
  for (const [what, uid, gid] of changes) {
    for (const caller of possible([ROOT, OWNER_IN_GROUPS])) {
      const path = make(kind, trial.name(), { mode });
      trial.answers(
        `${what}, by ${caller.name}`,
        'ok',
        as(caller, () => chown(path, uid, gid)),
      );
      const expected = modeAfter(kind, mode, true).toString(8);
      trial.equal(`${what}, by ${caller.name}: the mode`, lstat(path).mode.toString(8), expected);
    }
  }
  if (OWNER.gid === GID) return;
  const path = make(kind, trial.name(), { mode });
  trial.answers(
    'nothing, by an owner outside the group',
    'ok',
    as(OWNER, () => chown(path, -1, -1)),
  );
  const expected = modeAfter(kind, mode, false).toString(8);
  trial.equal('nothing, by an owner outside the group: the mode', lstat(path).mode.toString(8), expected);
}

function checkFollowing(trial: Trial): void {
  const target = makeFile(trial.name(), 'content');
  const path = trial.name();
  must('symlink', symlink(target, path));
  trial.about('chown', 'a symlink');
  trial.answers('changes what it leads to', 'ok', chown(path, 1, 2));
  trial.equal('the owner of the target', `${lstat(target).uid} ${lstat(target).gid}`, '1 2');
  trial.equal('the owner of the symlink', `${lstat(path).uid} ${lstat(path).gid}`, '0 0');
  trial.about('lchown', 'a symlink');
  trial.answers('changes itself', 'ok', lchown(path, 3, 4));
  trial.equal('the owner of the target', `${lstat(target).uid} ${lstat(target).gid}`, '1 2');
  trial.equal('the owner of the symlink', `${lstat(path).uid} ${lstat(path).gid}`, '3 4');
}

function checkDescriptors(trial: Trial): void {
  trial.about('fchown');
  for (const kind of ['file', 'directory'] as const) {
    const path = make(kind, trial.name(), { mode: 0o755 });
    const fd = must('open', open(path, O_RDONLY));
    for (const caller of CALLERS) {
      const expected = caller === ROOT ? 'ok' : 'EPERM';
      trial.decides(`of a ${kind} to another uid`, expected, [path], () => fchown(fd, OTHER.uid, -1), caller);
      must('lchown', lchown(path, UID, GID));
      const group = caller === ROOT || caller === OWNER ? 'ok' : 'EPERM';
      trial.decides(`of a ${kind} to the owner’s gid`, group, [path], () => fchown(fd, -1, OWNER.gid), caller);
      must('lchown', lchown(path, UID, GID));
    }
    must('close', close(fd));
    trial.refuses(`of a closed descriptor of a ${kind}`, 'EBADF', [path], () => fchown(fd, 0, 0));
    const pathOnly = must('open', open(path, O_PATH));
    trial.refuses(`of an O_PATH descriptor of a ${kind}`, 'EBADF', [path], () => fchown(pathOnly, 0, 0));
    must('close', close(pathOnly));
  }
}
