import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { IdleLatency } from './idle-latency.js';
import { MemoryMount } from './memory-mount.test-support.js';

const patient = { timeout: 30_000 };

function available(): boolean {
  try {
    fs.accessSync('/dev/cpu_dma_latency', fs.constants.R_OK | fs.constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** What all requests on this machine amount to now, µs. Reading the device tells it (kernel/power/qos.c). */
function strictestUs(): number {
  const value = Buffer.alloc(4);
  const fd = fs.openSync('/dev/cpu_dma_latency', 'r');
  try {
    assert.equal(fs.readSync(fd, value), 4);
  } finally {
    fs.closeSync(fd);
  }
  return value.readInt32LE();
}

/** Others on this machine may ask for the same for a moment. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

test('quick waking is asked for while it is held, and no longer', patient, async () => {
  const latency = IdleLatency.open();
  assert.equal(latency !== null, available());
  if (latency === null) return;
  await until(() => strictestUs() > 2);
  latency.hold();
  assert.ok(strictestUs() <= 2);
  latency.release();
  await until(() => strictestUs() > 2);
  latency.hold();
  latency.close();
  await until(() => strictestUs() > 2);
});

/** Looks up names that do not exist, one after the other, for a second. */
const CALLS_IN_A_ROW = `
  const fs = require('node:fs');
  const end = Date.now() + 1000;
  for (let i = 0; Date.now() < end; i++) fs.existsSync(process.argv[1] + '/missing' + i);`;

async function seenDuring(mount: MemoryMount): Promise<boolean> {
  const child = spawn(process.execPath, ['-e', CALLS_IN_A_ROW, mount.path], { stdio: 'inherit' });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let over = false;
  let seen = false;
  void ended.then(() => (over = true));
  await until(() => {
    seen ||= strictestUs() <= 2;
    return over;
  });
  return seen;
}

test('processors are kept awake while one call follows the other, and may sleep soon after', patient, async () => {
  const mount = await MemoryMount.start();
  try {
    if (!available()) {
      fs.writeFileSync(join(mount.path, 'x'), 'works without');
      return;
    }
    assert.ok(await seenDuring(mount));
    await until(() => strictestUs() > 2);
  } finally {
    await mount.unmount();
  }
});

test('with -o powersave processors may always sleep', patient, async () => {
  const asking = (): number => openFiles().filter((path) => path === '/dev/cpu_dma_latency').length;
  const usual = await MemoryMount.start();
  try {
    assert.equal(asking(), available() ? 1 : 0);
    const saving = await MemoryMount.start(['powersave']);
    try {
      assert.equal(asking(), available() ? 1 : 0);
    } finally {
      await saving.unmount();
    }
  } finally {
    await usual.unmount();
  }
  assert.equal(asking(), 0);
});

function openFiles(): string[] {
  return fs.readdirSync('/proc/self/fd').flatMap((fd) => {
    const path = join('/proc/self/fd', fd);
    // The descriptor of the listing itself is gone by now.
    return fs.existsSync(path) ? [fs.readlinkSync(path)] : [];
  });
}
