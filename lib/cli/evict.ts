// evict.ts — `weft evict PATH`: gives up the local content of the files at and below a path that another site is known to keep.

import type { CommandModule } from 'yargs';
import type { Evicted } from '../daemon/content-interface.js';
import { findSite, pathInVolume, withDaemon } from './known-site.js';
import { withJson, withState } from './site-options.js';
import { countText, sizeText } from './text-table.js';

interface Options {
  path: string;
  state: string | undefined;
  json: boolean;
}

export const evictCommand: CommandModule<object, Options> = {
  command: 'evict <path>',
  describe: 'give up local content that another site is known to keep; it comes back when it is read',
  builder: (parser) =>
    withJson(withState(parser)).positional('path', {
      type: 'string',
      demandOption: true,
      describe: 'a file or directory in a volume whose content is fetched on demand here',
    }),
  handler: async ({ path, state: stateOption, json }) => {
    const state = findSite(path, stateOption);
    const inVolume = pathInVolume(path, state.config().mountpoint) ?? '/';
    const evicted = await withDaemon(state, (daemon) => daemon.request('evict', { path: inVolume }));
    process.stdout.write(json ? `${JSON.stringify(evicted, null, 2)}\n` : `${describeEvicted(evicted)}\n`);
  },
};

/** What was done as people read it. */
export function describeEvicted({ objects, bytes, lastCopyBytes }: Evicted): string {
  const done = `${sizeText(bytes)} in ${countText(objects, 'object')} given up`;
  if (lastCopyBytes === 0) return done;
  return `${done}; ${sizeText(lastCopyBytes)} stay: no linked site that keeps everything has said that it has them`;
}
