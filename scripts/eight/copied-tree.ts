// copied-tree.ts — a small tree of files for cp(1) to copy: some empty, some in deep directories, one of several chunks.

import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const FILES = 24;
const LARGE_BYTES = 700_000;

export function writeSourceTree(root: string): void {
  for (let i = 0; i < FILES; i++) {
    const path = join(root, `part${i % 5}`, ...(i % 4 === 0 ? ['deep', 'deeper'] : []), `file${i}`);
    mkdirSync(dirname(path), { recursive: true });
    const key = createHash('sha256').update(String(i)).digest();
    writeFileSync(path, Buffer.alloc(i === 7 ? LARGE_BYTES : (i % 6) * 1500, key));
  }
}
