// speed-test.ts — times file operations in a directory, one after the other, as a program in a row makes them.
// For a look at one machine (weft bench): `make bench` of the sources measures more, in C, and beside bindfs.
// What was just written is in the caches: what a caller sees right after its own work.

import {
  chmodSync,
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmdirSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { randomFillSync } from 'node:crypto';
import { join } from 'node:path';

export type Unit = 'us' | 'MB/s';

export interface Measurement {
  readonly operation: string;
  readonly unit: Unit;
  readonly value: number;
}

export interface Amounts {
  /** Files for each kind of operation. */
  readonly files: number;
  readonly syncs: number;
  /** Size of the large file, bytes; a multiple of {@link STEP_BYTES}. */
  readonly largeBytes: number;
}

const SMALL_BYTES = 4096;
export const STEP_BYTES = 1 << 20;

/** Measures in `directory`, which must not exist yet, and removes it again. */
export function measureSpeed(directory: string, amounts: Amounts): Measurement[] {
  mkdirSync(directory);
  const measurements = [...smallOperations(directory, amounts), ...largeFile(directory, amounts)];
  rmdirSync(directory);
  return measurements;
}

function* smallOperations(directory: string, { files, syncs }: Amounts): Generator<Measurement> {
  const paths = (prefix: string): string[] => Array.from({ length: files }, (_, i) => join(directory, `${prefix}${i}`));
  const first = paths('f');
  const renamed = paths('g');
  const linked = paths('h');
  const missing = paths('missing');
  const directories = paths('d');
  const block = Buffer.alloc(SMALL_BYTES, 'weft');
  yield each('create', first, (path) => writeNew(path, null));
  yield each('stat', first, (path) => statSync(path));
  yield each('stat missing', missing, (path) => statSync(path, { throwIfNoEntry: false }));
  yield each('chmod', first, (path) => chmodSync(path, 0o600));
  yield each('rename', first, (path, i) => renameSync(path, renamed[i]!));
  yield each('link', renamed, (path, i) => linkSync(path, linked[i]!));
  yield each(
    'readdir+stat',
    [directory],
    (path) => {
      for (const name of readdirSync(path)) statSync(join(path, name));
    },
    files * 2,
  );
  yield each('unlink', [...linked, ...renamed], (path) => unlinkSync(path));
  yield each('mkdir', directories, (path) => mkdirSync(path));
  yield each('rmdir', directories, (path) => rmdirSync(path));
  yield each('4k create+write', first, (path) => writeNew(path, block));
  yield each('4k open+read', first, (path) => {
    const fd = openSync(path, 'r');
    readSync(fd, block, 0, SMALL_BYTES, 0);
    closeSync(fd);
  });
  for (const path of first) unlinkSync(path);
  const synced = join(directory, 'synced');
  const fd = openSync(synced, 'wx');
  yield each(
    '4k write+fsync',
    Array.from({ length: syncs }, () => synced),
    (_, i) => {
      writeSync(fd, block, 0, SMALL_BYTES, i * SMALL_BYTES);
      fsyncSync(fd);
    },
  );
  closeSync(fd);
  unlinkSync(synced);
}

function writeNew(path: string, bytes: Buffer | null): void {
  const fd = openSync(path, 'wx');
  if (bytes) writeSync(fd, bytes, 0, bytes.length, 0);
  closeSync(fd);
}

/** @param count operations that all calls of `operation` make together */
function each(
  name: string,
  paths: readonly string[],
  operation: (path: string, i: number) => void,
  count = paths.length,
): Measurement {
  const startedMs = performance.now();
  for (const [i, path] of paths.entries()) operation(path, i);
  return { operation: name, unit: 'us', value: ((performance.now() - startedMs) * 1000) / count };
}

function* largeFile(directory: string, { largeBytes }: Amounts): Generator<Measurement> {
  const path = join(directory, 'large');
  // Not compressible: nobody gets away with storing less.
  const block = randomFillSync(Buffer.allocUnsafeSlow(STEP_BYTES));
  const through = (flags: string, step: (fd: number, at: number) => void): number => {
    const startedMs = performance.now();
    const fd = openSync(path, flags);
    for (let at = 0; at < largeBytes; at += STEP_BYTES) step(fd, at);
    closeSync(fd);
    return largeBytes / ((performance.now() - startedMs) * 1000);
  };
  const write = (fd: number, at: number): void => {
    block.writeUInt32LE(at / STEP_BYTES); // no block like another
    writeSync(fd, block, 0, STEP_BYTES, at);
  };
  yield { operation: 'write', unit: 'MB/s', value: through('wx', write) };
  yield { operation: 'rewrite', unit: 'MB/s', value: through('r+', write) };
  const read = (fd: number, at: number): void => void readSync(fd, block, 0, STEP_BYTES, at);
  yield { operation: 'read', unit: 'MB/s', value: through('r', read) };
  unlinkSync(path);
}
