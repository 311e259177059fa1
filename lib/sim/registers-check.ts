// registers-check.ts — all that a site's journal says makes the registers that the site has, and these are those of every other site.
// What is shown says nothing of removed inodes, which a site that comes back from a backup may yet act on.

import type { Ino } from '../crdt/ids.js';
import type { Entry } from '../crdt/inode.js';
import { formatKey } from '../crdt/register-schema.js';
import { parseOp } from '../crdt/fields.js';
import { writeRegister } from '../crdt/register.js';
import { BaseRows } from '../journal/base-rows.js';
import { decodeChange } from '../journal/change-codec.js';
import type { Site } from './site.js';

/** By key; of an entry what means the same at all sites. */
type Registers = ReadonlyMap<string, string>;

/** Of sites that hold the same changes. */
export function checkRegisters(sites: readonly Site[]): string[] {
  const wrong: string[] = [];
  let first: Registers | undefined;
  for (const site of sites) {
    const registers = registersOf(site);
    first ??= registers;
    wrong.push(...difference(registers, first).map((key) => `registers: at ${site.name}: ${key} is another one`));
    if (site.volume.journal.lostChanges > 0) continue; // nobody had them any more
    const made = registersTold(site);
    wrong.push(...difference(registers, made).map((key) => `journal: at ${site.name}: does not make ${key}`));
  }
  return wrong;
}

function difference(some: Registers, others: Registers): string[] {
  return [...new Set([...some.keys(), ...others.keys()])].filter((key) => some.get(key) !== others.get(key));
}

function registersOf({ volume: { journal } }: Site): Registers {
  const found = new Map<string, readonly Entry[]>();
  for (const ino of journal.store.inodes()) note(found, ino, journal.store.inode(ino)!.registers);
  return told(found, (actor) => journal.actors.id(actor));
}

/** What the base says, and the changes behind it. */
function registersTold({ volume: { journal } }: Site): Registers {
  const { actors, db } = journal;
  const found = new Map<string, readonly Entry[]>();
  for (const { inode } of new BaseRows(db).after(-1)) note(found, inode.ino, inode.registers);
  for (const bytes of db.prepare('select bytes from change order by lsn').pluck().all() as Buffer[]) {
    const { ops, startOp, stamp, actor } = decodeChange(bytes, Infinity);
    for (const [i, { key, value, pred }] of ops.entries()) {
      const write = { counter: startOp + i, actor: actors.intern(actor), stamp, value };
      const entries = writeRegister(found.get(key), { ...write, pred: pred.map((op) => parseOp(op, actors)) }, actors);
      found.set(key, entries);
    }
  }
  return told(found, (actor) => actors.id(actor));
}

function note(found: Map<string, readonly Entry[]>, ino: Ino, registers: ReadonlyMap<string, readonly Entry[]>): void {
  for (const [field, entries] of registers) found.set(formatKey(ino, field), entries);
}

function told(found: ReadonlyMap<string, readonly Entry[]>, idOf: (actor: number) => string): Registers {
  return new Map(
    [...found].map(([key, entries]) => [
      key,
      entries.map(({ counter, actor, value }) => `${counter}@${idOf(actor)}=${value}`).join('\n'),
    ]),
  );
}
