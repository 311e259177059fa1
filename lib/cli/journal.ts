// journal.ts — `weft journal [MOUNTPOINT] [--away 30d]`: how large the journal is, what keeps it, and how long a site that is away is
// waited for.

import type { CommandModule } from 'yargs';
import type { JournalReport } from '../daemon/journal-report.js';
import { parseDurationMs } from './duration.js';
import { findSite, withDaemon } from './known-site.js';
import { withJson, withState } from './site-options.js';
import { groupDigits, renderTable, sizeText } from './text-table.js';
import { timeText } from './time-text.js';

interface Options {
  mountpoint: string | undefined;
  state: string | undefined;
  json: boolean;
  away: number | undefined;
}

const MS_PER_DAY = 86_400_000;

export const journalCommand: CommandModule<object, Options> = {
  command: 'journal [mountpoint]',
  describe: 'what the journal of changes takes, and what keeps it from being cut off',
  builder: (parser) =>
    withJson(withState(parser))
      .positional('mountpoint', { type: 'string', describe: 'without it: the volume of the working directory' })
      .option('away', {
        type: 'string',
        requiresArg: true,
        coerce: (text: string | undefined) => (text === undefined ? undefined : parseDurationMs(text, '--away')),
        describe: 'wait so long (30d) for a site that is away; then it is sent the whole state when it is back',
      }),
  handler: async ({ mountpoint, state, json, away }) => {
    const report = await withDaemon(findSite(mountpoint ?? '.', state), (daemon) =>
      daemon.request('journal', { awayMs: away ?? null }),
    );
    process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : `${describeJournal(report)}\n`);
  },
};

/** The journal as people read of it. */
export function describeJournal({ bytes, since, heldBy, awayMs, sites }: JournalReport): string {
  const from = since === null ? 'from the beginning on' : `from ${timeText(Date.parse(since))} on`;
  const lines = [
    `${sizeText(bytes)}, ${from}${heldBy === null ? '' : `; kept for ${heldBy}`}`,
    `a site that is away is waited for ${durationText(awayMs)}`,
  ];
  if (sites.length === 0) return lines.join('\n');
  const rows = sites.map(({ site, lacks, seen, fenced }) => [
    site,
    groupDigits(lacks),
    seen === null ? 'not heard of yet' : timeText(Date.parse(seen)),
    fenced ? 'no more: it gets the state when it is back' : 'yes',
  ]);
  return [...lines, '', renderTable([['SITE', 'LACKS', 'SEEN', 'WAITED FOR'], ...rows])].join('\n');
}

function durationText(ms: number): string {
  const days = ms / MS_PER_DAY;
  if (days >= 1) return `${Math.round(days)} day${Math.round(days) === 1 ? '' : 's'}`;
  return ms >= 60_000 ? `${Math.round(ms / 60_000)} minutes` : `${Math.ceil(ms / 1000)} s`;
}
