// peers.ts — `weft peers MOUNTPOINT`: the sites of a volume, with their keys, addresses and roles, and how this site stands with each.

import type { CommandModule } from 'yargs';
import type { PeerRow } from '../daemon/daemon-interface.js';
import { findSite, withDaemon } from './known-site.js';
import { withJson, withState } from './site-options.js';
import { countText, renderTable, sizeText } from './text-table.js';
import { timeText } from './time-text.js';

interface Options {
  mountpoint: string | undefined;
  state: string | undefined;
  json: boolean;
}

/** Enough to tell keys apart by eye; --json has them whole. */
const SHOWN_DIGITS = 16;

export const peersCommand: CommandModule<object, Options> = {
  command: 'peers [mountpoint]',
  describe: 'the sites of a volume: keys, addresses, roles, when last seen',
  builder: (parser) =>
    withJson(withState(parser)).positional('mountpoint', {
      type: 'string',
      describe: 'without it: the volume of the working directory',
    }),
  handler: async ({ mountpoint, state: stateOption, json }) => {
    const rows = await withDaemon(findSite(mountpoint ?? '.', stateOption), (daemon) => daemon.request('peers', {}));
    process.stdout.write(`${json ? JSON.stringify(rows, null, 2) : peersTable(rows)}\n`);
  },
};

export function peersTable(rows: readonly PeerRow[]): string {
  const heading = ['SITE', 'ROLE', 'LINK', 'LAST SEEN', 'LACKS', 'IDENTITY', 'ADDRESS'];
  return renderTable([heading, ...rows.map(cells)]);
}

function cells(row: PeerRow): string[] {
  const { site, role, state, lastSeen, identity, addresses } = row;
  const seen =
    state === 'connected' || state === 'here' ? 'now' : lastSeen === null ? '-' : timeText(Date.parse(lastSeen));
  return [
    site,
    role,
    state,
    seen,
    lacks(row),
    identity === null ? 'none yet' : `${identity.slice(0, SHOWN_DIGITS)}…`,
    addresses.join(' ') || '-',
  ];
}

/** What of this site's is not known to be there. */
function lacks({ state, role, aheadCommits, aheadBytes, missingObjects }: PeerRow): string {
  if (state === 'here' || role === 'retired') return '-';
  if (aheadCommits === null) return 'unknown';
  const parts: string[] = [];
  if (aheadCommits > 0) parts.push(`${countText(aheadCommits, 'change')}, ${sizeText(aheadBytes!)}`);
  if (missingObjects) parts.push(countText(missingObjects, 'object'));
  return parts.join(', ') || 'nothing';
}
