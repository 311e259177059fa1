// gc.ts — `weft gc [MOUNTPOINT]`: what the stored objects are needed for, and with --run gives up what nothing needs.
// The daemon does that by itself now and then; here it is done at once, or only looked at, or told how long history is kept.

import type { CommandModule } from 'yargs';
import type { CollectionReport } from '../daemon/daemon-interface.js';
import type { StateDirectory } from '../daemon/state-directory.js';
import { parseDurationMs } from './duration.js';
import { findSite, runningSites, withDaemon } from './known-site.js';
import { withJson, withState } from './site-options.js';
import { groupDigits, renderTable, sizeText } from './text-table.js';

interface Options {
  mountpoint: string | undefined;
  state: string | undefined;
  json: boolean;
  run: boolean;
  'keep-history': number | undefined;
}

/** What each reason for keeping is called; in the order in which it is looked for. */
const KEPT_FOR: Readonly<Record<keyof CollectionReport['kept'], string>> = {
  shown: 'files',
  conflict: 'conflict copies',
  merge: 'merges to come',
  open: 'open files',
  snapshot: 'snapshots',
  history: 'history',
  peers: 'other sites',
  unlisted: 'files that have not arrived',
};

export const gcCommand: CommandModule<object, Options> = {
  command: 'gc [mountpoint]',
  describe: 'what stored data is needed for; with --run: give up what nothing needs',
  builder: (parser) =>
    withJson(withState(parser))
      .positional('mountpoint', { type: 'string', describe: 'without it: the volume of the working directory, or all' })
      .option('run', { type: 'boolean', default: false, describe: 'reclaim the space now; without it: only look' })
      .option('keep-history', {
        type: 'string',
        requiresArg: true,
        coerce: (text: string | undefined) => parsedHistory(text),
        describe: 'from now on, keep versions this long after something took their place: 0, 12h, 30d',
      }),
  handler: async ({ mountpoint, state, json, run, 'keep-history': keepHistory }) => {
    const sites =
      mountpoint === undefined && state === undefined ? await runningSites() : [findSite(mountpoint ?? '.', state)];
    const reports = [];
    for (const site of sites)
      reports.push({ volume: site.config().volume, ...(await collectAt(site, run, keepHistory)) });
    if (json) process.stdout.write(`${JSON.stringify(reports, null, 2)}\n`);
    else for (const report of reports) process.stdout.write(`${describeCollection(report)}\n`);
  },
};

function parsedHistory(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  return /^0+[a-z]*$/.test(text.trim()) ? 0 : Math.round(parseDurationMs(text, '--keep-history'));
}

function collectAt(state: StateDirectory, run: boolean, keepHistoryMs: number | undefined): Promise<CollectionReport> {
  return withDaemon(state, async (daemon) => {
    if (keepHistoryMs !== undefined) await daemon.request('keepHistory', { durationMs: keepHistoryMs });
    return daemon.request('collect', { carriesOut: run });
  });
}

/** The report as people read it. */
export function describeCollection(report: CollectionReport & { volume: string }): string {
  const { volume, kept, unused, packBytes, reclaimableBytes, waitsFor, collected } = report;
  const rows = Object.entries(KEPT_FOR)
    .map(([reason, text]) => [text, kept[reason as keyof typeof kept]] as const)
    .filter(([, { objects }]) => objects > 0)
    .map(([text, { objects, bytes }]) => [`kept for ${text}`, groupDigits(objects), sizeText(bytes)]);
  rows.push([collected ? 'not needed' : 'would go', groupDigits(unused.objects), sizeText(unused.bytes)]);
  const lines = [renderTable([[volume, 'OBJECTS', 'SIZE'], ...rows])];
  if (kept.peers.objects > 0 && waitsFor.length > 0)
    lines.push(`${waitsFor.join(', ')} may still need what is kept for other sites (weft retire puts a site out)`);
  lines.push(
    collected
      ? `${sizeText(Math.max(0, collected.freedBytes))} of ${sizeText(packBytes)} reclaimed`
      : `weft gc --run gives back ${sizeText(reclaimableBytes)} of ${sizeText(packBytes)}`,
  );
  return lines.join('\n');
}
