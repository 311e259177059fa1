// processes.test.ts — finding and ending processes by what they were started with.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { isRunning, processEnd, processesWithEnvironment, signalProcess } from './processes.js';

test('a process is found by its environment, and gone once it was killed', async (t) => {
  const mark = `weft-test-${process.pid}`;
  const child = spawn('sleep', ['60'], { stdio: 'ignore', env: { ...process.env, WEFT_HOME: mark } });
  t.after(() => child.kill('SIGKILL'));
  assert.deepEqual(processesWithEnvironment('WEFT_HOME', mark), [child.pid]);
  await assert.rejects(processEnd(child.pid!, 50), /still runs after 0.05 s/);
  signalProcess(child.pid!, 'SIGKILL');
  await processEnd(child.pid!, 5000);
  assert.ok(!isRunning(child.pid!));
  signalProcess(child.pid!, 'SIGKILL');
  assert.deepEqual(processesWithEnvironment('WEFT_HOME', mark), []);
});
