// tree-snapshot.ts — everything that a directory tree shows to its users, and where two trees differ.
// This comparison is independent of the product's own digest, so that one checks the other. Left out on purpose: atime and
// ctime (local by design), block counts, directory sizes (a filesystem's own affair).

import { createHash } from 'node:crypto';
import { lstatSync, openSync, closeSync, readSync, readdirSync, readlinkSync, type BigIntStats } from 'node:fs';
import { readXattrs } from './system-calls.js';

export type EntryType = 'file' | 'directory' | 'symlink' | 'character' | 'block' | 'fifo' | 'socket';

export interface TreeEntry {
  readonly type: EntryType;
  /** Permission bits with set-id and sticky, octal. */
  readonly mode: string;
  readonly owner: string;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
  readonly nlink: bigint;
  readonly inode: bigint;
  /** Bytes; null for directories. */
  readonly size: bigint | null;
  /** Symbolic link's target, latin1 of its bytes; device number; else null. */
  readonly target: string | null;
  /** SHA-256 of a regular file's content, else null. */
  readonly content: string | null;
  /** Extended attributes as `name=hex`, sorted. */
  readonly xattrs: readonly string[];
}

export type TreeField = keyof TreeEntry;

/** Paths relative to the root, latin1 of their bytes; the root itself is '.'. */
export type TreeSnapshot = ReadonlyMap<string, TreeEntry>;

/** The bytes of a path that is relative to a root directory. */
export function pathBytes(root: string, path: string): Buffer {
  return path === '.' ? Buffer.from(root) : Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, 'latin1')]);
}

/** Reads a whole tree. Must not change meanwhile. */
export function snapshotTree(root: string): TreeSnapshot {
  const entries = new Map<string, TreeEntry>();
  const contentOfInode = new Map<string, string>();
  const visit = (path: string): void => {
    const bytes = pathBytes(root, path);
    const stat = lstatSync(bytes, { bigint: true });
    entries.set(path, readEntry(bytes, stat, contentOfInode));
    if (stat.isDirectory()) for (const name of namesIn(bytes)) visit(path === '.' ? name : `${path}/${name}`);
  };
  visit('.');
  return entries;
}

/** Names in a directory, latin1 of their bytes, sorted. */
export function namesIn(directory: Buffer): string[] {
  return readdirSync(directory, { encoding: 'buffer' })
    .map((name) => name.toString('latin1'))
    .toSorted();
}

/** Every path below the root, latin1 of its bytes. */
export function allPaths(root: string): string[] {
  const paths: string[] = [];
  const visit = (directory: string): void => {
    for (const name of namesIn(pathBytes(root, directory))) {
      const path = directory === '.' ? name : `${directory}/${name}`;
      paths.push(path);
      if (lstatSync(pathBytes(root, path)).isDirectory()) visit(path);
    }
  };
  visit('.');
  return paths;
}

/** Every difference between two trees as a line of text, at most `limit` and then their number. Empty: the same. */
export function treeDifferences(
  left: { readonly name: string; readonly tree: TreeSnapshot },
  right: { readonly name: string; readonly tree: TreeSnapshot },
  ignored: ReadonlySet<TreeField> = new Set(),
  limit = 20,
): string[] {
  const differences: string[] = [];
  const paths = [...new Set([...left.tree.keys(), ...right.tree.keys()])].toSorted();
  for (const path of paths) {
    const [a, b] = [left.tree.get(path), right.tree.get(path)];
    if (a === undefined || b === undefined) {
      differences.push(`${printable(path)}: only at ${a === undefined ? right.name : left.name}`);
      continue;
    }
    for (const field of Object.keys(a) as TreeField[]) {
      const [x, y] = [String(a[field]), String(b[field])];
      if (ignored.has(field) || x === y) continue;
      differences.push(
        `${printable(path)}: ${field} ${printable(x)} at ${left.name}, ${printable(y)} at ${right.name}`,
      );
    }
  }
  if (differences.length <= limit) return differences;
  return [...differences.slice(0, limit), `… and ${differences.length - limit} more differences`];
}

/** A byte string for people: printable ASCII as it is, the rest as \xNN. */
export function printable(latin1: string): string {
  return latin1.replace(/[^\x20-\x7e]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

function readEntry(path: Buffer, stat: BigIntStats, contentOfInode: Map<string, string>): TreeEntry {
  const type = entryType(stat);
  return {
    type,
    mode: (stat.mode & 0o7777n).toString(8).padStart(4, '0'),
    owner: `${stat.uid}:${stat.gid}`,
    mtime: stat.mtimeNs,
    nlink: stat.nlink,
    inode: stat.ino,
    size: type === 'directory' ? null : stat.size,
    target: type === 'symlink' ? readlinkSync(path, 'latin1') : type.match(/character|block/) ? `${stat.rdev}` : null,
    content: type === 'file' ? hashOnce(path, stat, contentOfInode) : null,
    xattrs: [...readXattrs(path)].map(([name, value]) => `${name}=${value.toString('hex')}`),
  };
}

function hashOnce(path: Buffer, stat: BigIntStats, contentOfInode: Map<string, string>): string {
  const key = `${stat.dev}:${stat.ino}`;
  let hash = contentOfInode.get(key);
  if (hash === undefined) contentOfInode.set(key, (hash = hashFile(path)));
  return hash;
}

function hashFile(path: Buffer): string {
  const hash = createHash('sha256');
  const piece = Buffer.allocUnsafe(1 << 20);
  const descriptor = openSync(path, 'r');
  try {
    for (let length; (length = readSync(descriptor, piece, 0, piece.length, null)) > 0;) {
      hash.update(piece.subarray(0, length));
    }
  } finally {
    closeSync(descriptor);
  }
  return hash.digest('hex');
}

/** What kind of thing a stat result describes. */
export function entryType(stat: Pick<BigIntStats, 'mode'>): EntryType {
  const types: Record<string, EntryType> = {
    '8': 'file',
    '4': 'directory',
    '10': 'symlink',
    '2': 'character',
    '6': 'block',
    '1': 'fifo',
    '12': 'socket',
  };
  const type = types[String((stat.mode >> 12n) & 15n)];
  if (type === undefined) throw new Error(`unknown file type in mode ${stat.mode.toString(8)}`);
  return type;
}
