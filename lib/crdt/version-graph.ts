// version-graph.ts — the versions of one file as a graph, each version pointing to those that its writer saw and overwrote.
// Registers keep only what nobody overwrote; a merge also asks what the concurrent versions have in common. Pure: whoever has the
// history passes it in. The search is git's (paint_down_to_common in commit-reach.c), by operation counters, which never go down.

import type { Head } from './fields.js';
import type { ActorTable, OpId } from './ids.js';

/** A content version, current or overwritten. */
export interface Version extends OpId {
  /** Microseconds. */
  readonly stamp: number;
  readonly head: Head;
  /** The versions that it overwrote. */
  readonly preds: readonly OpId[];
}

/** The version that an operation wrote; undefined when it is not known here. */
export type VersionLookup = (op: OpId) => Version | undefined;

/** What is known of the versions of one file. */
export interface FileVersions {
  readonly version: VersionLookup;
  /**
   * Of a version that is not known any more: those of which at least one goes back to it. They go back to no version that is known. None
   * when that is not known either.
   */
  readonly heirs: (op: OpId) => readonly OpId[];
  /** Whether it is a conflict copy that became a file at two sites apart: then the version that it began with is written down twice. */
  readonly isBornTwice: boolean;
}

const LEFT = 1;
const RIGHT = 2;
const BOTH = LEFT | RIGHT;
/** Below a common one: common too, but not the nearest. */
const STALE = 4;
/** Versions looked at before giving up. */
const STEPS_MAX = 10_000;

/**
 * The nearest versions that both sides go back to: none of them is an ancestor of another. A side is one or more versions, and what
 * they go back to together. Empty when they have nothing in common; undefined when the history is not known that far.
 */
export function nearestCommonVersions(
  left: readonly Version[],
  right: readonly Version[],
  { version: lookup, heirs, isBornTwice }: FileVersions,
  actors: ActorTable,
): Version[] | undefined {
  const paint = new Map<string, number>();
  const unknown: { readonly colour: number; readonly heirs: readonly OpId[] }[] = [];
  /** Ascending: the last is the next. */
  const queue: Version[] = [];
  const common: Version[] = [];
  const first: Version[] = [];
  const push = (version: Version, colour: number): void => {
    const key = identityOf(version);
    const before = paint.get(key);
    if (before !== undefined && (before | colour) === before) return;
    paint.set(key, (before ?? 0) | colour);
    if (before !== undefined && queue.some((other) => identityOf(other) === key)) return;
    const at = queue.findLastIndex((other) => compareVersions(other, version, actors) < 0);
    queue.splice(at + 1, 0, version);
  };
  for (const version of left) push(version, LEFT);
  for (const version of right) push(version, RIGHT);
  const isStale = (version: Version): boolean => (paint.get(identityOf(version))! & STALE) !== 0;
  const mayFindMore = (): boolean => (unknown.length > 0 ? queue.length > 0 : !queue.every(isStale));
  for (let steps = 0; mayFindMore(); steps++) {
    if (steps === STEPS_MAX) return undefined;
    const version = queue.pop()!;
    let colour = paint.get(identityOf(version))!;
    if ((colour & BOTH) === BOTH && !(colour & STALE)) {
      common.push(version);
      colour |= STALE;
    }
    if (isBornTwice && version.preds.length === 0) first.push(version);
    for (const pred of version.preds) {
      const known = lookup(pred);
      // What is below a common version is not asked for, unless it is another one that is known.
      if (!known && colour & STALE) continue;
      if (known) push(known, colour);
      else {
        const after = heirs(pred);
        if (after.length === 0) return undefined;
        unknown.push({ colour, heirs: after });
      }
    }
  }
  // Below a common version there is no nearer one, nor where only one side may go back to.
  const isCommon = (op: OpId): boolean => {
    const version = lookup(op);
    return version !== undefined && ((paint.get(identityOf(version)) ?? 0) & BOTH) === BOTH;
  };
  let reached = 0;
  for (const { colour, heirs: after } of unknown) if (!after.every(isCommon)) reached |= colour;
  // What is not known on one side may be the version that the other side began with, written down twice.
  let begun = 0;
  for (const version of first)
    if ((paint.get(identityOf(version))! & BOTH) !== BOTH) begun |= paint.get(identityOf(version))!;
  if (reached !== 0 && (reached | begun) === BOTH) return undefined;
  // One that is written down twice may have been found before what goes back to its other writing.
  const nearest = common.filter((version) => !isStale(version));
  // … or that goes back to it where it is not known.
  return isBornTwice && nearest.length > 1 && isDoubtful(nearest, lookup) ? undefined : nearest;
}

/** Whether one that these go back to is a first version, and what another one goes back to is not known: it may be the same. */
function isDoubtful(versions: readonly Version[], lookup: VersionLookup): boolean {
  const seen = new Set<Version>(versions);
  let [hasFirst, isCutOff] = [false, false];
  for (const { preds } of seen) {
    if (preds.length === 0) hasFirst = true;
    for (const pred of preds) {
      const version = lookup(pred);
      if (version) seen.add(version);
      else isCutOff = true;
    }
    if (seen.size > STEPS_MAX) return true;
  }
  return hasFirst && isCutOff;
}

/** The first version found that `isIt`, among these and those that they go back to, as far as they are known. */
export function findVersion(
  from: readonly OpId[],
  lookup: VersionLookup,
  isIt: (version: Version) => boolean,
): Version | undefined {
  const seen = new Set(from.map(keyOf));
  const queue = [...from];
  for (const op of queue) {
    if (seen.size > STEPS_MAX) return undefined;
    const version = lookup(op);
    if (version && isIt(version)) return version;
    for (const pred of version?.preds ?? []) {
      if (seen.has(keyOf(pred))) continue;
      seen.add(keyOf(pred));
      queue.push(pred);
    }
  }
  return undefined;
}

/**
 * A conflict copy becomes a file of its own wherever somebody renames or edits it, there with the version that it showed: sites that did
 * so at the same time each wrote that version down, and it is one.
 */
function identityOf(version: Version): string {
  if (version.preds.length > 0) return keyOf(version);
  const { manifest, mtime } = version.head;
  return `${manifest} ${mtime.s} ${mtime.ns}`;
}

function keyOf(op: OpId): string {
  return `${op.counter}@${op.actor}`;
}

/** An order in which whoever saw a version comes after it: the same at every site. */
function compareVersions(a: OpId, b: OpId, actors: ActorTable): number {
  return a.counter - b.counter || actors.compare(a.actor, b.actor);
}
