// source-tree.ts — a directory tree with everything that cp(1), tar(1) and git(1) meet in real life, to be copied onto a mount.

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  ftruncateSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { projectRoot } from '../scripts/sites/project-root.js';
import { setXattr } from '../scripts/sites/system-calls.js';

/** Size of the sparse file that {@link writeSourceTree} makes: data at both ends, a hole between. */
export const SPARSE_BYTES = 64 << 20;

/** Packages of this project that give a few hundred real files of all sizes. */
const PACKAGES = ['@types', 'typescript/lib', 'yargs', 'ws', 'pino', 'fast-check', 'zod'];

/** Writes the tree into a directory that does not exist yet. By root some of it belongs to others. */
export function writeSourceTree(directory: string): void {
  const at = (...parts: string[]): string => join(directory, ...parts);
  mkdirSync(at('real'), { recursive: true });
  for (const name of PACKAGES) {
    execFileSync('cp', ['-a', join(projectRoot(), 'node_modules', name), at('real', name.replace('/', '-'))]);
  }
  writeNames(directory);

  mkdirSync(at('links/deep'), { recursive: true });
  writeFileSync(at('links/one'), 'one file with three names\n');
  linkSync(at('links/one'), at('links/two'));
  linkSync(at('links/one'), at('links/deep/three'));
  symlinkSync('../one', at('links/deep/relative'));
  symlinkSync('/nowhere/at all', at('links/dangling'));
  symlinkSync('t'.repeat(1000), at('links/long'));
  lutimesSync(at('links/dangling'), 1_000_000_000, 1_000_000_000.5);

  const isRoot = process.getuid!() === 0;
  mkdirSync(at('modes'));
  // What only root reads cannot be copied by others.
  for (const mode of [isRoot ? 0o000 : 0o600, 0o400, 0o644, 0o755, 0o1777, 0o2755, 0o4711, 0o7777]) {
    const path = at('modes', mode.toString(8).padStart(4, '0'));
    writeFileSync(path, `mode ${mode.toString(8)}\n`);
    if (isRoot) chownSync(path, 1000 + mode, 2000 + mode);
    chmodSync(path, mode);
  }
  mkdirSync(at('modes/sticky'));
  chmodSync(at('modes/sticky'), 0o1777);

  const sparse = openSync(at('sparse'), 'w');
  writeSync(sparse, 'head', 0);
  ftruncateSync(sparse, SPARSE_BYTES);
  writeSync(sparse, 'tail', SPARSE_BYTES - 4);
  closeSync(sparse);
  writeFileSync(at('large'), randomBytes(5_000_001));
  writeFileSync(at('empty'), '');

  setXattr(Buffer.from(at('large')), 'user.origin', Buffer.from([0, 255, 10]));
  setXattr(Buffer.from(at('links')), 'user.note', Buffer.from('on a directory'));
  utimesSync(at('large'), 1_234_567_890.123, 987_654_321.987);
  utimesSync(at('empty'), 0, 0);
  // Last, because everything above changed it.
  utimesSync(at('modes'), 1_111_111_111, 1_111_111_111);
}

function writeNames(directory: string): void {
  mkdirSync(join(directory, 'names'));
  const names = [
    'with blank',
    '-dash',
    '.hidden',
    '"quoted"',
    "it's",
    'new\nline',
    'back\\slash',
    '\x01control',
    'n'.repeat(255),
  ];
  const bytes = [
    ...names.map((name) => Buffer.from(name)),
    Buffer.from('Ärger mit Übergröße'),
    Buffer.from('日本語'),
    Buffer.from([0xff, 0xfe, 0x80]),
    Buffer.from([0xc3, 0x28]),
    Buffer.from('A\u030arger, decomposed'),
  ];
  for (const name of bytes) {
    writeFileSync(Buffer.concat([Buffer.from(`${directory}/names/`), name]), name);
  }
}
