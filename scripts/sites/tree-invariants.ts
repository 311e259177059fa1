// tree-invariants.ts — what must hold of every tree that a POSIX filesystem shows, checked from outside.

import { printable, type TreeSnapshot } from './tree-snapshot.js';

/**
 * Link counts that do not fit the tree, as lines of text: a file has as many links as names, a directory 2 and one for each
 * subdirectory. Holds of a whole filesystem only: a hard link out of the snapshot counts as a violation.
 */
export function linkCountViolations(tree: TreeSnapshot): string[] {
  const names = new Map<bigint, number>();
  const subdirectories = new Map<string, number>();
  for (const [path, entry] of tree) {
    names.set(entry.inode, (names.get(entry.inode) ?? 0) + 1);
    if (entry.type !== 'directory' || path === '.') continue;
    const parent = path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '.';
    subdirectories.set(parent, (subdirectories.get(parent) ?? 0) + 1);
  }
  const violations: string[] = [];
  for (const [path, entry] of tree) {
    const isDirectory = entry.type === 'directory';
    const expected = isDirectory ? 2 + (subdirectories.get(path) ?? 0) : names.get(entry.inode)!;
    if (entry.nlink !== BigInt(expected)) {
      violations.push(`${printable(path)}: nlink is ${entry.nlink}, the tree shows ${expected}`);
    }
    if (isDirectory && names.get(entry.inode) !== 1) violations.push(`${printable(path)}: a directory with two names`);
  }
  return violations;
}
