// simulated-tree.ts — a site's tree in the simulator: the calls of one program on the product's volume, without a kernel.
// A read waits, in simulated time, for bytes that have not arrived, as a mount's reader does.

import { AbsentObjects } from '../../lib/chunks/absent-objects.js';
import { PosixError, posixError } from '../../lib/errno.js';
import type { Process } from '../../lib/sim/process.js';
import type { Site } from '../../lib/sim/site.js';
import { entryType, type TreeSnapshot } from '../sites/tree-snapshot.js';
import { type OpenFile, type PathStat, type SiteTree, snapshotOf } from './site-tree.js';

/** How long a reader waits for bytes, and how often it looks. */
const WAIT_MS = 30_000;
const LOOK_EVERY_MS = 5;

export class SimulatedTree implements SiteTree {
  constructor(
    private readonly site: Site,
    private readonly process: Process,
    /** Lets so much simulated time pass. */
    private readonly pass: (ms: number) => Promise<void>,
  ) {}

  async stat(path: string): Promise<PathStat> {
    const { ino, mode, nlink, uid, gid, size, mtime } = await this.call(() => this.process.stat(real(path)));
    return {
      type: entryType({ mode: BigInt(mode) }),
      mode: mode & 0o7777,
      uid,
      gid,
      nlink,
      inode: ino,
      sizeBytes: size,
      mtimeNs: BigInt(mtime.s) * 1_000_000_000n + BigInt(mtime.ns),
    };
  }

  list(path: string): Promise<string[]> {
    return this.call(() => this.process.list(real(path)));
  }

  async read(path: string): Promise<string> {
    return (await this.call(() => this.process.read(path))).toString('latin1');
  }

  readlink(path: string): Promise<string> {
    return this.call(() => this.process.target(path));
  }

  async xattrs(path: string): Promise<ReadonlyMap<string, string>> {
    return new Map(await this.call(() => this.process.xattrs(real(path))));
  }

  snapshot(): Promise<TreeSnapshot> {
    return snapshotOf(this);
  }

  mkdir(path: string): Promise<void> {
    return this.call(() => this.process.mkdir(path));
  }

  rmdir(path: string): Promise<void> {
    return this.call(() => this.process.rmdir(path));
  }

  write(path: string, text: string): Promise<void> {
    return this.call(() => this.process.write(path, bytes(text)));
  }

  create(path: string, text: string, sync: boolean): Promise<void> {
    return this.call(() => {
      if (this.exists(path)) throw posixError('EEXIST');
      this.process.write(path, bytes(text));
      if (!sync) return;
      this.process.open('create', path);
      this.process.fsync('create');
      this.process.close('create');
    });
  }

  append(path: string, text: string): Promise<void> {
    return this.call(() =>
      this.exists(path) ? this.process.patch(path, -1, bytes(text)) : this.process.write(path, bytes(text)),
    );
  }

  writeAt(path: string, offset: number, text: string): Promise<void> {
    return this.call(() => this.process.patch(path, offset, bytes(text)));
  }

  truncate(path: string, sizeBytes: number): Promise<void> {
    return this.call(() => this.process.truncate(path, sizeBytes));
  }

  rename(from: string, to: string): Promise<void> {
    return this.call(() => this.process.rename(from, to));
  }

  exchange(path: string, other: string): Promise<void> {
    return this.call(() => this.process.exchange(path, other));
  }

  unlink(path: string): Promise<void> {
    return this.call(() => this.process.unlink(path));
  }

  link(existing: string, path: string): Promise<void> {
    return this.call(() => this.process.link(existing, path));
  }

  symlink(target: string, path: string): Promise<void> {
    return this.call(() => this.process.symlink(target, path));
  }

  mkfifo(path: string): Promise<void> {
    return this.call(() => this.process.mkfifo(path));
  }

  chmod(path: string, mode: number): Promise<void> {
    return this.call(() => this.process.chmod(real(path), mode));
  }

  chown(path: string, uid: number | null, gid: number | null): Promise<void> {
    return this.call(() => this.process.chown(real(path), uid, gid));
  }

  touch(path: string, timeSeconds: number | null): Promise<void> {
    return this.call(() => this.process.touch(real(path), timeSeconds ?? this.site.clock.nowUs() / 1e6));
  }

  setxattr(path: string, name: string, value: string): Promise<void> {
    return this.call(() => this.process.setxattr(real(path), name, value));
  }

  removexattr(path: string, name: string): Promise<void> {
    return this.call(() => this.process.removexattr(real(path), name));
  }

  async open(handle: string, path: string): Promise<OpenFile> {
    await this.call(() => this.process.open(handle, path));
    return {
      read: async () => (await this.call(() => this.process.readOpen(handle))).toString('latin1'),
      append: (text) => this.call(() => this.process.put(handle, -1, bytes(text))),
      lock: () => Promise.reject(new Error('there is no kernel in the simulator, and locks are the kernel’s')),
      // It ended with the daemon that was killed.
      close: () =>
        this.call(() => this.process.openNames.includes(handle) && this.process.close(handle)).then(() => {}),
    };
  }

  private exists(path: string): boolean {
    try {
      this.process.stat(path);
      return true;
    } catch (error) {
      if (error instanceof PosixError && error.code === 'ENOENT') return false;
      throw error;
    }
  }

  /** Makes a call; again as bytes arrive that it needs. */
  private async call<T>(act: () => T): Promise<T> {
    for (let waitedMs = 0; ; waitedMs += LOOK_EVERY_MS) {
      this.process.begin('');
      try {
        const result = act();
        this.site.wake();
        return result;
      } catch (error) {
        if (!(error instanceof AbsentObjects)) throw error;
        if (waitedMs >= WAIT_MS) throw posixError('EIO');
      }
      await this.pass(LOOK_EVERY_MS);
    }
  }
}

/** As lib/sim/process.ts spells paths: the root is ''. */
function real(path: string): string {
  return path === '.' ? '' : path;
}

function bytes(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}
