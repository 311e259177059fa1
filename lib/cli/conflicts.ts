// conflicts.ts — `weft conflicts [PATH]`: what merged in a way that a person should look at, and what was settled here.

import type { CommandModule } from 'yargs';
import type { ConflictRow, ConflictSide, SettledRow } from '../daemon/daemon-interface.js';
import type { StateDirectory } from '../daemon/state-directory.js';
import { UsageError } from './failure.js';
import { findSite, pathInVolume, runningSites, withDaemon } from './known-site.js';
import { withJson, withState } from './site-options.js';
import { nameText, renderTable, sizeText } from './text-table.js';
import { timeText } from './time-text.js';
import { userName } from './user-names.js';

interface Options {
  path: string | undefined;
  state: string | undefined;
  settled: boolean;
  json: boolean;
}

/** A side as text, with the owner's name on this machine. */
interface SideText extends ConflictSide {
  user: string | null;
}

/** A row whose names are text, not bytes. */
export interface ConflictText extends ConflictRow {
  volume: string;
  shown: SideText;
  hidden: SideText;
}

export const conflictsCommand: CommandModule<object, Options> = {
  command: 'conflicts [path]',
  describe: 'list what merged in a way that a person should look at',
  builder: (parser) =>
    withJson(withState(parser))
      .positional('path', {
        type: 'string',
        describe: 'at and below it; without it: the volume of the working directory, or all',
      })
      .option('settled', { type: 'boolean', default: false, describe: 'what was settled here and can be undone' }),
  handler: async ({ path, state: stateOption, settled, json }) => {
    if (settled && path !== undefined) throw new UsageError('weft conflicts --settled takes no path: it lists all');
    const sites =
      path === undefined && stateOption === undefined ? await runningSites() : [findSite(path ?? '.', stateOption)];
    if (settled) print(await settledIn(sites), json, 'nothing that was settled here can be undone', settledTable);
    else print(await conflictsIn(sites, path), json, 'no conflicts', conflictBlocks);
  },
};

function print<Row>(rows: readonly Row[], json: boolean, none: string, render: (rows: readonly Row[]) => string): void {
  if (json) process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
  else process.stdout.write(`${rows.length === 0 ? none : render(rows)}\n`);
}

async function conflictsIn(sites: readonly StateDirectory[], path: string | undefined): Promise<ConflictText[]> {
  const all: ConflictText[] = [];
  for (const state of sites) {
    const { mountpoint, volume } = state.config();
    const prefix = path === undefined ? null : pathInVolume(path, mountpoint);
    const rows = await withDaemon(state, (daemon) => daemon.request('conflicts', { path: prefix }));
    for (const row of rows) all.push(conflictText(row, volume));
  }
  return all;
}

function sideText(side: ConflictSide): SideText {
  return {
    ...side,
    path: side.path === null ? null : nameText(side.path),
    value: side.value === null ? null : nameText(side.value),
    user: side.uid === null ? null : userName(side.uid),
  };
}

export function conflictText(row: ConflictRow, volume: string): ConflictText {
  return {
    volume,
    ...row,
    path: nameText(row.path),
    shown: sideText(row.shown),
    hidden: sideText(row.hidden),
    attribute: row.attribute === null ? null : nameText(row.attribute),
    reason: nameText(row.reason),
  };
}

/** A few lines for each conflict: what it is, what is shown, what is hidden, why, and how to settle it. */
export function conflictBlocks(rows: readonly ConflictText[]): string {
  return rows
    .map(({ id, kind, path, attribute, shown, hidden, reason, choices }) => {
      const isAttribute = ['mode', 'owner', 'group', 'attribute'].includes(kind);
      const cells = (side: ConflictSide & { user: string | null }, what: string): string[] => [
        `  ${what}`,
        isAttribute ? (side.value ?? 'not set') : (side.path ?? 'removed'),
        `at ${side.site}`,
        side.user ?? '',
        timeText(Date.parse(side.time)),
        isAttribute ? '' : side.size === null ? (side.type ?? '') : sizeText(side.size),
      ];
      const title = `${id}  ${kind}  ${path}${attribute === null ? '' : `  ${attribute}`}`;
      return [
        title,
        renderTable([cells(shown, 'shown'), cells(hidden, 'hidden')]),
        `  ${reason}`,
        `  weft resolve ${id} --keep ${choices.join('|')}`,
      ].join('\n');
    })
    .join('\n\n');
}

async function settledIn(sites: readonly StateDirectory[]): Promise<(SettledRow & { volume: string })[]> {
  const all: (SettledRow & { volume: string })[] = [];
  for (const state of sites) {
    const { volume } = state.config();
    for (const row of await withDaemon(state, (daemon) => daemon.request('settled', {}))) {
      all.push({ volume, ...row, path: nameText(row.path), done: nameText(row.done) });
    }
  }
  return all;
}

function settledTable(rows: readonly SettledRow[]): string {
  const cells = rows.map(({ id, kind, keep, time, done }) => [id, kind, keep, timeText(Date.parse(time)), done]);
  return renderTable([['ID', 'KIND', 'KEPT', 'SETTLED', 'DONE'], ...cells]);
}
