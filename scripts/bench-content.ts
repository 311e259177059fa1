#!/usr/bin/env node
// bench-content.ts — `make bench-content`: a large file on its way from a program at one site to the disk of another.
// Prints how fast it becomes a version, what that costs who works there meanwhile, how fast it comes to the other site over loopback,
// and what a site sends of a file in which one byte was changed, and of one that was renamed.
// Exit code 1: a target is missed (with --check); 2: wrong usage.

import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { randomFillSync } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { LatencyProbe } from './bench/latencies.js';
import { median, percentile } from './bench/measurements.js';
import { Cluster } from './sites/cluster.js';
import { runChecked } from './sites/command.js';
import { runMain, UsageError } from './sites/main-program.js';
import type { Site } from './sites/site.js';
import { renderTable } from '../lib/cli/text-table.js';

const USAGE = `usage: bench-content [--megabytes N] [--rounds N] [--check]
  --megabytes N  of the file (default 1024, in units of 2^20 bytes)
  --rounds N     of which medians are taken (default 5)
  --check        fail when a target is missed`;

const MIB = 1 << 20;
const MIN_INGEST_BYTES_PER_S = 300e6;
const MIN_TRANSFER_BYTES_PER_S = 200e6;
const MAX_SLOWDOWN = 2;
const MAX_SENT_OF_ONE_BYTE = 2 * MIB;
const MAX_SENT_OF_RENAME = 1024;
const QUIET_MS = 3_000;
/** The start of `weft sync` is no part of what is measured. */
const COMMAND_START_MS = 300;
/** What was removed is no part of what follows. */
const REST_MS = 1_000;

interface Options {
  readonly bytes: number;
  readonly rounds: number;
  readonly check: boolean;
}

function readOptions(): Options | null {
  const { values } = parseArgs({
    options: {
      megabytes: { type: 'string', default: '1024' },
      rounds: { type: 'string', default: '5' },
      check: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  for (const name of ['megabytes', 'rounds'] as const)
    if (!/^[1-9]\d*$/.test(values[name])) throw new UsageError(`--${name} takes a number above 0`);
  return { bytes: Number(values.megabytes) * MIB, rounds: Number(values.rounds), check: values.check };
}

interface Round {
  readonly ingestS: number;
  readonly transferS: number;
  /** Milliseconds. */
  readonly quiet: readonly number[];
  readonly busy: readonly number[];
  readonly sentOfOneByte: number;
  readonly sentOfRename: number;
}

function write(path: string, bytes: number): void {
  const part = Buffer.alloc(Math.min(bytes, 64 * MIB));
  const fd = openSync(path, 'w');
  for (let at = 0; at < bytes; at += part.length)
    writeSync(fd, randomFillSync(part), 0, Math.min(part.length, bytes - at));
  closeSync(fd);
}

function megabytesPerS(value: number): string {
  return `${(value / 1e6).toFixed(0)} MB/s`;
}

async function seconds(act: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await act();
  return (performance.now() - start) / 1000;
}

/** Bytes that the site's daemon gave to TCP so far. */
async function sentBytes(site: Site): Promise<number> {
  const { pid } = await site.status();
  const sockets = (await runChecked('ss', ['-tinpHO', 'state', 'established'], {})).split('\n');
  const own = sockets.filter((line) => line.includes(`pid=${pid},`));
  return own.reduce((sum, line) => sum + Number(/ bytes_sent:(\d+)/.exec(line)?.[1] ?? 0), 0);
}

async function sentBy(site: Site, change: () => void): Promise<number> {
  const before = await sentBytes(site);
  change();
  await site.sync();
  return (await sentBytes(site)) - before;
}

async function round(here: Site, number: number, bytes: number): Promise<Round> {
  const path = join(here.mountpoint, `file${number}`);
  await here.pause();
  let probe = await LatencyProbe.start(here.mountpoint);
  await sleep(QUIET_MS);
  const quiet = await probe.stop();
  write(path, bytes);
  const ingestS = await seconds(() => here.sync());
  await here.resume();
  const transferS = await seconds(() => here.sync());

  const sentOfOneByte = await sentBy(here, () => {
    const fd = openSync(path, 'r+');
    writeSync(fd, '!', Math.floor(bytes / 2));
    closeSync(fd);
  });
  const sentOfRename = await sentBy(here, () => renameSync(path, `${path}.renamed`));

  // Once more with somebody at work: that takes processor time from both.
  await here.pause();
  write(path, bytes);
  const synced = here.sync();
  await sleep(COMMAND_START_MS);
  probe = await LatencyProbe.start(here.mountpoint);
  await synced;
  const busy = await probe.stop();
  rmSync(path);
  rmSync(`${path}.renamed`);
  await here.resume();
  await here.sync();
  await sleep(REST_MS);
  return { ingestS, transferS, quiet, busy, sentOfOneByte, sentOfRename };
}

async function measure(cluster: Cluster, { bytes, rounds }: Options): Promise<boolean> {
  const [here, there] = [cluster.addSite('here'), cluster.addSite('there')];
  await here.create('content');
  await there.join(await here.invite());
  await cluster.settle();
  const measured: Round[] = [];
  for (let number = 1; number <= rounds; number++) {
    console.error(`round ${number}`);
    measured.push(await round(here, number, bytes));
  }
  const of = (value: (each: Round) => number): number => median(measured.map(value));
  const perS = (value: (each: Round) => number): number => bytes / of(value);
  const [ingest, transfer] = [perS(({ ingestS }) => ingestS), perS(({ transferS }) => transferS)];
  const [quietMs, busyMs] = [of(({ quiet }) => percentile(quiet, 99)), of(({ busy }) => percentile(busy, 99))];
  const [oneByte, rename] = [of(({ sentOfOneByte }) => sentOfOneByte), of(({ sentOfRename }) => sentOfRename)];
  const rows: readonly (readonly [what: string, figure: string, target: string, isMet: boolean])[] = [
    ['becomes a version', megabytesPerS(ingest), '>= 300 MB/s', ingest >= MIN_INGEST_BYTES_PER_S],
    ['comes to the other site', megabytesPerS(transfer), '>= 200 MB/s', transfer >= MIN_TRANSFER_BYTES_PER_S],
    [
      'local operations meanwhile, p99',
      `${busyMs.toFixed(2)} ms, ${quietMs.toFixed(2)} in quiet`,
      '<= 2 times',
      busyMs <= MAX_SLOWDOWN * quietMs,
    ],
    ['sent when one byte was changed', `${(oneByte / 1024).toFixed(0)} KiB`, '< 2 MiB', oneByte < MAX_SENT_OF_ONE_BYTE],
    ['sent when it was renamed', `${rename} bytes`, '< 1 KiB', rename < MAX_SENT_OF_RENAME],
  ];
  const shown = rows.map(([what, figure, target, isMet]) => [what, figure, target, isMet ? 'yes' : 'no']);
  console.log(renderTable([[`OF ${bytes / MIB} MiB`, 'MEDIAN', 'TARGET', 'MET'], ...shown]));
  return rows.every(([, , , isMet]) => isMet);
}

process.exitCode = await runMain(USAGE, readOptions, async (options) => {
  const cluster = new Cluster('weft-content');
  try {
    const isGood = await measure(cluster, options);
    return options.check && !isGood ? 1 : 0;
  } finally {
    await cluster.close();
  }
});
