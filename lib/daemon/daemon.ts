// daemon.ts — the three ways into a running site: a new volume, a join, a mount of what is there (DaemonModule).
// Invariant: nothing is mounted before the site has inode numbers of its own, that nobody else gives out: claimed from the volume, and
// claimed anew when the state directory was put back or went back. Who talks to whom in a running site is in running-site.ts.

import { hasFailedSync } from '../failed-sync-mark.js';
import { healState, statePath } from '../journal/schema.js';
import { type Member, READ_WRITE } from '../crdt/members.js';
import { redeemInvite } from '../sync/join.js';
import { makeSiteKey } from '../sync/site-key.js';
import type { Daemon, Log, Progress, SiteConfig, SiteState } from './daemon-interface.js';
import { RunningSite } from './running-site.js';
import { keepSiteKey } from './site-key-file.js';
import { lostCommits } from './state-mark.js';
import { isCopy, mayLackUnsynced } from './state-origin.js';

/** See DaemonModule. */
export async function createVolume(state: SiteState, log: Log): Promise<void> {
  await withoutMount(state, log, ({ membership }) => membership.found());
}

/** See DaemonModule. */
export async function joinVolume(
  invite: string,
  draft: Pick<
    SiteConfig,
    'site' | 'siteId' | 'mountpoint' | 'listen' | 'driver' | 'mountOptions' | 'content' | 'metrics'
  >,
  makeState: (config: SiteConfig) => SiteState,
  progress: (progress: Progress) => void,
  log: Log,
): Promise<SiteState> {
  const { siteId, site } = draft;
  const key = await makeSiteKey();
  const grant = await redeemInvite(invite, { key, siteId, site, volumeId: '' });
  const [host] = grant.peers;
  const config: SiteConfig = {
    ...draft,
    volumeId: grant.volumeId,
    volume: grant.volumeName,
    peers: [grant.address],
    slot: null,
  };
  const state = makeState(config);
  keepSiteKey(state.directory, key);
  const inviter = { siteId: host.siteId, name: host.site, identity: grant.identity, addresses: [], role: READ_WRITE };
  await withoutMount(state, log, ({ membership }) => membership.catchUp(progress), inviter);
  return state;
}

/** See DaemonModule. */
export async function startDaemon(state: SiteState, log: Log): Promise<Daemon> {
  if (state.config().slot === null) {
    throw new Error(`${state.directory}: its join was never finished; remove it and join again with a new invite`);
  }
  healState(statePath(state.directory), (what) => log.error({ what }, 'what was stored is damaged'));
  const lost = lostCommits(state.directory);
  if (lost > 0)
    log.error({ commits: lost }, 'the state lacks commits that it had: it was damaged, or files of it were put back');
  if (hasFailedSync(state.directory))
    log.warn({ directory: state.directory }, 'the disk failed before: what may not be on it is written again');
  const afterPowerLoss = mayLackUnsynced(state.directory);
  if (lost > 0 || isCopy(state.directory)) await adoptCopy(state, log, afterPowerLoss);
  const site = new RunningSite(state, log);
  await site.start(true, afterPowerLoss);
  return site;
}

/**
 * The state was put back from a backup: inode numbers that it would give out next may be those of files that other sites got
 * meanwhile, and that this one gets back from them.
 */
async function adoptCopy(state: SiteState, log: Log, afterPowerLoss: boolean): Promise<void> {
  await withoutMount(state, log, ({ membership }) => membership.claimFurtherSlot(), null, afterPowerLoss);
  log.warn(
    { slot: state.config().slot },
    'this state directory is a copy, or went back: new files get numbers of a new range',
  );
}

/** Runs a site that is linked and not mounted for as long as `work` takes. */
async function withoutMount(
  state: SiteState,
  log: Log,
  work: (site: RunningSite) => Promise<void>,
  inviter: Member | null = null,
  afterPowerLoss = false,
): Promise<void> {
  const site = new RunningSite(state, log, inviter);
  await site.start(false, afterPowerLoss);
  try {
    await work(site);
  } finally {
    await site.stopUnmounted();
  }
}
