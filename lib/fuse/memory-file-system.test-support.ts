// memory-file-system.test-support.ts — a small, complete FileSystem in memory, for the tests of the drivers. Single site, nothing persistent.
// Contents are a map of 4 KiB blocks, so holes are blocks that are not there. Reading a file with the extended attribute
// `user.absent` throws AbsentObjects for the object named by its value, until `arrive` was called with it.

import { AbsentObjects } from '../chunks/absent-objects.js';
import { posixError } from '../errno.js';
import type {
  AttributeChanges,
  Attributes,
  Created,
  Caller,
  DirectoryEntry,
  FileSystem,
  Ino,
  Name,
  Opened,
  StatFs,
  Timestamp,
} from '../volume/file-system.js';
import { RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT } from '../volume/file-system.js';

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;
const S_IFCHR = 0o020000;
const O_TRUNC = 0o1000;
const BLOCK = 4096;
const FALLOC_KEEP_SIZE = 1;
const FALLOC_PUNCH_HOLE = 2;
const FALLOC_ZERO_RANGE = 16;

interface Dirent {
  ino: Ino;
  cookie: number;
}

/** An inode. */
export interface Node {
  ino: Ino;
  mode: number;
  nlink: number;
  uid: number;
  gid: number;
  rdev: number;
  size: number;
  atime: Timestamp;
  mtime: Timestamp;
  ctime: Timestamp;
  btime: Timestamp;
  parent: Ino;
  target: string;
  entries: Map<Name, Dirent>;
  nextCookie: number;
  blocks: Map<number, Buffer>;
  xattrs: Map<string, Buffer>;
  opens: number;
}

function timeNow(): Timestamp {
  const us = Math.round((performance.timeOrigin + performance.now()) * 1000);
  return { s: Math.floor(us / 1e6), ns: (us % 1e6) * 1000 };
}

export class MemoryFileSystem implements FileSystem {
  protected readonly nodes = new Map<Ino, Node>();
  private readonly handles = new Map<number, Node>();
  private readonly arrived = new Set<string>();
  private nextIno: number;
  private nextHandle = 1;

  /** `firstIno`: where inode numbers start after the root's. */
  constructor(firstIno = 2 ** 39 + 1) {
    this.nextIno = firstIno;
    const root = this.make(1, S_IFDIR | 0o755, { uid: process.getuid!(), gid: process.getgid!(), pid: 0 });
    root.nlink = 2;
  }

  private make(parent: Ino, mode: number, caller: Caller): Node {
    const ino = this.nodes.size === 0 ? 1 : this.nextIno++;
    const time = timeNow();
    const node: Node = {
      ino,
      mode,
      nlink: (mode & S_IFMT) === S_IFDIR ? 2 : 1,
      uid: caller.uid,
      gid: caller.gid,
      rdev: 0,
      size: 0,
      atime: time,
      mtime: time,
      ctime: time,
      btime: time,
      parent,
      target: '',
      entries: new Map(),
      nextCookie: 3,
      blocks: new Map(),
      xattrs: new Map(),
      opens: 0,
    };
    const directory = this.nodes.get(parent);
    if (directory !== undefined && (directory.mode & 0o2000) !== 0) {
      node.gid = directory.gid;
      if ((mode & S_IFMT) === S_IFDIR) node.mode |= 0o2000;
    }
    this.nodes.set(ino, node);
    return node;
  }

  protected node(ino: Ino): Node {
    const node = this.nodes.get(ino);
    if (node === undefined) throw posixError('ENOENT');
    return node;
  }

  private directory(ino: Ino): Node {
    const node = this.node(ino);
    if ((node.mode & S_IFMT) !== S_IFDIR) throw posixError('ENOTDIR');
    return node;
  }

  protected opened(handle: number): Node {
    const node = this.handles.get(handle);
    if (node === undefined) throw posixError('EBADF');
    return node;
  }

  private child(directory: Node, name: Name): Node {
    const dirent = directory.entries.get(name);
    if (dirent === undefined) throw posixError('ENOENT');
    return this.node(dirent.ino);
  }

  protected attributes(node: Node): Attributes {
    return {
      ino: node.ino,
      mode: node.mode,
      nlink: node.nlink,
      uid: node.uid,
      gid: node.gid,
      rdev: node.rdev,
      size: node.size,
      blocks: node.blocks.size * (BLOCK / 512),
      atime: node.atime,
      mtime: node.mtime,
      ctime: node.ctime,
      btime: node.btime,
    };
  }

  private touch(node: Node): void {
    node.mtime = node.ctime = timeNow();
  }

  private attach(directory: Node, name: Name, node: Node): void {
    directory.entries.set(name, { ino: node.ino, cookie: directory.nextCookie++ });
    if ((node.mode & S_IFMT) === S_IFDIR) {
      directory.nlink++;
      node.parent = directory.ino;
    }
    this.touch(directory);
  }

  private detach(directory: Node, name: Name, node: Node): void {
    directory.entries.delete(name);
    if ((node.mode & S_IFMT) === S_IFDIR) directory.nlink--;
    this.touch(directory);
  }

  private drop(node: Node): void {
    node.nlink = (node.mode & S_IFMT) === S_IFDIR ? 0 : node.nlink - 1;
    node.ctime = timeNow();
    this.reap(node);
  }

  protected reap(node: Node): void {
    if (node.nlink === 0 && node.opens === 0) this.nodes.delete(node.ino);
  }

  private killPrivileges(node: Node): void {
    if ((node.mode & S_IFMT) === S_IFDIR) return;
    node.mode &= ~0o4000;
    if ((node.mode & 0o010) !== 0) node.mode &= ~0o2000;
    node.xattrs.delete('security.capability');
  }

  private add(parent: Ino, name: Name, mode: number, umask: number, caller: Caller): Node {
    const directory = this.directory(parent);
    if (directory.entries.has(name)) throw posixError('EEXIST');
    if (directory.nlink === 0) throw posixError('ENOENT');
    const node = this.make(parent, mode & ~umask, caller);
    this.attach(directory, name, node);
    return node;
  }

  protected openNode(node: Node): Opened {
    const handle = this.nextHandle++;
    node.opens++;
    this.handles.set(handle, node);
    return { handle, keepCache: true, directIo: node.xattrs.has('user.direct') };
  }

  replyFirst(): void {}

  awaitForget(): void {}

  forget(): void {}

  leavesAtime(): boolean {
    return false;
  }

  readMoves(): boolean {
    return false;
  }

  settle(): void {}

  lookup(parent: Ino, name: Name): Attributes | undefined {
    const dirent = this.directory(parent).entries.get(name);
    return dirent === undefined ? undefined : this.attributes(this.node(dirent.ino));
  }

  getattr(ino: Ino): Attributes {
    return this.attributes(this.node(ino));
  }

  setattr(ino: Ino, changes: AttributeChanges): Attributes {
    const node = this.node(ino);
    if (changes.killSuidGid) this.killPrivileges(node);
    if (changes.mode !== undefined) node.mode = (node.mode & S_IFMT) | changes.mode;
    if (changes.uid !== undefined) node.uid = changes.uid;
    if (changes.gid !== undefined) node.gid = changes.gid;
    if (changes.size !== undefined) this.resize(node, changes.size);
    if (changes.atime !== undefined) node.atime = changes.atime === 'now' ? timeNow() : changes.atime;
    if (changes.mtime !== undefined) node.mtime = changes.mtime === 'now' ? timeNow() : changes.mtime;
    node.ctime = timeNow();
    return this.attributes(node);
  }

  protected resize(node: Node, size: number): void {
    for (const index of node.blocks.keys()) if (index * BLOCK >= size) node.blocks.delete(index);
    if (size < node.size) node.blocks.get(Math.floor(size / BLOCK))?.fill(0, size % BLOCK);
    node.size = size;
    this.touch(node);
  }

  readlink(ino: Ino): string {
    return this.node(ino).target;
  }

  mknod(parent: Ino, name: Name, mode: number, rdev: number, umask: number, caller: Caller): Attributes {
    const node = this.add(parent, name, mode, umask, caller);
    node.rdev = rdev;
    return this.attributes(node);
  }

  mkdir(parent: Ino, name: Name, mode: number, umask: number, caller: Caller): Attributes {
    return this.attributes(this.add(parent, name, S_IFDIR | (mode & 0o7777), umask, caller));
  }

  symlink(parent: Ino, name: Name, target: string, caller: Caller): Attributes {
    const node = this.add(parent, name, S_IFLNK | 0o777, 0, caller);
    node.target = target;
    node.size = target.length;
    return this.attributes(node);
  }

  link(ino: Ino, parent: Ino, name: Name): Attributes {
    const node = this.node(ino);
    const directory = this.directory(parent);
    if (directory.entries.has(name)) throw posixError('EEXIST');
    node.nlink++;
    node.ctime = timeNow();
    this.attach(directory, name, node);
    return this.attributes(node);
  }

  unlink(parent: Ino, name: Name): void {
    const directory = this.directory(parent);
    const node = this.child(directory, name);
    if ((node.mode & S_IFMT) === S_IFDIR) throw posixError('EISDIR');
    this.detach(directory, name, node);
    this.drop(node);
  }

  rmdir(parent: Ino, name: Name): void {
    const directory = this.directory(parent);
    const node = this.child(directory, name);
    if ((node.mode & S_IFMT) !== S_IFDIR) throw posixError('ENOTDIR');
    if (node.entries.size > 0) throw posixError('ENOTEMPTY');
    this.detach(directory, name, node);
    this.drop(node);
  }

  rename(parent: Ino, name: Name, newParent: Ino, newName: Name, flags: number, caller: Caller): void {
    const source = this.directory(parent);
    const target = this.directory(newParent);
    const node = this.child(source, name);
    const dirent = target.entries.get(newName);
    const victim = dirent === undefined ? undefined : this.node(dirent.ino);
    if ((flags & RENAME_NOREPLACE) !== 0 && victim !== undefined) throw posixError('EEXIST');
    if (victim === node) return;
    if ((flags & RENAME_EXCHANGE) !== 0) {
      if (victim === undefined) throw posixError('ENOENT');
      this.detach(source, name, node);
      this.detach(target, newName, victim);
      this.attach(source, name, victim);
      this.attach(target, newName, node);
      victim.ctime = node.ctime = timeNow();
      return;
    }
    if (victim !== undefined) {
      if (victim.entries.size > 0) throw posixError('ENOTEMPTY');
      this.detach(target, newName, victim);
      this.drop(victim);
    }
    this.detach(source, name, node);
    this.attach(target, newName, node);
    node.ctime = timeNow();
    if ((flags & RENAME_WHITEOUT) !== 0) this.add(parent, name, S_IFCHR, 0, caller);
  }

  create(parent: Ino, name: Name, mode: number, _flags: number, umask: number, caller: Caller): Created {
    const node = this.add(parent, name, S_IFREG | (mode & 0o7777), umask, caller);
    return { attributes: this.attributes(node), opened: this.openNode(node) };
  }

  tmpfile(parent: Ino, mode: number, _flags: number, umask: number, caller: Caller): Created {
    const node = this.make(parent, S_IFREG | (mode & 0o7777 & ~umask), caller);
    node.nlink = 0;
    return { attributes: this.attributes(node), opened: this.openNode(node) };
  }

  open(ino: Ino, flags: number, killSuidGid: boolean): Opened {
    const node = this.node(ino);
    if (killSuidGid) this.killPrivileges(node);
    if ((flags & O_TRUNC) !== 0) this.resize(node, 0);
    return this.openNode(node);
  }

  /** The objects came: reads that need them succeed from now on. */
  arrive(ids: readonly string[]): void {
    for (const id of ids) this.arrived.add(id);
  }

  read(handle: number, offset: number, length: number, into: Buffer, at: number): number {
    const node = this.opened(handle);
    const absent = node.xattrs.get('user.absent')?.toString('latin1');
    if (absent !== undefined && !this.arrived.has(absent)) throw new AbsentObjects([absent]);
    const end = Math.min(node.size, offset + length);
    for (let position = offset; position < end;) {
      const stop = Math.min(end, (Math.floor(position / BLOCK) + 1) * BLOCK);
      const start = at + position - offset;
      const block = node.blocks.get(Math.floor(position / BLOCK));
      if (block === undefined) into.fill(0, start, start + stop - position);
      else block.copy(into, start, position % BLOCK, (position % BLOCK) + stop - position);
      position = stop;
    }
    return Math.max(0, end - offset);
  }

  write(handle: number, offset: number, data: Buffer, killSuidGid: boolean): number {
    const node = this.opened(handle);
    if (killSuidGid) this.killPrivileges(node);
    this.put(node, offset, data);
    return data.length;
  }

  protected put(node: Node, offset: number, data: Buffer): void {
    const end = offset + data.length;
    for (let position = offset; position < end;) {
      const index = Math.floor(position / BLOCK);
      const stop = Math.min(end, (index + 1) * BLOCK);
      let block = node.blocks.get(index);
      if (block === undefined) node.blocks.set(index, (block = Buffer.alloc(BLOCK)));
      data.copy(block, position % BLOCK, position - offset, stop - offset);
      position = stop;
    }
    node.size = Math.max(node.size, end);
    this.touch(node);
  }

  release(handle: number): void {
    const node = this.opened(handle);
    this.handles.delete(handle);
    node.opens--;
    this.reap(node);
  }

  fsync(handle: number): void {
    this.opened(handle);
  }

  fallocate(handle: number, mode: number, offset: number, length: number): void {
    const node = this.opened(handle);
    if ((mode & ~(FALLOC_KEEP_SIZE | FALLOC_PUNCH_HOLE | FALLOC_ZERO_RANGE)) !== 0) throw posixError('EOPNOTSUPP');
    const end = offset + length;
    if ((mode & (FALLOC_PUNCH_HOLE | FALLOC_ZERO_RANGE)) !== 0) {
      for (const [index, block] of node.blocks) {
        const start = Math.max(offset, index * BLOCK);
        const stop = Math.min(end, (index + 1) * BLOCK);
        if (stop - start === BLOCK) node.blocks.delete(index);
        else if (stop > start) block.fill(0, start - index * BLOCK, stop - index * BLOCK);
      }
    }
    if ((mode & FALLOC_KEEP_SIZE) === 0) node.size = Math.max(node.size, end);
    this.touch(node);
  }

  lseek(handle: number, offset: number, whence: number): number {
    const node = this.opened(handle);
    if (offset >= node.size) throw posixError('ENXIO');
    let position = offset;
    while (position < node.size && node.blocks.has(Math.floor(position / BLOCK)) !== (whence === 3)) {
      position = (Math.floor(position / BLOCK) + 1) * BLOCK;
    }
    if (position < node.size) return position;
    if (whence === 3) throw posixError('ENXIO');
    return node.size;
  }

  copyFileRange(source: number, sourceOffset: number, target: number, targetOffset: number, length: number): number {
    const buffer = Buffer.alloc(Math.min(length, 1 << 20));
    const copied = this.read(source, sourceOffset, buffer.length, buffer, 0);
    this.put(this.opened(target), targetOffset, buffer.subarray(0, copied));
    return copied;
  }

  readdir(ino: Ino, cookie: number, emit: (entry: DirectoryEntry) => boolean): void {
    const node = this.directory(ino);
    const type = S_IFDIR >> 12;
    if (cookie < 1 && !emit({ name: '.', ino, type, cookie: 1 })) return;
    if (cookie < 2 && !emit({ name: '..', ino: node.parent, type, cookie: 2 })) return;
    for (const [name, dirent] of node.entries) {
      if (dirent.cookie <= cookie) continue;
      const entryType = (this.node(dirent.ino).mode & S_IFMT) >> 12;
      if (!emit({ name, ino: dirent.ino, type: entryType, cookie: dirent.cookie })) return;
    }
  }

  fsyncdir(ino: Ino): void {
    this.directory(ino);
  }

  statfs(): StatFs {
    return {
      blockSize: BLOCK,
      blocks: 2 ** 30,
      blocksFree: 2 ** 29,
      blocksAvailable: 2 ** 28,
      files: 2 ** 39,
      filesFree: 2 ** 39 - this.nodes.size,
      nameLength: 255,
    };
  }

  accessed(): void {
    // atime stays here
  }

  getxattr(ino: Ino, name: string): Buffer {
    const value = this.node(ino).xattrs.get(name);
    if (value === undefined) throw posixError('ENODATA');
    return value;
  }

  listxattr(ino: Ino): string[] {
    return [...this.node(ino).xattrs.keys()];
  }

  setxattr(ino: Ino, name: string, value: Buffer, flags: number): void {
    const node = this.node(ino);
    if (flags === 1 && node.xattrs.has(name)) throw posixError('EEXIST');
    if (flags === 2 && !node.xattrs.has(name)) throw posixError('ENODATA');
    node.xattrs.set(name, value);
    node.ctime = timeNow();
  }

  removexattr(ino: Ino, name: string): void {
    const node = this.node(ino);
    if (!node.xattrs.delete(name)) throw posixError('ENODATA');
    node.ctime = timeNow();
  }
}
