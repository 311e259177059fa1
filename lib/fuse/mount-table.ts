// mount-table.ts — what is mounted where, as this process sees it. Format: proc_pid_mountinfo(5).
// A FUSE mount whose daemon was killed stays in the table, dead: it answers ENOTCONN to everything until it is detached.

import { readFileSync, statfsSync } from 'node:fs';

export interface MountEntry {
  readonly mountpoint: string;
  /** e.g. 'ext4', 'fuse.weft' */
  readonly type: string;
  readonly source: string;
}

/** `\040` and the like stand for bytes that would break the table. */
function unescape(field: string): string {
  const bytes = field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

/** One line: `id parent dev root mountpoint options optional… - type source superOptions`. */
export function parseMountInfo(text: string): MountEntry[] {
  const entries: MountEntry[] = [];
  for (const line of text.split('\n')) {
    const [before, after] = line.split(' - ', 2);
    const mountpoint = before?.split(' ')[4];
    const [type, source] = after?.split(' ') ?? [];
    if (mountpoint === undefined || type === undefined || source === undefined) continue;
    entries.push({ mountpoint: unescape(mountpoint), type: unescape(type), source: unescape(source) });
  }
  return entries;
}

/** The topmost mount at exactly this absolute path. */
export function mountAt(path: string): MountEntry | undefined {
  return parseMountInfo(readFileSync('/proc/self/mountinfo', 'latin1')).findLast((entry) => entry.mountpoint === path);
}

/** What is mounted at exactly this real absolute path. Nothing is known where there is no /proc (macOS). */
export function mountedAt(path: string): MountEntry | undefined {
  return process.platform === 'linux' ? mountAt(path) : undefined;
}

/** What a request gets that waits while its connection ends, and one that comes later. */
const DEAD = new Set(['ENOTCONN', 'ECONNABORTED']);

/**
 * Whether a dead FUSE mount lies at `mountpoint`. Asks the mount itself, and so waits for a daemon that is alive, or about to end. By
 * statfs(2), for the kernel keeps attributes: stat(2) of a dead mount may still be answered.
 */
export function isDeadMount(mountpoint: string): boolean {
  if (!mountedAt(mountpoint)?.type.startsWith('fuse')) return false;
  try {
    statfsSync(mountpoint);
    return false;
  } catch (error) {
    return DEAD.has(String((error as NodeJS.ErrnoException).code));
  }
}
