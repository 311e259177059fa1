// status.ts — `weft status [MOUNTPOINT]`: what a site, or every site known here, is and how it stands with its peers.

import { existsSync } from 'node:fs';
import type { CommandModule } from 'yargs';
import type { SiteConfig, SiteStatus } from '../daemon/daemon-interface.js';
import { logPathOf, type StateDirectory } from '../daemon/state-directory.js';
import { ControlClient } from './control-client.js';
import { endingError } from './daemon-log.js';
import { Failure, shellWord } from './failure.js';
import { allSites, findSite } from './known-site.js';
import { isAbandoned } from './dead-mount.js';
import { withJson, withState } from './site-options.js';
import { countText, groupDigits, renderTable, sizeText } from './text-table.js';

interface Options {
  mountpoint: string | undefined;
  state: string | undefined;
  json: boolean;
}

/** Why there is no status: never mounted or unmounted; killed, its mount still there; running but silent. */
type AbsentState = 'not mounted' | 'daemon died' | 'no answer';

/** A daemon that takes longer than this is stuck. Computing a digest takes seconds on a large volume. */
const ANSWER_TIMEOUT_MS = 60_000;

/** A site as `--json` prints it: {@link SiteStatus} when mounted, else what is known without its daemon. */
export type SiteReport =
  | ({ mounted: true; stateDirectory: string } & SiteStatus)
  | ({ mounted: false; stateDirectory: string; state: AbsentState; pid: null; digest: null; peers: never[] } & Pick<
      SiteConfig,
      'volume' | 'site' | 'siteId' | 'mountpoint' | 'listen' | 'driver'
    >);

export const statusCommand: CommandModule<object, Options> = {
  command: 'status [mountpoint]',
  describe: 'volumes, links, what is behind and ahead, conflicts',
  builder: (parser) =>
    withJson(withState(parser)).positional('mountpoint', {
      type: 'string',
      describe: 'without it: all volumes known here',
    }),
  handler: async ({ mountpoint, state: stateOption, json }) => {
    if (mountpoint !== undefined || stateOption !== undefined) {
      const report = await reportOf(findSite(mountpoint ?? '.', stateOption));
      process.stdout.write(
        json ? `${JSON.stringify(report, null, 2)}\n` : `${statusTable([report])}\n${summary(report)}`,
      );
      return;
    }
    const reports = await Promise.all(allSites().map(reportOrSilence));
    if (json) process.stdout.write(`${JSON.stringify(reports, null, 2)}\n`);
    else if (reports.length === 0)
      process.stdout.write('no volumes here yet: weft create VOLUME MOUNTPOINT makes one\n');
    else process.stdout.write(`${statusTable(reports)}\n`);
  },
};

async function reportOf(state: StateDirectory): Promise<SiteReport> {
  const daemon = await ControlClient.connect(state.directory);
  if (!daemon) return absent(state, isAbandoned(state) ? 'daemon died' : 'not mounted');
  try {
    const status = await daemon.request('status', {}, { silenceMs: ANSWER_TIMEOUT_MS });
    return { mounted: true, stateDirectory: state.directory, ...status };
  } finally {
    daemon.close();
  }
}

/** A site that cannot be asked is named on stderr, so that it does not hide the others. */
async function reportOrSilence(state: StateDirectory): Promise<SiteReport> {
  try {
    return await reportOf(state);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    process.stderr.write(`weft: ${error.message}\n`);
    return absent(state, 'no answer');
  }
}

function absent(directory: StateDirectory, state: AbsentState): SiteReport {
  const { volume, site, siteId, mountpoint, listen, driver } = directory.config();
  return {
    mounted: false,
    state,
    stateDirectory: directory.directory,
    volume,
    site,
    siteId,
    mountpoint,
    listen,
    driver,
    pid: null,
    digest: null,
    peers: [],
  };
}

/**
 * One row per site here, and one per peer below it. BEHIND: what we lack of theirs; AHEAD: what they lack of ours. In our own row: content
 * that is to come, and content that no other site keeps.
 */
export function statusTable(reports: readonly SiteReport[]): string {
  const rows = [['VOLUME', 'SITE', 'LINK', 'BEHIND', 'AHEAD', 'CONFLICTS', 'MOUNTPOINT']];
  for (const report of reports) {
    const { volume, site, mountpoint } = report;
    if (!report.mounted) {
      rows.push([volume, site, report.state, '-', '-', '-', mountpoint]);
      continue;
    }
    rows.push([volume, site, 'here', behindHere(report), aheadHere(report), groupDigits(report.conflicts), mountpoint]);
    for (const peer of report.peers) {
      // Of a peer that cannot be asked, only what was known last is: it may have written since.
      const behind = peer.state === 'connected' ? commits(peer.behindCommits) : 'unknown';
      rows.push([volume, peer.site, peer.state, behind, aheadText(peer.aheadCommits, peer.aheadBytes), '', '']);
    }
  }
  return renderTable(rows);
}

function behindHere({ missingObjects, missingBytes }: Pick<SiteStatus, 'missingObjects' | 'missingBytes'>): string {
  if (missingObjects === 0) return '-';
  return `${countText(missingObjects, 'object')}, ${sizeText(missingBytes)}`;
}

function aheadHere({ unsharedBytes }: Pick<SiteStatus, 'unsharedBytes'>): string {
  return unsharedBytes === 0 ? '-' : sizeText(unsharedBytes);
}

function aheadText(count: number, bytes: number): string {
  return bytes > 0 ? `${commits(count)}, ${sizeText(bytes)}` : commits(count);
}

function commits(count: number): string {
  return count === 0 ? '0' : countText(count, 'change');
}

function summary(report: SiteReport): string {
  if (!report.mounted) return report.state === 'daemon died' ? afterDeath(report) : '';
  const errors = report.peers.filter((peer) => peer.lastError !== null && peer.state !== 'connected');
  return [
    '',
    `listening on ${report.listen} · process ${report.pid} · ${report.driver} driver · memory ${sizeText(report.rssBytes)}`,
    `${countText(report.inodes, 'inode')} · ${journalText(report)} · chunks ${sizeText(report.chunkBytes)}`,
    ...contentLines(report),
    `state ${report.stateDirectory} · digest ${report.digest}`,
    ...errors.map((peer) => `${peer.site}: ${peer.lastError}`),
    '',
  ].join('\n');
}

function afterDeath({ stateDirectory, mountpoint }: SiteReport): string {
  const log = logPathOf(stateDirectory);
  const why = existsSync(log) ? endingError(log) : undefined;
  const mount = `weft mount ${shellWord(mountpoint)}`;
  return why === undefined ? `${mount} repairs that\n` : `it ended: ${why}\n${mount} starts it again\n`;
}

function journalText({ journalBytes, journalHeldBy }: SiteStatus): string {
  return `journal ${sizeText(journalBytes)}${journalHeldBy === null ? '' : ` for ${journalHeldBy}`}`;
}

/** Whatever is under way, or should be. */
export function contentLines(status: SiteStatus): string[] {
  const { missingObjects, missingBytes, absentBytes, unsharedBytes, peers } = status;
  const receiving = peers.reduce((sum, peer) => sum + peer.receivingBytesPerS, 0);
  const sending = peers.reduce((sum, peer) => sum + peer.sendingBytesPerS, 0);
  const lines: string[] = [];
  if (missingObjects > 0) {
    const speed = receiving > 0 ? `, ${rateText(receiving)}, ${durationText(missingBytes / receiving)} to go` : '';
    lines.push(`to fetch: ${sizeText(missingBytes)} in ${countText(missingObjects, 'object')}${speed}`);
  } else if (receiving > 0) lines.push(`fetching ${rateText(receiving)}`);
  if (absentBytes !== null) lines.push(`on demand: ${sizeText(absentBytes)} of the files' content is not here`);
  if (unsharedBytes > 0) lines.push(`at no other site that keeps everything: ${sizeText(unsharedBytes)}`);
  if (sending > 0) lines.push(`sending ${rateText(sending)}`);
  return lines;
}

function rateText(bytesPerS: number): string {
  return `${sizeText(bytesPerS)}/s`;
}

/** "40 s", "12 min", "3 h" */
function durationText(seconds: number): string {
  if (seconds < 100) return `${Math.ceil(seconds)} s`;
  return seconds < 6000 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}
