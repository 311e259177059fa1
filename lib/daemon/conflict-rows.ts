// conflict-rows.ts — conflicts as `weft conflicts` lists them. Names stay latin1 strings of their bytes; the command line decodes.

import type { Conflict, Side } from '../crdt/conflicts.js';
import type { Ino } from '../crdt/ids.js';
import { conflictId } from '../volume/conflict-id.js';
import { choicesOf } from '../volume/settlement.js';
import type { ConflictRow, ConflictSide } from './daemon-interface.js';

/** A row, and the directory whose entry it is about: there the site thread finds the conflict again. */
export interface LocatedConflict {
  readonly row: ConflictRow;
  readonly directory: Ino;
}

const TYPES = {
  f: 'file',
  d: 'directory',
  l: 'symlink',
  c: 'character device',
  b: 'block device',
  p: 'pipe',
  s: 'socket',
} as const;

export function describeConflict(conflict: Conflict): LocatedConflict {
  const { kind, path, at, attribute, winner, loser, why } = conflict;
  const row = {
    id: conflictId(conflict),
    path: pathText(path),
    kind,
    sites: winner.site === loser.site ? [winner.site] : [winner.site, loser.site],
    shown: describeSide(winner),
    hidden: describeSide(loser),
    attribute: attribute ?? null,
    reason: why,
    choices: choicesOf(conflict),
  };
  return { row, directory: at.parent };
}

function describeSide({ site, stamp, path, type, size, uid, value }: Side): ConflictSide {
  return {
    site,
    path: path ? pathText(path) : null,
    time: new Date(stamp / 1000).toISOString(),
    type: type === undefined ? null : TYPES[type],
    size: size ?? null,
    uid: uid ?? null,
    value: value ?? null,
  };
}

function pathText(path: readonly string[]): string {
  return `/${path.join('/')}`;
}
