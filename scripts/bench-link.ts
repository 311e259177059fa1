#!/usr/bin/env node
// bench-link.ts — `make bench-link`: two sites with a long, slow and lossy wire between them (scripts/namespaces/slow-wire.ts).
// Prints how long local operations take with the wire and without a network, and how much of the wire the content of a file takes, beside
// plain TCP. Exit code 1: a target is missed (with --check); 2: wrong usage. Needs root.

import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { LatencyProbe } from './bench/latencies.js';
import { median, percentile } from './bench/measurements.js';
import { namespacesLack } from './namespaces/namespace.js';
import { SlowWire, type WireProperties } from './namespaces/slow-wire.js';
import { Cluster } from './sites/cluster.js';
import { runChecked } from './sites/command.js';
import { runMain, UsageError } from './sites/main-program.js';
import type { Site } from './sites/site.js';
import { renderTable } from '../lib/cli/text-table.js';

const USAGE = `usage: bench-link [--round-trip MS] [--loss PERCENT] [--mbit N] [--congestion NAME] [--megabytes N] [--rounds N] [--check]
  --round-trip MS    of the wire (default 200)
  --loss PERCENT     of packets, in either direction (default 1)
  --mbit N           of the wire (default 50)
  --congestion NAME  of TCP, of net.ipv4.tcp_allowed_congestion_control; without it as this machine does
  --megabytes N      of the file that is transferred (default 150)
  --rounds N         of local operations, with and without a network (default 6; 0: none)
  --check            fail when local operations take 10 % longer than without a network, or content takes less than 70 % of the wire`;

const MAX_LOCAL_RATIO = 1.1;
const MIN_SHARE = 0.7;
const ROUND_MS = 5_000;
const PORT = 7420;
const TCP_PORT = 7421;
const TIMEOUT_MS = 900_000;
const POLL_MS = 20;

interface Options {
  readonly wire: WireProperties;
  readonly bytes: number;
  readonly rounds: number;
  readonly check: boolean;
}

function readOptions(): Options | null {
  const { values } = parseArgs({
    options: {
      'round-trip': { type: 'string', default: '200' },
      loss: { type: 'string', default: '1' },
      mbit: { type: 'string', default: '50' },
      congestion: { type: 'string' },
      megabytes: { type: 'string', default: '150' },
      rounds: { type: 'string', default: '6' },
      check: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  const number = (name: 'round-trip' | 'loss' | 'mbit' | 'megabytes' | 'rounds'): number => {
    const value = Number(values[name]);
    if (!(value >= 0)) throw new UsageError(`--${name} ${values[name]} is no number`);
    return value;
  };
  return {
    wire: {
      roundTripMs: number('round-trip'),
      lossShare: number('loss') / 100,
      bitsPerS: number('mbit') * 1e6,
      congestionControl: values.congestion ?? null,
    },
    bytes: number('megabytes') * 1e6,
    rounds: number('rounds'),
    check: values.check,
  };
}

/** Bits per second of plain TCP. */
async function plainTcp({ near, far }: SlowWire, bytes: number): Promise<number> {
  const script = new URL('bench/tcp-transfer.js', import.meta.url).pathname;
  const start = (before: readonly string[], ...words: string[]): ChildProcess => {
    const [program, ...rest] = [...before, process.execPath, script, ...words];
    return spawn(program!, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
  };
  const receiver = start(far.namespace.entering, 'receive', far.address, String(TCP_PORT));
  let output = '';
  receiver.stdout!.setEncoding('utf8').on('data', (text: string) => (output += text));
  await once(receiver.stdout!, 'data');
  const sender = start(near.namespace.entering, 'send', far.address, String(TCP_PORT), String(bytes));
  await once(receiver, 'exit');
  if (sender.exitCode === null) await once(sender, 'exit');
  return Number(output.trim().split('\n')[1]);
}

interface Transfer {
  /** Until the other site shows the file, from the moment that it was closed: it is cut into chunks meanwhile. */
  readonly shownS: number;
  /** From then on, until all its bytes were read there. */
  readonly contentS: number;
}

async function transfer(from: Site, to: Site, name: string, bytes: number): Promise<Transfer> {
  const content = randomBytes(bytes);
  await writeFile(join(from.mountpoint, name), content);
  const startMs = performance.now();
  const path = join(to.mountpoint, name);
  while (!(await isThere(path, bytes))) await sleep(POLL_MS);
  const shownMs = performance.now();
  const sum = await runChecked('sha256sum', [path], { timeoutMs: TIMEOUT_MS });
  const contentS = (performance.now() - shownMs) / 1000;
  if (sum.slice(0, 64) !== createHash('sha256').update(content).digest('hex'))
    throw new Error(`${path} is another file`);
  return { shownS: (shownMs - startMs) / 1000, contentS };
}

async function isThere(path: string, bytes: number): Promise<boolean> {
  try {
    return (await stat(path)).size === bytes;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** Latencies of local operations in milliseconds, with and without the links, by turns: so that what else the machine does is in both. */
async function localOperations(site: Site, rounds: number): Promise<{ linked: number[]; alone: number[] }> {
  const measured: { linked: number[]; alone: number[] } = { linked: [], alone: [] };
  for (let round = 0; round < 2 * rounds; round++) {
    const isLinked = round % 2 === 1;
    if (isLinked) {
      await site.resume();
      await site.statusUntil('linked', ({ peers }) => peers.every(({ state }) => state === 'connected'), TIMEOUT_MS);
    } else await site.pause();
    await sleep(ROUND_MS / 5);
    const probe = await LatencyProbe.start(site.mountpoint);
    await sleep(ROUND_MS);
    measured[isLinked ? 'linked' : 'alone'].push(...(await probe.stop()));
  }
  return measured;
}

function percentiles(name: string, values: readonly number[]): string[] {
  return [name, ...[50, 90, 99].map((percent) => percentile(values, percent).toFixed(3))];
}

async function measure({ wire: properties, bytes, rounds, check }: Options): Promise<number> {
  const lacking = await namespacesLack();
  if (lacking !== null) throw new Error(lacking);
  const cluster = new Cluster('weft-link');
  const wire = await SlowWire.create(properties);
  try {
    const [paris, oslo] = [wire.near, wire.far].map(({ namespace }, i) =>
      cluster.addSiteIn(i === 0 ? 'paris' : 'oslo', {
        mountOptions: [],
        driver: 'kernel',
        surroundings: { before: namespace.entering, env: {} },
        timeoutMs: TIMEOUT_MS,
      }),
    ) as [Site, Site];
    const { roundTripMs, lossShare, bitsPerS, congestionControl } = properties;
    console.log(
      `a wire of ${roundTripMs} ms there and back, ${lossShare * 100} % of packets lost, ${bitsPerS / 1e6} Mbit/s; ` +
        `congestion control: ${congestionControl ?? "the machine's"}`,
    );
    await paris.create('link', ['--listen', `${wire.near.address}:${PORT}`]);
    await oslo.join(await paris.invite(), ['--listen', `${wire.far.address}:${PORT}`]);
    const local = await localOperations(paris, rounds);
    const tcpBitsPerS = await plainTcp(wire, bytes);
    const there = await transfer(paris, oslo, 'there', bytes);
    const back = await transfer(oslo, paris, 'back', bytes);
    const row = (name: string, rate: number, shownS: string): string[] => [
      name,
      (rate / 1e6).toFixed(1),
      `${Math.round((100 * rate) / bitsPerS)} %`,
      shownS,
    ];
    const rates = [there, back].map(({ contentS }) => (bytes * 8) / contentS);
    console.log(
      renderTable([
        ['CONTENT', 'Mbit/s', 'OF THE WIRE', 'SHOWN AFTER (s)'],
        row('plain TCP', tcpBitsPerS, ''),
        row('weft, from who listens', rates[0]!, there.shownS.toFixed(1)),
        row('weft, to who listens', rates[1]!, back.shownS.toFixed(1)),
      ]),
    );
    if (rounds === 0) return check && Math.min(...rates) < MIN_SHARE * bitsPerS ? 1 : 0;
    console.log(
      renderTable([
        ['LOCAL OPERATIONS (ms)', 'p50', 'p90', 'p99'],
        percentiles('without a network', local.alone),
        percentiles('with the wire', local.linked),
      ]),
    );
    const ratio = median(local.linked) / median(local.alone);
    console.log(`with the wire local operations take ${ratio.toFixed(2)} times as long as without a network`);
    const isGood = ratio <= MAX_LOCAL_RATIO && Math.min(...rates) >= MIN_SHARE * bitsPerS;
    return check && !isGood ? 1 : 0;
  } finally {
    await cluster.close();
    await wire.delete();
  }
}

process.exitCode = await runMain(USAGE, readOptions, measure);
