// holdings-file.ts — what the sites of the volume are known to hold, in the state directory's holdings.json: so that a restart does not
// have to hear of each of them again before the journal may be cut off. Losing it loses nothing else: a damaged file is started anew.

import { join } from 'node:path';
import { z } from 'zod';
import type { Holding } from '../sync/member-vectors.js';
import type { Log } from './daemon-interface.js';
import { replaceFile } from './durable-file.js';
import { readStored } from './stored-json.js';

const HEX_ID = z.string().regex(/^[0-9a-f]{32}$/);

const stored = z.array(
  z.strictObject({
    siteId: HEX_ID,
    seenMs: z.int().nonnegative(),
    vector: z.array(z.tuple([HEX_ID, z.int().positive()])),
  }),
);

export class HoldingsFile {
  private readonly path: string;
  private written = '';

  constructor(
    stateDirectory: string,
    private readonly log: Log,
  ) {
    this.path = join(stateDirectory, 'holdings.json');
  }

  load(): Holding[] {
    const holdings = readStored(this.path, stored, (error) => {
      this.log.warn({ err: error, path: this.path }, 'what other sites hold is damaged and learnt anew');
      return [];
    });
    return (holdings ?? []).map((holding) => ({ ...holding, vector: new Map(holding.vector) }));
  }

  save(holdings: readonly Holding[]): void {
    const text = `${JSON.stringify(holdings.map((holding) => ({ ...holding, vector: [...holding.vector] })))}\n`;
    if (text === this.written) return;
    this.written = text;
    replaceFile(this.path, text, 0o600);
  }
}
