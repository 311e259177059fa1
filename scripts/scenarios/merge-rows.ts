// merge-rows.ts — the rows of lib/crdt/MERGE.md, and the scenarios and tests that hold it to them.
// A row is named by its first column: by `row:` lines of scenarios, and by what core tests are called before the colon.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../sites/project-root.js';
import type { Scenario } from './scenario.js';

export interface MergeRow {
  readonly name: string;
  /** Decided by the pure core; else by each site, beside the tree. */
  readonly isOfTheView: boolean;
}

const TABLE_ROW = /^\| (.+?) +\| /;

/** Every row, in the order of the document. */
export function mergeRows(): MergeRow[] {
  const rows: MergeRow[] = [];
  let isOfTheView: boolean | null = null;
  for (const line of readFileSync(join(projectRoot(), 'lib/crdt/MERGE.md'), 'utf8').split('\n')) {
    const name = TABLE_ROW.exec(line)?.[1];
    if (name === undefined) isOfTheView = null;
    else if (name === 'concurrent pair') isOfTheView = true;
    else if (name === 'beside the tree') isOfTheView = false;
    else if (isOfTheView !== null && !/^-+$/.test(name)) rows.push({ name, isOfTheView });
  }
  return rows;
}

/** How many tests of the pure core each row has. */
export function coreTestsByRow(): Map<string, number> {
  const folder = join(projectRoot(), 'lib/crdt');
  const counts = new Map<string, number>();
  for (const file of readdirSync(folder).filter((name) => /^merge-.*\.test\.ts$/.test(name))) {
    for (const match of readFileSync(join(folder, file), 'utf8').matchAll(/^test\(\s*(['"`])(.+?): /gm)) {
      counts.set(match[2]!, (counts.get(match[2]!) ?? 0) + 1);
    }
  }
  return counts;
}

/** What keeps the document from being played row by row, as lines of text. */
export function rowMistakes(rows: readonly MergeRow[], scenarios: readonly Scenario[]): string[] {
  const mistakes: string[] = [];
  for (const { file, rows: named } of scenarios) {
    for (const name of named) {
      if (rows.some((row) => row.name === name)) continue;
      mistakes.push(`${file}: lib/crdt/MERGE.md has no row "${name}"`);
    }
  }
  const tests = coreTestsByRow();
  for (const { name, isOfTheView } of rows) {
    if (!scenarios.some((scenario) => scenario.rows.includes(name))) mistakes.push(`row "${name}" has no scenario`);
    if (isOfTheView && !tests.has(name)) mistakes.push(`row "${name}" has no test in lib/crdt/merge-*.test.ts`);
  }
  return mistakes;
}
