#!/usr/bin/env node
// bench-journal.ts — `make bench-journal`: two sites carry out many operations on few files, exchange them, and cut their journals off with
// no history kept; then a third one joins. Prints what each keeps on disk, and how long a join took by changes and by state.
// Without kernel and network: the volumes of both sites in one process. Exit code 1: the sites differ, or a target is missed (--check).

import { statSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { renderTable, sizeText } from '../lib/cli/text-table.js';
import { JournalReader } from '../lib/journal/journal-reader.js';
import { statePath } from '../lib/journal/schema.js';
import { startCheckpointThread } from '../lib/journal/checkpoint-thread.js';
import { USER, VolumeFixture } from '../lib/volume/volume-fixture.test-support.js';

const USAGE = `usage: bench-journal [--operations N] [--files N] [--check]
  --operations N  of both sites together (default 1000000)
  --files N       that they are on (default 1000)
  --check         fail when a site keeps more than 20 MB`;
const MAX_REST_BYTES = 20e6;
/** Operations of a site between two exchanges. */
const ROUND = 10_000;
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

/** The n-th operation: of each ten four modes, two times, one attribute, one name there and back, and one content. */
function operate(site: VolumeFixture, n: number): void {
  const name = `f${(n * 7919) % files}`;
  const { volume } = site;
  const parent = site.resolve('/');
  const { ino } = volume.files.lookup(parent, name)!;
  const kind = n % 10;
  if (kind < 4) volume.files.setattr(ino, { mode: 0o600 + (n % 64) }, { ...USER, uid: 0 }, undefined);
  else if (kind < 6) volume.files.setattr(ino, { mtime: { s: n, ns: 0 } }, { ...USER, uid: 0 }, undefined);
  else if (kind === 6) volume.files.setxattr(ino, 'user.n', Buffer.from(String(n)), 0, false);
  else if (kind === 7) volume.files.rename(parent, name, parent, `${name}.moved`, 0, { ...USER, uid: 0 });
  else if (kind === 8) return site.rename(`/f${((n - 1) * 7919) % files}.moved`, `/f${((n - 1) * 7919) % files}`);
  else site.write(`/${name}`, `version ${n}`);
  if (n % 200 === 0) volume.background.run(() => false);
}

function vectorOf({ volume }: VolumeFixture): Map<string, number> {
  return new Map(volume.journal.vector());
}

/** Both sites have all: drops what nobody needs. Returns the longest slice, in ms. */
function cutOff(site: VolumeFixture): number {
  const { volume } = site;
  volume.fold();
  volume.truncating.ask({ frontier: vectorOf(site), keepHistoryMs: 0, nowUs: Infinity });
  let longestMs = 0;
  for (let more = true; more;) {
    const startMs = performance.now();
    more = volume.background.run(() => performance.now() - startMs >= 2);
    longestMs = Math.max(longestMs, performance.now() - startMs);
  }
  volume.folding.commit();
  return longestMs;
}

async function restBytes(site: VolumeFixture): Promise<{ state: number; packs: number }> {
  await site.collect();
  cutOff(site);
  const thread = startCheckpointThread(site.directory, (error) => {
    throw error;
  });
  await thread.stop();
  site.reopen();
  return { state: statSync(statePath(site.directory)).size, packs: site.packBytes };
}

function takeOver(from: VolumeFixture, to: VolumeFixture): number {
  const reader = JournalReader.open(from.directory);
  const offer = reader.baseOffer()!;
  let bytes = 0;
  for (let after = to.volume.base.offered(offer); after !== null;) {
    const part = reader.readBase(offer.id, after, PART_BYTES)!;
    bytes += part.bytes.length;
    after = to.volume.base.take(part, from.siteId);
  }
  reader.close();
  return bytes;
}

const oslo = VolumeFixture.create();
for (let i = 0; i < files; i++) oslo.write(`/f${i}`, `first of ${i}`);
const rome = await oslo.join();
await oslo.mergeWith(rome);
const rows: string[][] = [['WHAT', 'TOOK', 'SIZE']];
const note = (what: string, sinceMs: number, bytes: number): void =>
  void rows.push([what, `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`, sizeText(bytes)]);

let startMs = performance.now();
let longestMs = 0;
let joinByChangesAt = Math.min(operations, 100_000);
for (let n = 0; n < operations;) {
  for (const site of [oslo, rome]) {
    for (const end = Math.min(n + ROUND, operations); n < end; n++) operate(site, n);
    await oslo.mergeWith(rome);
  }
  if (n >= joinByChangesAt) {
    joinByChangesAt = Infinity;
    note(`${n} operations, exchanged`, startMs, oslo.volume.journal.journalBytes);
    const sinceMs = performance.now();
    const guest = new VolumeFixture(`${oslo.directory}-by-changes`, '0e'.repeat(16), null);
    await oslo.sendTo(guest);
    note(`a site joins by the changes of these`, sinceMs, oslo.volume.journal.journalBytes);
    guest.remove();
    startMs = performance.now();
  }
  if (joinByChangesAt === Infinity) longestMs = Math.max(longestMs, cutOff(oslo), cutOff(rome));
}
note(`the rest of ${operations}, cut off meanwhile (slices up to ${longestMs.toFixed(1)} ms)`, startMs, 0);
if (oslo.digest !== rome.digest) throw new Error('the sites differ');
let worst = 0;
for (const [name, site] of [
  ['oslo', oslo],
  ['rome', rome],
] as const) {
  const sinceMs = performance.now();
  const { state, packs } = await restBytes(site);
  worst = Math.max(worst, state + packs);
  note(`${name} at rest: state.db and packs`, sinceMs, state + packs);
}
const sinceMs = performance.now();
const guest = new VolumeFixture(`${oslo.directory}-by-state`, '0f'.repeat(16), null);
const bytes = takeOver(oslo, guest);
await oslo.sendTo(guest);
note('a site joins by the state', sinceMs, bytes);
if (guest.digest !== oslo.digest) throw new Error('the site that joined differs');
process.stdout.write(`${renderTable(rows)}\n`);
for (const site of [oslo, rome, guest]) site.remove();
if (check && worst > MAX_REST_BYTES) {
  process.stderr.write(`a site keeps ${sizeText(worst)}, at most ${sizeText(MAX_REST_BYTES)} were to be\n`);
  process.exitCode = 1;
}
