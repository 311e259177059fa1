// observer.ts — what a program at a simulated site sees: the tree by its paths, and what files hold.
// Invariant: it changes nothing, and closes what it opens. Names are looked up through what a kernel remembers (kernel-cache.ts), so a
// site that does not tell the kernel of a change shows it here.

import { AbsentObjects } from '../chunks/absent-objects.js';
import { CorruptionError } from '../codec/bytes.js';
import { posixError } from '../errno.js';
import type { Ino, Name } from '../crdt/ids.js';
import { ROOT_INO } from '../crdt/ids.js';
import type { Attributes } from '../volume/file-system.js';
import type { Volume } from '../volume/volume.js';
import type { Place } from './call-effects.js';
import type { KernelFiles } from './kernel-files.js';
import type { Site } from './site.js';

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
/** Largest file that is read whole. */
const READ_BYTES = 2 << 20;

const scratch = Buffer.alloc(READ_BYTES);

/** A path with its kind: 'd', 'f' or another. */
export type ShownPath = readonly [path: string, kind: 'd' | 'f' | 'o'];

export class Observer {
  constructor(protected readonly site: Site) {}

  protected get volume(): Volume {
    return this.site.volume;
  }

  protected get kernel(): KernelFiles {
    return this.site.life!.files;
  }

  // ── paths ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  protected resolve(path: string): Ino {
    let ino = ROOT_INO;
    for (const name of path.split('/').filter((part) => part !== '')) {
      if (!this.isDirectory(ino)) throw posixError('ENOTDIR');
      const found = this.site.life!.cache.lookup(ino, name);
      if (found === undefined) throw posixError('ENOENT');
      ino = found;
    }
    return ino;
  }

  protected place(path: string): Place {
    const slash = path.lastIndexOf('/');
    const parent = this.resolve(path.slice(0, Math.max(slash, 0)));
    if (!this.isDirectory(parent)) throw posixError('ENOTDIR');
    return [parent, path.slice(slash + 1)];
  }

  protected isDirectory(ino: Ino): boolean {
    return (this.volume.files.getattr(ino).mode & S_IFMT) === S_IFDIR;
  }

  protected isFile(ino: Ino): boolean {
    return (this.volume.files.getattr(ino).mode & S_IFMT) === S_IFREG;
  }

  /** Names in a directory, sorted: the order on disk is a local matter. */
  list(path: string): Name[] {
    const names: Name[] = [];
    this.volume.files.readdir(this.resolve(path), 0, ({ name }) => names.push(name) > 0);
    return names.filter((name) => name !== '.' && name !== '..').toSorted();
  }

  stat(path: string): Attributes {
    return this.volume.files.getattr(this.resolve(path));
  }

  target(path: string): string {
    return this.volume.files.readlink(this.resolve(path));
  }

  xattrs(path: string): [string, string][] {
    const ino = this.resolve(path);
    return this.volume.files
      .listxattr(ino)
      .map((name) => [name, this.volume.files.getxattr(ino, name).toString('latin1')]);
  }

  /** All that there is below a directory. */
  paths(path = ''): ShownPath[] {
    const all: ShownPath[] = [];
    for (const name of this.list(path)) {
      const at = path === '' ? name : `${path}/${name}`;
      const type = this.stat(at).mode & S_IFMT;
      all.push([at, type === S_IFDIR ? 'd' : type === S_IFREG ? 'f' : 'o']);
      if (type === S_IFDIR) all.push(...this.paths(at));
    }
    return all;
  }

  // ── content ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** @throws AbsentObjects when the site does not hold the bytes */
  read(path: string): Buffer {
    return this.contentOf(this.resolve(path));
  }

  protected contentOf(ino: Ino): Buffer {
    const handle = this.kernel.open(ino, 0);
    return this.closing(handle, () => this.readAll(handle));
  }

  protected readAll(handle: number): Buffer {
    return Buffer.from(scratch.subarray(0, this.kernel.read(handle, READ_BYTES, scratch)));
  }

  /** False when its bytes are not here, or damaged: they come then, if another site has them. */
  isReadable(path: string): boolean {
    try {
      this.read(path);
      return true;
    } catch (error) {
      if (error instanceof AbsentObjects) this.site.life!.content.needed(error.ids, path);
      else if (!(error instanceof CorruptionError)) throw error;
      return false;
    }
  }

  /** Of all files whose bytes are here. */
  contents(): Buffer[] {
    const files = this.paths().filter(([, kind]) => kind === 'f');
    return files.flatMap(([path]) => this.seen(this.resolve(path)) ?? []);
  }

  /** What somebody sees who opens the file; null when its bytes are not here. */
  protected seen(ino: Ino): Buffer | null {
    try {
      return this.contentOf(ino);
    } catch (error) {
      if (!(error instanceof AbsentObjects || error instanceof CorruptionError)) throw error;
      return null;
    }
  }

  /** A program that ends closes what it opened, however it ends; unless the daemon ended before. */
  protected closing<T>(handle: number, act: () => T): T {
    const { life } = this.site;
    try {
      return act();
    } finally {
      if (life && !life.dead) life.files.release(handle);
    }
  }
}
