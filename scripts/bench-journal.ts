#!/usr/bin/env node
// bench-journal.ts — `make bench-journal`: two sites carry out many operations on few files, exchange them, and cut their journals off with
// no history kept; then a third one joins. Prints what each keeps on disk, and how long a join took by changes and by state.
// Without kernel and network: the volumes of both sites in one process. Exit code 1: the sites differ, or a target is missed (--check).

import { parseArgs } from 'node:util';
import { renderTable, sizeText } from '../lib/cli/text-table.js';
import { JournalSite, ROOT } from './bench/journal-site.js';

const USAGE = `usage: bench-journal [--operations N] [--files N] [--check]
  --operations N  of both sites together (default 1000000)
  --files N       that they are on (default 1000)
  --check         fail when a site keeps more than 20 MB`;
const MAX_REST_BYTES = 20e6;
/** Operations of a site between two exchanges. */
const ROUND = 10_000;
/** So many operations are in the journal when a site joins by changes. */
const JOIN_AT = 100_000;
const PART_BYTES = 256 * 1024;

const { operations, files, check } = options();

function options(): { operations: number; files: number; check: boolean } {
  try {
    const { values } = parseArgs({
      options: { operations: { type: 'string' }, files: { type: 'string' }, check: { type: 'boolean' } },
    });
    return {
      operations: Number(values.operations ?? 1_000_000),
      files: Number(values.files ?? 1_000),
      check: values.check ?? false,
    };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${USAGE}\n`);
    process.exit(2);
  }
}

function nameAt(n: number): string {
  return `f${(n * 7919) % files}`;
}

/** The n-th operation: of each ten four modes, two times, one attribute, one name there and back, and one content. */
function operate(site: JournalSite, n: number): void {
  const name = nameAt(n);
  const { volume } = site;
  const kind = n % 10;
  if (kind < 4) volume.files.setattr(site.find(name), { mode: 0o600 + (n % 64) }, ROOT, undefined);
  else if (kind < 6) volume.files.setattr(site.find(name), { mtime: { s: n, ns: 0 } }, ROOT, undefined);
  else if (kind === 6) volume.files.setxattr(site.find(name), 'user.n', Buffer.from(String(n)), 0, false);
  else if (kind === 7) site.rename(name, `${name}.moved`);
  else if (kind === 8) site.rename(`${nameAt(n - 1)}.moved`, nameAt(n - 1));
  else site.write(name, `version ${n}`);
  if (n % 200 === 0) volume.background.run(() => false);
}

async function exchange(a: JournalSite, b: JournalSite): Promise<void> {
  await a.sendTo(b);
  await b.sendTo(a);
}

const oslo = new JournalSite('oslo');
oslo.found();
for (let i = 0; i < files; i++) oslo.write(`f${i}`, `first of ${i}`);
const rome = new JournalSite('rome');
await oslo.sendTo(rome);
rome.claimSlot();
await exchange(oslo, rome);
const rows: string[][] = [['WHAT', 'TOOK', 'SIZE']];
const note = (what: string, sinceMs: number, bytes: number): void =>
  void rows.push([what, `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`, sizeText(bytes)]);

let startMs = performance.now();
let longestMs = 0;
let joinByChangesAt = Math.min(operations, JOIN_AT);
for (let n = 0; n < operations;) {
  for (const site of [oslo, rome]) {
    for (const end = Math.min(n + ROUND, operations); n < end; n++) operate(site, n);
    await exchange(oslo, rome);
  }
  if (n >= joinByChangesAt) {
    joinByChangesAt = Infinity;
    note(`${n} operations, exchanged: the journal`, startMs, oslo.volume.journal.journalBytes);
    const sinceMs = performance.now();
    const guest = new JournalSite('guest');
    await oslo.sendTo(guest);
    note('a site joins by these changes', sinceMs, oslo.volume.journal.journalBytes);
    guest.remove();
    startMs = performance.now();
  }
  if (joinByChangesAt === Infinity) longestMs = Math.max(longestMs, oslo.cutOff(), rome.cutOff());
}
note(
  `${operations} operations, cut off meanwhile (slices of ${longestMs.toFixed(1)} ms at most)`,
  startMs,
  oslo.volume.journal.journalBytes,
);
if (oslo.digest !== rome.digest) throw new Error('the sites differ');
let worst = 0;
for (const site of [oslo, rome]) {
  const sinceMs = performance.now();
  const bytes = await site.restBytes();
  worst = Math.max(worst, bytes);
  note('a site at rest: state.db and packs', sinceMs, bytes);
}
const sinceMs = performance.now();
const guest = new JournalSite('guest');
const bytes = guest.takeOver(oslo, PART_BYTES);
await oslo.sendTo(guest);
note('a site joins by the state', sinceMs, bytes);
if (guest.digest !== oslo.digest) throw new Error('the site that joined differs');
process.stdout.write(`${renderTable(rows)}\n`);
for (const site of [oslo, rome, guest]) site.remove();
if (check && worst > MAX_REST_BYTES) {
  process.stderr.write(`a site keeps ${sizeText(worst)}, at most ${sizeText(MAX_REST_BYTES)} were to be\n`);
  process.exitCode = 1;
}
