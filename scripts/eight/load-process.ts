// load-process.ts — works on one mount until it is told to stop, step by step, and tells what was acknowledged (load-messages.ts).
// A process of its own: its calls block, and one that hangs in a mount whose daemon is gone must not stop the run.

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../../lib/sim/random.js';
import { HOME, type LoadCommand, type LoadOrders, type LoadReport, SHARED } from './load-messages.js';
import { PrivateWork } from './private-work.js';
import { SharedWork } from './shared-work.js';

const SHARED_SHARE = 0.3;

const { mountpoint, area, source, seed, number, pauseMaxMs } = JSON.parse(process.argv[2]!) as LoadOrders;
const random = new Random(seed);
const privateWork = new PrivateWork(join(mountpoint, HOME, area), source, random.fork('private'), report);
const sharedWork = new SharedWork(join(mountpoint, SHARED), area, number, random.fork('shared'), report);

let turn = 0;
/** It was told to pause, and has not said yet that it does. */
let isToSay = false;
/** Changes whenever a command comes. */
let state = 'waits' as 'waits' | 'works' | 'recovers' | 'ends';

process.on('message', (command: LoadCommand) => {
  if (command.command === 'end') state = 'ends';
  else if (command.command === 'go') {
    state = command.again ? 'recovers' : 'works';
    ({ turn } = command);
  } else {
    state = 'waits';
    isToSay = true;
  }
});
// Whoever started it is gone.
process.on('disconnect', () => process.exit(0));

function report(what: LoadReport): void {
  process.send!(what);
}

/** One step, or what has to be done before the next. */
function work(): void {
  if (state === 'recovers') {
    privateWork.recover();
    state = 'works';
  } else if (random.chance(SHARED_SHARE)) sharedWork.step();
  else privateWork.step();
}

for (;;) {
  await sleep(1 + random.below(pauseMaxMs));
  if (state === 'ends') break;
  if (state === 'waits') {
    if (isToSay) report({ report: 'paused' });
    isToSay = false;
    continue;
  }
  try {
    work();
  } catch (error) {
    state = 'waits';
    report({ report: 'failed', what: (error as Error).message, turn });
  }
}
process.disconnect();
