// invite-file.ts — the invites that this site gave out, in its state directory's invites.json.
// Invariant: an invite that was consumed stays consumed, whatever crashes: it is on disk before the volume's key leaves.
// The whole file is rewritten for each change: it holds a handful of records, and forgets those long expired.

import { join } from 'node:path';
import { z } from 'zod';
import type { InviteRecord, InviteStore } from '../sync/ports.js';
import { replaceFile } from './durable-file.js';
import { readStored } from './stored-json.js';

export const INVITE_FILE = 'invites.json';
/** So long the bearer of an invite is told that it expired, and not that it is unknown. */
const REMEMBERED_MS = 30 * 86_400_000;

const stored = z.array(
  z.strictObject({
    id: z.string().min(1),
    secret: z.string().regex(/^([0-9a-f]{2})+$/),
    expiresAtMs: z.number(),
    used: z.boolean(),
  }),
);

export class InviteFile implements InviteStore {
  private readonly path: string;
  private readonly invites = new Map<string, InviteRecord>();

  /** `wallMs`: milliseconds since 1970. Throws an Error naming the remedy when the file is damaged. */
  constructor(
    stateDirectory: string,
    private readonly wallMs: () => number,
  ) {
    this.path = join(stateDirectory, INVITE_FILE);
    for (const { secret, ...invite } of this.load()) {
      this.invites.set(invite.id, { ...invite, secret: Buffer.from(secret, 'hex') });
    }
  }

  create(invite: InviteRecord): void {
    this.invites.set(invite.id, invite);
    this.save();
  }

  find(id: string): InviteRecord | undefined {
    return this.invites.get(id);
  }

  consume(id: string): boolean {
    const invite = this.invites.get(id);
    if (!invite || invite.used) return false;
    this.invites.set(id, { ...invite, used: true });
    this.save();
    return true;
  }

  private load(): z.infer<typeof stored> {
    const damaged = (cause: unknown): never => {
      throw new Error(`${this.path} is damaged: remove it; invites not used yet are then lost`, { cause });
    };
    return readStored(this.path, stored, damaged) ?? [];
  }

  private save(): void {
    const oldestMs = this.wallMs() - REMEMBERED_MS;
    for (const { id, expiresAtMs } of this.invites.values()) if (expiresAtMs < oldestMs) this.invites.delete(id);
    const rows = [...this.invites.values()].map((invite) => ({
      ...invite,
      secret: Buffer.from(invite.secret).toString('hex'),
    }));
    replaceFile(this.path, `${JSON.stringify(rows, null, 2)}\n`, 0o600);
  }
}
