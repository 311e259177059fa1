#!/usr/bin/env node
// partition-work.ts — what one site does during a partition, as a process of its own: usage: partition-work DIRECTORY SITE COUNT CONFLICT-EVERY.
// Invariant: a function of its arguments. One operation in so many touches what the other site touches too, in one of five ways; the
// others are the everyday mix, in directories that both use. `start` makes what both begin with.

import { appendFileSync, chmodSync, mkdirSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Directories in which both sites work, each on names of its own. */
const DIRECTORIES = 100;
/** Everyday operations come in rounds of so many. */
const ROUND = 100;

/** Makes what the sites share before they part: for each conflict a file. */
export function start(directory: string, count: number, conflictEvery: number): void {
  for (let i = 0; i < DIRECTORIES; i++) mkdirSync(join(directory, `d${i}`));
  mkdirSync(join(directory, 'shared'));
  for (let i = 0; i < count / conflictEvery; i++) writeFileSync(sharedFile(directory, i), `base ${i}`);
}

/** Does `count` operations, then makes the file {@link markerOf} the site. */
function work(directory: string, site: string, count: number, conflictEvery: number): void {
  for (let i = 0; i < count; i++) {
    if (i % conflictEvery === 0) conflict(directory, site, i / conflictEvery);
    else everyday(directory, site, i);
  }
  writeFileSync(join(directory, markerOf(site)), '');
}

/** The file that a site makes last: whoever sees it has all that came before. */
export function markerOf(site: string): string {
  return `done-${site}`;
}

function sharedFile(directory: string, i: number): string {
  return join(directory, 'shared', `f${i}`);
}

function conflict(directory: string, site: string, i: number): void {
  const file = sharedFile(directory, i);
  switch (i % 5) {
    case 0:
      writeFileSync(file, `written at ${site} ${i}`);
      break;
    case 1:
      writeFileSync(join(directory, 'shared', `new${i}`), `made at ${site} ${i}`);
      break;
    case 2:
      renameSync(file, `${file}-${site}`);
      break;
    case 3:
      if (site === 'paris') unlinkSync(file);
      else writeFileSync(file, `kept at ${site} ${i}`);
      break;
    default:
      chmodSync(file, site === 'paris' ? 0o600 : 0o640);
  }
}

/** In a round, whose first conflicts: 41 new files, 20 renames, 20 removals, 10 appended to, 8 chmods, 1 new directory. */
function everyday(directory: string, site: string, i: number): void {
  const at = (n: number, kind = 'f'): string => join(directory, `d${n % DIRECTORIES}`, `${site}-${kind}${n}`);
  const round = i - (i % ROUND);
  const step = i % ROUND;
  if (step <= 41) writeFileSync(at(i), `${site} ${i}\n`);
  else if (step <= 61) renameSync(at(round + step - 41), at(round + step - 41, 'r'));
  else if (step <= 81) unlinkSync(at(round + step - 61, 'r'));
  else if (step <= 90) appendFileSync(at(round + step - 60), `more\n`);
  else if (step <= 98) chmodSync(at(round + step - 60), 0o600);
  else mkdirSync(at(i, 'd'));
}

if (import.meta.filename === process.argv[1]) {
  const [directory, site, count, conflictEvery] = process.argv.slice(2) as [string, string, string, string];
  work(directory, site, Number(count), Number(conflictEvery));
}
