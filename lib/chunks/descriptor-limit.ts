// descriptor-limit.ts — how many local files may be open at once, so that descriptors are left for everything else.
// Why before and not at the failing open(2): what fails there may be a commit, a link or the control socket, and the daemon would end.

import { readFileSync } from 'node:fs';

/** For packs, the database, links, workers and whatever a program at the control socket asks for. */
const RESERVED = 1024;

/** Of the process, RLIMIT_NOFILE (getrlimit(2)); Node raises it at start to what its user may have. */
function openFilesLimit(): number {
  const limits = readFileSync('/proc/self/limits', 'latin1');
  const [, soft] = /^Max open files +(\w+)/m.exec(limits) ?? [];
  return soft === undefined || soft === 'unlimited' ? Infinity : Number(soft);
}

/** How many local files this process may have open: half of the limit where that is small. */
export function maxLocalFiles(): number {
  const limit = openFilesLimit();
  return Math.max(limit - RESERVED, Math.floor(limit / 2));
}
