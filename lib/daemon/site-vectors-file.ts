// site-vectors-file.ts — a JSON file of the state directory: what was learnt of other sites, each with the version vector of what it holds.
// Losing it loses nothing else: a damaged file is started anew, and the log says so.

import { join } from 'node:path';
import { z } from 'zod';
import type { ActorId } from '../crdt/ids.js';
import type { Log } from './daemon-interface.js';
import { replaceFile } from './durable-file.js';
import { readStored } from './stored-json.js';

export const HEX_ID = z.string().regex(/^[0-9a-f]{32}$/);
/** A version vector, as pairs of actor and sequence number. */
export const VECTOR = z.array(z.tuple([HEX_ID, z.int().positive()]));

interface WithVector {
  readonly vector: ReadonlyMap<ActorId, number>;
}

/** As the file has it. */
type Stored<T extends WithVector> = Omit<T, 'vector'> & { vector: [string, number][] };

/** What one file holds of each site, beside its vector. */
export interface SiteVectorsFormat<T extends WithVector> {
  /** In the state directory. */
  readonly name: string;
  readonly entries: z.ZodType<Stored<T>[]>;
  /** What the log says is damaged, for a person. */
  readonly what: string;
}

export class SiteVectorsFile<T extends WithVector> {
  private readonly path: string;
  private written = '';

  constructor(
    stateDirectory: string,
    private readonly format: SiteVectorsFormat<T>,
    private readonly log: Log,
  ) {
    this.path = join(stateDirectory, format.name);
  }

  load(): T[] {
    const entries = readStored(this.path, this.format.entries, (error) => {
      this.log.warn({ err: error, path: this.path }, `${this.format.what} is damaged and learnt anew`);
      return [];
    });
    return (entries ?? []).map((entry) => ({ ...entry, vector: new Map(entry.vector) }) as WithVector as T);
  }

  /** Nothing is written when nothing is new. */
  save(entries: readonly T[]): void {
    const text = `${JSON.stringify(entries.map((entry) => ({ ...entry, vector: [...entry.vector] })))}\n`;
    if (text === this.written) return;
    this.written = text;
    replaceFile(this.path, text, 0o600);
  }
}
