// tree-invariants.test.ts — link counts of a real tree hold, and a hard link that leads out of it is seen.

import assert from 'node:assert/strict';
import { linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { linkCountViolations } from './tree-invariants.js';
import { snapshotTree, type TreeSnapshot } from './tree-snapshot.js';

test('link counts fit the names in the tree', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'weft-links-'));
  t.after(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, 'tree/a/b'), { recursive: true });
  writeFileSync(join(root, 'tree/one'), '1');
  linkSync(join(root, 'tree/one'), join(root, 'tree/a/two'));
  const tree = snapshotTree(join(root, 'tree'));
  // Some filesystems (btrfs, overlayfs) count no subdirectories; then only files can be checked here.
  const files: TreeSnapshot = new Map([...tree].filter(([, entry]) => entry.type === 'file'));
  assert.deepEqual(linkCountViolations(files), []);
  linkSync(join(root, 'tree/one'), join(root, 'outside'));
  const after = new Map([...snapshotTree(join(root, 'tree'))].filter(([, entry]) => entry.type === 'file'));
  assert.deepEqual(linkCountViolations(after).toSorted(), [
    'a/two: nlink is 3, the tree shows 2',
    'one: nlink is 3, the tree shows 2',
  ]);
});
