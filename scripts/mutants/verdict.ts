// verdict.ts — what the output of a soak says: whether a schedule failed, none did, or the soak itself came to nothing.

export type Verdict =
  | { readonly kind: 'failed'; readonly seed: number; readonly what: string }
  | { readonly kind: 'passed' }
  /** Neither: the program did not start, was killed, or threw outside a schedule. */
  | { readonly kind: 'unknown'; readonly printed: string };

/** @param output of simulate.ts with --schedules, both streams, without its lines of progress */
export function readVerdict(output: string): Verdict {
  const failure = /^SEED (\d+) fails: (.*)$/m.exec(output);
  if (failure) return { kind: 'failed', seed: Number(failure[1]), what: failure[2]! };
  if (/, 0 failed$/m.test(output)) return { kind: 'passed' };
  return { kind: 'unknown', printed: output.trim() };
}
