// However `make sim` and `make soak` end, nothing of the simulated disks stays in memory.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { scratchPrefix, scratchRoot } from '../lib/sim/scratch-directory.js';

const SIMULATE = fileURLToPath(new URL('./simulate.js', import.meta.url));

const directory = mkdtempSync(join(tmpdir(), 'weft-simulate-test-'));
after(() => rmSync(directory, { recursive: true, force: true }));

function simulate(...args: readonly string[]): { pid: number; ended: Promise<unknown[]>; kill: () => void } {
  const child = spawn(process.execPath, [SIMULATE, ...args], {
    env: { ...process.env, TMPDIR: directory },
    stdio: 'ignore',
  });
  return { pid: child.pid!, ended: once(child, 'exit'), kill: () => void child.kill('SIGTERM') };
}

function scratchOf(pid: number): string[] {
  return readdirSync(scratchRoot()).filter((name) => name.startsWith(scratchPrefix(pid)));
}

test('memory fills up: a soak that is ended while its threads play leaves their directories', async () => {
  const { pid, ended, kill } = simulate('--minutes', '1', '--threads', '2');
  const isPlaying = (): boolean =>
    scratchOf(pid).some((name) =>
      readdirSync(join(scratchRoot(), name), { recursive: true }).some((path) => String(path).includes('schedule-')),
    );
  while (!isPlaying()) await setTimeout(10);
  kill();
  assert.deepEqual(await ended, [143, null]);
  assert.deepEqual(scratchOf(pid), []);
});

// koffi's load, in the middle of which a thread was terminated, ended one run of 300 so.
test('SIGABRT: a soak that is ended while its threads load', async () => {
  for (const afterMs of [20, 60, 100, 140]) {
    const { pid, ended, kill } = simulate('--minutes', '1', '--threads', '2');
    while (!scratchOf(pid).some((name) => readdirSync(join(scratchRoot(), name)).length === 2)) await setTimeout(2);
    await setTimeout(afterMs);
    kill();
    assert.deepEqual(await ended, [143, null]);
    assert.deepEqual(scratchOf(pid), []);
  }
});

test('a history that fails leaves no directory', async () => {
  const file = join(directory, 'failing.history');
  writeFileSync(file, 'seed 1 sites 2\noslo: conjure\n');
  const { pid, ended } = simulate('--history', file);
  assert.deepEqual(await ended, [1, null]);
  assert.deepEqual(scratchOf(pid), []);
});
