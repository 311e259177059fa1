import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { MemoryMount } from './memory-mount.test-support.js';
import { setxattr } from './posix-calls.test-support.js';
import { signalWake } from './wake.js';

let mount: MemoryMount;

before(async () => {
  mount = await MemoryMount.start();
});

after(() => mount.unmount());

const patient = { timeout: 20_000 };

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 2));
}

async function parked(count: number): Promise<void> {
  await until(async () => (await mount.order({ kind: 'parked' })) === count);
}

/** A file whose bytes are not here until the object `id` arrives. */
function absentFile(name: string, id: string): string {
  const path = join(mount.path, name);
  fs.writeFileSync(path, `content of ${name}`);
  setxattr(path, 'user.absent', Buffer.from(id));
  setxattr(path, 'user.direct', Buffer.from('1'));
  return path;
}

/** Reads in another process; resolves to its output, or to the signal or status it ended with. */
function readElsewhere(path: string): { child: ReturnType<typeof spawn>; result: Promise<string> } {
  const child = spawn('cat', [path], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr.on('data', (data: Buffer) => (output += data.toString()));
  const result = new Promise<string>((resolve) => {
    child.once('close', (status, signal) => resolve(signal ?? (status === 0 ? output : `failed: ${output}`)));
  });
  return { child, result };
}

test('a read of bytes that are not here waits, and others go on', patient, async () => {
  const path = absentFile('waits', 'object-1');
  const { result } = readElsewhere(path);
  await parked(1);
  fs.writeFileSync(join(mount.path, 'other'), 'goes on');
  assert.equal(fs.readFileSync(join(mount.path, 'other'), 'utf8'), 'goes on');
  await mount.order({ kind: 'arrive', ids: ['object-1'] });
  assert.equal(await result, 'content of waits');
  await parked(0);
});

test('a read of bytes that never come fails with EIO', patient, async () => {
  const { result } = readElsewhere(absentFile('never', 'object-2'));
  await parked(1);
  await mount.order({ kind: 'never', ids: ['object-2'] });
  assert.match(await result, /failed: .*Input\/output error/);
});

test('a signal ends a read that waits', patient, async () => {
  const { child, result } = readElsewhere(absentFile('signal', 'object-3'));
  await parked(1);
  child.kill('SIGTERM');
  assert.equal(await result, 'SIGTERM');
  await parked(0);
});

test('a signal ends a read through the page cache that waits', patient, async () => {
  const path = join(mount.path, 'cached');
  fs.writeFileSync(path, 'x'.repeat(10_000));
  setxattr(path, 'user.absent', Buffer.from('object-4'));
  fs.writeFileSync('/proc/sys/vm/drop_caches', '1');
  const { child, result } = readElsewhere(path);
  await parked(1);
  child.kill('SIGKILL');
  assert.equal(await result, 'SIGKILL');
  await mount.order({ kind: 'arrive', ids: ['object-4'] });
  assert.equal(fs.readFileSync(path, 'utf8').length, 10_000);
});

test(
  'a file that another site changes while a read of it waits does not hold up other invalidations',
  patient,
  async () => {
    const ino = (await mount.order({ kind: 'mkfile', parent: 1, name: 'contended', text: 'old' })) as number;
    await mount.settle();
    const path = join(mount.path, 'contended');
    setxattr(path, 'user.absent', Buffer.from('object-5'));
    const { result } = readElsewhere(path);
    await parked(1);
    await mount.order({ kind: 'overwrite', ino, text: 'new', announce: true });
    const other = join(mount.path, 'elsewhere');
    assert.equal(fs.existsSync(other), false);
    await mount.order({ kind: 'mkfile', parent: 1, name: 'elsewhere', text: '' });
    await until(() => Promise.resolve(fs.existsSync(other)));
    await mount.order({ kind: 'arrive', ids: ['object-5'] });
    assert.equal(await result, 'new');
    await mount.settle();
    assert.equal(fs.readFileSync(path, 'utf8'), 'new');
  },
);

test('the wake descriptor ends the sleep of the loop', patient, async () => {
  for (let i = 0; i < 100; i++) await mount.order({ kind: 'parked' });
});

test('after the end of a mount a wake-up goes to no other file', patient, async () => {
  const ended = await MemoryMount.start();
  await ended.end();
  try {
    assert.equal(fs.readlinkSync(`/proc/self/fd/${ended.wakeFd}`), 'anon_inode:[eventfd]');
    signalWake(ended.wakeFd);
  } finally {
    ended.release();
  }
});

test('a drain handles what was closed before', patient, async () => {
  for (let i = 0; i < 50; i++) fs.writeFileSync(join(mount.path, `closed-${i}`), 'x');
  await mount.order({ kind: 'drain' });
  const counts = (await mount.order({ kind: 'counts' })) as Map<string, number>;
  assert.ok(counts.get('RELEASE')! >= 50);
});

test('a call does not wait until a slice of background work has used up its time', patient, async () => {
  await mount.order({ kind: 'work', restMs: 0 });
  for (let i = 0; i < 50; i++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    fs.existsSync(join(mount.path, `asked-${i}`));
  }
  const [slices, cutShort] = (await mount.order({ kind: 'rest' })) as [number, number];
  // On a busy machine a call may find a slice whose time is up.
  assert.ok(cutShort > 0, `none of ${slices} slices was cut short`);
});

test('background work rests between two slices, and a call ends the rest', patient, async () => {
  const REST_MS = 100;
  const TIME_MS = 1000;
  await mount.order({ kind: 'work', restMs: REST_MS });
  const tookMs: number[] = [];
  for (const endMs = performance.now() + TIME_MS; performance.now() < endMs;) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    const started = performance.now();
    fs.existsSync(join(mount.path, `asked-${tookMs.length}`));
    tookMs.push(performance.now() - started);
  }
  const [slices] = (await mount.order({ kind: 'rest' })) as [number, number];
  assert.ok(slices < 30, `${slices} slices`);
  assert.ok(slices > 2, 'calls do not put it off for ever');
  const median = tookMs.toSorted((a, b) => a - b)[tookMs.length >> 1]!;
  assert.ok(median < REST_MS / 4, `${median} ms`);
});

test('a stream of requests does not put off wake-ups', patient, async () => {
  const child = spawn('sh', ['-c', `while :; do stat ${mount.path}/other$RANDOM; touch ${mount.path}/t; done`], {
    stdio: 'ignore',
    detached: true,
  });
  try {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const started = performance.now();
    for (let i = 0; i < 20; i++) await mount.order({ kind: 'parked' });
    assert.ok(performance.now() - started < 5000);
  } finally {
    process.kill(-child.pid!, 'SIGKILL');
    await new Promise((resolve) => child.once('close', resolve));
  }
});
