#!/usr/bin/env node
// run-tests.ts — runs the compiled tests beside this script; the last line says `N passed, N failed`.
// Files that mount, or time what they do, run one at a time; the others side by side. What a failing file printed is shown
// in full. Exit code 0: all passed; 1: some failed; 2: wrong usage.

import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { runTestFile, type FileResult } from './tests/run-test-file.js';

const USAGE = `usage: run-tests [--only TEXT]… [--timeout SECONDS] [--verbose]
  --only TEXT        only files whose path contains TEXT
  --timeout SECONDS  for each file (default 180)
  --verbose          show what every file prints`;

/** Folders of tests without mounts, daemons or timing. */
const SIDE_BY_SIDE = /^(lib\/(codec|crdt|journal|chunks|volume|sync|sim)|scripts\/(tidy|scenarios))\//;

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
  const parallel = files.filter((file) => SIDE_BY_SIDE.test(file));
  const workers = Math.max(1, Math.min(4, availableParallelism()));
  await Promise.all(Array.from({ length: workers }, () => runAll(parallel)));
  await runAll(files.filter((file) => !SIDE_BY_SIDE.test(file)));

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
