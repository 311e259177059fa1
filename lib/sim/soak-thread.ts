// soak-thread.ts — plays a share of the schedules of a soak (soak.ts), on a thread of its own, in a directory of its own.

import { writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { formatHistory } from './history.js';
import { shrink } from './shrink.js';
import { simulate } from './simulation.js';
import type { FromShare, Share } from './soak.js';
import { Totals } from './totals.js';

const REPORT_EVERY_MS = 500;
/** A thread that found so many gives up: what is wrong is known by then. */
const MOST_FAILURES = 3;

const { options, first, every, directory, stop } = workerData as Share;
const isStopped = (): boolean => Atomics.load(stop, 0) !== 0;

let current = first;
// What is thrown outside of a step ends the thread, and the soak: which seed it was would be known to nobody.
process.on('uncaughtExceptionMonitor', () => writeSync(2, `soak: seed ${current} threw:\n`));

function post(message: FromShare): void {
  parentPort!.postMessage(message);
}

async function play(): Promise<void> {
  const untilMs = performance.now() + options.withinMs;
  let totals = new Totals();
  let reportedMs = performance.now();
  let failures = 0;
  const report = (): void => {
    post({ type: 'played', totals: totals.entries() });
    totals = new Totals();
    reportedMs = performance.now();
  };
  for (let seed = first; seed < options.firstSeed + options.schedules; seed += every) {
    if (performance.now() > untilMs || failures === MOST_FAILURES || isStopped()) break;
    current = seed;
    const outcome = await simulate({ seed, sites: options.sites, steps: options.steps }, directory);
    totals.addAll(outcome.totals.entries());
    if (outcome.wrong.length > 0) {
      failures++;
      const shrunk = options.failFast ? outcome : await shrink(outcome, directory, { isStopped });
      post({
        type: 'failed',
        failure: {
          seed,
          siteCount: outcome.siteCount,
          stepCount: outcome.steps.length,
          wrong: shrunk.wrong,
          history: formatHistory(shrunk),
        },
      });
    }
    if (performance.now() - reportedMs > REPORT_EVERY_MS) report();
  }
  report();
}

await play();
