// backup.ts — `weft backup MOUNTPOINT DIRECTORY`: a copy of all that a site is, taken while it runs. weft restore-site puts it back.

import { resolve } from 'node:path';
import type { CommandModule } from 'yargs';
import { findSite, withDaemon } from './known-site.js';
import { withJson, withState } from './site-options.js';
import { countText, sizeText } from './text-table.js';

interface Options {
  mountpoint: string;
  directory: string;
  state: string | undefined;
  json: boolean;
}

export const backupCommand: CommandModule<object, Options> = {
  command: 'backup <mountpoint> <directory>',
  describe: 'copy all that a site is to a new directory, while it runs; weft restore-site puts it back',
  builder: (parser) =>
    withJson(withState(parser))
      .positional('mountpoint', { type: 'string', demandOption: true, describe: 'or a path below it' })
      .positional('directory', {
        type: 'string',
        demandOption: true,
        describe: 'a new one, with room for the state; it will hold the key of the site',
      }),
  handler: async ({ mountpoint, directory, state: stateOption, json }) => {
    const state = findSite(mountpoint, stateOption);
    const report = await withDaemon(state, (daemon) => daemon.request('backup', { directory: resolve(directory) }));
    const { bytes, unfinishedFiles } = report;
    const unfinished = `\nin it without what was written last: ${countText(unfinishedFiles, 'file')}: could not be packed yet, the log says why`;
    const text = `${sizeText(bytes)} in ${report.directory}${unfinishedFiles > 0 ? unfinished : ''}`;
    process.stdout.write(`${json ? JSON.stringify(report, null, 2) : text}\n`);
  },
};
