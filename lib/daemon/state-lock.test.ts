import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { StateInUseError, StateLock } from './state-lock.js';

const MODULE = new URL('./state-lock.js', import.meta.url).href;

let directory: string;
let holder: ChildProcess | null;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'weft-lock-'));
  holder = null;
});
afterEach(() => {
  holder?.kill('SIGKILL');
  rmSync(directory, { recursive: true });
});

/** Another process that takes the lock and keeps it. */
async function holdElsewhere(): Promise<ChildProcess> {
  const program = `
    const { StateLock } = await import(${JSON.stringify(MODULE)});
    globalThis.lock = await StateLock.acquire(${JSON.stringify(directory)});
    console.log('held');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  holder = child;
  await once(child.stdout!, 'data');
  return child;
}

test('a second daemon on one state directory is refused, with the process that holds it', async () => {
  const child = await holdElsewhere();
  assert.equal(await StateLock.isHeld(directory), true);
  await assert.rejects(StateLock.acquire(directory, 50), (error: StateInUseError) => {
    assert.equal(error.pid, child.pid);
    assert.match(error.message, new RegExp(`in use by a running daemon \\(process ${child.pid}\\).*weft umount`));
    return true;
  });
});

test('the lock is free again after SIGKILL, though its file stays', async () => {
  const child = await holdElsewhere();
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal(await StateLock.isHeld(directory), false);
  const lock = await StateLock.acquire(directory, 0);
  assert.equal(StateLock.holder(directory), process.pid);
  lock.release();
});

test('who comes while the holder is ending waits for it', async () => {
  const child = await holdElsewhere();
  setTimeout(() => child.kill('SIGKILL'), 100);
  const lock = await StateLock.acquire(directory, 5000);
  lock.release();
});

test('one process cannot take it twice', async () => {
  const lock = await StateLock.acquire(directory);
  await assert.rejects(StateLock.acquire(directory, 0), StateInUseError);
  lock.release();
  lock.release();
  assert.equal(await StateLock.isHeld(directory), false);
});

test('a directory that never had a daemon is not held', async () => {
  assert.equal(await StateLock.isHeld(directory), false);
  assert.equal(await StateLock.isHeld(join(directory, 'absent')), false);
  assert.equal(StateLock.holder(directory), null);
});
