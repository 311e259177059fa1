// history.ts — a simulated history as a text file: how a failure is kept, sent to somebody, and played again.
// The first line says what the seed decided besides the steps: `seed 65 sites 5`. Then one step per line; what follows `   #` is what came
// of it when it was written, and is not read.

import type { Outcome, Plan } from './simulation.js';
import { parseStep } from './step.js';

export function formatHistory(outcome: Outcome): string {
  return `${[`seed ${outcome.plan.seed} sites ${outcome.siteCount}`, ...outcome.lines].join('\n')}\n`;
}

/** @throws Error naming the line */
export function parseHistory(text: string): Plan {
  const [first = '', ...lines] = text.split('\n').map((line) => line.replace(/\s+#.*$/, '').trim());
  const head = /^seed (\d+) sites (\d+)$/.exec(first);
  if (!head) throw new Error(`a history begins with "seed N sites N", not with ${JSON.stringify(first)}`);
  const history = lines.filter((line) => line !== '').map(parseStep);
  return { seed: Number(head[1]), sites: Number(head[2]), history };
}
