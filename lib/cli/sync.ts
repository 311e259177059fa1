// sync.ts — `weft sync --wait [MOUNTPOINT]`: returns when every reachable peer durably has what this site has, and the
// reverse. Exit 0 says so; exit 1 after --timeout names who is behind. Peers that cannot be reached are named, not waited for.

import type { CommandModule } from 'yargs';
import type { SiteStatus, Transfer } from '../daemon/daemon-interface.js';
import type { StateDirectory } from '../daemon/state-directory.js';
import { parseDurationMs } from './duration.js';
import { Failure, UsageError } from './failure.js';
import { findSite, runningSites, withDaemon } from './known-site.js';
import { ProgressLine } from './progress-line.js';
import { withState } from './site-options.js';
import { countText, sizeText } from './text-table.js';

/** Without --timeout: about as long as any transfer may take. */
const NO_TIMEOUT = '365d';

interface Options {
  mountpoint: string | undefined;
  state: string | undefined;
  wait: boolean | undefined;
  timeout: number;
  progress: boolean;
}

export const syncCommand: CommandModule<object, Options> = {
  command: 'sync [mountpoint]',
  describe: 'return when all reachable peers have what this site has, and this site what they have',
  builder: (parser) =>
    withState(parser)
      .positional('mountpoint', { type: 'string', describe: 'without it: the volume of the working directory, or all' })
      .option('wait', { type: 'boolean', describe: 'wait for it (sites exchange changes by themselves all the time)' })
      .option('timeout', {
        type: 'string',
        requiresArg: true,
        default: NO_TIMEOUT,
        defaultDescription: 'none',
        coerce: (text: string) => parseDurationMs(text, '--timeout'),
        describe: 'seconds, or with a unit: 500ms, 10m, 1h',
      })
      .option('progress', {
        type: 'boolean',
        default: false,
        describe: 'progress on stderr, even when that is no terminal',
      }),
  handler: async ({ mountpoint, state, wait, timeout: timeoutMs, progress }) => {
    if (wait !== true)
      throw new UsageError('weft sync needs --wait: sites exchange changes by themselves all the time');
    const sites =
      mountpoint === undefined && state === undefined ? await runningSites() : [findSite(mountpoint ?? '.', state)];
    const deadlineMs = performance.now() + timeoutMs;
    for (const site of sites) await syncSite(site, Math.max(1, deadlineMs - performance.now()), progress);
  },
};

async function syncSite(state: StateDirectory, timeoutMs: number, wanted: boolean): Promise<void> {
  const line = ProgressLine.onStderr(wanted);
  try {
    const { settled, status } = await withDaemon(state, (daemon) =>
      daemon.request(
        'sync',
        { timeoutMs, progress: line.active },
        { onProgress: (progress) => line.show(waitText(progress as Transfer)) },
      ),
    );
    line.clear();
    if (!settled)
      throw new Failure(
        `${status.volume} at ${status.mountpoint} is not in sync after ${Math.round(timeoutMs / 100) / 10} s: ${laggards(status)}`,
      );
    process.stdout.write(`${status.volume} at ${status.mountpoint}: ${outcome(status)}\n`);
  } finally {
    line.clear();
  }
}

function waitText(transfer: Transfer): string {
  const { behindCommits, aheadCommits, missingObjects, missingBytes, receivingBytesPerS } = transfer;
  const content = missingObjects === 0 ? '' : ` (${sizeText(missingBytes)}, ${sizeText(receivingBytesPerS)}/s)`;
  return `${countText(behindCommits, 'change')} and ${countText(missingObjects, 'object')}${content} to fetch, ${countText(aheadCommits, 'change')} to hand on…`;
}

function laggards(status: SiteStatus): string {
  const behind = status.peers
    .filter((peer) => peer.state === 'connected' && (peer.aheadCommits > 0 || peer.behindCommits > 0))
    .map(
      (peer) =>
        `${peer.site} lacks ${countText(peer.aheadCommits, 'change')}, has ${peer.behindCommits} that are not here`,
    );
  if (status.missingObjects > 0) behind.push(`${countText(status.missingObjects, 'object')} still to be fetched`);
  return `${behind.join('; ') || 'a peer still fetches data'} (a longer --timeout waits on)`;
}

function outcome(status: SiteStatus): string {
  const names = (states: string): string =>
    status.peers
      .filter((peer) => peer.state === states)
      .map((peer) => peer.site)
      .join(', ');
  const connected = names('connected');
  const parts = [connected === '' ? 'no peer is connected' : `in sync with ${connected}`];
  if (names('paused') !== '') parts.push(`paused: ${names('paused')}`);
  if (names('unreachable') !== '') parts.push(`not reachable: ${names('unreachable')}`);
  return parts.join('; ');
}
