#!/usr/bin/env node
// posix.ts — our own POSIX suite (posix/parts.ts), on any directories: per system call how many assertions fail on each, and which.
// Without a directory: on a fresh volume, with a local directory beside it. Needs root, because it becomes other users.
// Exit code 0: every assertion holds on the first directory; 1: some fail; 2: wrong usage.

import { realpathSync, statSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Cluster } from '../scripts/sites/cluster.js';
import { filesystemType } from '../scripts/sites/mounts.js';
import { textTable } from '../scripts/sites/text-table.js';
import { SYSCALLS } from './posix/parts.js';
import type { Assertion } from './posix/trial.js';
import { runSuite, type DirectoryResult } from './posix/run-suite.js';

const USAGE = `usage: posix [DIR…] [--only SYSCALL]… [--json]
  DIR             where to run: e.g. a mount and a directory beside it; default: a fresh volume and a local directory
  --only SYSCALL  only assertions about this system call, e.g. renameat2
  --json          print one JSON object: per directory all assertions`;

class UsageError extends Error {}

interface Options {
  readonly directories: readonly string[];
  readonly only: readonly string[];
  readonly json: boolean;
}

/** Null: only help is wanted. */
function readOptions(): Options | null {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      only: { type: 'string', multiple: true, default: [] },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return null;
  if (process.getuid?.() !== 0) throw new UsageError('the suite becomes other users: run it as root');
  for (const directory of positionals) {
    if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory())
      throw new UsageError(`${directory} is no directory: make it first`);
  }
  for (const syscall of values.only) {
    if (!SYSCALLS.includes(syscall)) throw new UsageError(`no assertions about ${syscall}: ${SYSCALLS.join(', ')}`);
  }
  return { directories: positionals, only: values.only, json: values.json };
}

async function main(): Promise<number> {
  let options;
  try {
    options = readOptions();
  } catch (error) {
    const known = error instanceof UsageError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS');
    if (!known) throw error;
    console.error(`${(error as Error).message}\n${USAGE}`);
    return 2;
  }
  if (options === null) {
    console.log(USAGE);
    return 0;
  }
  const cluster = new Cluster('weft-posix');
  try {
    let { directories } = options;
    if (directories.length === 0) {
      const site = cluster.addSite('mount', ['allow_other']);
      await site.create('posix');
      directories = [site.mountpoint, cluster.scratch('local')];
    }
    const results: DirectoryResult[] = [];
    for (const directory of directories) results.push(await runSuite(directory, options.only));
    if (options.json) console.log(JSON.stringify(results));
    else report(results);
    return results[0]!.assertions.some(isFailure) ? 1 : 0;
  } catch (error) {
    console.error((error as Error).message);
    return 1;
  } finally {
    await cluster.close();
  }
}

function isFailure({ failure, limit }: Assertion): boolean {
  return failure !== null && limit === undefined;
}

/** How many assertions, and how many of them fail; null: about all system calls. */
function count({ assertions }: DirectoryResult, syscall: string | null): [number, number] {
  const part = assertions.filter((assertion) => syscall === null || assertion.syscall === syscall);
  return [part.length, part.filter(isFailure).length];
}

function report(results: readonly DirectoryResult[]): void {
  const syscalls = [
    ...new Set(results.flatMap(({ assertions }) => assertions.map(({ syscall }) => syscall))),
  ].toSorted();
  const names = results.map(({ directory }) => filesystemType(realpathSync(directory)));
  const row = (title: string, syscall: string | null): string[] => [
    title,
    ...results.flatMap((result) => count(result, syscall).map(String)),
  ];
  const heading = ['SYSCALL', ...names.flatMap((name) => [`${name}: ASSERTIONS`, 'FAILED'])];
  console.log(textTable(heading, [...syscalls.map((syscall) => row(syscall, syscall)), row('total', null)], 1));
  for (const [i, { assertions, directory, seconds }] of results.entries()) {
    console.log(`\n${names[i]} at ${directory}: ${seconds.toFixed(1)} s`);
    for (const { syscall, what, failure, limit } of assertions) {
      if (limit !== undefined) console.log(`known limit: ${syscall}: ${what}\n    ${limit}`);
      else if (failure !== null) console.log(`not ok: ${syscall}: ${what}\n    ${failure}`);
    }
  }
}

process.exitCode = await main();
