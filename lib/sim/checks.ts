// checks.ts — what must hold at one simulated site at any time, and of all of them once they have exchanged everything.

import { AbsentObjects } from '../chunks/absent-objects.js';
import { type Conflict, listConflicts } from '../crdt/conflicts.js';
import { compareTimes, formatTimestamp, timeOfStamp } from '../crdt/fields.js';
import { VOLUME_INO } from '../crdt/ids.js';
import { checkInvariants } from '../crdt/invariants.js';
import { compareWithStore, projectAll } from '../crdt/projection.js';
import { assertOracleAgrees } from '../journal/oracle.js';
import type { AcknowledgedBytes, ShownFile } from './acknowledged-bytes.js';
import { fingerprint } from './contents.js';
import { brokenRules } from './merge-rules.js';
import type { Process } from './process.js';
import { checkRegisters } from './registers-check.js';
import type { Site } from './site.js';
import { checkVersions } from './version-rules.js';
import { versionHeldBy } from './versions-held.js';

/** What is wrong at a site that runs, whatever it has received so far. */
export function checkSite(site: Site): string[] {
  const { store, actors } = site.volume.journal;
  return [
    ...compareWithStore(projectAll(store, actors), store).map((what) => `view from nothing: ${what}`),
    ...checkInvariants(store, actors).map((what) => `invariant: ${what}`),
    ...site.life!.cache.stale().map((what) => `kernel's cache: ${what}`),
    ...earlyChangeTimes(site).map((what) => `ctime: ${what}`),
  ].map((what) => withSite(what, site));
}

/** Inodes whose ctime is before a change that came from another site. */
function earlyChangeTimes(site: Site): string[] {
  const { store, actors } = site.volume.journal;
  const members = store.inode(VOLUME_INO)!.registers;
  const wrong: string[] = [];
  for (const ino of store.inodes()) {
    if (ino === VOLUME_INO) continue;
    const { ctime, registers } = store.inode(ino)!;
    for (const [field, entries] of registers)
      for (const { actor, stamp } of entries)
        if (
          compareTimes(ctime, timeOfStamp(stamp)) < 0 &&
          members.get(`actor:${actors.id(actor)}`)?.[0]?.value !== site.siteId
        )
          wrong.push(`inode ${ino}: ${formatTimestamp(ctime)}, its ${field} was written at ${stamp}`);
  }
  return wrong;
}

/** What a site takes a peer to hold durably is that, and not what is on its way there. */
export function checkAcknowledged(site: Site, sites: readonly Site[]): string[] {
  const wrong: string[] = [];
  for (const { session, peer } of site.life!.exchange.connections()) {
    if (!session.ready) continue;
    const other = sites.find(({ siteId }) => siteId === peer.siteId);
    const held = other?.life?.durable.vector;
    if (!held || held.size === 0) continue;
    for (const [actor, seq] of session.acknowledged)
      if ((held.get(actor) ?? 0) < seq)
        wrong.push(
          withSite(
            `acknowledged: ${other!.name} is taken to hold ${seq} of ${actor}, it has ${held.get(actor) ?? 0}`,
            site,
          ),
        );
  }
  return wrong;
}

/** Automerge, given the same changes, has the same registers. */
export function checkOracle(site: Site): string[] {
  site.volume.fold();
  try {
    const changes = site.around.archive.of(site).map(({ bytes }) => bytes);
    assertOracleAgrees(changes, site.volume.journal.store, site.volume.journal.actors);
    return [];
  } catch (error) {
    return [withSite(`Automerge: ${(error as Error).message}`, site)];
  }
}

/** Names, modes and bytes at a site, as far as it holds them: a line per path. */
export function treeShownBy(process: Process): string[] {
  return process.paths().map(([path, kind]) => {
    const { ino, mode, nlink, uid, gid } = process.stat(path);
    let content = '';
    try {
      if (kind === 'f') content = fingerprint(process.read(path));
    } catch (error) {
      if (!(error instanceof AbsentObjects)) throw error;
    }
    return `${path} ${ino} ${mode.toString(8)} ${nlink} ${uid}:${gid} ${content} ${JSON.stringify(process.xattrs(path))}`;
  });
}

/** What programs see of a tree: a line per path. `files` gets the contents. */
function shownBy(process: Process, files: Map<string, ShownFile>): string[] {
  return process.paths().map(([path, kind]) => {
    const { ino, mode, nlink, uid, gid, size, mtime } = process.stat(path);
    let content = '';
    if (kind === 'f') {
      const bytes = process.read(path);
      if (bytes.length !== size) content = `${bytes.length} bytes of `;
      content += fingerprint(bytes);
      files.set(path, { ino, content: bytes });
    } else if (kind === 'o' && (mode & 0o170000) === 0o120000) content = process.target(path);
    const xattrs = JSON.stringify(process.xattrs(path));
    // The size of a directory says nothing, and it is the same at all sites anyway.
    return `${path} ${ino} ${mode.toString(8)} ${nlink} ${uid}:${gid} ${size} ${mtime.s}.${mtime.ns} ${content} ${xattrs}`;
  });
}

/** Of sites that hold the same changes and objects, and have no drafts. */
export function checkConverged(
  sites: readonly Site[],
  processes: readonly Process[],
  bytes: AcknowledgedBytes,
): { wrong: string[]; conflicts: Conflict[]; digest: string } {
  const wrong = checkRegisters(sites);
  const digests = sites.map((site) => site.digest);
  const conflicts = sites.map((site) => listConflicts(site.volume.journal.store, site.volume.journal.actors));
  let first: string[] | undefined;
  for (const [i, site] of sites.entries()) {
    if (digests[i] !== digests[0]) wrong.push(withSite(`divergence: another digest than ${sites[0]!.name}`, site));
    if (JSON.stringify(conflicts[i]) !== JSON.stringify(conflicts[0]))
      wrong.push(withSite(`divergence: other conflicts than ${sites[0]!.name}`, site));
    const files = new Map<string, ShownFile>();
    const shown = shownBy(processes[i]!, files);
    first ??= shown;
    for (const line of shown)
      if (!first.includes(line)) wrong.push(withSite(`divergence: only here is shown ${line}`, site));
    for (const line of first)
      if (!shown.includes(line)) wrong.push(withSite(`divergence: not shown here is ${line}`, site));
    if (i > 0) continue;
    const versions = checkVersions(sites);
    wrong.push(...brokenRules(site), ...versions.wrong);
    // Nobody wrote these, and they are whole.
    for (const content of versions.merged) bytes.saw(content);
    for (const id of bytes.discardedVersions) {
      const content = versionHeldBy(sites, id);
      if (content) bytes.discarded(content);
    }
    wrong.push(...bytes.check(files).map((what) => withSite(what, site)));
  }
  return { wrong, conflicts: conflicts[0]!, digest: digests[0]! };
}

/** The kind of failure comes first: a shrunk history must fail in the same way. */
function withSite(what: string, site: Site): string {
  const colon = what.indexOf(':');
  return `${what.slice(0, colon)}: at ${site.name}${what.slice(colon)}`;
}
