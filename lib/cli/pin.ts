// pin.ts — `weft pin [PATH…]` and `weft unpin PATH…`: files and trees whose content is kept here, whatever else is not.
// Without a path, pin lists what is pinned.

import type { CommandModule } from 'yargs';
import type { PinnedPath } from '../daemon/content-interface.js';
import type { StateDirectory } from '../daemon/state-directory.js';
import { pathText } from '../daemon/path-text.js';
import { findSite, pathInVolume, runningSites, withDaemon } from './known-site.js';
import { withJson, withState } from './site-options.js';
import { groupDigits, renderTable, sizeText } from './text-table.js';

interface Options {
  path: string | undefined;
  state: string | undefined;
}

interface PinnedAt extends PinnedPath {
  readonly volume: string;
}

export const pinCommand: CommandModule<object, Options & { json: boolean }> = {
  command: 'pin [path]',
  describe: 'fetch and keep the content of a file or tree; without a path: list what is pinned',
  builder: (parser) =>
    withJson(withState(parser)).positional('path', {
      type: 'string',
      describe: 'a file or directory in a mounted volume; what is added below it later is kept too',
    }),
  handler: async ({ path, state, json }) => {
    if (path !== undefined) return request('pin', path, state);
    const sites = state === undefined ? await runningSites() : [findSite('.', state)];
    const pins: PinnedAt[] = [];
    for (const site of sites) pins.push(...(await pinsOf(site)));
    if (json) process.stdout.write(`${JSON.stringify(pins, null, 2)}\n`);
    else process.stdout.write(`${describePins(pins)}\n`);
  },
};

export const unpinCommand: CommandModule<object, Options> = {
  command: 'unpin <path>',
  describe: 'content of what was pinned may be given up again, as any other',
  builder: (parser) =>
    withState(parser).positional('path', { type: 'string', demandOption: true, describe: 'as weft pin lists it' }),
  handler: ({ path, state }) => request('unpin', path!, state),
};

async function request(verb: 'pin' | 'unpin', path: string, stateOption: string | undefined): Promise<void> {
  const state = findSite(path, stateOption);
  const inVolume = pathInVolume(path, state.config().mountpoint) ?? '/';
  await withDaemon(state, (daemon) => daemon.request(verb, { paths: [inVolume] }));
}

async function pinsOf(state: StateDirectory): Promise<PinnedAt[]> {
  const { volume } = state.config();
  const pins = await withDaemon(state, (daemon) => daemon.request('pins', {}));
  return pins.map((pin) => ({ volume, ...pin, path: pathText(pin.path) }));
}

/** The list as people read it. */
export function describePins(pins: readonly PinnedAt[]): string {
  if (pins.length === 0) return 'nothing is pinned: weft pin PATH keeps the content of a file or tree here';
  const rows = pins.map(({ volume, path, files, bytes, missingBytes }) => [
    volume,
    path,
    groupDigits(files),
    sizeText(bytes),
    missingBytes === 0 ? '-' : sizeText(missingBytes),
  ]);
  return renderTable([['VOLUME', 'PATH', 'FILES', 'SIZE', 'MISSING'], ...rows]);
}
