// state-lock.ts — at most one daemon per state directory.
// A flock(2) on the file `lock`: the kernel drops it with the process however that ends, SIGKILL included, so there is no
// stale lock to clean up and no process id to mistrust (the one in the file only serves messages). flock and not fcntl:
// fcntl locks fall when any descriptor of the file is closed. Not for network filesystems, where flock may be emulated.

import { closeSync, existsSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const LOCK_EX = 2;
const LOCK_NB = 4;
/** EWOULDBLOCK on Linux and on the BSDs. */
const WOULD_BLOCK = new Set([11, 35]);
const RETRY_MS = 20;

/** Thrown when another process holds the lock. */
export class StateInUseError extends Error {
  constructor(
    readonly directory: string,
    readonly pid: number | null,
  ) {
    super(
      `${directory} is in use by a running daemon${pid === null ? '' : ` (process ${pid})`}: ` +
        'weft status lists it; weft umount its mountpoint first, or choose another --state',
    );
    this.name = 'StateInUseError';
  }
}

export class StateLock {
  private constructor(private fd: number | null) {}

  /** Takes the lock, waiting up to `waitMs` for a daemon that is about to end. Rejects with {@link StateInUseError}. */
  static async acquire(directory: string, waitMs = 1000): Promise<StateLock> {
    const fd = openSync(lockPath(directory), 'a+', 0o600);
    try {
      const deadlineMs = performance.now() + waitMs;
      while (!(await tryLock(fd))) {
        if (performance.now() >= deadlineMs) throw new StateInUseError(directory, StateLock.holder(directory));
        await delay(RETRY_MS);
      }
      ftruncateSync(fd);
      writeSync(fd, `${process.pid}\n`);
      return new StateLock(fd);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** Whether some process holds the lock now. Takes it for an instant when nobody does. */
  static async isHeld(directory: string): Promise<boolean> {
    let fd;
    try {
      fd = openSync(lockPath(directory), 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw error;
    }
    try {
      return !(await tryLock(fd));
    } finally {
      closeSync(fd);
    }
  }

  /** The process id that the last holder wrote, or null. Whether it still holds the lock is {@link isHeld}'s to say. */
  static holder(directory: string): number | null {
    try {
      const pid = Number.parseInt(readFileSync(lockPath(directory), 'latin1'), 10);
      return Number.isSafeInteger(pid) && pid > 0 ? pid : null;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
  }

  /**
   * Whether the last holder was killed and cannot end: a thread of it may wait in the kernel for an answer that it alone could have
   * given, and keeps the lock, the control socket and the mount, all of them deaf. Nobody may touch that mount but to detach it.
   */
  static isHolderDead(directory: string): boolean {
    const pid = StateLock.holder(directory);
    const path = `/proc/${pid}/stat`;
    if (pid === null || !existsSync(path)) return false;
    const text = readFileSync(path, 'latin1');
    // proc_pid_stat(5): the name is in parentheses and may hold any character; the state follows.
    return text.slice(text.lastIndexOf(')') + 2).startsWith('Z');
  }

  release(): void {
    if (this.fd === null) return;
    closeSync(this.fd);
    this.fd = null;
  }
}

function lockPath(directory: string): string {
  return join(directory, 'lock');
}

type Flock = (fd: number, operation: number) => number;
let binding: { flock: Flock; errno: () => number } | undefined;

/** Loaded on first use, so that the commands which take no lock run, and `weft doctor` can report, without koffi. */
async function loadBinding(): Promise<{ flock: Flock; errno: () => number }> {
  if (!binding) {
    const { default: koffi } = await import('koffi');
    const flock = koffi.load(null).func('int flock(int fd, int operation)') as Flock;
    binding = { flock, errno: () => koffi.errno() };
  }
  return binding;
}

async function tryLock(fd: number): Promise<boolean> {
  const { flock, errno } = await loadBinding();
  if (flock(fd, LOCK_EX | LOCK_NB) === 0) return true;
  const code = errno();
  if (WOULD_BLOCK.has(code)) return false;
  throw new Error(`flock failed with errno ${code}: choose a --state directory on a local filesystem`);
}
