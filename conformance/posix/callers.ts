// callers.ts — who makes a call: root, the owner, a member of the group, one by a supplementary group, somebody else.
// On Linux credentials belong to a thread (credentials(7)); libc spreads changes over all threads, the system calls do not. So this
// thread becomes somebody else for one call and root again, without a process for each. Saved ids stay 0: that is the way back.

import { must, native, NeedsRoot } from './libc.js';

export interface Caller {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

export const IS_ROOT = process.getuid!() === 0;

/** Ids that no account needs to have. A plain user is the owner, since it can make nothing that belongs to others. */
const OWNER_ID = IS_ROOT ? 61001 : process.getuid!();
const GROUP_ID = IS_ROOT ? 61002 : process.getgid!();
const MEMBER_ID = 61003;
const OTHER_ID = 61004;

/** Who prepares: the process itself, also where it is a plain user's. */
export const ROOT: Caller = { name: 'root', uid: 0, gid: 0, groups: [] };
export const OWNER: Caller = { name: 'owner', uid: OWNER_ID, gid: IS_ROOT ? OWNER_ID : GROUP_ID, groups: [] };
/** Its group id is the group of what is tested. */
export const GROUP: Caller = { name: 'group', uid: MEMBER_ID - 1000, gid: GROUP_ID, groups: [] };
/** A member of that group by its supplementary groups. */
export const SUPPLEMENTARY: Caller = { name: 'supplementary', uid: MEMBER_ID, gid: MEMBER_ID, groups: [7, GROUP_ID] };
export const OTHER: Caller = { name: 'other', uid: OTHER_ID, gid: OTHER_ID, groups: [] };

/** Those whom this process can become: a plain user only itself. */
export function possible(callers: readonly Caller[]): readonly Caller[] {
  return IS_ROOT ? callers : callers.filter((caller) => caller === OWNER);
}

export const CALLERS: readonly Caller[] = possible([ROOT, OWNER, GROUP, SUPPLEMENTARY, OTHER]);
export const PLAIN_CALLERS: readonly Caller[] = possible([OWNER, GROUP, SUPPLEMENTARY, OTHER]);

/** Whose things are tested: they belong to OWNER, and to the group of GROUP and SUPPLEMENTARY. */
export const UID = OWNER_ID;
export const GID = GROUP_ID;

const NUMBERS: Partial<Record<NodeJS.Architecture, { setgroups: number; setresuid: number; setresgid: number }>> = {
  x64: { setgroups: 116, setresuid: 117, setresgid: 119 },
  arm64: { setgroups: 159, setresuid: 147, setresgid: 149 },
};
const numbers = NUMBERS[process.arch];
const setIds = native('long syscall(long, long, long, long)');
const setGroupList = native('long syscall(long, long, void *)');

function become(uid: number, gid: number, groups: readonly number[]): void {
  if (numbers === undefined) throw new Error(`the numbers of setresuid(2) are not known for ${process.arch}: add them`);
  const list = Buffer.alloc(Math.max(4, groups.length * 4));
  groups.forEach((group, i) => list.writeUInt32LE(group, i * 4));
  must('setgroups', setGroupList(numbers.setgroups, groups.length, list));
  must('setresgid', setIds(numbers.setresgid, gid, gid, 0));
  must('setresuid', setIds(numbers.setresuid, uid, uid, 0));
}

/** Makes calls as somebody. `work` must not wait for anything else in this process. */
export function as<T>(caller: Caller, work: () => T): T {
  if (caller === ROOT || (!IS_ROOT && caller === OWNER)) return work();
  if (!IS_ROOT) throw new NeedsRoot(`to become ${caller.name}`);
  become(caller.uid, caller.gid, caller.groups);
  try {
    return work();
  } finally {
    must('setresuid', setIds(numbers!.setresuid, 0, 0, 0));
    become(0, 0, []);
  }
}

export interface Permissions {
  readonly uid: number;
  readonly gid: number;
  /** The nine bits, and what is above them. */
  readonly mode: number;
  readonly directory: boolean;
}

export const READ = 4;
export const WRITE = 2;
export const EXECUTE = 1;

/** The class of file permission bits that counts for a caller: 6 (owner), 3 (group) or 0, the shift of its bits. */
export function classShift(caller: Caller, { uid, gid }: Pick<Permissions, 'uid' | 'gid'>): number {
  if (caller.uid === uid) return 6;
  return caller.gid === gid || caller.groups.includes(gid) ? 3 : 0;
}

/** POSIX.1-2024, 4.7 File Access Permissions, with Linux's privileges of root (capabilities(7): CAP_DAC_OVERRIDE). */
export function permits(caller: Caller, target: Permissions, wanted: number): boolean {
  if (caller.uid === 0) return (wanted & EXECUTE) === 0 || target.directory || (target.mode & 0o111) !== 0;
  return ((target.mode >> classShift(caller, target)) & wanted) === wanted;
}

/** A mode that gives `bits` to the caller's class and the opposite to the others: whoever looks at the wrong class is found out. */
export function modeFor(caller: Caller, bits: number): number {
  const shift = classShift(caller, { uid: UID, gid: GID });
  const others = ~bits & 7;
  return [6, 3, 0].reduce((mode, at) => mode | ((at === shift ? bits : others) << at), 0);
}
