// fuse-native-operations.ts — the operations of fuse-native (libfuse 2.9: by path) on a FileSystem (by inode).
// Each path is resolved by one lookup per component. Synchronous; throws what the filesystem throws. What the interface of fuse-native
// cannot carry is listed in fuse-native-driver.ts. Names travel as UTF-8 strings there and as latin1 strings of their bytes here.

import { posixError } from '../errno.js';
import type { Attributes, Caller, FileSystem, Ino } from '../volume/file-system.js';

const ROOT: Ino = 1;
/** uid_t and gid_t of "leave it". */
const UNCHANGED = 0xffff_ffff;
const O_RDWR = 2;
const MAX_UINT32 = 0xffff_ffff;

/** The number and the value that an operation answers with. */
export interface Outcome {
  readonly result: number;
  readonly value?: unknown;
}

const DONE: Outcome = { result: 0 };

function bytesOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

function textOf(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

/** fuse-native passes these counts on in 32 bits. */
function fitting(count: number): number {
  return Math.min(count, MAX_UINT32);
}

/** Milliseconds since 1970, which fuse-native passes on as unsigned. */
function milliseconds({ s, ns }: { s: number; ns: number }): number {
  return Math.max(0, s * 1000 + Math.floor(ns / 1e6));
}

function statOf(attributes: Attributes): Record<string, number> {
  return {
    mode: attributes.mode,
    uid: attributes.uid,
    gid: attributes.gid,
    size: attributes.size,
    nlink: attributes.nlink,
    ino: attributes.ino % 2 ** 32,
    rdev: attributes.rdev,
    blksize: 4096,
    blocks: attributes.blocks,
    atime: milliseconds(attributes.atime),
    mtime: milliseconds(attributes.mtime),
    ctime: milliseconds(attributes.ctime),
  };
}

export class FuseNativeOperations {
  private readonly fileSystem: FileSystem;
  /** Everybody who calls: fuse-native does not say. */
  private readonly caller: Caller;
  /** fuse-native keeps 31 bits of a handle. */
  private readonly handles = new Map<number, number>();
  private nextDescriptor = 1;

  constructor(fileSystem: FileSystem, caller: Caller) {
    this.fileSystem = fileSystem;
    this.caller = caller;
  }

  /** Runs an operation by its name in fuse-native. */
  run(operation: string, args: readonly unknown[]): Outcome {
    if (!Object.hasOwn(OPERATIONS, operation)) throw posixError('ENOSYS');
    return OPERATIONS[operation]!(this, args);
  }

  private resolve(path: string): Ino {
    let ino = ROOT;
    for (const component of path.split('/')) {
      if (component === '') continue;
      const found = this.fileSystem.lookup(ino, bytesOf(component));
      if (found === undefined) throw posixError('ENOENT');
      ino = found.ino;
    }
    return ino;
  }

  private place(path: string): { parent: Ino; name: string } {
    const slash = path.lastIndexOf('/');
    const name = bytesOf(path.slice(slash + 1));
    if (name.length > 255) throw posixError('ENAMETOOLONG');
    return { parent: this.resolve(path.slice(0, slash)), name };
  }

  private descriptor(handle: number): Outcome {
    while (this.handles.has(this.nextDescriptor)) this.nextDescriptor = (this.nextDescriptor % 0x7fff_fffe) + 1;
    const descriptor = this.nextDescriptor;
    this.nextDescriptor = (descriptor % 0x7fff_fffe) + 1;
    this.handles.set(descriptor, handle);
    return { result: 0, value: descriptor };
  }

  private handle(descriptor: number): number {
    const handle = this.handles.get(descriptor);
    if (handle === undefined) throw posixError('EBADF');
    return handle;
  }

  getattr(path: string): Outcome {
    return { result: 0, value: statOf(this.fileSystem.getattr(this.resolve(path))) };
  }

  statfs(): Outcome {
    const statfs = this.fileSystem.statfs();
    const value = {
      bsize: statfs.blockSize,
      frsize: statfs.blockSize,
      blocks: fitting(statfs.blocks),
      bfree: fitting(statfs.blocksFree),
      bavail: fitting(statfs.blocksAvailable),
      files: fitting(statfs.files),
      ffree: fitting(statfs.filesFree),
      favail: fitting(statfs.filesFree),
      namemax: statfs.nameLength,
    };
    return { result: 0, value };
  }

  readdir(path: string): Outcome {
    const names: string[] = [];
    this.fileSystem.readdir(this.resolve(path), 0, (entry) => {
      names.push(textOf(entry.name));
      return true;
    });
    return { result: 0, value: names };
  }

  truncate(path: string, size: number, descriptor?: number): Outcome {
    const handle = descriptor === undefined ? undefined : this.handle(descriptor);
    this.fileSystem.setattr(this.resolve(path), { size }, this.caller, handle);
    return DONE;
  }

  utimens(path: string, atimeMs: number): Outcome {
    const ms = Number.isSafeInteger(atimeMs) ? atimeMs : 0;
    const time = { s: Math.floor(ms / 1000), ns: (ms % 1000) * 1e6 };
    this.fileSystem.setattr(this.resolve(path), { atime: time, mtime: time }, this.caller, undefined);
    return DONE;
  }

  chown(path: string, uid: number, gid: number): Outcome {
    const changes = { killSuidGid: true, ...(uid === UNCHANGED ? {} : { uid }), ...(gid === UNCHANGED ? {} : { gid }) };
    this.fileSystem.setattr(this.resolve(path), changes, this.caller, undefined);
    return DONE;
  }

  chmod(path: string, mode: number): Outcome {
    this.fileSystem.setattr(this.resolve(path), { mode: mode & 0o7777 }, this.caller, undefined);
    return DONE;
  }

  readlink(path: string): Outcome {
    return { result: 0, value: textOf(this.fileSystem.readlink(this.resolve(path))) };
  }

  mknod(path: string, mode: number, rdev: number): Outcome {
    const { parent, name } = this.place(path);
    this.fileSystem.mknod(parent, name, mode, rdev, 0, this.caller);
    return DONE;
  }

  mkdir(path: string, mode: number): Outcome {
    const { parent, name } = this.place(path);
    this.fileSystem.mkdir(parent, name, mode, 0, this.caller);
    return DONE;
  }

  symlink(target: string, path: string): Outcome {
    const { parent, name } = this.place(path);
    this.fileSystem.symlink(parent, name, bytesOf(target), this.caller);
    return DONE;
  }

  link(existing: string, path: string): Outcome {
    const { parent, name } = this.place(path);
    this.fileSystem.link(this.resolve(existing), parent, name, this.caller);
    return DONE;
  }

  unlink(path: string): Outcome {
    const { parent, name } = this.place(path);
    this.fileSystem.unlink(parent, name, this.caller);
    return DONE;
  }

  rmdir(path: string): Outcome {
    const { parent, name } = this.place(path);
    this.fileSystem.rmdir(parent, name, this.caller);
    return DONE;
  }

  rename(from: string, to: string): Outcome {
    const source = this.place(from);
    const target = this.place(to);
    this.fileSystem.rename(source.parent, source.name, target.parent, target.name, 0, this.caller);
    return DONE;
  }

  create(path: string, mode: number): Outcome {
    const { parent, name } = this.place(path);
    return this.descriptor(this.fileSystem.create(parent, name, mode, O_RDWR, 0, this.caller).opened.handle);
  }

  open(path: string, flags: number): Outcome {
    return this.descriptor(this.fileSystem.open(this.resolve(path), flags, false, this.caller).handle);
  }

  read(descriptor: number, length: number, offset: number): Outcome {
    const data = Buffer.allocUnsafe(length);
    const result = this.fileSystem.read(this.handle(descriptor), offset, length, data, 0);
    return { result, value: data.subarray(0, result) };
  }

  write(descriptor: number, data: Uint8Array, offset: number): Outcome {
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    return { result: this.fileSystem.write(this.handle(descriptor), offset, bytes, true) };
  }

  release(descriptor: number): Outcome {
    this.fileSystem.release(this.handle(descriptor));
    this.handles.delete(descriptor);
    return DONE;
  }

  fsync(descriptor: number, dataOnly: boolean): Outcome {
    this.fileSystem.fsync(this.handle(descriptor), dataOnly);
    return DONE;
  }

  fsyncdir(path: string): Outcome {
    this.fileSystem.fsyncdir(this.resolve(path));
    return DONE;
  }

  getxattr(path: string, name: string): Outcome {
    return { result: 0, value: this.fileSystem.getxattr(this.resolve(path), bytesOf(name)) };
  }

  listxattr(path: string): Outcome {
    return { result: 0, value: this.fileSystem.listxattr(this.resolve(path)).map(textOf) };
  }

  setxattr(path: string, name: string, value: Uint8Array, flags: number): Outcome {
    this.fileSystem.setxattr(this.resolve(path), bytesOf(name), Buffer.from(value), flags, false, this.caller);
    return DONE;
  }

  removexattr(path: string, name: string): Outcome {
    this.fileSystem.removexattr(this.resolve(path), bytesOf(name), this.caller);
    return DONE;
  }
}

type Run = (operations: FuseNativeOperations, args: readonly unknown[]) => Outcome;

/** Operations by name, with the order of arguments that fuse-native has; `read` and `write` without its buffer's length. */
const OPERATIONS: Record<string, Run> = {
  getattr: (operations, [path]) => operations.getattr(path as string),
  fgetattr: (operations, [path]) => operations.getattr(path as string),
  statfs: (operations) => operations.statfs(),
  readdir: (operations, [path]) => operations.readdir(path as string),
  truncate: (operations, [path, size]) => operations.truncate(path as string, size as number),
  ftruncate: (operations, [path, fd, size]) => operations.truncate(path as string, size as number, fd as number),
  utimens: (operations, [path, atime]) => operations.utimens(path as string, atime as number),
  chown: (operations, [path, uid, gid]) => operations.chown(path as string, uid as number, gid as number),
  chmod: (operations, [path, mode]) => operations.chmod(path as string, mode as number),
  readlink: (operations, [path]) => operations.readlink(path as string),
  mknod: (operations, [path, mode, rdev]) => operations.mknod(path as string, mode as number, rdev as number),
  mkdir: (operations, [path, mode]) => operations.mkdir(path as string, mode as number),
  symlink: (operations, [target, path]) => operations.symlink(target as string, path as string),
  link: (operations, [existing, path]) => operations.link(existing as string, path as string),
  unlink: (operations, [path]) => operations.unlink(path as string),
  rmdir: (operations, [path]) => operations.rmdir(path as string),
  rename: (operations, [from, to]) => operations.rename(from as string, to as string),
  create: (operations, [path, mode]) => operations.create(path as string, mode as number),
  open: (operations, [path, flags]) => operations.open(path as string, flags as number),
  read: (operations, [, fd, length, offset]) => operations.read(fd as number, length as number, offset as number),
  write: (operations, [, fd, data, offset]) => operations.write(fd as number, data as Uint8Array, offset as number),
  release: (operations, [, fd]) => operations.release(fd as number),
  fsync: (operations, [, dataOnly, fd]) => operations.fsync(fd as number, dataOnly !== 0),
  fsyncdir: (operations, [path]) => operations.fsyncdir(path as string),
  getxattr: (operations, [path, name]) => operations.getxattr(path as string, name as string),
  listxattr: (operations, [path]) => operations.listxattr(path as string),
  setxattr: (operations, [path, name, value, , flags]) =>
    operations.setxattr(path as string, name as string, value as Uint8Array, flags as number),
  removexattr: (operations, [path, name]) => operations.removexattr(path as string, name as string),
};

/** What fuse-native is to be given handlers for. */
export const OPERATION_NAMES: readonly string[] = Object.keys(OPERATIONS);
