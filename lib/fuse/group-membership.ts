// group-membership.ts — whether the one who calls is of a group. A FUSE request names the caller's user and group, not the supplementary
// groups: those stand in /proc (proc_pid_status(5)), as libfuse's fuse_req_getgroups reads them.
// The caller waits for our answer meanwhile, so it is still there and has the groups that it calls with.

import { readFileSync } from 'node:fs';
import type { Request } from './requests.js';

/** The value of the line `Groups:`; empty where there is none. */
export function supplementaryGroups(status: string): number[] {
  const line = /^Groups:[ \t]*(.*)$/m.exec(status)?.[1]?.trim() ?? '';
  return line === '' ? [] : line.split(/\s+/).map(Number);
}

/** A caller that this process cannot see, of another container, is taken for a member: then nothing is taken from it. */
export function isMember({ uid, gid, pid }: Pick<Request, 'uid' | 'gid' | 'pid'>, group: number): boolean {
  if (uid === 0 || gid === group) return true;
  let status: string;
  try {
    status = readFileSync(`/proc/${pid}/status`, 'latin1');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES') return true;
    throw error;
  }
  return supplementaryGroups(status).includes(group);
}
