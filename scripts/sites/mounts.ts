// mounts.ts — what is mounted where, read from /proc/self/mountinfo (proc_pid_mountinfo(5)), and taking mounts down.

import { readFileSync } from 'node:fs';
import { run } from './command.js';

export interface Mount {
  readonly mountpoint: string;
  /** e.g. 'ext4', 'fuse.weft'. */
  readonly type: string;
  readonly source: string;
}

/** Parses the text of a mountinfo file. Paths come back with their octal escapes resolved. */
export function parseMountInfo(text: string): Mount[] {
  const mounts: Mount[] = [];
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const fields = line.split(' ');
    const separator = fields.indexOf('-', 6);
    const [mountpoint, type, source] = [fields[4], fields[separator + 1], fields[separator + 2]];
    if (separator < 0 || mountpoint === undefined || type === undefined || source === undefined) {
      throw new Error(`not a line of mountinfo: ${line}`);
    }
    mounts.push({ mountpoint: unescapeOctal(mountpoint), type, source: unescapeOctal(source) });
  }
  return mounts;
}

/** Mounts at or below a directory, the deepest and latest first: the order in which they can be taken down. */
export function mountsBelow(directory: string): Mount[] {
  return parseMountInfo(readFileSync('/proc/self/mountinfo', 'latin1'))
    .filter((mount) => mount.mountpoint === directory || mount.mountpoint.startsWith(`${directory}/`))
    .toReversed()
    .toSorted((a, b) => b.mountpoint.length - a.mountpoint.length);
}

/** The type of the filesystem that holds a path, as the kernel names it. */
export function filesystemType(path: string): string {
  let best: Mount | undefined;
  for (const mount of parseMountInfo(readFileSync('/proc/self/mountinfo', 'latin1'))) {
    const prefix = mount.mountpoint === '/' ? '/' : `${mount.mountpoint}/`;
    const holds = path === mount.mountpoint || path.startsWith(prefix);
    if (holds && (best === undefined || mount.mountpoint.length >= best.mountpoint.length)) best = mount;
  }
  return best?.type ?? 'unknown';
}

/** Detaches every mount at or below a directory, busy or dead ones too (MNT_DETACH). Rejects when one stays. */
export async function detachBelow(directory: string): Promise<void> {
  for (const mount of mountsBelow(directory)) await run('umount', ['--lazy', mount.mountpoint]);
  const left = mountsBelow(directory);
  if (left.length > 0) throw new Error(`still mounted: ${left.map((mount) => mount.mountpoint).join(', ')}`);
}

function unescapeOctal(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}
