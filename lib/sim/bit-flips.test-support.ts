// bit-flips.test-support.ts — trials of a bad disk: one bit of what a site stores is flipped, and nothing false may be shown for it.
// A trial passes when every file reads as it was written or fails to read, the damage was told (by the open, a read, or a check) where
// it could do harm, and all is right again after a repair with the help of another site that has everything. The seed decides it all.

import {
  cpSync,
  mkdtempSync,
  openSync,
  closeSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { AbsentObjects } from '../chunks/absent-objects.js';
import { CorruptionError } from '../codec/bytes.js';
import { fsck } from '../daemon/fsck.js';
import type { FsckReport } from '../daemon/fsck-report.js';
import { lostCommits, StateMark } from '../daemon/state-mark.js';
import { healState, statePath } from '../journal/schema.js';
import { VolumeFixture } from '../volume/volume-fixture.test-support.js';
import { Random } from './random.js';
import { scratchDirectory } from './scratch-directory.js';

/** What a bit is flipped in: of a state that was closed in an orderly way, or as SIGKILL left it. */
const TARGETS = {
  pack: { crashed: false, files: /^packs\/.*\.pack$/, mustBeTold: true },
  state: { crashed: false, files: /^state\.db$/, mustBeTold: true },
  'page sums': { crashed: false, files: /^state\.sums$/, mustBeTold: false },
  'crashed state': { crashed: true, files: /^state\.db$/, mustBeTold: false },
  'crashed log': { crashed: true, files: /^state\.db-wal$/, mustBeTold: false },
  'intent log': { crashed: true, files: /^intent\/.*\.seg$/, mustBeTold: true },
} as const;
export type Target = keyof typeof TARGETS;
export const ALL_TARGETS = Object.keys(TARGETS) as Target[];

export interface TrialOutcome {
  readonly target: Target;
  /** File and bit. */
  readonly where: string;
  /** By what the damage was told; null: by nothing, and it did no harm. */
  readonly toldBy: 'open' | 'read' | 'check' | null;
  /** What should not have happened; empty: the trial passed. */
  readonly wrong: readonly string[];
}

/** Two sites with the same files, from whose stored state trials start. */
export class BitFlips {
  private readonly scratch = scratchDirectory();
  /** Why the last open was refused. */
  private refusal = '';
  private readonly contents = new Map<string, Buffer>();

  private constructor(
    private readonly site: VolumeFixture,
    private readonly other: VolumeFixture,
    private readonly random: Random,
  ) {}

  static async prepare(): Promise<BitFlips> {
    const site = VolumeFixture.create();
    const flips = new BitFlips(site, await site.join(), new Random('contents'));
    site.mkdir('/dir');
    for (let i = 0; i < 12; i++) flips.write(`/dir/file ${i}`, 50 + i * 300);
    flips.write('/large', 180_000);
    flips.write('/larger', 400_000);
    await site.mergeWith(flips.other);
    site.volume.close();
    flips.keep('closed');
    site.reopenClosed();
    for (let i = 0; i < 5; i++) flips.write(`/dir/later ${i}`, 100 + i);
    site.volume.fold();
    const mark = new StateMark(site.directory);
    mark.write(site.volume.journal.commits);
    mark.close();
    for (let i = 0; i < 5; i++) flips.write(`/dir/last ${i}`, 100 + i);
    flips.keep('crashed');
    await site.mergeWith(flips.other);
    return flips;
  }

  private write(path: string, size: number): void {
    const bytes = Buffer.from(this.random.hex(size));
    this.site.write(path, bytes);
    this.contents.set(path, bytes);
  }

  private keep(name: string): void {
    cpSync(this.site.directory, join(this.scratch.path, name), {
      recursive: true,
      filter: (path) => !path.endsWith('-shm'),
    });
  }

  async run(seed: number, target: Target): Promise<TrialOutcome> {
    const random = new Random(seed);
    const { crashed, files, mustBeTold } = TARGETS[target];
    const directory = mkdtempSync(join(this.scratch.path, 'trial-'));
    cpSync(join(this.scratch.path, crashed ? 'crashed' : 'closed'), directory, { recursive: true });
    const candidates = (readdirSync(directory, { recursive: true }) as string[]).filter((path) => files.test(path));
    const file = random.pick(candidates.toSorted())!;
    const where = `${file} bit ${flipOne(join(directory, file), random)}`;
    const expected = new Map([...this.contents].filter(([path]) => crashed || !/\/(later|last) /.test(path)));
    const wrong: string[] = [];
    let toldBy: TrialOutcome['toldBy'] = null;
    try {
      const opened = this.open(directory, wrong);
      if (opened === 'refused' || opened.told) toldBy = 'open';
      if (opened !== 'refused') {
        if (readAll(opened.site, expected, wrong) && toldBy === null) toldBy = 'read';
        opened.site.volume.close();
      }
      // Nobody noticed: does a check?
      if (toldBy === null && (await this.check(directory, false)).faults.length > 0) toldBy = 'check';
      if (toldBy === null && mustBeTold) wrong.push('nothing told of it');
      if (toldBy !== null) await this.repair(directory, expected, wrong);
    } catch (error) {
      wrong.push((error as Error).stack ?? String(error));
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
    return { target, where, toldBy, wrong };
  }

  private open(directory: string, wrong: string[]): 'refused' | { site: VolumeFixture; told: boolean } {
    let told = false;
    try {
      healState(statePath(directory), () => (told = true));
      if (lostCommits(directory) > 0) told = true;
      const site = new VolumeFixture(directory, this.site.siteId, 1);
      return { site, told: told || site.notices.some((notice) => notice.startsWith('corrupt')) };
    } catch (error) {
      if (!(error instanceof CorruptionError)) wrong.push(`open: ${(error as Error).stack}`);
      this.refusal = (error as Error).message;
      return 'refused';
    }
  }

  private check(directory: string, repair: boolean): Promise<FsckReport> {
    const config = { volume: 'v', site: 'a', slot: 1 };
    return fsck({ directory, config, data: true, repair, daemon: null, tell: () => {} });
  }

  private async repair(directory: string, expected: ReadonlyMap<string, Buffer>, wrong: string[]): Promise<void> {
    await this.check(directory, true);
    const opened = this.open(directory, wrong);
    if (opened === 'refused') {
      // SQLite takes nothing of a log whose first frame is damaged. Where the intent log begins later than what is left ends, no
      // repair brings back what lay between: the open says so, and a person decides.
      if (!/begins at operation \d+, but the state ends at/.test(this.refusal))
        wrong.push(`refused after the repair: ${this.refusal}`);
      return;
    }
    const { site } = opened;
    await this.other.sendTo(site);
    const failures: string[] = [];
    if (readAll(site, expected, failures)) failures.push('something still cannot be read');
    wrong.push(...failures.map((what) => `after the repair: ${what}`));
    site.volume.close();
    const { faults } = await this.check(directory, false);
    for (const { what } of faults) wrong.push(`after the repair: ${what}`);
  }

  remove(): void {
    this.site.remove();
    this.other.remove();
    this.scratch.remove();
  }
}

/** Flips one bit of what is in a file; files that grow ahead end in zeros, which mean nothing. */
function flipOne(path: string, random: Random): number {
  const bytes = readFileSync(path);
  let used = bytes.length;
  while (used > 0 && bytes[used - 1] === 0) used--;
  const bit = random.below(used * 8);
  const fd = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, bit >>> 3);
  byte[0]! ^= 1 << (bit & 7);
  writeSync(fd, byte, 0, 1, bit >>> 3);
  closeSync(fd);
  return bit;
}

/** Whether a file could not be read. What reads as something else than was written is wrong. */
function readAll(site: VolumeFixture, expected: ReadonlyMap<string, Buffer>, wrong: string[]): boolean {
  let failed = false;
  for (const [path, bytes] of expected) {
    try {
      if (!site.read(path).equals(bytes)) wrong.push(`${path} reads as something else`);
    } catch (error) {
      if (error instanceof CorruptionError || error instanceof AbsentObjects) failed = true;
      else wrong.push(`${path}: ${(error as Error).message}`);
    }
  }
  return failed;
}
