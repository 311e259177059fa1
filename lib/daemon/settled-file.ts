// settled-file.ts — the conflicts that were settled at this site, with what takes each settlement back; settled.json of the state
// directory. Invariant: whoever was told that a conflict is settled can undo it, also after a crash: it is on disk before the answer.
// The latest thousand are kept. It is no part of what is replicated: a settlement is undone where it was made.

import { join } from 'node:path';
import { z } from 'zod';
import type { UndoStep } from '../volume/reversible-changes.js';
import type { SettledRow } from './daemon-interface.js';
import { replaceFile } from './durable-file.js';
import { readStored } from './stored-json.js';

export const SETTLED_FILE = 'settled.json';
const REMEMBERED = 1000;

const number = z.int().nonnegative();
const place = z.strictObject({ parent: number, name: z.string() });
const version = { manifest: z.string(), size: number, blocks: number.optional(), mtime: z.string() };
const undoStep = z.discriminatedUnion('undo', [
  z.strictObject({ undo: z.literal('rename'), ino: number, from: place, to: place }),
  z.strictObject({ undo: z.literal('link'), ino: number, link: number, to: place }),
  z.strictObject({ undo: z.literal('content'), ino: number, settled: z.string(), ...version }),
  z.strictObject({
    undo: z.literal('file'),
    to: place,
    mode: number,
    uid: number,
    gid: number,
    xattrs: z.array(z.tuple([z.string(), z.string()])),
    ...version,
  }),
  z.strictObject({ undo: z.enum(['mode', 'owner', 'group']), ino: number, settled: number, value: number }),
  z.strictObject({
    undo: z.literal('attribute'),
    ino: number,
    name: z.string(),
    settled: z.string().nullable(),
    value: z.string().nullable(),
  }),
]);
const settled = z.strictObject({
  id: z.string(),
  path: z.string(),
  kind: z.string(),
  keep: z.string(),
  time: z.string(),
  done: z.string(),
  undo: z.array(undoStep),
});

export interface SettledConflict extends SettledRow {
  readonly undo: readonly UndoStep[];
}

/** What people are told of it. */
export function rowOf({ id, path, kind, keep, time, done }: SettledConflict): SettledRow {
  return { id, path, kind, keep, time, done };
}

export class SettledFile {
  private readonly path: string;

  constructor(stateDirectory: string) {
    this.path = join(stateDirectory, SETTLED_FILE);
  }

  /** The latest first. Throws an Error naming the remedy when the file is damaged. */
  all(): SettledConflict[] {
    const damaged = (cause: unknown): never => {
      throw new Error(`${this.path} is damaged: remove it; what was settled so far cannot be undone then`, { cause });
    };
    return readStored(this.path, z.array(settled), damaged) ?? [];
  }

  add(conflict: SettledConflict): void {
    this.save([conflict, ...this.all().filter(({ id }) => id !== conflict.id)].slice(0, REMEMBERED));
  }

  remove(id: string): void {
    this.save(this.all().filter((conflict) => conflict.id !== id));
  }

  private save(conflicts: readonly SettledConflict[]): void {
    replaceFile(this.path, `${JSON.stringify(conflicts, null, 2)}\n`, 0o600);
  }
}
