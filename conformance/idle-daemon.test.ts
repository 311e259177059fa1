// idle-daemon.test.ts — what a daemon costs a machine on which nobody uses the mount.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster } from '../scripts/sites/cluster.js';
import { at } from './team.test-support.js';

const cluster = new Cluster('weft-idle-daemon');
after(() => cluster.close());

const LOOK_MS = 2_000;
const WAKEUPS_PER_S = 25;

/** How often its threads went to sleep so far: proc_pid_status(5). */
function sleeps(pid: number): number {
  let count = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8');
    count += Number(/^voluntary_ctxt_switches:\s*(\d+)$/m.exec(status)![1]);
  }
  return count;
}

test('a daemon wakes the processor fifty times a second though nobody uses the mount', async () => {
  const [here, there] = [cluster.addSite('here'), cluster.addSite('there')];
  await here.create('idle');
  await there.join(await here.invite());
  for (let i = 0; i < 100; i++) writeFileSync(at(here, `file${i}`), `${i}`);
  await cluster.settle();
  for (const { daemonPid } of [here, there]) {
    let perS = Infinity;
    for (let looks = 0; perS > WAKEUPS_PER_S && looks < 10; looks++) {
      const before = sleeps(daemonPid!);
      await sleep(LOOK_MS);
      perS = ((sleeps(daemonPid!) - before) * 1000) / LOOK_MS;
    }
    assert.ok(perS <= WAKEUPS_PER_S, `${perS} times a second`);
  }
});
