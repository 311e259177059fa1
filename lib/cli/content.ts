// content.ts — `weft content MOUNTPOINT [everything|on-demand]`: which content this site fetches; without a choice, what is chosen.

import type { CommandModule } from 'yargs';
import type { ContentPolicy, ContentSettings } from '../daemon/content-interface.js';
import { findSite, withDaemon } from './known-site.js';
import { CONTENT_POLICIES, withJson, withState } from './site-options.js';

interface Options {
  mountpoint: string;
  policy: ContentPolicy | undefined;
  state: string | undefined;
  json: boolean;
}

export const contentCommand: CommandModule<object, Options> = {
  command: 'content <mountpoint> [policy]',
  describe: 'which content this site fetches: everything, or what is read here (on-demand)',
  builder: (parser) =>
    withJson(withState(parser))
      .positional('mountpoint', { type: 'string', demandOption: true, describe: 'or a path below it' })
      .positional('policy', {
        choices: CONTENT_POLICIES,
        describe: 'everything: all files; on-demand: what is read. Without it: tell which it is',
      }),
  handler: async ({ mountpoint, policy, state, json }) => {
    const change = policy === undefined ? {} : { policy };
    const settings = await withDaemon(findSite(mountpoint, state), (daemon) => daemon.request('content', { change }));
    process.stdout.write(json ? `${JSON.stringify(settings, null, 2)}\n` : `${describeContent(settings)}\n`);
  },
};

/** The settings as people read them. */
export function describeContent({ policy }: ContentSettings): string {
  return policy === 'everything'
    ? 'everything: the content of all files is fetched and kept'
    : 'on-demand: the content of a file is fetched when it is read';
}
