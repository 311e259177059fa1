// conflicts.ts — `weft conflicts [PATH]`: what merged in a way that a person should look at.

import type { CommandModule } from 'yargs';
import type { ConflictRow } from '../daemon/daemon-interface.js';
import type { StateDirectory } from '../daemon/state-directory.js';
import { findSite, pathInVolume, runningSites, withDaemon } from './known-site.js';
import { withJson, withState } from './site-options.js';
import { nameText, renderTable } from './text-table.js';

interface Options {
  path: string | undefined;
  state: string | undefined;
  json: boolean;
}

export const conflictsCommand: CommandModule<object, Options> = {
  command: 'conflicts [path]',
  describe: 'list what merged in a way that a person should look at',
  builder: (parser) =>
    withJson(withState(parser)).positional('path', {
      type: 'string',
      describe: 'at and below it; without it: the volume of the working directory, or all',
    }),
  handler: async ({ path, state: stateOption, json }) => {
    const rows: (ConflictRow & { volume: string })[] = [];
    const sites =
      path === undefined && stateOption === undefined ? await runningSites() : [findSite(path ?? '.', stateOption)];
    for (const state of sites) rows.push(...(await conflictsOf(state, path)));
    if (json) process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
    else if (rows.length === 0) process.stdout.write('no conflicts\n');
    else process.stdout.write(`${conflictTable(rows)}\n`);
  },
};

async function conflictsOf(
  state: StateDirectory,
  path: string | undefined,
): Promise<(ConflictRow & { volume: string })[]> {
  const { mountpoint, volume } = state.config();
  const prefix = path === undefined ? null : pathInVolume(path, mountpoint);
  const rows = await withDaemon(state, (daemon) => daemon.request('conflicts', { path: prefix }));
  return rows.map((row) => ({
    volume,
    ...row,
    path: nameText(row.path),
    shown: nameText(row.shown),
    reason: nameText(row.reason),
  }));
}

/** `rows` hold text, not bytes. */
export function conflictTable(rows: readonly ConflictRow[]): string {
  const cells = rows.map((row) => [row.id, row.path, row.kind, row.sites.join(', '), row.shown, row.reason]);
  return renderTable([['ID', 'PATH', 'KIND', 'SITES', 'SHOWN', 'REASON'], ...cells]);
}
