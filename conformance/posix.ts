#!/usr/bin/env node
// posix.ts — our own POSIX suite (posix/parts.ts), on any directories: per system call how many assertions fail on each, and which.
// Without a directory: on a fresh volume, with a local directory beside it. Root becomes other users; a plain user asserts what it may do.
// Exit code 0: every assertion holds on the first directory; 1: some fail; 2: wrong usage.

import { statSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Cluster } from '../scripts/sites/cluster.js';
import { runMain, UsageError } from '../scripts/sites/main-program.js';
import { renderTable } from '../lib/cli/text-table.js';
import { notApplicable } from './posix/not-applicable.js';
import { SYSCALLS } from './posix/parts.js';
import { runAsUser } from './posix/run-as-user.js';
import type { Assertion } from './posix/trial.js';
import { runSuite, type DirectoryResult } from './posix/run-suite.js';

const USAGE = `usage: posix [DIR…] [--as-user] [--driver NAME] [--only SYSCALL]… [--full] [--json]
  DIR             where to run: e.g. a mount and a directory beside it; default: a fresh volume and a local directory
  --as-user       root runs all of it, the daemon too, as a user who is not root, and counts what needs root
  --driver NAME   of the fresh volume: kernel (default) or fuse-native
  --only SYSCALL  only assertions about this system call, e.g. renameat2
  --full          a million entries, 65,000 links: takes minutes
  --json          print one JSON object: per directory all assertions`;

interface Options {
  readonly directories: readonly string[];
  readonly asUser: boolean;
  readonly driver: string;
  readonly only: readonly string[];
  /** The largest sizes. */
  readonly full: boolean;
  readonly json: boolean;
}

/** Null: only help is wanted. */
function readOptions(): Options | null {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      'as-user': { type: 'boolean', default: false },
      driver: { type: 'string' },
      only: { type: 'string', multiple: true, default: [] },
      full: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return null;
  if (values['as-user'] && process.getuid!() !== 0) {
    throw new UsageError('only root can become another user: leave out --as-user');
  }
  if (values.full && values['as-user']) throw new UsageError('--full is for root: leave out --as-user');
  if (values.driver !== undefined && positionals.length > 0) {
    throw new UsageError('--driver is about a fresh volume: leave out the directories');
  }
  for (const directory of positionals) {
    if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory())
      throw new UsageError(`${directory} is no directory: make it first`);
  }
  for (const syscall of values.only) {
    if (!SYSCALLS.includes(syscall)) throw new UsageError(`no assertions about ${syscall}: ${SYSCALLS.join(', ')}`);
  }
  return {
    directories: positionals,
    asUser: values['as-user'],
    driver: values.driver ?? 'kernel',
    only: values.only,
    full: values.full,
    json: values.json,
  };
}

async function main(options: Options): Promise<number> {
  const cluster = new Cluster('weft-posix');
  try {
    const results = options.asUser ? await runAsUser(options.only, options.driver) : await runHere(cluster, options);
    if (options.json) console.log(JSON.stringify(results));
    else report(results);
    if (options.asUser && !options.json) {
      reportNotApplicable((await runSuite(cluster.scratch('root'), options.only)).assertions, results[0]!.assertions);
    }
    return results[0]!.assertions.some(isFailure) ? 1 : 0;
  } finally {
    await cluster.close();
  }
}

async function runHere(cluster: Cluster, { directories, driver, only, full }: Options): Promise<DirectoryResult[]> {
  const results: DirectoryResult[] = [];
  if (directories.length > 0) {
    for (const directory of directories) results.push(await runSuite(directory, only, full));
    return results;
  }
  const site = cluster.addSite('mount', process.getuid!() === 0 ? ['allow_other'] : [], driver);
  await site.create('posix');
  return [await runSuite(site.mountpoint, only, full), await runSuite(cluster.scratch('local'), only, full)];
}

function reportNotApplicable(byRoot: readonly Assertion[], byUser: readonly Assertion[]): void {
  const groups = notApplicable(byRoot, byUser);
  const rows = groups.map(({ reason, assertions }) => [reason, String(assertions.length)]);
  const total = groups.reduce((sum, { assertions }) => sum + assertions.length, 0);
  console.log(`\nroot makes ${byRoot.length} assertions; ${total} of them a plain user cannot make:`);
  console.log(renderTable([['NEEDS ROOT', 'ASSERTIONS'], ...rows], 1));
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
  const names = results.map(({ filesystem }) => filesystem);
  const row = (title: string, syscall: string | null): string[] => [
    title,
    ...results.flatMap((result) => count(result, syscall).map(String)),
  ];
  const heading = ['SYSCALL', ...names.flatMap((name) => [`${name}: ASSERTIONS`, 'FAILED'])];
  console.log(renderTable([heading, ...syscalls.map((syscall) => row(syscall, syscall)), row('total', null)], 1));
  for (const [i, { assertions, directory, seconds }] of results.entries()) {
    console.log(`\n${names[i]} at ${directory}: ${seconds.toFixed(1)} s`);
    for (const { syscall, what, failure, limit } of assertions) {
      if (limit !== undefined) console.log(`known limit: ${syscall}: ${what}\n    ${limit}`);
      else if (failure !== null) console.log(`not ok: ${syscall}: ${what}\n    ${failure}`);
    }
  }
}

process.exitCode = await runMain(USAGE, readOptions, main);
