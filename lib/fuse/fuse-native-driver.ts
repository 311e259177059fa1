// fuse-native-driver.ts — the second driver: a FileSystem through fuse-native 2.2.6 (libfuse 2.9), for hosts without /dev/fuse (macOS).
// fuse-native runs in a process of its own (fuse-native-host.ts); calls arrive here on the event loop of the thread that started it.
// Limits, from the interface of fuse-native: it does not say who calls, so new files belong to the daemon's user; times have
// milliseconds, none before 1970, and utimens sets both times to the one for atime; inode numbers are libfuse's own, so hard links look like
// separate files; no rename flags, fallocate, SEEK_DATA, copy_file_range, O_TMPFILE, statx; removing an open file renames it to
// .fuse_hidden… until it is closed; names that are not UTF-8 cannot be used; nothing can be invalidated, so changes from other sites
// show after a second, the kernel's timeout. Errors are as in the kernel driver.

import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { existsSync } from 'node:fs';

import { AbsentObjects } from '../chunks/absent-objects.js';
import type { ObjectId } from '../crdt/ids.js';
import { ERRNO, PosixError } from '../errno.js';
import type { FileSystem } from '../volume/file-system.js';
import type { DriverLog } from './driver-log.js';
import type { FromHost, HostStart, OperationCall, OperationResult } from './fuse-native-messages.js';
import { FuseNativeOperations, type Outcome } from './fuse-native-operations.js';
import { checkMountpoint, detachDead, MountError, unmountKernel } from './mount.js';
import { parseMountOptions } from './mount-options.js';
import { isDeadMount, mountAt } from './mount-table.js';

const FIRST_RETRY_MS = 10;
const LONGEST_RETRY_MS = 500;
/** A call that waits for objects longer than this fails with EIO. */
const GIVE_UP_MS = 60_000;
const CHECK_INTERVAL_MS = 250;

export interface FuseNativeOptions {
  readonly fileSystem: FileSystem;
  readonly mountpoint: string;
  /** As given with `-o`. */
  readonly options: readonly string[];
  /** What df(1) shows as the source. */
  readonly source: string;
  readonly log: DriverLog;
  /** A call waits for these objects: it is tried again until they came, for at most a minute. */
  onAbsent(ids: readonly ObjectId[]): void;
}

export interface FuseNativeMount {
  /** Settles when the mount has ended. */
  readonly ended: Promise<void>;
  /** As unmountKernel. */
  unmount(lazy: boolean): Promise<void>;
}

class Driver {
  private readonly operations: FuseNativeOperations;
  private readonly host: ChildProcess;
  private readonly log: DriverLog;
  private readonly onAbsent: (ids: readonly ObjectId[]) => void;

  constructor(host: ChildProcess, options: FuseNativeOptions) {
    const caller = { uid: process.getuid!(), gid: process.getgid!(), pid: process.pid };
    this.operations = new FuseNativeOperations(options.fileSystem, caller);
    this.host = host;
    this.log = options.log;
    this.onAbsent = (ids) => options.onAbsent(ids);
  }

  handle(call: OperationCall, giveUpAtMs = performance.now() + GIVE_UP_MS, retryMs = FIRST_RETRY_MS): void {
    try {
      this.reply(call, this.operations.run(call.operation, call.args));
    } catch (error) {
      if (error instanceof AbsentObjects && performance.now() < giveUpAtMs) {
        if (retryMs === FIRST_RETRY_MS) this.onAbsent(error.ids);
        setTimeout(() => this.handle(call, giveUpAtMs, Math.min(retryMs * 2, LONGEST_RETRY_MS)), retryMs);
        return;
      }
      if (!(error instanceof PosixError)) this.log.error({ err: error }, `${call.operation} answered EIO`);
      this.reply(call, { result: -(error instanceof PosixError ? error.errno : ERRNO.EIO) });
    }
  }

  private reply({ id }: OperationCall, outcome: Outcome): void {
    const result: OperationResult = { id, ...outcome };
    if (this.host.connected) this.host.send(result);
  }
}

/** By the mount table: asking the mount itself would wait for our own answer. */
function isMounted(mountpoint: string): boolean {
  if (existsSync('/proc/self/mountinfo')) return mountAt(mountpoint) !== undefined;
  return execFileSync('mount', { encoding: 'utf8' }).includes(` on ${mountpoint} (`);
}

/** fuse-native does not say when somebody unmounts: then the host process has nothing left to do. */
function endWithMount(host: ChildProcess, mountpoint: string): void {
  const timer = setInterval(() => {
    if (isMounted(mountpoint)) return;
    clearInterval(timer);
    if (host.connected) host.disconnect();
  }, CHECK_INTERVAL_MS);
  host.once('exit', () => clearInterval(timer));
}

/** Mounts. Resolves when the tree can be used; rejects with a MountError, or an Error for a bad option, naming the remedy. */
export async function startFuseNative(options: FuseNativeOptions): Promise<FuseNativeMount> {
  const { flagNames, allowOther, fsname } = parseMountOptions(options.options);
  if (isDeadMount(options.mountpoint)) detachDead(options.mountpoint);
  const mountpoint = checkMountpoint(options.mountpoint);
  const start: HostStart = {
    mountpoint,
    options: {
      // fuse-native joins its options with commas and has none for these flags
      fsname: [fsname ?? options.source, ...flagNames].join(','),
      subtype: 'weft',
      defaultPermissions: true,
      allowOther: allowOther || process.getuid!() === 0,
      timeout: false,
    },
  };
  const host = fork(new URL('fuse-native-host.js', import.meta.url), { serialization: 'advanced', execArgv: [] });
  const driver = new Driver(host, options);
  const ended = new Promise<void>((resolve) => host.once('exit', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    host.once('error', (error) => reject(new MountError(`fuse-native: ${error.message}`)));
    host.once('exit', (code, signal) =>
      reject(new MountError(`fuse-native ended before it had mounted (${signal ?? code})`)),
    );
    host.on('message', (message: FromHost) => {
      if (message.kind === 'call') driver.handle(message.call);
      else if (message.kind === 'mounted') resolve();
      else reject(new MountError(message.message));
    });
    host.send(start);
  });
  endWithMount(host, mountpoint);
  return { ended, unmount: (lazy) => unmountKernel(mountpoint, lazy) };
}
