// state-disk.ts — what a disk that takes no more of a state directory means for a person, and what to do about it.

import { errnoOf } from '../errno.js';
import { Failure, messageOf, shellWord } from './failure.js';

const REFUSALS: [says: RegExp, remedy: string][] = [
  [
    /^ENOSPC\b|database or disk is full|SQLITE_IOERR_SHMSIZE/,
    'its disk is full: free some space (64 MiB of it are kept in reserve)',
  ],
  [/^EDQUOT\b/, 'your quota of its disk is used up: free some space (64 MiB of it are kept in reserve)'],
  [/^EROFS\b|readonly database/, 'its disk is read-only: mount it writable'],
];

/**
 * A {@link Failure} that names the state directory and the remedy, for an error of its disk; any other error as it is. Goes by the
 * message, as errors of the site's threads have no more.
 * @param holdsSite what is kept there is no longer a matter of choice
 */
export function explainDisk(directory: string, error: unknown, holdsSite: boolean): unknown {
  // Node's own message of a quota that is used up is "unknown error".
  const text = errnoOf(error) === 'EDQUOT' ? 'EDQUOT' : messageOf(error);
  const refusal = REFUSALS.find(([says]) => says.test(text));
  if (!refusal) return error;
  const choice = holdsSite ? '' : ', or choose another one with --state';
  return new Failure(`the state directory ${shellWord(directory)} cannot be written: ${refusal[1]}${choice}`);
}
