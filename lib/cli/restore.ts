// restore.ts — `weft restore PATH@VERSION [--to PATH]`: makes a file show an old version again. What it shows now stays in its history.

import type { CommandModule } from 'yargs';
import { UsageError } from './failure.js';
import { findSite, pathInVolume, withDaemon } from './known-site.js';
import { withJson, withState } from './site-options.js';
import { nameText } from './text-table.js';

interface Options {
  'path@version': string;
  to: string | undefined;
  state: string | undefined;
  json: boolean;
}

export const restoreCommand: CommandModule<object, Options> = {
  command: 'restore <path@version>',
  describe: 'make a file show an old version again, as weft history lists them',
  builder: (parser) =>
    withJson(withState(parser))
      .option('to', { type: 'string', requiresArg: true, describe: 'a new file for it; the present one is left alone' })
      .positional('path@version', {
        type: 'string',
        demandOption: true,
        describe: 'VERSION may also be a moment (2h, 2026-11-21T06:00) or a snapshot',
      }),
  handler: async ({ 'path@version': text, to, state: stateOption, json }) => {
    const at = text.lastIndexOf('@');
    const [path, version] = [text.slice(0, at), text.slice(at + 1)];
    if (at < 1 || version === '' || version.includes('/')) {
      throw new UsageError(
        `${text}: write PATH@VERSION, for example report.md@2h; weft history PATH lists the versions`,
      );
    }
    const state = findSite(path, stateOption);
    const { mountpoint } = state.config();
    const args = {
      path: pathInVolume(path, mountpoint) ?? '/',
      version,
      to: to === undefined ? null : (pathInVolume(to, mountpoint) ?? '/'),
    };
    const restored = await withDaemon(state, (daemon) => daemon.request('restore', args));
    const shown = nameText(restored.path);
    if (json) process.stdout.write(`${JSON.stringify({ ...restored, path: shown }, null, 2)}\n`);
    else process.stdout.write(`version ${restored.version} is at ${shown}\n`);
  },
};
