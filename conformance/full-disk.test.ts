// full-disk.test.ts — a disk on which there is room for what is written and none to pack it, or none at all: real daemons whose state is
// on a small tmpfs. Needs root and /dev/fuse.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  statfsSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster } from '../scripts/sites/cluster.js';
import { type CommandResult, run, runChecked } from '../scripts/sites/command.js';
import type { Site } from '../scripts/sites/site.js';
import { at } from './team.test-support.js';

const WRITTEN_BYTES = 80 << 20;
/** Of the 64 MiB that are left for commits; a pack grows by several at once. */
const LEFT_BYTES = 48 << 20;

/** A shell's way to take the last block of a disk within milliseconds. $0: a file; $1: about what is left, MiB. */
const TAKE_ALL = `
  size=$(($1 * 1024)) at=0
  while [ $size -ge 4 ]; do
    if fallocate --offset $((at * 1024)) --length $((size * 1024)) "$0" 2>/dev/null; then at=$((at + size)); else size=$((size / 2)); fi
  done
`;

const cluster = new Cluster('weft-full-disk');
const paris = cluster.addSite('paris');
const rome = cluster.addSite('rome');
const oslo = cluster.addSite('oslo');
const milan = cluster.addSite('milan');
const nice = cluster.addSite('nice');
const genoa = cluster.addSite('genoa');
const turin = cluster.addSite('turin');
const bonn = cluster.addSite('bonn');
const graz = cluster.addSite('graz');

after(() => cluster.close());

async function until(condition: () => boolean): Promise<void> {
  for (const endMs = performance.now() + 20_000; !condition(); await sleep(50))
    assert.ok(performance.now() < endMs, 'within 20 s');
}

/** A small disk for the state of a site. */
async function smallDisk(t: TestContext, site: Site, mebibytes: number): Promise<void> {
  mkdirSync(site.state);
  await runChecked('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'weft-full-disk', site.state]);
  t.after(async () => {
    await site.kill();
    await runChecked('umount', ['--lazy', site.state]);
  });
}

function leftBytes({ state }: Site): number {
  const { bavail, bsize } = statfsSync(state);
  return bavail * bsize;
}

function allocatedBytes(path: string): number {
  return statSync(path).blocks * 512;
}

function isRefused(act: () => void): boolean {
  try {
    act();
    return false;
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
    return true;
  }
}

test('the daemon ends by itself, or what is left to remove things is taken, when fallocate takes all of the disk', async (t) => {
  await smallDisk(t, rome, 200);
  await rome.create('team');
  const open = openSync(at(rome, 'allocated'), 'w'); // else it is packed, and takes nothing
  const allocate = (bytes: number): Promise<CommandResult> =>
    run('fallocate', ['--length', String(bytes), at(rome, 'allocated')]);
  const { code, stderr } = await allocate(leftBytes(rome) - (1 << 20));
  assert.equal(code, 1);
  assert.match(stderr, /No space left on device/);
  await runChecked('fallocate', ['--length', String(leftBytes(rome) - (70 << 20)), at(rome, 'allocated')]);
  // Punching gives back, and is not refused when there is little.
  await runChecked('dd', ['if=/dev/zero', `of=${join(rome.state, 'other')}`, 'bs=1M', 'count=20', 'status=none']);
  let made = 0;
  await until(() => isRefused(() => mkdirSync(at(rome, `made${made++}`))));
  await runChecked('fallocate', ['--punch-hole', '--length', String(60 << 20), at(rome, 'allocated')]);
  await until(() => !isRefused(() => mkdirSync(at(rome, 'taken'))));
  closeSync(open);
});

test('df shows as available what no program can write', async (t) => {
  await smallDisk(t, milan, 200);
  await milan.create('team');
  const { bavail, bsize } = statfsSync(milan.mountpoint);
  const shown = bavail * bsize;
  const reserve = leftBytes(milan) - shown;
  assert.ok(Math.abs(reserve - (64 << 20)) < 1 << 20, `${reserve} bytes are not shown`);
  const open = openSync(at(milan, 'allocated'), 'w');
  await runChecked('fallocate', ['--length', String(shown - (8 << 20)), at(milan, 'allocated')]);
  const { code } = await run('fallocate', [
    '--offset',
    String(1 << 30),
    '--length',
    String(16 << 20),
    at(milan, 'allocated'),
  ]);
  assert.equal(code, 1);
  closeSync(open);
});

test('the daemon ends by itself when somebody else fills its disk to the last block', async (t) => {
  await smallDisk(t, oslo, 200);
  await oslo.create('team');
  for (let i = 0; i < 200; i++) writeFileSync(at(oslo, `file${i}`), `acknowledged ${i}`);
  const other = join(oslo.state, 'other');
  await until(
    () => !existsSync(join(oslo.state, 'intent', 'ready.tmp')) && existsSync(join(oslo.state, 'intent', 'ready')),
  );
  const { code } = await run('dd', ['if=/dev/zero', `of=${other}`, 'bs=64K']);
  assert.equal(code, 1);
  assert.equal(leftBytes(oslo), 0);
  await until(() => isRefused(() => writeFileSync(at(oslo, 'refused'), 'x')));
  rmSync(at(oslo, 'refused'), { force: true });
  // Else thousands of these take what is left to remove things.
  assert.ok(isRefused(() => chmodSync(at(oslo, 'file0'), 0o600)));
  assert.ok(isRefused(() => renameSync(at(oslo, 'file0'), at(oslo, 'renamed'))));
  for (let i = 0; i < 100; i++) unlinkSync(at(oslo, `file${i}`));
  await sleep(1_000); // commits are made
  assert.equal(readFileSync(at(oslo, 'file100'), 'utf8'), 'acknowledged 100');
  rmSync(other);
  await until(() => !isRefused(() => writeFileSync(at(oslo, 'taken'), 'x')));
  const { pid } = await oslo.status();
  await oslo.kill();
  await oslo.mount();
  assert.notEqual((await oslo.status()).pid, pid);
  assert.deepEqual(readdirSync(oslo.mountpoint).length, 101);
  const troubles = oslo.logTroubles().filter((line) => !line.includes('could not be kept'));
  assert.deepEqual(troubles, []);
});

test('the daemon ends by itself when thousands of files are removed while somebody else has filled its disk', async (t) => {
  await smallDisk(t, nice, 240);
  await nice.create('team');
  const files = Array.from({ length: 8_000 }, (_, i) => at(nice, `file${i}`));
  for (const file of files) closeSync(openSync(file, 'wx'));
  const log = join(nice.state, 'state.db-wal');
  await until(() => allocatedBytes(log) >= 8 << 20);
  const other = join(nice.state, 'other');
  assert.equal((await run('dd', ['if=/dev/zero', `of=${other}`, 'bs=64K'])).code, 1);
  assert.equal(leftBytes(nice), 0);

  const { pid } = await nice.status();
  const left: string[] = [];
  for (const file of files) if (isRefused(() => unlinkSync(file))) left.push(file);
  assert.ok(left.length < files.length / 2, `${left.length} could not be removed`);
  await sleep(1_000); // commits are made, and tried to be moved to the database
  assert.deepEqual(readdirSync(nice.mountpoint).length, left.length);
  rmSync(other);
  await until(() => !isRefused(() => writeFileSync(at(nice, 'taken'), 'x')));
  for (const file of left) unlinkSync(file);
  assert.equal((await nice.status()).pid, pid);
  assert.deepEqual(readdirSync(nice.mountpoint), ['taken']);
});

test('the daemon ends by itself when small files are open while somebody else fills its disk', async (t) => {
  await smallDisk(t, genoa, 200);
  await genoa.create('team');
  await until(() => existsSync(join(genoa.state, 'intent', 'ready')));
  const files = Array.from({ length: 100 }, (_, i) => openSync(at(genoa, `file${i}`), 'w'));
  for (const [i, fd] of files.entries()) writeSync(fd, String(i).padStart(40_000, '.'));
  const other = join(genoa.state, 'other');
  assert.equal((await run('dd', ['if=/dev/zero', `of=${other}`, 'bs=64K'])).code, 1);
  assert.equal(leftBytes(genoa), 0);

  const { pid } = await genoa.status();
  await sleep(4_000); // versions are made of what lies idle
  for (const fd of files) closeSync(fd);
  await sleep(1_000); // … and of what is closed
  assert.equal(readFileSync(at(genoa, 'file99'), 'utf8').trimStart(), '99'.padStart(40_000, '.'));
  assert.equal((await genoa.status()).pid, pid);
  assert.equal(existsSync(join(genoa.state, 'packs')) && readdirSync(join(genoa.state, 'packs')).length, 0);
  rmSync(other);
  await until(() => readdirSync(join(genoa.state, 'packs')).length > 0);
  assert.equal((await genoa.status()).pid, pid);
});

test('the daemon ends by itself when another program takes all of its disk at once while small files are written', async (t) => {
  await smallDisk(t, graz, 400);
  await graz.create('team');
  await until(() => existsSync(join(graz.state, 'intent', 'ready')));
  const { pid } = await graz.status();
  const other = join(graz.state, 'other');
  const written = new Map<string, string>();
  let number = 0;
  const write = (): void => {
    const name = `file${number % 500}`;
    const content = `${number++}`.padStart(40_000, '.');
    if (isRefused(() => writeFileSync(at(graz, name), content))) written.delete(name);
    else written.set(name, content);
  };
  for (let round = 0; round < 6; round++) {
    for (const endMs = performance.now() + 100; performance.now() < endMs;) write();
    const taking = run('sh', ['-c', TAKE_ALL, other, String(leftBytes(graz) >> 20)]);
    const taken = taking.then(() => true);
    do write();
    while (!(await Promise.race([taken, sleep(0, false)])));
    await until(() => isRefused(() => writeFileSync(at(graz, 'refused'), 'x')));
    assert.equal((await graz.status()).pid, pid);
    rmSync(other);
    await until(() => !isRefused(() => writeFileSync(at(graz, 'taken'), 'x')));
  }
  assert.ok(written.size > 100, `${written.size} files were written`);
  for (const [name, content] of written) assert.equal(readFileSync(at(graz, name), 'utf8'), content, name);
  assert.equal((await graz.status()).pid, pid);
});

test('the daemon ends by itself when another site goes on writing while somebody else has filled its disk', async (t) => {
  await turin.create('team');
  await smallDisk(t, bonn, 200);
  await bonn.join(await turin.invite());
  await until(() => existsSync(join(bonn.state, 'intent', 'ready')));
  const other = join(bonn.state, 'other');
  assert.equal((await run('dd', ['if=/dev/zero', `of=${other}`, 'bs=64K'])).code, 1);
  assert.equal(leftBytes(bonn), 0);

  const { pid } = await bonn.status();
  for (let i = 0; i < 5_000; i++) writeFileSync(at(turin, `file${i}`), `written elsewhere ${i}`);
  await sleep(2_000);
  assert.equal((await bonn.status()).pid, pid);
  assert.ok(readdirSync(bonn.mountpoint).length < 5_000, 'there was room for all: this shows nothing');
  rmSync(other);
  await until(() => readdirSync(bonn.mountpoint).length === 5_000);
  assert.equal(readFileSync(at(bonn, 'file4999'), 'utf8'), 'written elsewhere 4999');
  assert.equal((await bonn.status()).pid, pid);
});

test('weft umount does not return, or the daemon ends by itself, when the disk is too full to pack what was written', async (t) => {
  await smallDisk(t, paris, 206);
  await paris.create('team');
  const bytes = randomBytes(WRITTEN_BYTES);
  writeFileSync(at(paris, 'file'), bytes);
  await until(() => paris.logTroubles().some((line) => line.includes('could not be packed yet')));
  assert.ok(leftBytes(paris) > LEFT_BYTES, `${leftBytes(paris)} bytes are left to commit to`);
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
