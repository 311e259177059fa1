// completion.ts — `weft completion`: prints a script for the shell of who calls, bash or zsh, that completes verbs and options.
// The script is yargs' own and asks `weft --get-yargs-completions WORDS` at each press of the tab key.

import yargs, { type CommandModule } from 'yargs';

export const completionCommand: CommandModule = {
  command: 'completion',
  describe: 'print a completion script for bash or zsh: weft completion >> ~/.bashrc',
  handler: () => {
    yargs().scriptName('weft').showCompletionScript();
  },
};
