// invite-given.ts — an invite as somebody gives it: on the command line, where other users of the machine can read it (ps(1)), or on stdin.

import { readFileSync } from 'node:fs';

/** `-` stands for what stdin holds. */
export function inviteGiven(text: string): string {
  return text === '-' ? readFileSync(0, 'utf8').trim() : text;
}
