// state-origin.ts — where a state directory was used last: tells it from a copy, and whether all that was written to it is still there.
// `origin.json` holds its own inode number and time of birth, and is written anew at every start: no copy of it matches itself, nor
// does one that was copied over it. A site that was put back has forgotten which inode numbers it gave out since, while other
// sites know the files that have them. Not seen are snapshots that bring back whole disks. It also holds the machine's boot, the
// device of the filesystem, and which life of that it is: as long as all are the same, what a killed process wrote is in the page cache or
// on the disk. A disk that failed, or was pulled out, loses it, and comes back under the same name. Not the mount, which is another one in
// each mount namespace (ip-netns(8), containers).

import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { syncPath } from '../file-sync.js';

const FILESYSTEMS = ['ext4', 'xfs', 'f2fs'];
const BOOT_ID = '/proc/sys/kernel/random/boot_id';

const ORIGIN = z.object({
  inode: z.string(),
  birthNs: z.string(),
  /** The kernel's boot_id (random(4)), '' where it has none, and the device's number. Earlier versions wrote neither. */
  boot: z.string().optional(),
  device: z.string().optional(),
  /** See {@link filesystemLife}. */
  filesystem: z.string().optional(),
});
type Origin = z.infer<typeof ORIGIN>;

/** No file has the number 0. */
const RESTORED: Origin = { inode: '0', birthNs: '0' };

/** Whether the directory is a copy of the one that the site ran in last. False where that cannot be known. */
export function isCopy(directory: string): boolean {
  const recorded = readOrigin(directory);
  if (recorded === undefined) return false;
  if (recorded?.inode === RESTORED.inode) return true;
  const own = statSync(originPath(directory), { bigint: true });
  // Filesystems that keep no time of birth are often not local, and may number files anew at every mount.
  if (own.birthtimeNs === 0n) return false;
  return recorded?.inode !== own.ino.toString() || recorded.birthNs !== own.birthtimeNs.toString();
}

/**
 * Whether what the last process wrote and did not sync may be missing: power may have failed, or the directory been copied while it was
 * written to. False where that cannot be known.
 */
export function mayLackUnsynced(directory: string): boolean {
  const recorded = readOrigin(directory);
  if (recorded === undefined) return false;
  if (recorded === null || isCopy(directory)) return true;
  const { boot, device, filesystem } = recorded;
  if (boot === undefined || device === undefined) return false;
  const { dev } = statSync(directory, { bigint: true });
  if (boot !== bootId() || device !== dev.toString()) return true;
  const now = filesystemLife(dev);
  return filesystem !== undefined && filesystem !== '' && now !== '' && filesystem !== now;
}

/**
 * What tells a filesystem from itself once it was unmounted everywhere and mounted again: the number of the directory that ext4, XFS or f2fs
 * makes for it in /sys/fs, which no later one gets (kernfs). '' where there is none.
 * @param device st_dev, as stat(2) puts it together (makedev(3))
 */
function filesystemLife(device: bigint): string {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn);
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffffff00n);
  const link = `/sys/dev/block/${major}:${minor}`;
  if (!existsSync(link)) return '';
  const name = basename(readlinkSync(link));
  for (const type of FILESYSTEMS) {
    const stat = statSync(join('/sys/fs', type, name), { bigint: true, throwIfNoEntry: false });
    if (stat) return `${type} ${stat.ino}`;
  }
  return '';
}

/** Undefined: there is none yet; null: it cannot be read. */
function readOrigin(directory: string): Origin | null | undefined {
  let text: string;
  try {
    text = readFileSync(originPath(directory), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return ORIGIN.safeParse(JSON.parse(text)).data ?? null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function bootId(): string {
  return existsSync(BOOT_ID) ? readFileSync(BOOT_ID, 'utf8').trim() : '';
}

/** Makes the directory the one that the site runs in. Durable when it returns. Needs the state lock. */
export function recordOrigin(directory: string): void {
  const path = originPath(directory);
  const temporary = `${path}.tmp`;
  rmSync(temporary, { force: true });
  const fd = openSync(temporary, 'wx', 0o600);
  try {
    const { ino, birthtimeNs, dev } = fstatSync(fd, { bigint: true });
    const origin: Origin = {
      inode: ino.toString(),
      birthNs: birthtimeNs.toString(),
      boot: bootId(),
      device: dev.toString(),
      filesystem: filesystemLife(dev),
    };
    writeFileSync(fd, `${JSON.stringify(origin)}\n`);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
  syncPath(directory);
}

/** The directory was made of a backup: whatever the filesystem says of its files, the site did not run in it last. */
export function markRestored(directory: string): void {
  writeFileSync(originPath(directory), `${JSON.stringify(RESTORED)}\n`, { mode: 0o600, flush: true });
}

function originPath(directory: string): string {
  return join(directory, 'origin.json');
}
