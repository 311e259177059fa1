// resolve.ts — `weft resolve ID --keep SITE|both|merge`: settles a conflict at every site, and `--undo` takes that back.

import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { CommandModule } from 'yargs';
import type { MergedFile } from '../daemon/daemon-interface.js';
import type { StateDirectory } from '../daemon/state-directory.js';
import type { ControlClient } from './control-client.js';
import { Failure, messageOf, UsageError } from './failure.js';
import { findSite, runningSites, withDaemon } from './known-site.js';
import { withState } from './site-options.js';
import { nameText } from './text-table.js';

interface Options {
  id: string;
  keep: string | undefined;
  from: string | undefined;
  undo: boolean;
  state: string | undefined;
}

export const resolveCommand: CommandModule<object, Options> = {
  command: 'resolve <id>',
  describe: 'settle a conflict, at every site',
  builder: (parser) =>
    withState(parser)
      .positional('id', { type: 'string', demandOption: true, describe: 'as weft conflicts lists it' })
      .option('keep', {
        type: 'string',
        requiresArg: true,
        describe: 'the SITE whose side stays, "both", or "merge" for the content of a file',
      })
      .option('from', { type: 'string', requiresArg: true, describe: 'the file that --keep merge takes' })
      .option('undo', { type: 'boolean', default: false, describe: 'take back what was settled at this site' }),
  handler: async ({ id, keep, from, undo, state: stateOption }) => {
    const merged = checkedChoice(keep, from, undo);
    const sites = stateOption === undefined ? await runningSites() : [findSite('.', stateOption)];
    if (undo) {
      const site = await siteWith(sites, async (daemon) =>
        (await daemon.request('settled', {})).some((row) => row.id === id),
      );
      if (!site) throw new Failure(`nothing settled here is ${id}: weft conflicts --settled lists what can be undone`);
      const { done } = await withDaemon(site, (daemon) => inText(daemon.request('undoResolve', { conflict: id })));
      process.stdout.write(`undone: ${nameText(done)}\n`);
      return;
    }
    const site = await siteWith(sites, async (daemon) =>
      (await daemon.request('conflicts', { path: null })).some((row) => row.id === id),
    );
    if (!site) throw new Failure(`no conflict is ${id}: weft conflicts lists them; settled elsewhere meanwhile?`);
    const row = await withDaemon(site, async (daemon) => {
      const { done } = await inText(daemon.request('resolve', { conflict: id, keep: keep!, merged }));
      const settled = await daemon.request('settled', {});
      return { done, canUndo: settled.some((one) => one.id === id) };
    });
    process.stdout.write(`${nameText(row.done)}${row.canUndo ? ` (weft resolve ${id} --undo takes it back)` : ''}\n`);
  },
};

/** The file that is to take the place of both sides. Throws for options that do not go together. */
function checkedChoice(keep: string | undefined, from: string | undefined, undo: boolean): MergedFile | null {
  if (undo) {
    if (keep !== undefined || from !== undefined)
      throw new UsageError('weft resolve: --undo takes no --keep and no --from');
    return null;
  }
  if (keep === undefined) throw new UsageError('weft resolve needs --keep SITE, --keep both, --keep merge or --undo');
  if ((keep === 'merge') !== (from !== undefined)) {
    throw new UsageError('weft resolve: --keep merge and --from FILE, the merged content, belong together');
  }
  if (from === undefined) return null;
  const path = resolve(from);
  try {
    const file = statSync(path);
    if (!file.isFile()) throw new Error('it is no regular file');
    return { path, size: file.size };
  } catch (error) {
    throw new Failure(`--from ${from}: ${messageOf(error)}`);
  }
}

/** What the daemon refuses it names by the bytes of names. */
async function inText<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw new Failure(nameText(messageOf(error)));
  }
}

/** The first of these sites of which `holds` is true. */
async function siteWith(
  sites: readonly StateDirectory[],
  holds: (daemon: ControlClient) => Promise<boolean>,
): Promise<StateDirectory | undefined> {
  for (const site of sites) if (await withDaemon(site, holds)) return site;
  return undefined;
}
