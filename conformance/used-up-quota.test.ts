// used-up-quota.test.ts — a user whose quota of the disk is used up: a real daemon whose state is on a small tmpfs, which used-up-quota.c
// has look so. Needs root and /dev/fuse.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster } from '../scripts/sites/cluster.js';
import { runChecked } from '../scripts/sites/command.js';
import { projectRoot } from '../scripts/sites/project-root.js';
import { at } from './team.test-support.js';

const DISK_MIB = 240;
const LARGE_BYTES = 1 << 20;
const SMALL_BYTES = 3_000;
const REFUSALS = 100;
/** A log that has no room to be moved to the database is tried again every 10 s. */
const PATIENCE_MS = 60_000;

const cluster = new Cluster('weft-used-up-quota');
const library = join(cluster.scratch('quota'), 'used-up-quota.so');
const source = join(projectRoot(), 'conformance/used-up-quota.c');
await runChecked('cc', ['-shared', '-fPIC', '-O1', '-Wall', '-Wextra', '-Werror', '-o', library, source, '-ldl']);
const site = cluster.addSiteIn('rome', {
  mountOptions: [],
  driver: 'kernel',
  surroundings: { before: [], env: { LD_PRELOAD: library } },
});
mkdirSync(site.state);
await runChecked('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MIB}m`, 'weft-used-up-quota', site.state]);

after(async () => {
  await site.kill();
  await runChecked('umount', ['--lazy', site.state]);
  await cluster.close();
});

/** Errors that a program is told when its user may have no more. */
function isRefused(act: () => void): boolean {
  try {
    act();
    return false;
  } catch (error) {
    const { code, errno } = error as NodeJS.ErrnoException;
    assert.ok(code === 'ENOSPC' || errno === -122, `${code}`);
    return true;
  }
}

async function until(condition: () => boolean): Promise<void> {
  for (const endMs = performance.now() + PATIENCE_MS; !condition(); await sleep(50))
    assert.ok(performance.now() < endMs, `within ${PATIENCE_MS} ms`);
}

/** Writes files until so many were refused; returns those that were not. */
function writeAll(prefix: string): Map<string, Buffer> {
  const written = new Map<string, Buffer>();
  for (let i = 0, refused = 0; refused < REFUSALS; i++) {
    const [name, bytes] = [`${prefix}${i}`, randomBytes(i % 10 === 0 ? LARGE_BYTES : SMALL_BYTES)];
    if (isRefused(() => writeFileSync(at(site, name), bytes))) refused++;
    else written.set(name, bytes);
  }
  return written;
}

function assertWhole(files: ReadonlyMap<string, Buffer>): void {
  for (const [name, bytes] of files) assert.ok(readFileSync(at(site, name)).equals(bytes), name);
}

test('the daemon ends by itself, or cannot be mounted again, when the quota of its disk is used up', async () => {
  await site.create('team');
  const { pid } = await site.status();
  const files = writeAll('first');
  assert.ok(files.size > 100, `${files.size} were written: this shows nothing`);
  await sleep(1_000); // commits are made, and tried to be moved to the database
  assert.equal((await site.status()).pid, pid);
  assertWhole(files);

  await site.umount();
  await site.mount();
  assertWhole(files);
  // What the log of operations would go on in may be taken when a daemon dies.
  await site.kill();
  rmSync(join(site.state, 'intent', 'ready'), { force: true });
  while (!isRefused(() => writeFileSync(join(site.state, 'other'), randomBytes(LARGE_BYTES), { flag: 'a' })));
  await site.mount();
  assertWhole(files);
  rmSync(join(site.state, 'other'));
  const again = (await site.status()).pid;
  for (const [name, bytes] of writeAll('second')) files.set(name, bytes);

  const removed = readdirSync(site.mountpoint).filter((name, i) => i % 2 === 0 || !files.has(name));
  for (const name of removed) {
    // Some wait until what was removed before has left the log.
    await until(() => !isRefused(() => unlinkSync(at(site, name))));
    files.delete(name);
  }
  assertWhole(files);
  await runChecked('mount', ['-o', `remount,size=${2 * DISK_MIB}m`, site.state]);
  await until(() => !isRefused(() => writeFileSync(at(site, 'taken'), 'x')));
  assert.equal((await site.status()).pid, again);
  await site.umount();
  const { code, stdout } = await site.weft(['fsck', site.mountpoint, '--data'], { timeoutMs: 60_000 });
  assert.equal(code, 0, stdout);
  await site.mount();
  assertWhole(files);
});
