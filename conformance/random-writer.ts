// random-writer.ts — a process that writes to a directory by a seed, and says after each step that it is done: to be killed in the middle.
// Invariant: the steps depend on the seed and the round alone, so whoever knows how many were acknowledged knows what must be there.
// Contents come back: what was removed is often written again, as copies and programs that build things do.

import { closeSync, openSync, renameSync, unlinkSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeWhole } from './write-whole.js';

const FILES = 40;
const CONTENTS = 60;
const SMALL_BYTES = 6_000;
const LARGE_BYTES = 1_500_000;
/** Of the contents: longer than what is stored inline. */
const LARGE_PART = 0.15;
const STEPS = 5_000;

export type Model = Map<string, Buffer>;

export interface Step {
  /** The paths that it changes. While it is not acknowledged they may show anything in between. */
  readonly paths: readonly string[];
  readonly perform: (directory: string) => void;
  readonly apply: (model: Model) => void;
}

/** mulberry32: small, and the same everywhere. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One of a few contents: incompressible, and long now and then. */
function content(number: number): Buffer {
  const random = seeded(number * 7919 + 1);
  const isLarge = random() < LARGE_PART;
  const bytes = Buffer.alloc(Math.floor((isLarge ? LARGE_BYTES : SMALL_BYTES) * random()));
  for (let at = 0; at + 4 <= bytes.length; at += 4) bytes.writeUInt32LE(Math.floor(random() * 2 ** 32), at);
  return bytes;
}

export function* stepsOf(seed: number, round: number): Generator<Step> {
  const random = seeded(seed * 1_000_003 + round);
  const pick = (count: number): number => Math.floor(random() * count);
  for (let i = 0; i < STEPS; i++) yield stepOf(pick);
}

function stepOf(pick: (count: number) => number): Step {
  const path = `f${pick(FILES)}`;
  const kind = pick(10);
  if (kind < 5) return writing(path, content(pick(CONTENTS)));
  if (kind < 7) return patching(path, pick(LARGE_BYTES), content(pick(CONTENTS)).subarray(0, 1 + pick(20_000)));
  if (kind < 8) return renaming(path, `f${pick(FILES)}`);
  return removing(path);
}

function writing(path: string, bytes: Buffer): Step {
  return {
    paths: [path],
    perform: (directory) => writeFileSync(join(directory, path), bytes),
    apply: (model) => model.set(path, bytes),
  };
}

/** Writes in the middle of a file, or past its end; makes one where there is none. */
function patching(path: string, somewhere: number, bytes: Buffer): Step {
  return {
    paths: [path],
    perform: (directory) => {
      const fd = openSync(join(directory, path), 'a+');
      closeSync(fd);
      const patched = openSync(join(directory, path), 'r+');
      writeWhole(patched, bytes, somewhere);
      closeSync(patched);
    },
    apply: (model) => {
      const before = model.get(path) ?? Buffer.alloc(0);
      const after = Buffer.alloc(Math.max(before.length, bytes.length === 0 ? 0 : somewhere + bytes.length));
      before.copy(after);
      bytes.copy(after, somewhere);
      model.set(path, after);
    },
  };
}

function renaming(from: string, to: string): Step {
  return {
    paths: [from, to],
    perform: (directory) => {
      try {
        renameSync(join(directory, from), join(directory, to));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    },
    apply: (model) => {
      const bytes = model.get(from);
      if (bytes === undefined || from === to) return;
      model.delete(from);
      model.set(to, bytes);
    },
  };
}

function removing(path: string): Step {
  return {
    paths: [path],
    perform: (directory) => {
      try {
        unlinkSync(join(directory, path));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    },
    apply: (model) => model.delete(path),
  };
}

/** `node random-writer.js DIRECTORY SEED ROUND`: a line with a number after each step. */
function main([directory, seed, round]: string[]): void {
  let done = 0;
  for (const step of stepsOf(Number(seed), Number(round))) {
    step.perform(directory!);
    writeSync(1, `${++done}\n`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.slice(2));
