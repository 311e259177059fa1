// mount.ts — makes and ends a kernel FUSE mount: mount(2) as root, else through the setuid helper fusermount3.
// Errors are for the user: each names the cause and the remedy. Nothing here serves requests: an unmount may need answers from the
// thread that does, so call it from another one. Sources: mount(2), umount(2), fusermount3(1), Documentation/filesystems/fuse.

import { spawn, spawnSync } from 'node:child_process';
import { constants, mkdtempSync, realpathSync, rmdirSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { isDeadMount, mountAt } from './mount-table.js';
import type { MountOptions } from './mount-options.js';
import {
  close,
  MNT_DETACH,
  MNT_FORCE,
  mount,
  mountBeneath,
  openNonBlocking,
  receiveDescriptor,
  setNonBlocking,
  socketPair,
  SystemCallError,
  unmountInBackground,
  unmountNow,
} from './system-calls.js';

const DEVICE = '/dev/fuse';
/** df(1) and /proc/self/mounts show `fuse.weft`. */
const SUBTYPE = 'weft';

/** A mount or unmount failed; the message names the cause and the remedy. */
export class MountError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'MountError';
  }
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown } | null)?.code);
}

function isRoot(): boolean {
  return process.geteuid?.() === 0;
}

/** The absolute path of a directory that can be mounted on; it need not be empty. Throws a {@link MountError}. */
export function checkMountpoint(mountpoint: string): string {
  let path: string;
  try {
    path = realpathSync(mountpoint);
    if (!statSync(path).isDirectory()) throw new MountError(`${path} is not a directory: mount on a directory`);
  } catch (error) {
    if (error instanceof MountError) throw error;
    switch (codeOf(error)) {
      case 'ENOENT':
        throw new MountError(`${mountpoint} does not exist: create it with 'mkdir -p ${mountpoint}'`);
      case 'ENOTDIR':
        throw new MountError(`${mountpoint}: a part of the path is not a directory`);
      case 'ENOTCONN':
        throw new MountError(
          `${mountpoint} is the mount of a daemon that died ("Transport endpoint is not connected"): ` +
            `run 'weft umount ${mountpoint}' and mount again`,
        );
      case 'EACCES':
        throw new MountError(`${mountpoint}: no permission to reach it: check the directories above it`);
      default:
        throw new MountError(`${mountpoint}: ${(error as Error).message}`);
    }
  }
  const existing = mountAt(path);
  if (existing?.type.startsWith('fuse')) {
    throw new MountError(
      `${path} is a mount already (${existing.source}, ${existing.type}): 'umount ${path}' first, or mount elsewhere`,
    );
  }
  return path;
}

function openDevice(): number {
  try {
    return openNonBlocking(DEVICE);
  } catch (error) {
    switch (codeOf(error)) {
      case 'ENOENT':
      case 'ENXIO':
      case 'ENODEV':
        throw new MountError(
          `there is no ${DEVICE}: run 'modprobe fuse', or start the container with --device ${DEVICE} --cap-add SYS_ADMIN`,
        );
      case 'EACCES':
      case 'EPERM':
        throw new MountError(
          `no permission to open ${DEVICE}: 'chmod 666 ${DEVICE}' as root, as distributions ship it`,
        );
      default:
        throw new MountError(`${DEVICE}: ${(error as Error).message}`);
    }
  }
}

/** As root: the device is opened here and handed to mount(2). */
function mountDirectly(path: string, options: MountOptions, source: string): number {
  const fd = openDevice();
  const data = [
    `fd=${fd}`,
    `rootmode=${constants.S_IFDIR.toString(8)}`,
    `user_id=${process.getuid!()}`,
    `group_id=${process.getgid!()}`,
    'default_permissions',
    'allow_other',
    `max_read=${options.maxReadBytes}`,
  ];
  try {
    mount(source, path, `fuse.${SUBTYPE}`, options.flags, data.join(','));
    return fd;
  } catch (error) {
    close(fd);
    switch (codeOf(error)) {
      case 'EPERM':
      case 'EACCES':
        throw new MountError(
          `no permission to mount on ${path}: CAP_SYS_ADMIN is needed (containers: --cap-add SYS_ADMIN, and no seccomp or AppArmor rule against mount)`,
        );
      case 'ENODEV':
        throw new MountError("this kernel has no FUSE: run 'modprobe fuse' or use a kernel with CONFIG_FUSE_FS");
      case 'EBUSY':
        throw new MountError(`${path} is busy: unmount what is there first`);
      default:
        throw new MountError(`cannot mount on ${path}: ${(error as Error).message}`);
    }
  }
}

/** Commas and backslashes in a value would end it. */
function escaped(value: string): string {
  return value.replace(/[\\,]/g, '\\$&');
}

function explainFusermount(path: string, stderr: string): string {
  const said = stderr.trim().replaceAll('\n', '; ');
  if (said.includes('user_allow_other')) {
    return `${said}: add the line user_allow_other to /etc/fuse.conf, or mount without -o allow_other`;
  }
  if (said.includes('failed to open /dev/fuse')) {
    return `${said}: 'chmod 666 ${DEVICE}' as root, as distributions ship it`;
  }
  if (said.includes('could not determine username')) {
    return `${said}: it wants an account (getent passwd ${process.getuid!()})`;
  }
  if (said.includes('no write access')) return `${said}: mount on a directory that you own`;
  if (said.includes('Permission denied') || said.includes('Operation not permitted')) {
    return `${said}: fusermount3 must be setuid root, and no AppArmor or seccomp rule may forbid mounting on ${path}`;
  }
  return said;
}

/** Not as root: fusermount3 mounts and sends back the descriptor of the device that it opened. */
function mountThroughHelper(path: string, options: MountOptions, source: string): number {
  const given = [
    ...options.flagNames,
    `fsname=${escaped(source)}`,
    `subtype=${SUBTYPE}`,
    'default_permissions',
    `max_read=${options.maxReadBytes}`,
  ];
  if (options.allowOther) given.push('allow_other');
  const [ours, theirs] = socketPair();
  try {
    const helper = spawnSync('fusermount3', ['-o', given.join(','), '--', path], {
      stdio: ['ignore', 'ignore', 'pipe', theirs],
      env: { ...process.env, _FUSE_COMMFD: '3' },
      encoding: 'utf8',
    });
    if (helper.error) {
      // EACCES: it is nowhere, and a directory of the PATH may not be searched (execvp(3)).
      if (!['ENOENT', 'EACCES'].includes(codeOf(helper.error) ?? ''))
        throw new MountError(`fusermount3: ${helper.error.message}`);
      throw new MountError(
        "fusermount3 is not installed: install it ('apt install fuse3', 'dnf install fuse3') or mount as root",
      );
    }
    if (helper.status !== 0) throw new MountError(`cannot mount on ${path}: ${explainFusermount(path, helper.stderr)}`);
    const fd = receiveDescriptor(ours);
    if (fd === undefined) throw new MountError(`cannot mount on ${path}: fusermount3 sent no descriptor`);
    setNonBlocking(fd);
    return fd;
  } finally {
    close(ours);
    close(theirs);
  }
}

/** A mount whose INIT request waits on `fd`. */
export interface Mounted {
  /** /dev/fuse, non-blocking. */
  readonly fd: number;
  /** Absolute, without symbolic links. */
  readonly mountpoint: string;
}

/**
 * As root, in the place of a dead mount. Programs that go on get ENOTCONN until the new one answers them, and never find the bare directory
 * in between: what they wrote there would be hidden the moment after.
 */
function replaceDead(path: string, options: MountOptions, source: string): number {
  const aside = mkdtempSync(join(tmpdir(), 'weft-mount-'));
  try {
    const fd = mountDirectly(aside, options, source);
    try {
      mountBeneath(aside, path);
    } catch (error) {
      close(fd);
      if (!(error instanceof SystemCallError)) throw error;
      // An older kernel: the bare directory is there for some microseconds.
      detachDead(path);
      return mountDirectly(path, options, source);
    } finally {
      unmountNow(aside, MNT_DETACH);
    }
    detachDead(path);
    return fd;
  } finally {
    rmdirSync(aside);
  }
}

/** Detaches the dead mount at `path`. */
export function detachDead(path: string): void {
  if (isRoot()) return unmountNow(path, MNT_DETACH | MNT_FORCE);
  const { status, stderr } = spawnSync('fusermount3', ['-u', '-z', '--', path], { encoding: 'utf8' });
  if (status !== 0) throw new MountError(`the dead mount at ${path} could not be removed (${stderr.trim()})`);
}

/**
 * Mounts, in the place of a dead mount if one is there. `source` is what df(1) shows unless `-o fsname=` says otherwise. Throws a
 * {@link MountError}.
 */
export function mountKernel(mountpoint: string, options: MountOptions, source: string): Mounted {
  const name = options.fsname ?? source;
  if (isDeadMount(mountpoint)) {
    if (isRoot()) return { fd: replaceDead(mountpoint, options, name), mountpoint };
    detachDead(mountpoint);
  }
  const path = checkMountpoint(mountpoint);
  return {
    fd: isRoot() ? mountDirectly(path, options, name) : mountThroughHelper(path, options, name),
    mountpoint: path,
  };
}

/** Takes back a mount that cannot be served, in the calling thread. */
export function abandonMount(mounted: Mounted): void {
  close(mounted.fd); // ends the connection: nothing waits for answers any more
  if (isRoot()) unmountNow(mounted.mountpoint, MNT_DETACH);
  else spawnSync('fusermount3', ['-u', '-z', '--', mounted.mountpoint]);
}

function unmountThroughHelper(path: string, lazy: boolean): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const helper = spawn('fusermount3', ['-u', ...(lazy ? ['-z'] : []), '--', path], { stdio: 'ignore' });
    helper.once('error', (error) => reject(new MountError(`fusermount3: ${error.message}`)));
    helper.once('close', (status) => resolve(status === 0));
  });
}

/**
 * Unmounts; the session's run() then returns. With `lazy` the mount vanishes from the tree at once (MNT_DETACH), and run() returns when its
 * last user is gone. Rejects with a {@link MountError} that names the remedy when the mount is in use.
 */
export async function unmountKernel(mountpoint: string, lazy: boolean): Promise<void> {
  const done = isRoot()
    ? await unmountInBackground(mountpoint, lazy ? MNT_DETACH : 0)
    : await unmountThroughHelper(mountpoint, lazy);
  if (done) return;
  const left = mountAt(mountpoint);
  if (left === undefined) return; // somebody else did it
  throw new MountError(
    `${mountpoint} is in use: 'fuser -vm ${mountpoint}' lists by whom; end those processes, or detach it all the same: 'weft umount ${mountpoint} --force'`,
  );
}
