// fsbench.ts — compiles fsbench.c, runs it, and reads what it prints.

import { join } from 'node:path';
import { run, runChecked } from '../sites/command.js';
import { projectRoot } from '../sites/project-root.js';
import type { Measurement, Unit } from './measurements.js';

const TIMEOUT_MS = 20 * 60_000;

/** Compiles the program into a directory; resolves to its path. Rejects, naming the remedy, when there is no C compiler. */
export async function compileFsbench(directory: string): Promise<string> {
  const program = join(directory, 'fsbench');
  const source = join(projectRoot(), 'scripts/bench/fsbench.c');
  const compilers = process.env['CC'] === undefined ? ['cc', 'gcc', 'clang'] : [process.env['CC']];
  for (const compiler of compilers) {
    const result = await run(compiler, ['-O2', '-o', program, source]).catch(() => null);
    if (result === null) continue;
    if (result.code !== 0) throw new Error(`${compiler} cannot compile ${source}:\n${result.stderr}`);
    return program;
  }
  throw new Error(
    `no C compiler (tried ${compilers.join(', ')}): install one, e.g. apt install gcc, or name it with CC=`,
  );
}

/** Runs the program to its end and resolves to what it measured. */
export async function runFsbench(program: string, args: readonly string[]): Promise<Measurement[]> {
  return parseMeasurements(await runChecked(program, args, { timeoutMs: TIMEOUT_MS }));
}

/** Parses lines of NAME<TAB>VALUE<TAB>UNIT. */
export function parseMeasurements(text: string): Measurement[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [operation, value, unit, ...rest] = line.split('\t');
      const number = Number(value);
      if (!operation || !isUnit(unit) || rest.length > 0 || !(number >= 0)) {
        throw new Error(`fsbench printed a line that is no measurement: ${JSON.stringify(line)}`);
      }
      return { operation, value: number, unit };
    });
}

function isUnit(text: string | undefined): text is Unit {
  return text === 'us' || text === 's' || text === 'MB/s';
}
