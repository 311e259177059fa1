#!/usr/bin/env node
// pjdfstest.ts — `make conformance PJDFSTEST=DIR`: the POSIX conformance suite on a fresh volume, and on a local directory beside it.
// The suite (https://github.com/pjd/pjdfstest) is the user's own, built; this runs its tests/**/*.t as root and reads their TAP. The
// local run tells what the suite expects that this machine's kernel does not do: only differences from it are ours.
// Exit code 0: every assertion passes; 1: some fail; 2: wrong usage.

import { accessSync, chmodSync, constants, mkdirSync, readdirSync, realpathSync, writeFileSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Cluster } from '../scripts/sites/cluster.js';
import { run } from '../scripts/sites/command.js';
import { runMain, UsageError } from '../scripts/sites/main-program.js';
import { filesystemType } from '../scripts/sites/mounts.js';
import { renderTable } from '../lib/cli/text-table.js';
import { parseTap, type TapFailure } from './tap-output.js';

const USAGE = `usage: pjdfstest --suite DIR [--dir DIR] [--only FOLDER[/NN]]… [--no-local] [--json]
  --suite DIR   a built pjdfstest tree: the program pjdfstest and the folder tests
  --dir DIR     test this directory instead of a fresh volume
  --only PART   only test files whose path contains PART, e.g. rename or chmod/00
  --expect FS   hold the mount to what the suite expects of this type, e.g. ext4; it expects less of FUSE
  --with-peer   meanwhile a second site, connected, makes and changes files elsewhere in the volume
  --no-local    do not run on a local directory for comparison
  --json        print one JSON object instead of tables`;

const FILE_TIMEOUT_MS = 5 * 60_000;

interface FileResult {
  /** Relative to tests/, e.g. `rename/00.t`. */
  readonly file: string;
  readonly assertions: number;
  readonly failed: readonly TapFailure[];
  readonly seconds: number;
}

interface Comparison {
  readonly file: string;
  readonly mount: FileResult;
  readonly local: FileResult | null;
}

async function main(options: NonNullable<ReturnType<typeof readOptions>>): Promise<number> {
  const cluster = new Cluster('weft-pjdfstest');
  const abort = new AbortController();
  let peer: Promise<number> | null = null;
  try {
    let tested = options.dir;
    if (tested === null) {
      // The suite changes to other users.
      const site = cluster.addSite('conformance', ['allow_other']);
      await site.create('conformance');
      tested = site.mountpoint;
      if (options.withPeer) {
        const other = cluster.addSite('elsewhere');
        await other.join(await site.invite());
        peer = keepWriting(join(other.mountpoint, 'elsewhere'), abort.signal);
      }
    }
    const workplace = join(realpathSync(tested), `pjdfstest.${process.pid}`);
    mkdirSync(workplace);
    chmodSync(workplace, 0o755);
    try {
      const local = options.local ? cluster.scratch('local') : null;
      const environment = options.expect === null ? {} : reportType(options.expect, cluster.scratch('df'));
      const comparisons = await runSuite(options.suite, options.files, workplace, local, environment);
      abort.abort();
      if (peer) console.error(`the second site changed ${await peer} files meanwhile`);
      if (options.json) console.log(JSON.stringify(comparisons, null, 1));
      else report(comparisons, filesystemType(workplace), local && filesystemType(local));
      return comparisons.some(({ mount }) => mount.failed.length > 0) ? 1 : 0;
    } finally {
      await rm(workplace, { recursive: true, force: true });
    }
  } finally {
    abort.abort();
    await peer?.catch(() => {}); // reported where it was awaited, or not the cause of the failure
    await cluster.close();
  }
}

/**
 * The suite asks df(1) for the type of the filesystem, and leaves out what some types lack: 29 assertions on FUSE.
 * @returns an environment whose df says that everything is of this type
 */
function reportType(type: string, directory: string): Record<string, string> {
  const program = join(directory, 'df');
  writeFileSync(program, `#!/bin/sh\nprintf 'Filesystem Type\\nweft %s\\n' '${type}'\n`, { mode: 0o755 });
  return { PATH: `${directory}:${process.env['PATH'] ?? ''}` };
}

const PEER_PAUSE_MS = 5;
const PEER_FILES = 200;

/** Makes, changes, renames and removes files until it is told to stop; returns how many. */
async function keepWriting(directory: string, signal: AbortSignal): Promise<number> {
  mkdirSync(directory);
  let count = 0;
  for (; !signal.aborted; count++) {
    const path = join(directory, String(count % PEER_FILES));
    await writeFile(path, `version ${count}\n`);
    await rename(path, `${path}.kept`);
    if (count % 3 === 0) await rm(`${path}.kept`);
    await sleep(PEER_PAUSE_MS);
  }
  return count;
}

interface Options {
  readonly suite: string;
  /** Test files relative to tests/. */
  readonly files: readonly string[];
  readonly dir: string | null;
  readonly expect: string | null;
  readonly withPeer: boolean;
  readonly local: boolean;
  readonly json: boolean;
}

/** Null: only help is wanted. */
function readOptions(): Options | null {
  const { values } = parseArgs({
    options: {
      suite: { type: 'string' },
      dir: { type: 'string' },
      only: { type: 'string', multiple: true },
      expect: { type: 'string' },
      'with-peer': { type: 'boolean', default: false },
      'no-local': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return null;
  if (values.suite === undefined || values.suite === '') {
    throw new UsageError('no suite: say where a built pjdfstest is, e.g. make conformance PJDFSTEST=../pjdfstest');
  }
  if (process.getuid?.() !== 0) throw new UsageError('the suite makes devices and changes users: run it as root');
  if (values.expect !== undefined && !/^[a-z0-9.]+$/i.test(values.expect)) {
    throw new UsageError(`--expect ${values.expect}: name a type as df -T does, e.g. ext4`);
  }
  if (values.dir !== undefined && values['with-peer'])
    throw new UsageError('--with-peer makes its own volume: leave out --dir');
  let suite: string;
  try {
    suite = realpathSync(values.suite);
    accessSync(join(suite, 'pjdfstest'), constants.X_OK);
    accessSync(join(suite, 'tests'));
  } catch {
    throw new UsageError(
      `${values.suite} holds no built pjdfstest: fetch https://github.com/pjd/pjdfstest, and there run autoreconf -ifs && ./configure && make pjdfstest`,
    );
  }
  const files = readdirSync(join(suite, 'tests'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.t') && (!values.only || values.only.some((part) => file.includes(part))))
    .toSorted();
  if (files.length === 0)
    throw new UsageError(`no test file in ${suite}/tests is named like ${values.only?.join(', ')}`);
  return {
    suite,
    files,
    dir: values.dir ?? null,
    expect: values.expect ?? null,
    withPeer: values['with-peer'],
    local: !values['no-local'],
    json: values.json,
  };
}

/** File by file, the mount and the local directory in turn, so that both see the same machine. */
async function runSuite(
  suite: string,
  files: readonly string[],
  mount: string,
  local: string | null,
  environment: Readonly<Record<string, string>>,
): Promise<Comparison[]> {
  const comparisons: Comparison[] = [];
  for (const file of files) {
    const localResult = local === null ? null : await runFile(suite, file, local, {});
    const mountResult = await runFile(suite, file, mount, environment);
    comparisons.push({ file, mount: mountResult, local: localResult });
    if (mountResult.failed.length > 0) {
      console.error(`${file}: ${mountResult.failed.length} of ${mountResult.assertions} fail`);
    }
  }
  return comparisons;
}

async function runFile(
  suite: string,
  file: string,
  parent: string,
  env: Readonly<Record<string, string>>,
): Promise<FileResult> {
  const directory = join(parent, file.replaceAll('/', '-').replace(/\.t$/, ''));
  mkdirSync(directory);
  // Tests enter the directory as other users.
  chmodSync(directory, 0o755);
  const started = performance.now();
  try {
    const result = await run('sh', [join(suite, 'tests', file)], { cwd: directory, env, timeoutMs: FILE_TIMEOUT_MS });
    const tap = parseTap(result.stdout);
    const failed = [...tap.failed];
    if (tap.planned === null) {
      failed.push({ number: 0, message: `no plan; exit code ${result.code}: ${result.stderr.trim().slice(-300)}` });
    }
    return {
      file,
      assertions: tap.passed.length + failed.length,
      failed,
      seconds: (performance.now() - started) / 1000,
    };
  } catch (error) {
    const failure = { number: 0, message: (error as Error).message.trim() };
    return { file, assertions: 1, failed: [failure], seconds: (performance.now() - started) / 1000 };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function report(comparisons: readonly Comparison[], mountType: string, localType: string | null): void {
  const folders = [...new Set(comparisons.map(({ file }) => folderOf(file)))];
  const rows = folders.map((folder) =>
    row(
      folder,
      comparisons.filter(({ file }) => folderOf(file) === folder),
    ),
  );
  rows.push(row('total', comparisons));
  const heading = ['FOLDER', 'FILES', 'ASSERTIONS', 'FAILED', 'SECONDS'];
  if (localType !== null) heading.push('FAILED LOCALLY', 'LOCAL SECONDS', 'TIME RATIO');
  console.log(`${mountType}${localType === null ? '' : ` against ${localType}`}\n`);
  console.log(renderTable([heading, ...rows], 1));
  for (const { file, mount, local } of comparisons) {
    for (const { number, message } of mount.failed) {
      const also = local?.failed.some((failure) => failure.number === number) ? ' (fails locally too)' : '';
      console.log(`\nnot ok: ${file} ${number}${also}\n    ${message}`);
    }
    if (local === null) continue;
    const failsHere = new Set(mount.failed.map(({ number }) => number));
    for (const { number, message } of local.failed) {
      if (!failsHere.has(number)) console.log(`\nfails only locally: ${file} ${number}\n    ${message}`);
    }
  }
  const failures = comparisons.reduce((sum, { mount }) => sum + mount.failed.length, 0);
  const ours = comparisons.reduce((sum, { mount, local }) => {
    const localNumbers = new Set(local?.failed.map(({ number }) => number));
    return sum + mount.failed.filter(({ number }) => !localNumbers.has(number)).length;
  }, 0);
  const total = comparisons.reduce((sum, { mount }) => sum + mount.assertions, 0);
  const only = localType === null ? '' : `, ${ours} of them only here`;
  console.log(`\n${total - failures} of ${total} assertions pass; ${failures} fail${only}`);
}

/** The system call that a file tests. */
function folderOf(file: string): string {
  return file.split('/')[0]!;
}

function row(name: string, part: readonly Comparison[]): string[] {
  const sum = (of: (comparison: Comparison) => number): number =>
    part.reduce((total, comparison) => total + of(comparison), 0);
  const seconds = sum(({ mount }) => mount.seconds);
  const cells = [
    name,
    String(part.length),
    String(sum(({ mount }) => mount.assertions)),
    String(sum(({ mount }) => mount.failed.length)),
    seconds.toFixed(1),
  ];
  if (part.every(({ local }) => local !== null)) {
    const localSeconds = sum(({ local }) => local!.seconds);
    cells.push(
      String(sum(({ local }) => local!.failed.length)),
      localSeconds.toFixed(1),
      (seconds / localSeconds).toFixed(2),
    );
  }
  return cells;
}

process.exitCode = await runMain(USAGE, readOptions, main);
