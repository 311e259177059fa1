// recovery-victim.test-support.ts — a process that works on a volume until it is killed, and says what was acknowledged.
// Usage: node recovery-victim.test-support.js STATE_DIRECTORY SEED [LAST]. Prints one line per acknowledged step: its number. After
// step LAST it kills itself, else it waits for somebody else to.
// Steps depend on the seed alone (recovery-history.test-support.ts), so that the parent knows what must be there afterwards.

import { writeSync } from 'node:fs';
import { stepsOf } from './recovery-history.test-support.js';
import { VolumeFixture } from './volume-fixture.test-support.js';

const [directory, seed, last] = process.argv.slice(2);
const fixture = new VolumeFixture(directory!, 'ab'.repeat(16), 1);
for (const [number, step] of stepsOf(Number(seed)).entries()) {
  step.carryOut(fixture);
  writeSync(1, `${number + 1}\n`);
  if (number + 1 === Number(last)) process.kill(process.pid, 'SIGKILL');
  if (number % 7 === 3) fixture.volume.background.run(() => false);
  if (number % 31 === 30) await fixture.publish();
}
