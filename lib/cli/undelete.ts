// undelete.ts — `weft undelete PATH`: brings back a removed file or a whole tree, as it was: modes, owners, times, attributes, hard links.

import type { CommandModule } from 'yargs';
import { findSite, pathInVolume, withDaemon } from './known-site.js';
import { withJson, withState } from './site-options.js';
import { countText, nameText } from './text-table.js';

interface Options {
  path: string;
  since: string | undefined;
  state: string | undefined;
  json: boolean;
}

export const undeleteCommand: CommandModule<object, Options> = {
  command: 'undelete <path>',
  describe: 'bring back a removed file, or a whole tree',
  builder: (parser) =>
    withJson(withState(parser))
      .option('since', {
        type: 'string',
        requiresArg: true,
        describe: 'everything that was there at this moment (2h, 2026-11-21T06:00) and is not now',
      })
      .positional('path', { type: 'string', demandOption: true, describe: 'that it had' }),
  handler: async ({ path, since, state: stateOption, json }) => {
    const state = findSite(path, stateOption);
    const args = { path: pathInVolume(path, state.config().mountpoint) ?? '/', since: since ?? null };
    const undeleted = await withDaemon(state, (daemon) => daemon.request('undelete', args));
    const shown = nameText(undeleted.path);
    if (json) process.stdout.write(`${JSON.stringify({ ...undeleted, path: shown }, null, 2)}\n`);
    else process.stdout.write(`${shown} is back (${countText(undeleted.names, 'name')})\n`);
  },
};
