// history.ts — `weft history PATH`: who made which version of it, where, when; its former names, its removal; of a directory, what
// happened in it.

import type { CommandModule } from 'yargs';
import type { HistoryRow } from '../daemon/history-interface.js';
import { UsageError } from './failure.js';
import { findSite, pathInVolume, withDaemon } from './known-site.js';
import { withJson, withState } from './site-options.js';
import { nameText, renderTable, sizeText } from './text-table.js';
import { timeText } from './time-text.js';
import { userName } from './user-names.js';

interface Options {
  path: string;
  limit: string;
  state: string | undefined;
  json: boolean;
}

export const historyCommand: CommandModule<object, Options> = {
  command: 'history <path>',
  describe: 'every version of a file, also of a removed one; what happened in a directory',
  builder: (parser) =>
    withJson(withState(parser))
      .option('limit', {
        alias: 'n',
        type: 'string',
        requiresArg: true,
        default: '1000',
        describe: 'so many lines at most, the latest',
      })
      .positional('path', { type: 'string', demandOption: true, describe: 'of something that is there, or was' }),
  handler: async ({ path, limit: limitText, state: stateOption, json }) => {
    const limit = Number(limitText);
    if (!Number.isSafeInteger(limit) || limit < 1)
      throw new UsageError(`--limit ${JSON.stringify(limitText)} is no number of lines: write for example 100`);
    const state = findSite(path, stateOption);
    const inVolume = pathInVolume(path, state.config().mountpoint) ?? '/';
    const rows = await withDaemon(state, (daemon) => daemon.request('history', { path: inVolume, limit }));
    if (json) process.stdout.write(`${JSON.stringify(rows.map(asJson), null, 2)}\n`);
    else process.stdout.write(`${historyTable(rows)}\n`);
  },
};

function asJson(row: HistoryRow): unknown {
  const { stamp, version, current, event, site, uid, size, path, detail, ino } = row;
  const time = new Date(stamp / 1000).toISOString();
  return { version, current, event, time, site, uid, size, path: nameText(path), detail: nameText(detail), ino };
}

/** The version that the path shows now has an asterisk. */
export function historyTable(rows: readonly HistoryRow[]): string {
  const cells = rows.map((row) => [
    row.version === null ? '' : `${row.version}${row.current ? ' *' : ''}`,
    timeText(row.stamp / 1000),
    row.site,
    userName(row.uid),
    row.size === null ? '' : sizeText(row.size),
    row.event,
    [nameText(row.path), nameText(row.detail)].filter((text) => text !== '').join(' '),
  ]);
  return renderTable([['VERSION', 'TIME', 'SITE', 'OWNER', 'SIZE', 'WHAT', 'PATH'], ...cells]);
}
