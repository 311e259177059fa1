#!/usr/bin/env node
// mutants.ts — `make mutants`: does the simulator notice when a rule is missing? Each entry of mutants/table.ts is switched off, one at a
// time, in a copy of the built program, which then plays seeds until one fails. What survives is a hole in the workload or the checks.
// Exit code 0: every one was caught; 1: some were not, or an entry does not fit the program any more; 2: wrong usage.

import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Mutant, MUTANTS } from './mutants/table.js';
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
  try {
    cpSync(DIST, join(copy, 'dist'), { recursive: true });
    symlinkSync(realpathSync(join(DIST, '..', 'node_modules')), join(copy, 'node_modules'));
    writeFileSync(join(copy, 'package.json'), readFileSync(join(DIST, '..', 'package.json')));
    for (const mutant of chosen) {
      const result = await tryMutant(copy, mutant, values.seed ?? '1', values.seeds ?? '300');
      rows.push([mutant.rule, result]);
      process.stderr.write(`${mutant.rule}: ${result}\n`);
    }
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
  process.stdout.write(`${renderTable([['RULE OR STEP SWITCHED OFF', 'CAUGHT BY'], ...rows])}\n`);
  const caught = rows.filter(([, result]) => result!.startsWith('seed')).length;
  process.stdout.write(`${caught} of ${rows.length} were caught\n`);
  return caught === rows.length ? 0 : 1;
}

async function tryMutant(copy: string, { file, from, to }: Mutant, seed: string, seeds: string): Promise<string> {
  const path = join(copy, 'dist/lib', file);
  const sound = readFileSync(path, 'utf8');
  const at = sound.indexOf(from);
  if (at < 0 || sound.indexOf(from, at + 1) >= 0)
    return `${file} has not exactly one ${JSON.stringify(from)}: correct the table`;
  const mutated = sound.slice(0, at) + to + sound.slice(at + from.length);
  const end = Number(seed) + Number(seeds);
  try {
    for (let next = Number(seed); next < end;) {
      writeFileSync(path, mutated);
      const output = await run(copy, ['--fail-fast', '--schedules', String(end - next), '--seed', String(next)]);
      const failure = /^SEED (\d+) fails: (.*)$/m.exec(output);
      if (!failure && /, 0 failed$/m.test(output)) break;
      if (!failure) return `seed ?: ${output.trim().slice(-SHOWN_CHARACTERS)}`;
      // What fails without the mutation too proves nothing about it.
      writeFileSync(path, sound);
      const alone = await run(copy, ['--schedules', '1', '--seed', failure[1]!, '--threads', '1', '--fail-fast']);
      if (/, 0 failed$/m.test(alone)) return `seed ${failure[1]}: ${failure[2]!.slice(0, SHOWN_CHARACTERS)}`;
      process.stderr.write(`seed ${failure[1]} fails without any mutation: ${failure[2]!}\n`);
      next = Number(failure[1]) + 1;
    }
    return `nothing in ${seeds} seeds`;
  } finally {
    writeFileSync(path, sound);
  }
}

function run(copy: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [join(copy, 'dist/scripts/simulate.js'), ...args]);
    let output = '';
    child.stdout.on('data', (text: Buffer) => (output += text.toString()));
    child.stderr.on('data', (text: Buffer) => {
      if (!text.toString().startsWith('soak:')) output += text.toString();
    });
    child.on('close', () => resolve(output));
  });
}

process.exitCode = await main();
