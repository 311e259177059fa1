// volume-files.ts — the POSIX calls of a volume: the tree as it is, with the tree as it was below `.weft/snapshots` in its root.
// Invariant: each call goes to one of the two trees, told apart by the inode number alone, and nothing changes the past, nor
// anything at a site that may only read (EROFS).
// What a call does is not here: names, attributes, contents and extended attributes have a file each. See file-system.ts.

import { constants, statfsSync } from 'node:fs';
import { besideReserve } from '../disk-reserve.js';
import { posixError } from '../errno.js';
import type { Ino, Name } from '../crdt/ids.js';
import { type Core, NAME_MAX } from './core.js';
import type { ExtendedAttributes } from './extended-attributes.js';
import type { FileContents } from './file-contents.js';
import type {
  AttributeChanges,
  Attributes,
  Created,
  Caller,
  DirectoryEntry,
  FileSystem,
  Opened,
  StatFs,
  Timestamp,
} from './file-system.js';
import type { InodeChanges } from './inode-changes.js';
import type { Namespace } from './namespace.js';
import type { PastFiles } from './past-files.js';
import type { StableStorage } from './stable-storage.js';

const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;
const PERMISSION_BITS = 0o7777;
const { O_RDWR, O_WRONLY, O_TRUNC } = constants;
const O_ACCMODE = O_WRONLY | O_RDWR;

export class VolumeFiles implements FileSystem {
  constructor(
    private readonly core: Core,
    private readonly stable: StableStorage,
    private readonly names: Namespace,
    private readonly changes: InodeChanges,
    private readonly contents: FileContents,
    private readonly xattrs: ExtendedAttributes,
    private readonly past: PastFiles,
    private readonly stateDirectory: string,
    /** Whether this site may change the tree. */
    private readonly mayWrite: () => boolean,
  ) {}

  /** @throws PosixError EROFS for what would change something where nothing may be changed */
  private checkWritable(parent: Ino, name?: Name): void {
    this.checkRole();
    this.past.checkWritable(parent, name);
  }

  private checkRole(): void {
    if (!this.mayWrite()) throw posixError('EROFS');
  }

  replyFirst(): void {
    this.core.repliesFirst = true;
  }

  settle(): void {
    this.core.settle();
  }

  awaitForget(): void {
    this.core.awaitsForget = true;
  }

  forget(ino: Ino): void {
    if (!this.past.owns(ino)) this.contents.forgotten(ino);
  }

  lookup(parent: Ino, name: Name): Attributes | undefined {
    if (this.past.owns(parent)) return this.past.lookup(parent, name);
    return this.names.lookup(parent, name) ?? (this.past.isEntrance(parent, name) ? this.past.entrance() : undefined);
  }

  getattr(ino: Ino): Attributes {
    return this.past.owns(ino) ? this.past.attributes(ino) : this.changes.attributes(ino);
  }

  leavesAtime(handle: number): boolean {
    return this.core.openFiles.get(handle).leavesAtime;
  }

  readMoves(ino: Ino, always: boolean): boolean {
    return !this.past.owns(ino) && this.changes.readMoves(ino, always);
  }

  accessed(ino: Ino, always: boolean, time?: Timestamp): void {
    if (!this.past.owns(ino)) this.changes.accessed(ino, always, time);
  }

  setattr(ino: Ino, changes: AttributeChanges, caller: Caller, handle: number | undefined): Attributes {
    this.checkWritable(ino);
    return this.changes.setattr(ino, changes, caller, handle, this.contents);
  }

  readlink(ino: Ino): string {
    return this.past.owns(ino) ? this.past.readlink(ino) : this.names.readlink(ino);
  }

  mknod(parent: Ino, name: Name, mode: number, rdev: number, umask: number, caller: Caller): Attributes {
    this.checkWritable(parent, name);
    return this.names.make(parent, name, mode, rdev, umask, caller);
  }

  mkdir(parent: Ino, name: Name, mode: number, umask: number, caller: Caller): Attributes {
    this.checkWritable(parent, name);
    return this.names.make(parent, name, S_IFDIR | (mode & PERMISSION_BITS), 0, umask, caller);
  }

  symlink(parent: Ino, name: Name, target: string, caller: Caller): Attributes {
    this.checkWritable(parent, name);
    return this.names.symlink(parent, name, target, caller);
  }

  link(ino: Ino, parent: Ino, name: Name): Attributes {
    this.checkWritable(parent, name);
    if (this.past.owns(ino)) throw posixError('EXDEV');
    return this.names.link(ino, parent, name);
  }

  unlink(parent: Ino, name: Name): void {
    this.checkWritable(parent, name);
    this.names.unlink(parent, name);
  }

  rmdir(parent: Ino, name: Name): void {
    this.checkWritable(parent, name);
    this.names.rmdir(parent, name);
  }

  rename(parent: Ino, name: Name, newParent: Ino, newName: Name, flags: number, caller: Caller): void {
    this.checkWritable(parent, name);
    this.checkWritable(newParent, newName);
    this.names.rename(parent, name, newParent, newName, flags, caller);
  }

  create(parent: Ino, name: Name, mode: number, flags: number, umask: number, caller: Caller): Created {
    this.checkWritable(parent, name);
    const attributes = this.names.make(parent, name, S_IFREG | (mode & PERMISSION_BITS), 0, umask, caller);
    return { attributes, opened: this.contents.openNew(attributes, flags) };
  }

  tmpfile(parent: Ino, mode: number, flags: number, umask: number, caller: Caller): Created {
    this.checkWritable(parent);
    const attributes = this.names.makeUnnamed(parent, mode, umask, caller);
    return { attributes, opened: this.contents.openNew(attributes, flags) };
  }

  open(ino: Ino, flags: number, killSuidGid: boolean, caller: Caller): Opened {
    if ((flags & O_ACCMODE) !== 0 || flags & O_TRUNC) this.checkRole();
    return this.past.owns(ino) ? this.past.open(ino, flags) : this.contents.open(ino, flags, killSuidGid, caller);
  }

  read(handle: number, offset: number, length: number, into: Buffer, at: number): number {
    return this.contents.read(handle, offset, length, into, at);
  }

  write(handle: number, offset: number, data: Buffer, killSuidGid: boolean): number {
    this.checkRole();
    return this.contents.write(handle, offset, data, killSuidGid);
  }

  release(handle: number): void {
    if (!this.past.release(handle)) this.contents.release(handle);
  }

  fsync(handle: number): void {
    this.contents.fsync(handle);
  }

  fallocate(handle: number, mode: number, offset: number, length: number): void {
    this.checkRole();
    this.contents.fallocate(handle, mode, offset, length);
  }

  lseek(handle: number, offset: number, whence: number): number {
    return this.contents.lseek(handle, offset, whence);
  }

  copyFileRange(source: number, sourceOffset: number, target: number, targetOffset: number, length: number): number {
    this.checkRole();
    return this.contents.copyFileRange(source, sourceOffset, target, targetOffset, length);
  }

  readdir(ino: Ino, cookie: number, emit: (entry: DirectoryEntry) => boolean): void {
    if (this.past.owns(ino)) this.past.readdir(ino, cookie, emit);
    else this.names.readdir(ino, cookie, emit);
  }

  fsyncdir(): void {
    this.stable.sync();
  }

  statfs(): StatFs {
    const disk = statfsSync(this.stateDirectory);
    const { bsize, blocks, bfree, files, ffree } = disk;
    return {
      blockSize: bsize,
      blocks,
      blocksFree: bfree,
      blocksAvailable: Math.max(0, Math.floor(besideReserve(disk) / bsize)),
      files,
      filesFree: ffree,
      nameLength: NAME_MAX,
    };
  }

  getxattr(ino: Ino, name: string): Buffer {
    return this.past.owns(ino) ? this.past.getxattr(ino, name) : this.xattrs.get(ino, name);
  }

  listxattr(ino: Ino): string[] {
    return this.past.owns(ino) ? this.past.listxattr(ino) : this.xattrs.list(ino);
  }

  setxattr(ino: Ino, name: string, value: Buffer, flags: number, killSgid: boolean): void {
    this.checkWritable(ino);
    this.xattrs.set(ino, name, value, flags, killSgid);
  }

  removexattr(ino: Ino, name: string): void {
    this.checkWritable(ino);
    this.xattrs.remove(ino, name);
  }
}
