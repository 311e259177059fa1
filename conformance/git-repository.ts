// git-repository.ts — git(1) in a directory, without the user's configuration.

import { runChecked } from '../scripts/sites/command.js';

const ENVIRONMENT = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_SYSTEM: '/dev/null',
  GIT_AUTHOR_NAME: 'Weft',
  GIT_AUTHOR_EMAIL: 'weft@example.org',
  GIT_COMMITTER_NAME: 'Weft',
  GIT_COMMITTER_EMAIL: 'weft@example.org',
};

/** Runs git in a directory; resolves to what it printed, rejects with its message. */
export function git(directory: string, ...args: string[]): Promise<string> {
  return runChecked('git', ['-C', directory, ...args], { env: ENVIRONMENT, timeoutMs: 120_000 });
}
