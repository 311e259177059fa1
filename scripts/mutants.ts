#!/usr/bin/env node
// mutants.ts — `make mutants`: does the simulator notice when a rule is missing? Each entry of mutants/table.ts is switched off, one at a
// time, in a copy of the built program, which then plays seeds until one fails. What survives is a hole in the workload or the checks.
// Exit code 0: every one was caught; 1: some were not, did not run, or do not fit the program any more; 2: wrong usage.

import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Mutant, MUTANTS } from './mutants/table.js';
import { readVerdict, type Verdict } from './mutants/verdict.js';
import { renderTable } from '../lib/cli/text-table.js';

const USAGE = `usage: mutants [--only TEXT]… [--seeds N] [--seed FIRST]
  --only TEXT   those whose rule contains TEXT
  --seeds N     how many seeds each is given (300)
  --seed N      the first of them (1)`;
const SHOWN_CHARACTERS = 70;
const DIST = fileURLToPath(new URL('../', import.meta.url));

async function main(): Promise<number> {
  let values;
  try {
    ({ values } = parseArgs({
      options: { only: { type: 'string', multiple: true }, seeds: { type: 'string' }, seed: { type: 'string' } },
    }));
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${USAGE}\n`);
    return 2;
  }
  const chosen = MUTANTS.filter(({ rule }) => (values.only ?? ['']).some((text) => rule.includes(text)));
  const copy = mkdtempSync(join(tmpdir(), 'weft-mutants-'));
  const rows: string[][] = [];
  let caught = 0;
  try {
    cpSync(DIST, join(copy, 'dist'), { recursive: true });
    symlinkSync(realpathSync(join(DIST, '..', 'node_modules')), join(copy, 'node_modules'));
    writeFileSync(join(copy, 'package.json'), readFileSync(join(DIST, '..', 'package.json')));
    for (const mutant of chosen) {
      const result = await tryMutant(copy, mutant, values.seed ?? '1', values.seeds ?? '300');
      rows.push([mutant.rule, result.what]);
      if (result.isCaught) caught++;
      process.stderr.write(`${mutant.rule}: ${result.what}\n`);
    }
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
  process.stdout.write(`${renderTable([['RULE OR STEP SWITCHED OFF', 'CAUGHT BY'], ...rows])}\n`);
  process.stdout.write(`${caught} of ${rows.length} were caught\n`);
  return caught === rows.length ? 0 : 1;
}

interface Result {
  readonly isCaught: boolean;
  /** What caught it, or why nothing did. */
  readonly what: string;
}

async function tryMutant(copy: string, { file, from, to }: Mutant, seed: string, seeds: string): Promise<Result> {
  const path = join(copy, 'dist/lib', file);
  const sound = readFileSync(path, 'utf8');
  const at = sound.indexOf(from);
  if (at < 0 || sound.indexOf(from, at + 1) >= 0)
    return { isCaught: false, what: `${file} has not exactly one ${JSON.stringify(from)}: correct the table` };
  const mutated = sound.slice(0, at) + to + sound.slice(at + from.length);
  const end = Number(seed) + Number(seeds);
  try {
    for (let next = Number(seed); next < end;) {
      writeFileSync(path, mutated);
      const verdict = await run(copy, ['--fail-fast', '--schedules', String(end - next), '--seed', String(next)]);
      if (verdict.kind === 'passed') break;
      if (verdict.kind === 'unknown') return { isCaught: false, what: `did not run: ${verdict.printed}` };
      // What fails without the mutation too proves nothing about it.
      writeFileSync(path, sound);
      const alone = ['--schedules', '1', '--seed', String(verdict.seed), '--threads', '1', '--fail-fast'];
      const soundly = await run(copy, alone);
      if (soundly.kind === 'unknown') return { isCaught: false, what: `does not run unmutated: ${soundly.printed}` };
      if (soundly.kind === 'passed')
        return { isCaught: true, what: `seed ${verdict.seed}: ${verdict.what.slice(0, SHOWN_CHARACTERS)}` };
      process.stderr.write(`seed ${verdict.seed} fails without any mutation: ${verdict.what}\n`);
      next = verdict.seed + 1;
    }
    return { isCaught: false, what: `nothing in ${seeds} seeds` };
  } finally {
    writeFileSync(path, sound);
  }
}

function run(copy: string, args: readonly string[]): Promise<Verdict> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [join(copy, 'dist/scripts/simulate.js'), ...args]);
    let output = '';
    child.stdout.on('data', (text: Buffer) => (output += text.toString()));
    child.stderr.on('data', (text: Buffer) => {
      if (!text.toString().startsWith('soak:')) output += text.toString();
    });
    child.on('close', () => resolve(readVerdict(output)));
  });
}

process.exitCode = await main();
