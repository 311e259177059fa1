import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { type Model, seeded, shownBy, stepsOf } from './recovery-history.test-support.js';
import { temporaryDirectory, USER, VolumeFixture } from './volume-fixture.test-support.js';

const O_RDWR = 2;
const VICTIM = fileURLToPath(new URL('recovery-victim.test-support.js', import.meta.url));
const SITE = 'ab'.repeat(16);
const ROUNDS = Number(process.env['KILL_ROUNDS'] ?? 12);
const FIRST_SEED = Number(process.env['SEED'] ?? 1);

function emptyVolume(): string {
  const directory = temporaryDirectory();
  const fixture = new VolumeFixture(directory, SITE, null);
  fixture.volume.registers.claimSlot(() => 0);
  fixture.volume.registers.createRoot({ uid: 0, gid: 0, pid: 0 });
  fixture.volume.close();
  return directory;
}

/** Runs the victim and kills it after `afterMs`; returns how many steps it had acknowledged. */
async function runAndKill(directory: string, seed: number, afterMs: number): Promise<number> {
  const victim = spawn(process.execPath, [VICTIM, directory, String(seed)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  let timer: NodeJS.Timeout | undefined;
  victim.stdout.setEncoding('latin1').on('data', (text: string) => {
    output += text;
    timer ??= setTimeout(() => victim.kill('SIGKILL'), afterMs);
  });
  await once(victim, 'close');
  clearTimeout(timer);
  return Number(output.trimEnd().split('\n').at(-1) ?? 0);
}

/** Nothing in the packs of a site is what it was. */
function damagePacks(directory: string): void {
  const packs = join(directory, 'packs');
  for (const name of readdirSync(packs)) {
    const bytes = readFileSync(join(packs, name));
    for (let at = 100; at < bytes.length; at += 50) bytes[at]! ^= 1;
    writeFileSync(join(packs, name), bytes);
  }
}

/** How many steps of the history a state holds: exactly a prefix, whose last step, not acknowledged, may be half done. */
function prefixOf(shown: Model, seed: number, acknowledged: number): number {
  const model: Model = new Map();
  const steps = stepsOf(seed);
  for (let n = 0; n <= steps.length; n++) {
    const before = new Map(model);
    steps[n]?.partial?.(before);
    const isPrefix = n >= acknowledged && isEqual(shown, model);
    steps[n]?.model(model);
    if (isPrefix || (n >= acknowledged && isHalfDone(shown, before, model, steps[n]?.writes))) return n;
  }
  return -1;
}

function isEqual(a: Model, b: Model): boolean {
  if (a.size !== b.size) return false;
  for (const [path, node] of a) {
    const other = b.get(path);
    if (!other || node.mode !== other.mode || (node.content === null) !== (other.content === null)) return false;
    if (node.content && !node.content.equals(other.content!)) return false;
  }
  return true;
}

/** Whether a state lies between two that differ by one write(2): only in the file written, byte by byte old or new. */
function isHalfDone(shown: Model, before: Model, after: Model, written: string | undefined): boolean {
  if (written === undefined) return false;
  const node = shown.get(written);
  const old = before.get(written)?.content;
  const target = after.get(written)?.content;
  if (!node?.content || !old || !target || !isBetween(node.content, old, target)) return false;
  return isEqual(shown, new Map(before).set(written, { ...before.get(written)!, content: node.content }));
}

/** What a write has not reached yet past the old end reads as zeros. */
function isBetween(shown: Buffer, old: Buffer, target: Buffer): boolean {
  if (shown.length < Math.min(old.length, target.length) || shown.length > target.length) return false;
  return shown.every((byte, i) => byte === target[i] || byte === (old[i] ?? 0));
}

test('SIGKILL at any moment loses nothing that was acknowledged, and leaves a prefix', async () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + ROUNDS; seed++) {
    const directory = emptyVolume();
    try {
      const acknowledged = await runAndKill(directory, seed, 1 + seeded(seed ^ 0xdead)() * 250);
      const fixture = new VolumeFixture(directory, SITE, 1);
      const shown = shownBy(fixture);
      const found = prefixOf(shown, seed, acknowledged);
      assert.ok(found >= 0 && found <= acknowledged + 1, `SEED=${seed}: acknowledged ${acknowledged}, found ${found}`);
      await fixture.publish();
      assert.ok(isEqual(shownBy(fixture), shown), `SEED=${seed}: publishing what was recovered changed it`);
      fixture.reopen();
      assert.ok(isEqual(shownBy(fixture), shown), `SEED=${seed}: a second recovery gave something else`);
      fixture.remove();
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }
});

test('recovering twice from the same crash gives the same tree', async () => {
  const directory = emptyVolume();
  const copy = temporaryDirectory();
  try {
    await runAndKill(directory, 99, 120);
    cpSync(directory, copy, { recursive: true });
    const first = new VolumeFixture(directory, SITE, 1);
    const second = new VolumeFixture(copy, SITE, 1);
    assert.ok(isEqual(shownBy(first), shownBy(second)));
    first.remove();
    second.remove();
  } finally {
    rmSync(directory, { recursive: true, force: true });
    rmSync(copy, { recursive: true, force: true });
  }
});

test('a site cannot be mounted again: it was killed while a file was written that had been large and had become small', async (t) => {
  const site = VolumeFixture.create();
  t.after(() => site.remove());
  site.volume.allowPassthrough();
  site.write('file', Buffer.alloc(3_000_000, 'large'));
  await site.publish();
  site.write('file', 'small');
  await site.publish();
  const { handle } = site.volume.files.open(site.resolve('file'), 2, false, USER);
  site.volume.files.write(handle, 5, Buffer.from('er'), false);
  site.crash();
  assert.equal(site.text('file'), 'smaller');
  await site.publish();
  assert.equal(site.text('file'), 'smaller');
});

test('what is written to a file right after it was renamed, and what it was before, is there after SIGKILL', async (t) => {
  for (const passthrough of [false, true]) {
    const site = VolumeFixture.create();
    t.after(() => site.remove());
    if (passthrough) site.volume.allowPassthrough();
    const ino = site.write('file.new', 'first');
    site.rename('file.new', 'file');
    const write = (at: number, text: string, isClosed: boolean): void => {
      const { handle } = site.volume.files.open(ino, 2, false, USER);
      site.volume.files.write(handle, at, Buffer.from(text), false);
      if (isClosed) site.volume.files.release(handle);
    };
    site.crash();
    assert.equal(site.text('file'), 'first');

    site.write('file', 'second');
    site.rename('file', 'other');
    write(6, ' and', true);
    site.rename('other', 'file');
    write(10, ' third', false);
    site.crash();
    assert.equal(site.text('file'), 'second and third');

    // The same bytes once more: nothing is made of them, and the log says so before the state does.
    site.rename('file', 'other');
    write(0, 'second', true);
    site.volume['publishing'].publish();
    site.crash();
    assert.equal(site.text('other'), 'second and third');
    await site.publish();
    assert.equal(site.text('other'), 'second and third');
    site.crash();
    assert.equal(site.text('other'), 'second and third');
  }
});

test('a file that was removed with its conflict copy came back after SIGKILL', async (t) => {
  for (const isFirstWork of [false, true]) {
    const oslo = VolumeFixture.create();
    t.after(() => oslo.remove());
    oslo.write('f', 'as it was');
    const paris = await oslo.join();
    t.after(() => paris.remove());
    for (const site of [oslo, paris]) site.write('f', `from ${site.siteId}`);
    await oslo.mergeWith(paris);
    assert.equal(oslo.list('').length, 2);
    if (isFirstWork) oslo.crash(); // nothing of what this start does is in the state at the next crash
    const copy = oslo.list('').find((name) => name !== 'f')!;
    oslo.write(copy, 'edited');
    oslo.unlink('f');
    oslo.unlink(copy);
    oslo.crash();
    assert.deepEqual(oslo.list(''), []);
    await oslo.mergeWith(paris);
    assert.deepEqual(paris.list(''), []);
  }
});

test('what was done before a crash counts as done then, also when the next start is killed as well', (t) => {
  const site = VolumeFixture.create();
  t.after(() => site.remove());
  const { mtime } = site.volume.files.getattr(site.write('file', 'before'));
  site.crash(3_600_000);
  site.volume['publishing'].publish();
  site.crash();
  site.volume.publishAll();
  assert.equal(site.text('file'), 'before');
  const lateUs = site.volume.journal.lastStamp() - (mtime.s * 1e6 + mtime.ns / 1000);
  assert.ok(lateUs < 1_000_000, `it competes as of ${lateUs / 1e6} s later`);
});

test('the time of a directory that was changed right after a crash is the same after the next one', (t) => {
  const site = VolumeFixture.create();
  t.after(() => site.remove());
  site.mkdir('d');
  site.crash(3_600_000);
  site.write('d/file', 'after');
  const time = (): unknown => site.volume.files.getattr(site.resolve('d')).mtime;
  const shown = time();
  site.crash();
  assert.deepEqual(time(), shown);
});

test('what a start gives up after power loss wins over what others wrote meanwhile, because the last start gave up, too', async (t) => {
  const site = VolumeFixture.create();
  t.after(() => site.remove());
  site.write('file', 'before');
  await site.publish();
  site.volume.fold();
  const { changeCount } = site.volume.journal;
  const { commits } = site.volume['contents']['core'];
  commits.logEnd(site.resolve('file'), { s: 0, ns: 0 }); // as for a draft of which it has no other record
  site.crash(3_600_000);
  site.volume.fold();
  assert.equal(site.volume.journal.changeCount, changeCount);
});

for (const size of [300, 30_000, 300_000])
  test(`what was written to a file of ${size} bytes is gone after SIGKILL, as a bit of what it was written on had flipped`, async (t) => {
    const oslo = VolumeFixture.create();
    const paris = await oslo.join();
    t.after(() => [oslo, paris].forEach((one) => one.remove()));
    const bytes = randomBytes(size);
    oslo.write('file', bytes);
    await oslo.publish();
    await oslo.mergeWith(paris);
    // What is durable the next start does not look at.
    oslo.volume.objects.sync();
    oslo.volume.journal.sync();
    oslo.volume.folding.durable(oslo.volume.fold());
    oslo.volume.fold();
    const { handle } = oslo.volume.files.open(oslo.resolve('file'), O_RDWR, false, USER);
    oslo.volume.files.write(handle, 100, Buffer.from('written here'), false);
    damagePacks(oslo.directory);
    oslo.crash();
    await oslo.publish();
    await oslo.mergeWith(paris);
    await oslo.publish();
    await oslo.mergeWith(paris);
    const names = paris.list('');
    assert.equal(names.length, 2, names.join(' '));
    const held = names.map((name) => paris.read(name));
    assert.ok(held.some((content) => content.equals(bytes)));
    assert.ok(held.some((content) => content.toString('latin1', 100, 112) === 'written here'));
    assert.ok(oslo.notices.some((notice) => /stands beside version [0-9a-f]+, which is damaged here/.test(notice)));
    assert.equal(oslo.digest, paris.digest);
  });
