// tree-snapshot.test.ts — the comparison sees every attribute that it claims to compare.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { snapshotTree, treeDifferences } from './tree-snapshot.js';
import { exchangeNames, readXattrs, removeXattr, setXattr } from './system-calls.js';

function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'weft-tree-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

/** Two equal trees with one of everything; the second is a copy that keeps all attributes. */
function twoTrees(t: TestContext): [string, string] {
  const root = temporaryDirectory(t);
  const [left, right] = [join(root, 'left'), join(root, 'right')];
  mkdirSync(join(left, 'sub'), { recursive: true });
  writeFileSync(join(left, 'sub/file'), 'content');
  linkSync(join(left, 'sub/file'), join(left, 'second name'));
  symlinkSync('sub/file', join(left, 'symlink'));
  writeFileSync(Buffer.from(`${left}/odd \xff\xfe`, 'latin1'), '');
  setXattr(Buffer.from(join(left, 'sub/file')), 'user.colour', Buffer.from('blue'));
  execFileSync('cp', ['-a', left, right]);
  return [left, right];
}

function differences(left: string, right: string): string[] {
  const trees = [left, right].map((root) => snapshotTree(root));
  return treeDifferences({ name: 'left', tree: trees[0]! }, { name: 'right', tree: trees[1]! }, new Set(['inode']));
}

test('a copy that keeps all attributes does not differ', (t) => {
  const [left, right] = twoTrees(t);
  assert.deepEqual(differences(left, right), []);
  assert.ok(snapshotTree(left).has('odd \xff\xfe'));
});

const CHANGES: readonly [string, (root: string) => void, RegExp][] = [
  ['content', (root) => writeFileSync(join(root, 'sub/file'), 'CONTENT'), /^sub\/file: content/m],
  [
    'size',
    (root) => writeFileSync(join(root, 'sub/file'), 'longer content'),
    /^sub\/file: size 7 at left, 14 at right/m,
  ],
  ['mode', (root) => chmodSync(join(root, 'sub'), 0o700), /^sub: mode 0755 at left, 0700 at right/m],
  ['mtime', (root) => utimesSync(join(root, 'sub/file'), 1, 1), /^sub\/file: mtime \d+ at left, 1000000000 at right/m],
  ['name', (root) => rmSync(join(root, 'symlink')), /^symlink: only at left/m],
  [
    'link count',
    (root) => linkSync(join(root, 'sub/file'), join(root, 'third')),
    /^sub\/file: nlink 2 at left, 3 at right/m,
  ],
  [
    'xattr',
    (root) => removeXattr(Buffer.from(join(root, 'sub/file')), 'user.colour'),
    /^sub\/file: xattrs user.colour=626c7565/m,
  ],
  [
    'target',
    (root) => {
      rmSync(join(root, 'symlink'));
      symlinkSync('nowhere', join(root, 'symlink'));
    },
    /^symlink: target/m,
  ],
  ['odd name', (root) => rmSync(Buffer.from(`${root}/odd \xff\xfe`, 'latin1')), /^odd \\xff\\xfe: only at left/m],
];

for (const [what, change, expected] of CHANGES) {
  test(`a changed ${what} is seen`, (t) => {
    const [left, right] = twoTrees(t);
    change(right);
    assert.match(differences(left, right).join('\n'), expected);
  });
}

test('names are exchanged in one step, and a failure names its code', (t) => {
  const root = temporaryDirectory(t);
  const [a, b] = [Buffer.from(join(root, 'a')), Buffer.from(join(root, 'b'))];
  writeFileSync(a, 'a');
  assert.throws(() => exchangeNames(a, b), { code: 'ENOENT' });
  mkdirSync(b);
  exchangeNames(a, b);
  assert.equal(snapshotTree(root).get('a')?.type, 'directory');
  assert.throws(() => removeXattr(a, 'user.none'), { code: 'ENODATA' });
  assert.equal(readXattrs(a).size, 0);
});
