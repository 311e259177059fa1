// pack-use.ts — what each pack holds that is needed, and which packs are worth rewriting.

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { PACK_HEADER_BYTES, RECORD_HEADER_BYTES } from './pack-record.js';

export interface PackUse {
  readonly name: string;
  /** Its number in the index; null: the index names nothing in it. */
  readonly number: number | null;
  /** Bytes that it takes on the disk. */
  readonly diskBytes: number;
  /** Milliseconds since 1970 of the last write. */
  readonly writtenMs: number;
  /** Objects in it that are needed, and the bytes that their records take. */
  neededObjects: number;
  neededBytes: number;
}

/** More than this part of it is of no use: then it is rewritten. */
const WASTE_LIMIT = 0.25;
/** Smaller packs, in bytes, are put together … */
const SMALL_PACK_BYTES = 8 << 20;
/** … once there are more than this many: each start of a writer leaves one. */
const SMALL_PACKS_MAX = 16;
const BLOCK_BYTES = 512;

/** The packs that there are. Taken before all who write packs end theirs, it names those that nobody writes to afterwards. */
export function packNames(directory: string): string[] {
  return readdirSync(directory).filter((name) => name.endsWith('.pack'));
}

/** The packs of a directory. `numbers`: those of the index, by name. */
export function listPacks(directory: string, numbers: ReadonlyMap<string, number>): PackUse[] {
  const uses: PackUse[] = [];
  for (const name of packNames(directory)) {
    const { size, blocks, blksize, mtimeMs } = statSync(join(directory, name));
    // What a filesystem sets aside behind the end of a file that is being written, it takes back by itself.
    const diskBytes = Math.min(blocks * BLOCK_BYTES, Math.ceil(size / blksize) * blksize);
    const use = { name, number: numbers.get(name) ?? null, diskBytes, writtenMs: mtimeMs };
    uses.push({ ...use, neededObjects: 0, neededBytes: PACK_HEADER_BYTES });
  }
  return uses;
}

/** An object of so many stored bytes in the pack is needed. */
export function noteNeeded(use: PackUse, storedBytes: number): void {
  use.neededObjects++;
  use.neededBytes += RECORD_HEADER_BYTES + storedBytes;
}

/** Bytes of the disk that rewriting or removing the packs gives back. */
export function wasteOf(packs: readonly PackUse[]): number {
  return packs.reduce((sum, { diskBytes, neededBytes, neededObjects }) => {
    return sum + Math.max(0, neededObjects === 0 ? diskBytes : diskBytes - neededBytes);
  }, 0);
}

/** The packs that are worth rewriting: those with much waste, and small ones when there are many. */
export function worthRewriting(packs: readonly PackUse[]): PackUse[] {
  const used = packs.filter(({ neededObjects }) => neededObjects > 0);
  const isWasteful = ({ diskBytes, neededBytes }: PackUse): boolean =>
    diskBytes - neededBytes > diskBytes * WASTE_LIMIT;
  const small = used.filter(({ neededBytes }) => neededBytes < SMALL_PACK_BYTES);
  return used.filter((use) => isWasteful(use) || (small.length > SMALL_PACKS_MAX && small.includes(use)));
}
