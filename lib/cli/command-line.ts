// command-line.ts — the verbs of `weft`, put together with yargs.
// Wrong usage throws UsageError, everything else that goes wrong what the verb threw; exit codes are main.ts's.

import { readFileSync } from 'node:fs';
import yargs from 'yargs';
import { conflictsCommand } from './conflicts.js';
import { createCommand } from './create.js';
import { daemonCommand } from './daemon.js';
import { doctorCommand } from './doctor.js';
import { UsageError } from './failure.js';
import { inviteCommand } from './invite.js';
import { joinCommand } from './join.js';
import { linkCommand } from './link.js';
import { mountCommand } from './mount.js';
import { statusCommand } from './status.js';
import { syncCommand } from './sync.js';
import { umountCommand } from './umount.js';

/** Parses `args` (without node and script) and runs the verb. `--help` and `--version` print to stdout. */
export async function runCommandLine(args: readonly string[]): Promise<void> {
  const parser = yargs()
    .scriptName('weft')
    .usage('$0 VERB …\n\nOne directory tree at several sites: each works on its own, and they merge.')
    .parserConfiguration({ 'boolean-negation': false, 'dot-notation': false })
    .command(createCommand)
    .command(joinCommand)
    .command(mountCommand)
    .command(umountCommand)
    .command(inviteCommand)
    .command(statusCommand)
    .command(syncCommand)
    .command(linkCommand)
    .command(conflictsCommand)
    .command(doctorCommand)
    .command(daemonCommand)
    .completion('completion', 'print a completion script for bash or zsh: weft completion >> ~/.bashrc')
    .demandCommand(1, 'which verb? weft --help lists them')
    .strict()
    .version(programVersion())
    .help()
    .exitProcess(false)
    .fail((message, error: unknown) => {
      // yargs hands over its own complaints as a message, and what a verb threw as an error.
      if (error instanceof Error && error.name !== 'YError') throw error;
      throw new UsageError(`${message.trim()}${helpHint(args)}`);
    });
  await parser.parseAsync([...args]);
}

const COMMANDS = [
  createCommand,
  joinCommand,
  mountCommand,
  umountCommand,
  inviteCommand,
  statusCommand,
  syncCommand,
  linkCommand,
  conflictsCommand,
  doctorCommand,
];

/** Where to read on, when yargs itself complains about the use of a verb. */
function helpHint(args: readonly string[]): string {
  const usage = COMMANDS.map((command) => String(command.command)).find((line) => line.split(' ')[0] === args[0]);
  return usage === undefined ? '' : ` (weft ${usage}; weft ${args[0]} --help lists the options)`;
}

function programVersion(): string {
  const packageFile = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string }).version;
}
