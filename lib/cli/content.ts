// content.ts — `weft content MOUNTPOINT [everything|on-demand]`: which content this site fetches, and how much of it stays; without a
// choice, what is chosen.

import type { CommandModule } from 'yargs';
import type { ContentPolicy, ContentSettings } from '../daemon/content-interface.js';
import { findSite, withDaemon } from './known-site.js';
import { CONTENT_POLICIES, withJson, withState } from './site-options.js';
import { parseSizeBytes } from './size.js';
import { sizeText } from './text-table.js';

interface Options {
  mountpoint: string;
  policy: ContentPolicy | undefined;
  state: string | undefined;
  json: boolean;
  /** Null: no limit. */
  cache: number | null | undefined;
  'keep-free': number | null | undefined;
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
      })
      .option('cache', {
        type: 'string',
        requiresArg: true,
        coerce: (text: string | undefined) => limit(text, '--cache'),
        describe: 'on demand: keep no more than this of what was read, 500M, 10G; all: no limit',
      })
      .option('keep-free', {
        type: 'string',
        requiresArg: true,
        coerce: (text: string | undefined) => limit(text, '--keep-free'),
        describe: 'on demand: give up what was read while the disk has less than this free; none: never',
      }),
  handler: async ({ mountpoint, policy, state, json, cache, 'keep-free': keepFree }) => {
    const change: Partial<ContentSettings> = {
      ...(policy === undefined ? {} : { policy }),
      ...(cache === undefined ? {} : { cacheBytes: cache }),
      ...(keepFree === undefined ? {} : { keepFreeBytes: keepFree }),
    };
    const settings = await withDaemon(findSite(mountpoint, state), (daemon) => daemon.request('content', { change }));
    process.stdout.write(json ? `${JSON.stringify(settings, null, 2)}\n` : `${describeContent(settings)}\n`);
  },
};

function limit(text: string | undefined, what: string): number | null | undefined {
  if (text === undefined) return undefined;
  return text === 'all' || text === 'none' ? null : parseSizeBytes(text, what);
}

/** The settings as people read them. */
export function describeContent({ policy, cacheBytes, keepFreeBytes }: ContentSettings): string {
  if (policy === 'everything') return 'everything: the content of all files is fetched and kept';
  const limits = [
    ...(cacheBytes === null ? [] : [`up to ${sizeText(cacheBytes)}`]),
    ...(keepFreeBytes === null ? [] : [`while the disk has ${sizeText(keepFreeBytes)} free`]),
  ];
  const kept = limits.length === 0 ? 'kept' : `kept ${limits.join(', and ')}`;
  return `on-demand: the content of a file is fetched when it is read, and ${kept}`;
}
