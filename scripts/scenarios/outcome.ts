// outcome.ts — what a site shows, in a few lines: every file and every empty directory, and what is in conflict and why.

import { printable } from '../sites/tree-snapshot.js';
import { allPaths } from './site-tree.js';
import type { Stage } from './stage.js';

const TEXT_CHARS = 40;
const MOST_CONFLICTS = 3;

/** Of a site that has everything. */
export async function outcomeAt(stage: Stage, site: string): Promise<string[]> {
  const tree = stage.tree(site);
  const paths = await allPaths(tree);
  const lines: string[] = [];
  for (const path of paths) {
    const { type, nlink } = await tree.stat(path);
    if (type === 'directory') {
      if (!paths.some((other) => other.startsWith(`${path}/`))) lines.push(`${printable(path)}/`);
    } else {
      const text = type === 'file' ? ` ${JSON.stringify((await tree.read(path)).slice(0, TEXT_CHARS))}` : '';
      lines.push(`${printable(path)}${printable(text)}${nlink > 1 ? `, ${nlink} links` : ''}`);
    }
  }
  const conflicts = await stage.conflicts(site);
  for (const { path, kind, reason } of conflicts.slice(0, MOST_CONFLICTS))
    lines.push(`conflict: ${kind} ${printable(path)}: ${printable(reason)}`);
  if (conflicts.length > MOST_CONFLICTS) lines.push(`and ${conflicts.length - MOST_CONFLICTS} more conflicts`);
  return lines.length > 0 ? lines : ['an empty directory'];
}
