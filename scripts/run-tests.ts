#!/usr/bin/env node
// run-tests.ts — runs the compiled tests beside this script; the last line says `N passed, N failed`.
// Files that compute run side by side, then those with programs and mounts two at a time, for they mostly wait; those that time what they
// do run alone. What a failing file printed is shown in full. Exit code 0: all passed; 1: some failed; 2: wrong usage.

import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { installNeededPrograms } from './tests/needed-programs.js';
import { runTestFile, type FileResult } from './tests/run-test-file.js';

const USAGE = `usage: run-tests [--only TEXT]… [--timeout SECONDS] [--verbose]
  --only TEXT        only files whose path contains TEXT
  --timeout SECONDS  for each file (default 180)
  --verbose          show what every file prints`;

/** Folders of tests without mounts, daemons or timing. */
const COMPUTING = /^(lib\/(codec|crdt|journal|chunks|volume|sync|sim)|scripts\/(tidy|scenarios))\//;
/** Tests that start programs or whole sites: they wait until daemons are up, links cut, deadlines over. Not those that compare times. */
const WAITING = /^(conformance\/(?!hostile-sites|limited-transfer)|lib\/(cli|daemon)\/|scripts\/(?!bench))/;
const WAITING_AT_ONCE = 2;

const build = dirname(import.meta.dirname);

async function main(): Promise<number> {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        only: { type: 'string', multiple: true },
        timeout: { type: 'string', default: '180' },
        verbose: { type: 'boolean', default: false },
      },
    }));
    if (!(Number(values.timeout) > 0)) throw new Error(`--timeout ${values.timeout} is no number of seconds`);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${USAGE}\n`);
    return 2;
  }
  const files = testFiles().filter((file) => values.only?.some((text) => file.includes(text)) ?? true);
  if (files.length === 0) {
    process.stderr.write('no test file matches: run make build first, or correct --only\n');
    return 2;
  }
  try {
    await installNeededPrograms();
  } catch (error) {
    // The tests that use them say the rest.
    process.stderr.write(`${(error as Error).message}\n`);
  }
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => abort.abort());
  const results: FileResult[] = [];
  const runAll = async (queue: string[]): Promise<void> => {
    for (let file = queue.shift(); file !== undefined && !abort.signal.aborted; file = queue.shift()) {
      const result = await runTestFile(join(build, file), Number(values.timeout) * 1000, abort.signal);
      results.push(result);
      print(file, result, values.verbose);
    }
  };
  const runAtOnce = async (count: number, queue: string[]): Promise<void> => {
    await Promise.all(Array.from({ length: count }, () => runAll(queue)));
  };
  const [computing, waiting, alone]: [string[], string[], string[]] = [[], [], []];
  for (const file of files) (COMPUTING.test(file) ? computing : WAITING.test(file) ? waiting : alone).push(file);
  await runAtOnce(Math.max(1, Math.min(4, availableParallelism())), computing);
  await runAtOnce(WAITING_AT_ONCE, waiting);
  await runAtOnce(1, alone);

  const sum = (count: (result: FileResult) => number): number => results.reduce((total, one) => total + count(one), 0);
  const skipped = sum((result) => result.skipped);
  if (skipped > 0) process.stdout.write(`${skipped} skipped\n`);
  if (abort.signal.aborted) process.stdout.write('interrupted\n');
  const failed = sum((result) => result.failed) + (abort.signal.aborted ? 1 : 0);
  process.stdout.write(`${sum((result) => result.passed)} passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}

/** Relative to the build directory, sorted. */
function testFiles(): string[] {
  return readdirSync(build, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.js'))
    .map((entry) => relative(build, join(entry.parentPath, entry.name)))
    .toSorted();
}

function print(file: string, result: FileResult, verbose: boolean): void {
  const state = result.failed === 0 ? 'ok    ' : 'FAILED';
  const counts = `${String(result.passed).padStart(4)} passed${result.failed > 0 ? `, ${result.failed} failed` : ''}`;
  process.stdout.write(`${state} ${counts}  ${result.seconds.toFixed(1).padStart(5)} s  ${file}\n`);
  if (result.failed > 0 || verbose) process.stdout.write(`${result.output.trimEnd()}\n`);
  for (const trouble of result.troubles) process.stdout.write(`  ${file}: ${trouble}\n`);
}

process.exitCode = await main();
