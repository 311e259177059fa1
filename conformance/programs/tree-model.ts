// tree-model.ts — what a tree of files should be after any sequence of operations, and which errno each must give, in plain maps.
// Rules of POSIX.1-2024 and of Linux where it chooses (the order of checks in rename, EPERM for links to directories). Permissions are
// left out: it is root's tree. Paths are arrays of names below the tree's root; the last component is never followed.

export type Errno = 'ENOENT' | 'EEXIST' | 'ENOTDIR' | 'EISDIR' | 'ENOTEMPTY' | 'EINVAL' | 'EPERM' | 'ENODATA' | 'EBUSY';

export class ModelError extends Error {
  constructor(readonly code: Errno) {
    super(code);
  }
}

export interface ModelFile {
  readonly type: 'file';
  content: Buffer;
  links: number;
  mode: number;
  readonly xattrs: Map<string, string>;
  /** Seconds, as set with utimes; null once something else may have changed it. */
  mtime: number | null;
}

export interface ModelSymlink {
  readonly type: 'symlink';
  readonly target: string;
  links: number;
}

export interface ModelDirectory {
  readonly type: 'directory';
  readonly entries: Map<string, ModelInode>;
  mode: number;
  readonly xattrs: Map<string, string>;
  mtime: number | null;
}

export type ModelInode = ModelFile | ModelSymlink | ModelDirectory;
export type Path = readonly string[];

export class TreeModel {
  readonly root: ModelDirectory = newDirectory();

  /** Throws ENOENT or ENOTDIR. */
  find(path: Path): ModelInode {
    let inode: ModelInode = this.root;
    for (const name of path) {
      if (inode.type !== 'directory') throw new ModelError('ENOTDIR');
      const next = inode.entries.get(name);
      if (next === undefined) throw new ModelError('ENOENT');
      inode = next;
    }
    return inode;
  }

  file(path: Path): ModelFile {
    const inode = this.find(path);
    if (inode.type === 'directory') throw new ModelError('EISDIR');
    if (inode.type !== 'file') throw new Error('the exerciser follows no symbolic links');
    return inode;
  }

  create(path: Path): ModelFile {
    const file: ModelFile = {
      type: 'file',
      content: Buffer.alloc(0),
      links: 1,
      mode: 0o644,
      xattrs: new Map(),
      mtime: null,
    };
    this.add(path, file);
    return file;
  }

  mkdir(path: Path): void {
    const directory = newDirectory();
    // The set-group-id bit is inherited.
    directory.mode |= this.place(path)[0].mode & 0o2000;
    this.add(path, directory);
  }

  symlink(target: string, path: Path): void {
    this.add(path, { type: 'symlink', target, links: 1 });
  }

  link(existing: Path, path: Path): void {
    const inode = this.find(existing);
    const [parent, name] = this.place(path);
    if (parent.entries.has(name)) throw new ModelError('EEXIST');
    if (inode.type === 'directory') throw new ModelError('EPERM');
    inode.links++;
    put(parent, name, inode);
  }

  unlink(path: Path): void {
    const [parent, name] = this.place(path);
    const inode = this.find(path);
    if (inode.type === 'directory') throw new ModelError('EISDIR');
    inode.links--;
    remove(parent, name);
  }

  rmdir(path: Path): void {
    const [parent, name] = this.place(path);
    const inode = this.find(path);
    if (inode.type !== 'directory') throw new ModelError('ENOTDIR');
    if (inode.entries.size > 0) throw new ModelError('ENOTEMPTY');
    remove(parent, name);
  }

  rename(source: Path, target: Path): void {
    const [sourceParent, sourceName] = this.place(source);
    const [targetParent, targetName] = this.place(target);
    const moved = sourceParent.entries.get(sourceName);
    if (moved === undefined) throw new ModelError('ENOENT');
    const replaced = targetParent.entries.get(targetName);
    if (isBelow(target, source)) throw new ModelError('EINVAL');
    if (isBelow(source, target)) throw new ModelError('ENOTEMPTY');
    if (moved === replaced) return;
    if (replaced !== undefined) {
      if (moved.type === 'directory' && replaced.type !== 'directory') throw new ModelError('ENOTDIR');
      if (moved.type !== 'directory' && replaced.type === 'directory') throw new ModelError('EISDIR');
      if (replaced.type === 'directory' && replaced.entries.size > 0) throw new ModelError('ENOTEMPTY');
      if (replaced.type !== 'directory') replaced.links--;
    }
    remove(sourceParent, sourceName);
    put(targetParent, targetName, moved);
  }

  exchange(first: Path, second: Path): void {
    const [firstParent, firstName] = this.place(first);
    const [secondParent, secondName] = this.place(second);
    const one = firstParent.entries.get(firstName);
    const other = secondParent.entries.get(secondName);
    if (one === undefined || other === undefined) throw new ModelError('ENOENT');
    if (isBelow(first, second) || isBelow(second, first)) throw new ModelError('EINVAL');
    if (one === other) return;
    put(firstParent, firstName, other);
    put(secondParent, secondName, one);
  }

  write(file: ModelFile, offset: number, data: Buffer): void {
    if (offset + data.length > file.content.length) this.truncate(file, offset + data.length);
    data.copy(file.content, offset);
    file.mtime = null;
  }

  truncate(file: ModelFile, size: number): void {
    const content = Buffer.alloc(size);
    file.content.copy(content);
    file.content = content;
    file.mtime = null;
  }

  /** The directory that a path's last name is in, and that name. */
  private place(path: Path): [ModelDirectory, string] {
    const parent = this.find(path.slice(0, -1));
    if (parent.type !== 'directory') throw new ModelError('ENOTDIR');
    return [parent, path.at(-1)!];
  }

  private add(path: Path, inode: ModelInode): void {
    const [parent, name] = this.place(path);
    if (parent.entries.has(name)) throw new ModelError('EEXIST');
    put(parent, name, inode);
  }
}

function newDirectory(): ModelDirectory {
  return { type: 'directory', entries: new Map(), mode: 0o755, xattrs: new Map(), mtime: null };
}

function put(directory: ModelDirectory, name: string, inode: ModelInode): void {
  directory.entries.set(name, inode);
  directory.mtime = null;
}

function remove(directory: ModelDirectory, name: string): void {
  directory.entries.delete(name);
  directory.mtime = null;
}

/** Strictly below. */
function isBelow(path: Path, ancestor: Path): boolean {
  return path.length > ancestor.length && ancestor.every((name, index) => path[index] === name);
}
