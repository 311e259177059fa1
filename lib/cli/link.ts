// link.ts — `weft link pause|resume|add|remove MOUNTPOINT [PEER]`: cut or restore links on purpose; dial a further peer.

import type { CommandModule } from 'yargs';
import { UsageError } from './failure.js';
import { inviteGiven } from './invite-given.js';
import { findSite, withDaemon } from './known-site.js';
import { withState } from './site-options.js';

const ACTIONS = ['pause', 'resume', 'add', 'remove'] as const;

interface Options {
  action: (typeof ACTIONS)[number];
  mountpoint: string;
  peer: string | undefined;
  state: string | undefined;
}

export const linkCommand: CommandModule<object, Options> = {
  command: 'link <action> <mountpoint> [peer]',
  describe: 'cut or restore links on purpose; dial a further peer',
  builder: (parser) =>
    withState(parser)
      .positional('action', {
        choices: ACTIONS,
        demandOption: true,
        describe: 'remove: cut the link for good and forget the peer',
      })
      .positional('mountpoint', { type: 'string', demandOption: true, describe: 'of the volume here' })
      .positional('peer', {
        type: 'string',
        describe: 'site name or HOST:PORT (pause and resume: all without it); to add also an invite',
      }),
  handler: async ({ action, mountpoint, peer, state: stateOption }) => {
    if (peer === undefined && (action === 'add' || action === 'remove')) {
      throw new UsageError(
        `weft link ${action} needs a peer: ${action === 'add' ? 'its HOST:PORT or site name, or an invite' : 'its site name or HOST:PORT'}`,
      );
    }
    await withDaemon(findSite(mountpoint, stateOption), (daemon) => {
      switch (action) {
        case 'pause':
        case 'resume':
          return daemon.request(action, { peer: peer ?? null });
        case 'add':
          return daemon.request('addPeer', { peer: inviteGiven(peer!) });
        case 'remove':
          return daemon.request('removePeer', { peer: peer! });
      }
    });
  },
};
