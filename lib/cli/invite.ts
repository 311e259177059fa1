// invite.ts — `weft invite MOUNTPOINT`: a one-time invite, alone on stdout, so that scripts can take it.

import type { CommandModule } from 'yargs';
import { parseDurationMs } from './duration.js';
import { findSite, withDaemon } from './known-site.js';
import { withJson, withState } from './site-options.js';

interface Options {
  mountpoint: string;
  state: string | undefined;
  expires: number;
  json: boolean;
}

export const inviteCommand: CommandModule<object, Options> = {
  command: 'invite <mountpoint>',
  describe: 'print a one-time invite',
  builder: (parser) =>
    withJson(withState(parser))
      .positional('mountpoint', { type: 'string', demandOption: true, describe: 'of the volume to invite to' })
      .option('expires', {
        type: 'string',
        requiresArg: true,
        default: '24h',
        coerce: (text: string) => parseDurationMs(text, '--expires'),
        describe: 'how long it can be used, such as 2h',
      }),
  handler: async ({ mountpoint, state: stateOption, expires: ttlMs, json }) => {
    const state = findSite(mountpoint, stateOption);
    const invite = await withDaemon(state, (daemon) => daemon.request('invite', { ttlMs }));
    process.stdout.write(json ? `${JSON.stringify({ invite, ttlMs })}\n` : `${invite}\n`);
  },
};
