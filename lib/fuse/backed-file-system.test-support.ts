// backed-file-system.test-support.ts — a MemoryFileSystem whose larger files lie in local files, which it gives the kernel as backings.
// A file gets its local file when it is opened, not open otherwise, and at least so large; from then on it keeps it. Of such a file the
// size and the times are the local file's own. With `user.unfit` set, what is given as the backing is not a file at all.

import { closeSync, fstatSync, futimesSync, ftruncateSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

import type { AttributeChanges, Attributes, Ino, Opened, Timestamp } from '../volume/file-system.js';
import { MemoryFileSystem, type Node } from './memory-file-system.test-support.js';
import { fallocate, lseek } from './posix-calls.test-support.js';

interface LocalFile {
  readonly path: string;
  /** Open while the inode is. */
  fd: number | undefined;
}

function timestamp(ns: bigint): Timestamp {
  return { s: Number(ns / 1_000_000_000n), ns: Number(ns % 1_000_000_000n) };
}

function secondsOf(time: Timestamp | 'now'): number {
  return time === 'now' ? Date.now() / 1000 : time.s + time.ns / 1e9;
}

export class BackedFileSystem extends MemoryFileSystem {
  /** Set it once passthrough was agreed. */
  passthrough = false;
  private readonly localDirectory: string;
  private readonly leastBytes: number;
  private readonly files = new Map<Ino, LocalFile>();

  /** Local files are named by inode number in `localDirectory`. */
  constructor(localDirectory: string, leastBytes: number) {
    super();
    this.localDirectory = localDirectory;
    this.leastBytes = leastBytes;
  }

  /** Calls with the descriptor of the inode's local file; undefined when it has none. */
  private withFile<T>(ino: Ino, use: (fd: number) => T): T | undefined {
    const file = this.files.get(ino);
    if (file === undefined) return undefined;
    if (file.fd !== undefined) return use(file.fd);
    const fd = openSync(file.path, 'r+');
    try {
      return use(fd);
    } finally {
      closeSync(fd);
    }
  }

  protected override openNode(node: Node): Opened {
    if (this.passthrough && node.opens === 0 && node.size >= this.leastBytes) this.moveOut(node);
    const opened = super.openNode(node);
    const file = this.files.get(node.ino);
    if (file === undefined) return opened;
    file.fd ??= openSync(file.path, 'r+');
    return { ...opened, backing: node.xattrs.has('user.unfit') ? -1 : file.fd };
  }

  private moveOut(node: Node): void {
    if (this.files.has(node.ino)) return;
    const path = join(this.localDirectory, `${node.ino}`);
    const fd = openSync(path, 'wx+');
    for (const [index, block] of node.blocks) writeSync(fd, block, 0, block.length, index * block.length);
    ftruncateSync(fd, node.size);
    futimesSync(fd, secondsOf(node.atime), secondsOf(node.mtime));
    closeSync(fd);
    node.blocks.clear();
    this.files.set(node.ino, { path, fd: undefined });
  }

  override release(handle: number): void {
    const node = this.opened(handle);
    const file = this.files.get(node.ino);
    if (file?.fd !== undefined && node.opens === 1) {
      closeSync(file.fd);
      file.fd = undefined;
    }
    super.release(handle);
  }

  protected override reap(node: Node): void {
    super.reap(node);
    if (this.nodes.has(node.ino)) return;
    const file = this.files.get(node.ino);
    if (file === undefined) return;
    rmSync(file.path);
    this.files.delete(node.ino);
  }

  protected override attributes(node: Node): Attributes {
    const stat = this.withFile(node.ino, (fd) => fstatSync(fd, { bigint: true }));
    if (stat === undefined) return super.attributes(node);
    return {
      ...super.attributes(node),
      size: Number(stat.size),
      blocks: Number(stat.blocks),
      atime: timestamp(stat.atimeNs),
      mtime: timestamp(stat.mtimeNs),
      ctime: timestamp(stat.ctimeNs),
    };
  }

  override setattr(ino: Ino, changes: AttributeChanges): Attributes {
    const changed = super.setattr(ino, changes);
    const { atime, mtime } = changes;
    if (atime === undefined && mtime === undefined) return changed;
    this.withFile(ino, (fd) => futimesSync(fd, secondsOf(atime ?? changed.atime), secondsOf(mtime ?? changed.mtime)));
    return this.getattr(ino);
  }

  protected override resize(node: Node, size: number): void {
    this.withFile(node.ino, (fd) => ftruncateSync(fd, size));
    super.resize(node, size);
  }

  override read(handle: number, offset: number, length: number, into: Buffer, at: number): number {
    const read = this.withFile(this.opened(handle).ino, (fd) => readSync(fd, into, at, length, offset));
    return read ?? super.read(handle, offset, length, into, at);
  }

  protected override put(node: Node, offset: number, data: Buffer): void {
    const written = this.withFile(node.ino, (fd) => writeSync(fd, data, 0, data.length, offset));
    if (written === undefined) super.put(node, offset, data);
  }

  override fallocate(handle: number, mode: number, offset: number, length: number): void {
    const node = this.opened(handle);
    if (this.files.has(node.ino)) this.withFile(node.ino, (fd) => fallocate(fd, mode, offset, length));
    else super.fallocate(handle, mode, offset, length);
  }

  override lseek(handle: number, offset: number, whence: number): number {
    const position = this.withFile(this.opened(handle).ino, (fd) => lseek(fd, offset, whence));
    return position ?? super.lseek(handle, offset, whence);
  }
}
