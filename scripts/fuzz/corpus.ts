// corpus.ts — inputs worth trying every time: scripts/fuzz/corpus/NAME.txt, one per line in hex, `#` for a word about it.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../sites/project-root.js';

export function readCorpus(name: string): Buffer[] {
  const path = join(projectRoot(), 'scripts', 'fuzz', 'corpus', `${name}.txt`);
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '')
    .map((line) => Buffer.from(line, 'hex'));
}
