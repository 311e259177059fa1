// watchdog.test.ts — a main thread that blocks has the watched process ended.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { isRunning, processEnd } from './processes.js';
import { Watchdog } from './watchdog.js';

test('a blocked main thread ends the watched process, and only that', async (t) => {
  const watched = spawn('sleep', ['60'], { stdio: 'ignore' });
  const other = spawn('sleep', ['60'], { stdio: 'ignore' });
  const watchdog = new Watchdog(1000);
  t.after(async () => {
    watched.kill('SIGKILL');
    other.kill('SIGKILL');
    await watchdog.close();
  });
  watchdog.watch(watched.pid!);
  watchdog.watch(other.pid!);
  watchdog.unwatch(other.pid!);
  await sleep(1600); // waiting is not being stuck
  assert.ok(isRunning(watched.pid!));
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2500);
  await processEnd(watched.pid!, 2000);
  assert.ok(isRunning(other.pid!));
});
