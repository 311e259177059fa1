// mounted-tree.ts — a site's tree where it is mounted, by the system calls that programs make.

import { constants, promises as fs } from 'node:fs';
import { exchangeNames, lockFile, makeFifo, readXattrs, removeXattr, setXattr } from '../sites/system-calls.js';
import { entryType, namesIn, pathBytes, snapshotTree, type TreeSnapshot } from '../sites/tree-snapshot.js';
import type { OpenFile, PathStat, SiteTree } from './site-tree.js';

/** (uid_t)-1 and (gid_t)-1: chown(2) leaves that id alone. */
const UNCHANGED_ID = 0xffff_ffff;

export class MountedTree implements SiteTree {
  /** @param root any directory: tests use plain ones */
  constructor(private readonly root: string) {}

  async stat(path: string): Promise<PathStat> {
    const stat = await fs.lstat(this.bytes(path), { bigint: true });
    return {
      type: entryType(stat),
      mode: Number(stat.mode & 0o7777n),
      uid: Number(stat.uid),
      gid: Number(stat.gid),
      nlink: Number(stat.nlink),
      inode: Number(stat.ino),
      sizeBytes: Number(stat.size),
      mtimeNs: stat.mtimeNs,
    };
  }

  async list(path: string): Promise<string[]> {
    return namesIn(this.bytes(path));
  }

  read(path: string): Promise<string> {
    return fs.readFile(this.bytes(path), 'latin1');
  }

  async readlink(path: string): Promise<string> {
    return (await fs.readlink(this.bytes(path), { encoding: 'buffer' })).toString('latin1');
  }

  async xattrs(path: string): Promise<ReadonlyMap<string, string>> {
    return new Map([...readXattrs(this.bytes(path))].map(([name, value]) => [name, value.toString('latin1')]));
  }

  async snapshot(): Promise<TreeSnapshot> {
    return snapshotTree(this.root);
  }

  async mkdir(path: string): Promise<void> {
    await fs.mkdir(this.bytes(path));
  }

  rmdir(path: string): Promise<void> {
    return fs.rmdir(this.bytes(path));
  }

  write(path: string, text: string): Promise<void> {
    return fs.writeFile(this.bytes(path), Buffer.from(text, 'latin1'));
  }

  async create(path: string, text: string, sync: boolean): Promise<void> {
    const file = await fs.open(this.bytes(path), 'wx');
    try {
      await file.writeFile(Buffer.from(text, 'latin1'));
      if (sync) await file.sync();
    } finally {
      await file.close();
    }
  }

  append(path: string, text: string): Promise<void> {
    return fs.appendFile(this.bytes(path), Buffer.from(text, 'latin1'));
  }

  async writeAt(path: string, offset: number, text: string): Promise<void> {
    const file = await fs.open(this.bytes(path), 'r+');
    try {
      await file.write(Buffer.from(text, 'latin1'), 0, null, offset);
    } finally {
      await file.close();
    }
  }

  truncate(path: string, sizeBytes: number): Promise<void> {
    return fs.truncate(this.bytes(path), sizeBytes);
  }

  rename(from: string, to: string): Promise<void> {
    return fs.rename(this.bytes(from), this.bytes(to));
  }

  async exchange(path: string, other: string): Promise<void> {
    exchangeNames(this.bytes(path), this.bytes(other));
  }

  unlink(path: string): Promise<void> {
    return fs.unlink(this.bytes(path));
  }

  link(existing: string, path: string): Promise<void> {
    return fs.link(this.bytes(existing), this.bytes(path));
  }

  symlink(target: string, path: string): Promise<void> {
    return fs.symlink(Buffer.from(target, 'latin1'), this.bytes(path));
  }

  async mkfifo(path: string): Promise<void> {
    makeFifo(this.bytes(path));
  }

  chmod(path: string, mode: number): Promise<void> {
    return fs.chmod(this.bytes(path), mode);
  }

  chown(path: string, uid: number | null, gid: number | null): Promise<void> {
    return fs.lchown(this.bytes(path), uid ?? UNCHANGED_ID, gid ?? UNCHANGED_ID);
  }

  async touch(path: string, timeSeconds: number | null): Promise<void> {
    const time = timeSeconds ?? new Date();
    await fs.utimes(this.bytes(path), time, time);
  }

  async setxattr(path: string, name: string, value: string): Promise<void> {
    setXattr(this.bytes(path), name, Buffer.from(value, 'latin1'));
  }

  async removexattr(path: string, name: string): Promise<void> {
    removeXattr(this.bytes(path), name);
  }

  async open(_handle: string, path: string): Promise<OpenFile> {
    return new MountedFile(await fs.open(this.bytes(path), constants.O_RDWR | constants.O_APPEND));
  }

  private bytes(path: string): Buffer {
    return pathBytes(this.root, path);
  }
}

class MountedFile implements OpenFile {
  constructor(private readonly file: fs.FileHandle) {}

  async read(): Promise<string> {
    const { size } = await this.file.stat();
    const { buffer, bytesRead } = await this.file.read(Buffer.alloc(size), 0, size, 0);
    return buffer.toString('latin1', 0, bytesRead);
  }

  async append(text: string): Promise<void> {
    await this.file.write(Buffer.from(text, 'latin1'));
  }

  async lock(): Promise<void> {
    lockFile(this.file.fd);
  }

  async close(): Promise<void> {
    await this.file.close().catch((error: NodeJS.ErrnoException) => {
      // A descriptor on the mount of a killed daemon can only fail.
      if (error.code !== 'ENOTCONN' && error.code !== 'ECONNABORTED') throw error;
    });
  }
}
