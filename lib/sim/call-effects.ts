// call-effects.ts — what a call may do to the names around it: what it was asked for, and nothing else. No ctime goes back by it.
// All sites agree on the outcome of a call that does too little or too much, so no comparison of sites would ever tell. MERGE.md: what
// lies beside a name keeps its suffix, and a write to what stands for several settles them.

import { compareTimes, formatTimestamp } from '../crdt/fields.js';
import type { Ino, Name } from '../crdt/ids.js';
import { attributesOf } from '../crdt/inode-attributes.js';
import type { Timestamp } from '../crdt/inode.js';
import { sameOp } from '../crdt/register.js';
import type { Volume } from '../volume/volume.js';
import type { Site } from './site.js';

const SET_ID_BITS = 0o6000;
/** Of the 255 bytes of a name a suffix takes no more than the rest. */
const STEM_LENGTH = 150;

export type Place = readonly [parent: Ino, name: Name];

/** What a place leads to after a call; undefined: to nothing. */
export type Due = readonly [Place, Ino | undefined];

export class CallEffects {
  constructor(private readonly site: Site) {}

  /**
   * Makes a call that changes these places as `due` says, and no other name in their directories.
   * @param moving files whose conflict copies go where they go
   */
  changing<T>(
    step: string,
    places: readonly Place[],
    act: () => T,
    due: (result: T) => readonly Due[],
    moving: readonly Ino[] = [],
  ): T {
    // What was a copy is a file by this call.
    const isLoose = step.includes('.~') || places.some(([, name]) => name.includes('.~'));
    return withEffects(this.site.volume, step, places, isLoose, moving, act, due);
  }

  /** Notes that a call took away set-user-id and set-group-id, which a concurrent chmod then may not bring back. */
  droppingSetId<T>(ino: Ino, act: () => T): T {
    const { files, journal } = this.site.volume;
    const had = files.getattr(ino).mode & SET_ID_BITS;
    const result = act();
    const write = journal.store.inode(ino)?.registers.get('mode')?.[0];
    if (had && write && !(files.getattr(ino).mode & SET_ID_BITS))
      this.site.around.setIdDrops.add(`${write.counter}@${journal.actors.id(write.actor)}`);
    return result;
  }
}

/**
 * Makes a call and looks at the directories that it is about, before and after.
 * @param isLoose whether other suffixes may change: they are given out anew when one of them is settled
 * @param moving files whose conflict copies go where they go
 * @throws Error when a name leads elsewhere than it should
 */
function withEffects<T>(
  volume: Volume,
  what: string,
  places: readonly Place[],
  isLoose: boolean,
  moving: readonly Ino[],
  act: () => T,
  due: (result: T) => readonly Due[],
): T {
  const deferred = new Set(volume.journal.store.deferred().keys());
  const copies = new Set(moving.flatMap((ino) => volume.journal.store.copiesOf(ino)));
  const before = new Map(places.map(([directory]) => [directory, namesIn(volume, directory)]));
  const changeTimes = changeTimesOf(volume, before);
  const written = heirsOf(volume, places, false);
  const perhapsWritten = heirsOf(volume, places, true);
  const overwritten = overwrittenCopies(volume);
  const result = act();
  const isRemoval = moving.length === 0 && due(result).some(([, ino]) => ino === undefined);
  const heirs = isRemoval ? written : perhapsWritten;
  for (const [ino, ctime] of changeTimes) {
    const now = volume.journal.store.inode(ino)!.ctime;
    if (compareTimes(now, ctime) < 0)
      throw new Error(`${what}: ctime of ${ino} went from ${formatTimestamp(ctime)} to ${formatTimestamp(now)}`);
  }
  for (const [[parent, name], ino] of due(result)) {
    const found = volume.files.lookup(parent, name)?.ino;
    // A suffixed name that is free again may be the first choice of another loser.
    const isGone = isLoose && ino === undefined && found !== before.get(parent)?.get(name);
    // What was hidden is no equal any more, with what is being written to it: it does not go with the other, and so has the name.
    const stays = (ino === undefined ? heirs.get(`${parent}/${name}`) : undefined) ?? [];
    const leadsTo = stays.length > 0 ? stays.find((hidden) => hidden === found) : ino;
    if (found !== leadsTo ? !isGone : stays.length > 0 && found === undefined)
      throw new Error(
        `${what}: ${parent}/${name} leads to ${found}, not to ${stays.length > 0 ? stays.join(' or ') : ino}`,
      );
    if (leadsTo === undefined) before.get(parent)?.delete(name);
    else before.get(parent)?.set(name, leadsTo);
  }
  const named = due(result).flatMap(([, ino]) => ino ?? []);
  const publishesAll = named.some((ino) => isDirectory(volume, ino));
  for (const [directory, expected] of before) {
    const now = namesIn(volume, directory);
    const changed = [...new Set([...expected.keys(), ...now.keys()])].filter(
      (name) => expected.get(name) !== now.get(name),
    );
    // A move that was deferred may take effect now: then something comes or goes, and who has its name is decided anew.
    const moved = changed
      .filter((name) => deferred.has(expected.get(name)!) || deferred.has(now.get(name)!))
      .map(baseOf);
    const shown = new Set([...now].map(([name, ino]) => `${ino} as ${stemOf(name)}`));
    for (const name of changed) {
      const [was, is] = [expected.get(name), now.get(name)];
      if (was === undefined && isCopyOfNamed(volume, is!, named)) continue;
      if (is === undefined && named.includes(overwritten.get(was!)!)) continue;
      if (copies.has(was ?? is!) || (is === undefined && isHidden(volume, directory, name, was!))) continue;
      if (moved.includes(baseOf(name))) continue;
      // What was hidden and is being written to is no equal of the other after a change of that: it is shown beside it.
      if (was === undefined && [...heirs.values()].flat().includes(is!)) continue;
      // Suffixes are given out anew; but nothing comes or goes by that.
      const isSuffix =
        (isLoose || publishesAll) &&
        name !== baseOf(name) &&
        (was === undefined || shown.has(`${was} as ${stemOf(name)}`));
      if (isSuffix) continue;
      throw new Error(`${what}: ${directory}/${name} led to ${was} and leads to ${is}, which was not asked for`);
    }
  }
  return result;
}

/**
 * Copies whose versions go with the next one that is made of what was written, and of which file: a file that was open when another version
 * won is still written on the one that it showed then.
 */
function overwrittenCopies(volume: Volume): Map<Ino, Ino> {
  const { drafts } = volume['contents']['core'];
  const copies = new Map<Ino, Ino>();
  for (const { ino, dirty, bases } of drafts.all()) {
    const inode = dirty ? volume.journal.store.inode(ino) : undefined;
    for (const head of inode ? attributesOf(inode).heads : [])
      if (bases.some((base) => sameOp(base, head))) copies.set(head.copyIno, ino);
  }
  return copies;
}

/** What gets a name is published by the call, a directory with all that was closed: what is concurrent lies beside it from then on. */
function isCopyOfNamed(volume: Volume, ino: Ino, named: readonly Ino[]): boolean {
  const { store } = volume.journal;
  const source = store.copy(ino)?.source;
  return source !== undefined && named.some((other) => other === source || isDirectory(volume, other));
}

function isDirectory({ journal: { store } }: Volume, ino: Ino): boolean {
  return attributesOf(store.inode(ino)!).type === 'd';
}

/** A name without the suffix of a conflict. */
function baseOf(name: Name): Name {
  return name.split('.~')[0]!;
}

/** What is left of it beside any suffix: of a long name the suffix takes as much as it needs. */
function stemOf(name: Name): string {
  return baseOf(name).slice(0, STEM_LENGTH);
}

/** Of directories and what is in them, but for conflict copies, which have that of the file. */
function changeTimesOf(volume: Volume, directories: ReadonlyMap<Ino, ReadonlyMap<Name, Ino>>): Map<Ino, Timestamp> {
  const { store } = volume.journal;
  const times = new Map<Ino, Timestamp>();
  for (const [directory, names] of directories)
    for (const ino of [directory, ...names.values()]) {
      const inode = store.copy(ino) ? undefined : store.inode(ino);
      if (inode) times.set(ino, inode.ctime);
    }
  return times;
}

/** By place: {@link stillWritten}. */
function heirsOf(volume: Volume, places: readonly Place[], isPerhaps: boolean): Map<string, Ino[]> {
  return new Map(
    places.map(([parent, name]) => [`${parent}/${name}`, stillWritten(volume, [parent, name], isPerhaps)]),
  );
}

/**
 * Other files that are hidden behind the one at a place, and whose programs have written what is no version yet. Who moves or changes the
 * one leaves behind also those that may be written to yet (`isPerhaps`), and who removes it does not.
 */
function stillWritten(volume: Volume, [directory, name]: Place, isPerhaps: boolean): Ino[] {
  const { store } = volume.journal;
  const shownIno = volume.files.lookup(directory, name)?.ino;
  // What looks like a suffix may be part of a name: an editor's of what it saves beside a copy.
  const own = store.claims(directory, name);
  const all = own.length > 0 ? own : store.claims(directory, baseOf(name));
  if (!all.some(({ ino }) => ino === shownIno)) return [];
  const version = shownIno === undefined ? undefined : versionOf(volume, shownIno);
  const claims = all.filter(({ ino }) => ino !== shownIno && versionOf(volume, ino) === version);
  const { drafts, openFiles } = volume['contents']['core'];
  const isKept = (ino: Ino): boolean => drafts.get(ino)?.dirty || (isPerhaps && openFiles.isOpenForWriting(ino));
  return claims.flatMap(({ ino, shown }) => (shown === null && isKept(ino) ? [ino] : []));
}

/** The manifest of what an inode shows, but for what is no version yet. */
function versionOf(volume: Volume, ino: Ino): string | undefined {
  const inode = volume.journal.store.inode(ino);
  return inode && attributesOf(inode).head?.manifest;
}

/** By the call two files may have become equal, and are shown as one. */
function isHidden(volume: Volume, directory: Ino, suffixed: Name, ino: Ino): boolean {
  const claims = volume.journal.store.claims(directory, baseOf(suffixed));
  return claims.some((claim) => claim.ino === ino && claim.shown === null);
}

export function namesIn(volume: Volume, directory: Ino): Map<Name, Ino> {
  const names = new Map<Name, Ino>();
  volume.files.readdir(directory, 0, ({ name, ino }) => {
    if (name !== '.' && name !== '..') names.set(name, ino);
    return true;
  });
  return names;
}
