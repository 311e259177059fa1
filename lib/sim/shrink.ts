// shrink.ts — makes a failing history short: leaves out steps as long as the run still fails in the same way.
// Delta debugging (Zeller, Hildebrandt 2002) on the list of steps, then on the bytes that are written.

import { type Outcome, type Plan, simulate } from './simulation.js';
import type { Step } from './step.js';

/** What tells one way of failing from another: the words up to the first colon. */
export function failureKind(outcome: Outcome): string | undefined {
  return outcome.wrong[0]?.split(':')[0];
}

/**
 * The shortest failing run that was found, in at most so many runs.
 * @param isStopped whether what was found so far has to do
 */
export async function shrink(
  failing: Outcome,
  root: string,
  { mostRuns = 600, isStopped = (): boolean => false } = {},
): Promise<Outcome> {
  let best = failing;
  let runs = 0;
  const kind = failureKind(failing);
  const plan: Plan = { ...failing.plan, sites: failing.siteCount, passthrough: failing.passthrough };
  const attempt = async (history: readonly Step[]): Promise<boolean> => {
    if (runs++ >= mostRuns || isStopped()) return false;
    const outcome = await simulate({ ...plan, history }, root);
    if (failureKind(outcome) !== kind) return false;
    best = outcome;
    return true;
  };
  await attempt(failing.steps);
  for (let size = Math.ceil(best.steps.length / 2); size >= 1;) {
    let removed = false;
    for (let at = best.steps.length - size; at > -size; at -= size) {
      const from = Math.max(0, at);
      if (await attempt([...best.steps.slice(0, from), ...best.steps.slice(from + size)])) removed = true;
    }
    if (size === 1 && !removed) break;
    size = size === 1 ? 1 : Math.ceil(size / 2);
    if (runs >= mostRuns || isStopped()) break;
  }
  for (const at of best.steps.keys()) {
    const smaller = withSmallSize(best.steps[at]!);
    if (smaller) await attempt(best.steps.with(at, smaller));
  }
  return best;
}

function withSmallSize(step: Step): Step | undefined {
  const size = step.words.at(-1);
  if (!['write', 'save', 'patch', 'put', 'store', 'unnamed'].includes(step.verb) || Number(size) <= 30)
    return undefined;
  return { ...step, words: step.words.with(step.words.length - 1, '30') };
}
