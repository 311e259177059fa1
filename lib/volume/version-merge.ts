// version-merge.ts — what the versions of one file come to under a policy: three-way merges on what they have in common.
// Invariant: a function of the versions and of their history, in whatever order they became known: every site that merges the same
// versions gets the same bytes. When two merges were made of the same versions at two places, what they have in common is more than
// one version: that is merged first, and taken for the base, as git's recursive strategy does. So nothing is added twice.

import type { ActorTable, OpId } from '../crdt/ids.js';
import type { MergePolicy } from '../crdt/merge-policy.js';
import { type FileVersions, nearestCommonVersions, type Version } from '../crdt/version-graph.js';
import { Content } from '../chunks/content.js';
import { mergeContents } from '../chunks/merge-content.js';

/** What a merge asks of the history and of the chunks. */
export interface VersionReader {
  readonly actors: ActorTable;
  readonly versions: FileVersions;
  readonly parseOp: (op: string) => OpId;
  /** AbsentObjects. */
  readonly content: (version: Version) => Content;
}

/** Merges of merges of merges: more are taken for a conflict. */
const DEPTH_MAX = 8;

/** Undefined when the versions must be kept side by side. AbsentObjects when some of their bytes are not held here. */
export function* mergeVersionContents(
  policy: MergePolicy,
  versions: readonly Version[],
  reader: VersionReader,
  depth = 0,
): Generator<undefined, Content | undefined> {
  if (depth > DEPTH_MAX) return undefined;
  const [first, ...rest] = inOrder(versions, reader);
  let merged = reader.content(first!);
  const done = [first!];
  for (const version of rest) {
    const common = nearestCommonVersions(done, [version], reader.versions, reader.actors);
    if (!common) return undefined;
    // Without one both began with the empty file.
    const base = common.length === 0 ? Content.empty : yield* mergeVersionContents(policy, common, reader, depth + 1);
    const next = base && (yield* mergeContents(policy, base, merged, reader.content(version)));
    if (!next) return undefined;
    merged = next;
    done.push(version);
    yield undefined;
  }
  return merged;
}

/** The earlier before the later; a merge counts as the latest version that it is made of, for it was made whenever links allowed. */
function inOrder(versions: readonly Version[], reader: VersionReader): Version[] {
  const keys = new Map(versions.map((version) => [version, latestIn(version, reader)]));
  const compare = (a: Version, b: Version): number =>
    a.stamp - b.stamp || reader.actors.compare(a.actor, b.actor) || a.counter - b.counter;
  return versions.toSorted((a, b) => compare(keys.get(a)!, keys.get(b)!) || compare(a, b));
}

function latestIn(version: Version, reader: VersionReader): Version {
  let latest: Version | undefined;
  for (const op of version.head.merged ?? []) {
    const part = reader.versions.version(reader.parseOp(op));
    if (part && (!latest || part.stamp > latest.stamp)) latest = part;
  }
  return latest ?? version;
}
