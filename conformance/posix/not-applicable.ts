// not-applicable.ts — what root asserts and a plain user cannot, with the reason: nothing that a plain user's run leaves out goes
// uncounted. Assertions of two runs are the same when their words are, but for numbers (ids, inodes, times), as often as they come.

import type { Assertion } from './trial.js';

/** Of an assertion's own words; the first that fits is the reason. */
const REASONS: readonly [words: RegExp, reason: string][] = [
  [
    /\bby (root|group|supplementary|other|owner in|who does not)\b|\bof (0|61003|61004) in |in a directory of (0|61004)\b/,
    'what others do or own: becoming another user, and giving things away',
  ],
  [/\b(character|block) device\b|\ba new device\b/, 'devices: making them'],
  [/\b(trusted|security|capabilit)/, 'attributes that only root writes'],
  [/\bAT_HANDLE|open_by_handle_at/, 'opening by handle'],
];
const PREPARED_BY_ROOT = 'root’s own rights: what it may do, or had to prepare';

export interface NotApplicable {
  readonly reason: string;
  readonly assertions: readonly Assertion[];
}

/** What `byRoot` has more than `byUser`, by reason, the most first. */
export function notApplicable(byRoot: readonly Assertion[], byUser: readonly Assertion[]): NotApplicable[] {
  const counts = new Map<string, number>();
  for (const assertion of byUser) counts.set(key(assertion), (counts.get(key(assertion)) ?? 0) + 1);
  const groups = new Map<string, Assertion[]>();
  for (const assertion of byRoot) {
    const left = counts.get(key(assertion)) ?? 0;
    if (left > 0) {
      counts.set(key(assertion), left - 1);
      continue;
    }
    const words = `${assertion.syscall}: ${assertion.what}`;
    const reason = REASONS.find(([pattern]) => pattern.test(words))?.[1] ?? PREPARED_BY_ROOT;
    groups.set(reason, [...(groups.get(reason) ?? []), assertion]);
  }
  return [...groups]
    .map(([reason, assertions]) => ({ reason, assertions }))
    .toSorted((a, b) => b.assertions.length - a.assertions.length);
}

function key({ syscall, what }: Assertion): string {
  return `${syscall}: ${what.replaceAll(/\d{3,}/g, '#')}`;
}
