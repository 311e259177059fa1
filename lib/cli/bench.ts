// bench.ts — `weft bench [DIRECTORY]`: how fast a volume is on this machine, beside the filesystem that would hold its state.
// Measures in a volume of its own that is gone afterwards: volumes of people are neither used nor filled.

import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CommandModule } from 'yargs';
import { Failure, oneLine } from './failure.js';
import { withJson } from './site-options.js';
import { type Amounts, measureSpeed, STEP_BYTES, type Unit } from './speed-test.js';
import { renderTable } from './text-table.js';

interface Options {
  directory: string | undefined;
  json: boolean;
  quick: boolean;
}

/** Of one operation: the medians at both places, and how many times as long it takes on the volume. */
export interface Comparison {
  readonly operation: string;
  readonly unit: Unit;
  readonly local: number;
  readonly weft: number;
  readonly ratio: number;
}

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));
const USUAL: Amounts & { rounds: number } = { rounds: 5, files: 1000, syncs: 50, largeBytes: 128 * STEP_BYTES };
const QUICK: Amounts & { rounds: number } = { rounds: 1, files: 50, syncs: 3, largeBytes: 4 * STEP_BYTES };

export const benchCommand: CommandModule<object, Options> = {
  command: 'bench [directory]',
  describe: 'how fast a volume is on this machine, beside the local filesystem',
  builder: (parser) =>
    withJson(parser)
      .positional('directory', {
        type: 'string',
        describe: 'where on the local filesystem, usually that for temporary files; a temporary volume is made in it',
      })
      .option('quick', { type: 'boolean', default: false, describe: 'to see that it works, not to compare' }),
  handler: async ({ directory, json, quick }) => {
    const comparisons = await inTemporaryVolume(directory ?? tmpdir(), (mountpoint, local) =>
      compare(mountpoint, local, quick ? QUICK : USUAL),
    );
    process.stdout.write(json ? `${JSON.stringify(comparisons, null, 2)}\n` : `${table(comparisons)}\n`);
  },
};

function compare(mountpoint: string, local: string, amounts: typeof USUAL): Comparison[] {
  const atLocal: Record<string, number[]> = {};
  const atWeft: Record<string, number[]> = {};
  const units = new Map<string, Unit>();
  for (let round = 0; round < amounts.rounds; round++) {
    for (const [values, place] of [
      [atLocal, local],
      [atWeft, mountpoint],
    ] as const) {
      for (const { operation, unit, value } of measureSpeed(join(place, `round-${round}`), amounts)) {
        units.set(operation, unit);
        (values[operation] ??= []).push(value);
      }
    }
  }
  return [...units].map(([operation, unit]) => {
    const medians = { local: median(atLocal[operation]!), weft: median(atWeft[operation]!) };
    return {
      operation,
      unit,
      ...medians,
      ratio: unit === 'us' ? medians.weft / medians.local : medians.local / medians.weft,
    };
  });
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}

/** Calls `use` with the root of a fresh volume and a local directory beside its state; both are gone when this returns. */
async function inTemporaryVolume<T>(directory: string, use: (mountpoint: string, local: string) => T): Promise<T> {
  const scratch = scratchIn(directory);
  const [mountpoint, local] = [join(scratch, 'mount'), join(scratch, 'local')];
  const weft = (...args: string[]): Promise<void> => runWeft(join(scratch, 'home'), args);
  let mounted = false;
  process.on('SIGINT', interrupted).on('SIGTERM', interrupted);
  try {
    for (const path of [mountpoint, local]) mkdirSync(path);
    await weft('create', 'bench', mountpoint, '--state', join(scratch, 'state'));
    mounted = true;
    return use(mountpoint, local);
  } finally {
    if (mounted) await weft('umount', mountpoint, '--force');
    rmSync(scratch, { recursive: true, force: true });
    process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
  }
}

/** The measuring is synchronous: whoever interrupts it is heeded when it is done, and what it made is removed. */
function interrupted(): void {
  process.exitCode = 1;
}

function scratchIn(directory: string): string {
  try {
    return realpathSync(mkdtempSync(join(directory, 'weft-bench-')));
  } catch (error) {
    throw new Failure(
      `${directory} cannot hold a temporary volume (${(error as Error).message}): name another directory`,
    );
  }
}

/** A process of its own, as a person would start it. */
async function runWeft(home: string, args: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, [...process.execArgv, MAIN, ...args], {
    env: { ...process.env, WEFT_HOME: home },
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true, // Ctrl-C is for us: we clean up
  });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
  const code = await new Promise<number | null>((resolve, reject) =>
    child.once('error', reject).once('close', resolve),
  );
  if (code !== 0) throw new Failure(`weft ${args[0]} failed: ${oneLine(complaint.replace(/^weft: /, ''))}`);
}

function table(comparisons: readonly Comparison[]): string {
  const rows = comparisons.map(({ operation, unit, local, weft, ratio }) => [
    operation,
    unit === 'us' ? 'µs' : unit,
    significant(local),
    significant(weft),
    significant(ratio),
  ]);
  return renderTable([['OPERATION', 'UNIT', 'LOCAL', 'WEFT', 'TIMES AS LONG'], ...rows]);
}

/** Three digits. */
function significant(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
