// full-disk.test.ts — a disk on which there is room for what is written, and none to pack it: a real daemon whose state is on a small
// tmpfs. Needs root and /dev/fuse.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster } from '../scripts/sites/cluster.js';
import { runChecked } from '../scripts/sites/command.js';
import { at } from './team.test-support.js';

const WRITTEN_BYTES = 80 << 20;
/** Of the 64 MiB that are left for commits; a pack grows by several at once. */
const LEFT_BYTES = 48 << 20;

const cluster = new Cluster('weft-full-disk');
const paris = cluster.addSite('paris');

after(() => cluster.close());

async function until(condition: () => boolean): Promise<void> {
  for (const endMs = performance.now() + 20_000; !condition(); await sleep(50))
    assert.ok(performance.now() < endMs, 'within 20 s');
}

test('weft umount does not return, or the daemon ends by itself, when the disk is too full to pack what was written', async (t) => {
  mkdirSync(paris.state);
  await runChecked('mount', ['-t', 'tmpfs', '-o', 'size=170m', 'weft-full-disk', paris.state]);
  t.after(async () => {
    await paris.kill();
    await runChecked('umount', ['--lazy', paris.state]);
  });
  await paris.create('team');
  const bytes = randomBytes(WRITTEN_BYTES);
  writeFileSync(at(paris, 'file'), bytes);
  const isRefused = (): boolean => paris.logTroubles().some((line) => line.includes('could not be packed yet'));
  await until(isRefused);
  const { bavail, bsize } = statfsSync(paris.state);
  assert.ok(bavail * bsize > LEFT_BYTES, `${bavail * bsize} bytes are left to commit to`);
  assert.ok(readFileSync(at(paris, 'file')).equals(bytes));
  const { code, stderr } = await paris.weft(['umount', paris.mountpoint], { timeoutMs: 20_000 });
  assert.equal(code, 0, stderr);
  await paris.mount();
  assert.ok(readFileSync(at(paris, 'file')).equals(bytes));
  await runChecked('mount', ['-o', 'remount,size=400m', paris.state]);
  await until(() => readdirSync(join(paris.state, 'work')).length === 0);
  assert.ok(readFileSync(at(paris, 'file')).equals(bytes));
  const { code: checked, stdout } = await paris.weft(['fsck', paris.mountpoint, '--data'], { timeoutMs: 60_000 });
  assert.equal(checked, 0, stdout);
  await paris.umount();
});
