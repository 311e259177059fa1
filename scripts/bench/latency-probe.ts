#!/usr/bin/env node
// latency-probe.ts — how long local operations take while something else goes on: usage: latency-probe DIRECTORY.
// A process of its own, so that what it measures is not its own. It works at a person's pace until its input ends, then prints
// every latency, in milliseconds, as one JSON array.

import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmdirSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

const PAUSE_MS = 3;

const directory = join(process.argv[2]!, `probe-${process.pid}`);
const latencies: number[] = [];
const { stdin } = process;
stdin.resume();

function timed<T>(operation: () => T): T {
  const start = performance.now();
  const result = operation();
  latencies.push(performance.now() - start);
  return result;
}

/** The calls of saving a file by rename, of looking at it and of removing it; no fsync(2), which measures the disk. */
function round(i: number): void {
  const [draft, file] = [join(directory, `draft${i}`), join(directory, `file${i}`)];
  const fd = timed(() => openSync(draft, 'w'));
  timed(() => writeSync(fd, `round ${i}\n`));
  timed(() => closeSync(fd));
  timed(() => renameSync(draft, file));
  timed(() => statSync(file));
  timed(() => readFileSync(file));
  timed(() => unlinkSync(file));
}

mkdirSync(directory);
process.stdout.write('ready\n');
for (let i = 0; !stdin.readableEnded; i++) {
  round(i);
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}
rmdirSync(directory);
process.stdout.write(`${JSON.stringify(latencies)}\n`);
