// history.ts — a simulated history as a text file: how a failure is kept, sent to somebody, and played again.
// The first line says what the seed decided besides the steps: `seed 65 sites 5 passthrough oslo,rome` (without the last two words: none).
// Then one step per line; what follows `   #` is what came of it when it was written, and is not read.

import type { Outcome, Plan } from './simulation.js';
import { parseStep } from './step.js';

export function formatHistory(outcome: Outcome): string {
  const { plan, siteCount, passthrough, lines } = outcome;
  const past = passthrough.length === 0 ? '' : ` passthrough ${passthrough.join(',')}`;
  return `${[`seed ${plan.seed} sites ${siteCount}${past}`, ...lines].join('\n')}\n`;
}

/** @throws Error naming the line */
export function parseHistory(text: string): Plan {
  const [first = '', ...lines] = text.split('\n').map((line) => line.replace(/\s+#.*$/, '').trim());
  const head = /^seed (\d+) sites (\d+)(?: passthrough (\S+))?$/.exec(first);
  if (!head) throw new Error(`a history begins with "seed N sites N", not with ${JSON.stringify(first)}`);
  const history = lines.filter((line) => line !== '').map(parseStep);
  return { seed: Number(head[1]), sites: Number(head[2]), passthrough: head[3]?.split(',') ?? [], history };
}
