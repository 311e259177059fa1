import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  copyFileSync,
  cpSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { WorkingCopy } from '../chunks/working-copy.js';
import { checkInvariants } from '../crdt/invariants.js';
import { USER, VolumeFixture } from './volume-fixture.test-support.js';

const O_RDWR = 2;
const O_SYNC = 0o4010000;
const O_TRUNC = 0o1000;

function site(t: TestContext): VolumeFixture {
  const fixture = VolumeFixture.create();
  t.after(() => fixture.remove());
  return fixture;
}

async function twoSites(t: TestContext): Promise<[VolumeFixture, VolumeFixture]> {
  const oslo = site(t);
  const paris = await oslo.join();
  t.after(() => paris.remove());
  return [oslo, paris];
}

/** All that was done so far is on stable storage, and the state says so. */
function makeDurable({ volume }: VolumeFixture): void {
  volume.fold();
  volume.objects.sync();
  volume.journal.sync();
  volume.folding.durable(volume.fold());
  volume.fold();
}

/** The intent log as it is now, and no more. */
function logAsItIs({ directory }: VolumeFixture): (copy: string) => void {
  const before = join(directory, 'log-before');
  cpSync(join(directory, 'intent'), before, { recursive: true });
  return (copy) => {
    rmSync(join(copy, 'intent'), { recursive: true });
    cpSync(before, join(copy, 'intent'), { recursive: true });
  };
}

/** What the site thread's packs hold now, and no more, after power loss. */
function packsAsTheyAre({ directory }: VolumeFixture): (copy: string) => void {
  const packs = join(directory, 'packs');
  const isOwn = (name: string): boolean => name.startsWith('site-');
  const held = new Map(
    readdirSync(packs)
      .filter(isOwn)
      .map((name) => [name, readFileSync(join(packs, name))]),
  );
  return (copy) => {
    for (const name of readdirSync(join(copy, 'packs')).filter(isOwn)) {
      const bytes = held.get(name);
      if (bytes) writeFileSync(join(copy, 'packs', name), bytes);
      else rmSync(join(copy, 'packs', name));
    }
  };
}

/** Of packs and log what they hold now. */
function contentAsItIs(fixture: VolumeFixture): (copy: string) => void {
  const losses = [packsAsTheyAre(fixture), logAsItIs(fixture)];
  return (copy) => losses.forEach((lose) => lose(copy));
}

/** Of the site thread's packs what it has synced. */
function truncateToSynced({ volume, directory }: VolumeFixture, copy: string): void {
  const unsynced = new Set(volume.objects.takeUnsynced(0).map((path) => basename(path)));
  for (const name of readdirSync(join(directory, 'packs')))
    if (name.startsWith('site-') && unsynced.has(name)) rmSync(join(copy, 'packs', name));
}

/** What SQLite holds now, and no more. */
function stateAsItIs({ directory }: VolumeFixture): (copy: string) => void {
  const before = join(directory, 'wal-before');
  copyFileSync(join(directory, 'state.db-wal'), before);
  return (copy) => copyFileSync(before, join(copy, 'state.db-wal'));
}

/** The local files of drafts as they are now, and no more. */
function workAsItIs({ directory }: VolumeFixture): (copy: string) => void {
  const before = join(directory, 'work-before');
  rmSync(before, { recursive: true, force: true });
  cpSync(join(directory, 'work'), before, { recursive: true });
  return (copy) => {
    rmSync(join(copy, 'work'), { recursive: true });
    cpSync(before, join(copy, 'work'), { recursive: true });
  };
}

/** Local files whose bytes never went to the disk, though their names did. */
function emptyWork(copy: string): void {
  for (const name of readdirSync(join(copy, 'work'))) truncateSync(join(copy, 'work', name), 0);
}

function opened(fixture: VolumeFixture, path: string): { handle: number; write: (at: number, bytes: Buffer) => void } {
  const { files } = fixture.volume;
  const { handle } = files.open(fixture.resolve(path), O_RDWR, false, USER);
  return { handle, write: (at, bytes) => void files.write(handle, at, bytes, false) };
}

const told = ({ notices }: VolumeFixture): string[] => notices.filter((notice) => notice.startsWith('lost '));

test('a version whose bytes power loss took gives way to the one before, and is told', async (t) => {
  const [oslo, paris] = await twoSites(t);
  oslo.mkdir('d');
  oslo.write('d/a', 'first');
  await oslo.sendTo(paris);
  makeDurable(oslo);
  const lose = contentAsItIs(oslo);
  oslo.write('d/a', 'second');
  oslo.volume.fold();
  oslo.write('d/a', 'third');
  oslo.volume.fold();
  oslo.crash(0, lose);
  oslo.volume.fold();
  assert.equal(oslo.text('d/a'), 'first');
  assert.equal(told(oslo).length, 1);
  assert.match(told(oslo)[0]!, /\/d\/a/);
  assert.equal(oslo.volume.objects.missingCount(), 0);
  await oslo.mergeWith(paris);
  assert.equal(paris.text('d/a'), 'first');
  assert.equal(oslo.digest, paris.digest);
  oslo.crash();
  assert.equal(oslo.text('d/a'), 'first');
});

test('what two sites wrote alike is one version again after power loss took what was written on it', async (t) => {
  const [oslo, paris] = await twoSites(t);
  oslo.write('a', 'first');
  await oslo.sendTo(paris);
  for (const site of [oslo, paris]) site.write('a', 'alike');
  await oslo.mergeWith(paris);
  const heads = (): number => oslo.volume.journal.store.inode(oslo.resolve('a'))!.registers.get('head')!.length;
  assert.equal(heads(), 2);
  makeDurable(oslo);
  const lose = contentAsItIs(oslo);
  oslo.write('a', 'second');
  oslo.volume.fold();
  oslo.crash(0, lose);
  oslo.volume.fold();
  assert.equal(oslo.text('a'), 'alike');
  assert.equal(heads(), 1);
});

test('bytes that power loss took of the packs, and the log still has, are packed again', (t) => {
  const oslo = site(t);
  oslo.write('a', 'first');
  makeDurable(oslo);
  const lose = packsAsTheyAre(oslo);
  oslo.write('a', 'second');
  oslo.volume.fold();
  const { handle } = oslo.volume.files.open(oslo.resolve('a'), O_RDWR, false, USER);
  oslo.volume.files.write(handle, 6, Buffer.from(', and more'), false);
  oslo.volume.files.release(handle);
  oslo.volume.fold();
  oslo.write('b', 'new');
  oslo.rename('b', 'c');
  oslo.volume.fold();
  oslo.crash(0, lose);
  assert.deepEqual([oslo.text('a'), oslo.text('c')], ['second, and more', 'new']);
  assert.deepEqual([told(oslo), oslo.volume.objects.missingCount()], [[], 0]);
});

test('a file that power loss left nothing of is empty', (t) => {
  const oslo = site(t);
  makeDurable(oslo);
  const lose = contentAsItIs(oslo);
  oslo.write('a', 'only');
  oslo.volume.fold();
  oslo.crash(0, lose);
  assert.equal(oslo.text('a'), '');
  assert.equal(oslo.volume.objects.missingCount(), 0);
});

test('a file that power loss left nothing of is empty, too, where its pack has the number of one that was collected', async (t) => {
  const oslo = site(t);
  oslo.write('collected', Buffer.alloc(3_000, 'x'));
  makeDurable(oslo);
  oslo.unlink('collected');
  makeDurable(oslo);
  const { removedPacks } = (await oslo.collect()).collected;
  assert.equal(removedPacks.length, 1);
  makeDurable(oslo);
  const lose = contentAsItIs(oslo);
  oslo.write('a', 'lost');
  oslo.volume.fold();
  assert.deepEqual(oslo.volume.journal.db.prepare('select number from pack').pluck().all(), [1]);
  oslo.crash(0, lose);
  assert.equal(oslo.text('a'), '');
  assert.equal(told(oslo).length, 1);
});

test('a file that power loss left nothing of is empty at other sites too when power fails again at once', async (t) => {
  const [oslo, paris] = await twoSites(t);
  makeDurable(oslo);
  const lose = contentAsItIs(oslo);
  oslo.write('a', 'only');
  oslo.volume.fold();
  oslo.crash(0, lose);
  oslo.volume.fold();
  oslo.crash(0, (copy) => truncateToSynced(oslo, copy));
  assert.equal(oslo.text('a'), '');
  await oslo.mergeWith(paris);
  assert.equal(paris.text('a'), '');
  const [head] = paris.volume.journal.store.inode(paris.resolve('a'))!.registers.get('head')!;
  assert.ok(oslo.volume.objects.has(String(head!.value).split(' ')[0]!), 'nobody has what the other site is shown');
});

test('a start that is killed while it gives up what power loss took leaves that to the next one', async (t) => {
  const [oslo, paris] = await twoSites(t);
  for (const name of ['a', 'b']) oslo.write(name, `first ${name}`);
  await oslo.sendTo(paris);
  makeDurable(oslo);
  const lose = contentAsItIs(oslo);
  for (const name of ['a', 'b', 'new']) oslo.write(name, `second ${name}`);
  oslo.volume.fold();
  const killed: VolumeFixture[] = [];
  oslo.notices.push = (...notices): number => {
    // Given up is one more file each time, in the log and not in a commit.
    if (notices.some((notice) => notice.startsWith('lost '))) killed.push(VolumeFixture.copyOf(oslo));
    return 0;
  };
  oslo.crash(0, lose);
  assert.equal(killed.length, 3);
  for (const site of killed) {
    t.after(() => site.remove());
    assert.deepEqual([site.text('a'), site.text('b'), site.text('new')], ['first a', 'first b', '']);
    assert.equal(site.volume.objects.missingCount(), 0);
    await site.mergeWith(paris);
    assert.equal(site.digest, paris.digest);
    assert.equal(paris.text('new'), '');
  }
});

test('a removed file does not return because power loss took its last version', async (t) => {
  const [oslo, paris] = await twoSites(t);
  oslo.write('a', 'first');
  await oslo.mergeWith(paris);
  makeDurable(oslo);
  const lose = contentAsItIs(oslo);
  oslo.write('a', 'second');
  oslo.volume.fold();
  oslo.unlink('a');
  oslo.volume.fold();
  paris.rename('a', 'b');
  oslo.crash(0, lose);
  oslo.volume.fold();
  assert.deepEqual(oslo.list(''), []);
  await oslo.mergeWith(paris);
  // The rename wins over the removal, with bytes that are there.
  assert.deepEqual([oslo.list(''), oslo.text('b'), paris.text('b')], [['b'], 'first', 'first']);
});

test('bytes that power loss took and another site wrote too come back from there', async (t) => {
  const [oslo, paris] = await twoSites(t);
  makeDurable(oslo);
  const lose = contentAsItIs(oslo);
  oslo.write('a', 'alike');
  oslo.volume.fold();
  paris.write('b', 'alike');
  await paris.sendTo(oslo);
  oslo.crash(0, lose);
  assert.equal(oslo.volume.objects.missingCount(), 1);
  await paris.sendTo(oslo);
  assert.deepEqual([oslo.text('a'), oslo.text('b')], ['alike', 'alike']);
  assert.deepEqual(told(oslo), []);
});

test('bytes that are asked of others and were written here again are synced at once: others may know the version', (t) => {
  const oslo = site(t);
  oslo.write('a', 'known');
  makeDurable(oslo);
  const packs = join(oslo.directory, 'packs');
  for (const name of readdirSync(packs)) if (name.startsWith('site-')) truncateSync(join(packs, name), 16);
  oslo.crash();
  assert.throws(() => oslo.text('a'));
  assert.equal(oslo.volume.objects.missingCount(), 1);
  const sync = t.mock.method(oslo.volume.objects, 'sync');
  oslo.write('b', 'known');
  oslo.volume.fold();
  assert.equal(sync.mock.callCount(), 1);
  assert.equal(oslo.text('a'), 'known');
});

test('what was written to a file that fsync covered after it was closed survives, though its pack is still being synced', (t) => {
  const oslo = site(t);
  makeDurable(oslo);
  oslo.write('a', 'synced');
  const commit = oslo.volume.fold();
  oslo.volume.objects.takeUnsynced(commit); // another thread has begun to
  const objects = t.mock.method(oslo.volume.objects, 'sync');
  const journal = t.mock.method(oslo.volume.journal, 'sync');
  const { handle } = oslo.volume.files.open(oslo.resolve('a'), O_RDWR, false, USER);
  oslo.volume.files.fsync(handle);
  assert.deepEqual([objects.mock.callCount(), journal.mock.callCount()], [1, 1]);
  oslo.volume.files.fsync(handle);
  assert.deepEqual([objects.mock.callCount(), journal.mock.callCount()], [1, 1], 'once is enough');
});

test('what was written over versions that power loss took back is no conflict with the one before them', async (t) => {
  for (const [length, isNewRun] of [
    [10, false],
    [30_000, false],
    [10, true],
  ] as const) {
    const [oslo, paris] = await twoSites(t);
    oslo.write('a', 'first');
    await oslo.publish();
    makeDurable(oslo);
    await oslo.mergeWith(paris);
    // Of the new run's first commits the state will know nothing, and the next run's operations get the same numbers.
    if (isNewRun) oslo.reopen();
    else makeDurable(oslo);
    const lose = stateAsItIs(oslo);
    for (const letter of ['b', 'c', 'd', 'e']) {
      oslo.write('a', letter.repeat(length));
      if (letter !== 'e') await oslo.publish();
    }
    oslo.crash(0, lose);
    await oslo.publish();
    await oslo.mergeWith(paris);
    assert.deepEqual(paris.list(''), ['a'], `${length} bytes`);
    assert.equal(oslo.digest, paris.digest);
    assert.equal(paris.text('a'), 'e'.repeat(length));
  }
});

test('a directory made in one that power loss took again is not brought back without it', async (t) => {
  const [oslo, paris] = await twoSites(t);
  makeDurable(oslo);
  paris.mkdir('r');
  oslo.write('before', 'kept');
  oslo.volume.fold();
  const lose = stateAsItIs(oslo);
  await paris.sendTo(oslo);
  oslo.mkdir('r/q');
  oslo.crash(0, lose);
  const { store, actors } = oslo.volume.journal;
  oslo.volume.fold();
  assert.deepEqual(oslo.list(''), ['before']);
  assert.deepEqual(checkInvariants(store, actors), []);
  // What is written now is not taken for what the log held.
  oslo.write('after', 'new');
  oslo.crash();
  assert.deepEqual(oslo.list(''), ['after', 'before']);
  await oslo.mergeWith(paris);
  assert.deepEqual(oslo.list('r'), []);
  assert.equal(oslo.digest, paris.digest);
});

test('fsync makes the changes of other sites durable that the operations before it build on', async (t) => {
  const [oslo, paris] = await twoSites(t);
  makeDurable(oslo);
  const sync = t.mock.method(oslo.volume.journal, 'sync');
  oslo.mkdir('own');
  oslo.volume.files.fsyncdir();
  assert.equal(sync.mock.callCount(), 0);
  paris.mkdir('r');
  await paris.sendTo(oslo);
  oslo.mkdir('r/q');
  oslo.volume.files.fsyncdir();
  assert.equal(sync.mock.callCount(), 1);
  const lose = stateAsItIs(oslo);
  oslo.crash(0, lose);
  assert.deepEqual(oslo.list('r'), ['q']);
});

test('a file that was synced, published while it was open and closed unchanged has its bytes in a synced pack', (t) => {
  const oslo = site(t);
  oslo.write('a', 'first');
  makeDurable(oslo);
  const { handle } = oslo.volume.files.open(oslo.resolve('a'), O_RDWR | O_TRUNC, false, USER);
  oslo.volume.files.write(handle, 0, Buffer.from('second'), false);
  oslo.volume.publishAll();
  oslo.volume.files.fsync(handle);
  const sync = t.mock.method(oslo.volume.objects, 'sync');
  oslo.volume.files.release(handle);
  oslo.volume.fold();
  assert.equal(sync.mock.callCount(), 1);
});

for (const [what, isSynced] of [
  ['was never synced', false],
  ['was synced before that', true],
] as const) {
  test(`a large file that was published while it was open, and ${what}, does not go back when power fails`, async (t) => {
    const [oslo, paris] = await twoSites(t);
    oslo.write('a', 'small');
    await oslo.sendTo(paris);
    const { handle, write } = opened(oslo, 'a');
    write(0, Buffer.alloc(100_000, 1));
    if (isSynced) oslo.volume.files.fsync(handle);
    const lose = isSynced ? workAsItIs(oslo) : emptyWork;
    const published = Buffer.alloc(200_000, 2);
    write(0, published);
    await oslo.sendTo(paris);
    makeDurable(oslo);
    write(50, Buffer.from('not synced'));
    oslo.crash(0, lose);
    await oslo.mergeWith(paris);
    assert.deepEqual([oslo.read('a'), paris.read('a')], [published, published]);
    assert.equal(told(oslo).length, 1);
    assert.match(told(oslo)[0]!, /^lost \/a /);
    // What is in the log is over and done with: the next crash is none of the power.
    oslo.crash();
    assert.deepEqual(oslo.read('a'), published);
  });
}

test('a large file that was opened to be written to does not become shorter when power fails', async (t) => {
  const [oslo, paris] = await twoSites(t);
  const before = Buffer.alloc(200_000, 1);
  oslo.write('a', before);
  await oslo.sendTo(paris);
  makeDurable(oslo);
  opened(oslo, 'a').write(50, Buffer.from('not synced'));
  oslo.crash(0, emptyWork);
  await oslo.mergeWith(paris);
  assert.deepEqual([oslo.read('a'), paris.read('a')], [before, before]);
});

test('what was written and synced after an open without a write keeps its local file after power loss', async (t) => {
  const oslo = site(t);
  oslo.volume.allowPassthrough();
  const bytes = randomBytes(200_000);
  const ino = oslo.write('a', bytes);
  await oslo.publish();
  makeDurable(oslo);
  const { files } = oslo.volume;
  const lose = stateAsItIs(oslo);
  files.release(files.open(ino, O_RDWR, false, USER).handle);
  await oslo.publish(); // only the log says after power loss that this open ended
  const { handle, backing } = files.open(ino, O_RDWR, false, USER);
  writeSync(backing!, 'patched', 100_000);
  bytes.write('patched', 100_000);
  files.fsync(handle);
  oslo.crash(0, lose);
  const { volume } = oslo;
  volume.journal.sync();
  for (const path of volume.folding.durable(volume.folding.commit())) rmSync(path, { force: true });
  oslo.crash();
  await oslo.publish();
  assert.deepEqual(oslo.read('a'), bytes);
  assert.deepEqual(told(oslo), []);
});

test('what fsync covered while a version was being made is in the file after power loss', async (t) => {
  const oslo = site(t);
  oslo.write('a', 'small');
  makeDurable(oslo);
  const { handle, write } = opened(oslo, 'a');
  const expected = Buffer.alloc(200_000, 2);
  write(0, expected);
  oslo.volume.publishAll();
  const packed = await oslo.pack();
  write(50, Buffer.alloc(100_000, 3));
  expected.fill(3, 50, 100_050);
  oslo.volume.files.fsync(handle);
  const lose = workAsItIs(oslo);
  for (const result of packed) oslo.volume.arrivals.ingested(result);
  makeDurable(oslo);
  write(60, Buffer.alloc(100_000, 4));
  oslo.crash(0, lose);
  assert.deepEqual(oslo.read('a'), expected);
  assert.deepEqual(told(oslo), []);
});

/** The local files of drafts as they are at each fdatasync(2) from now on, and no more. */
function workAsSynced(t: TestContext, fixture: VolumeFixture): (copy: string) => void {
  let lose = workAsItIs(fixture);
  const sync = WorkingCopy.prototype.sync; // eslint-disable-line @typescript-eslint/unbound-method -- called on what it is called on
  t.mock.method(WorkingCopy.prototype, 'sync', function (this: WorkingCopy) {
    sync.call(this);
    lose = workAsItIs(fixture);
  });
  return (copy) => lose(copy);
}

test('a version that others have is not overwritten by older bytes of a file that was open with O_SYNC when power failed', async (t) => {
  const [oslo, paris] = await twoSites(t);
  oslo.volume.allowPassthrough();
  const ino = oslo.write('a', Buffer.alloc(200_000, 1));
  await oslo.sendTo(paris);
  makeDurable(oslo);
  const { files } = oslo.volume;
  const lose = workAsSynced(t, oslo);
  files.open(ino, O_RDWR | O_SYNC, false, USER);
  const { backing } = files.open(ino, O_RDWR, false, USER);
  const shown = Buffer.alloc(200_000, 2);
  writeSync(backing!, shown, 0, shown.length, 0); // through the other handle: the kernel syncs nothing
  await oslo.sendTo(paris);
  makeDurable(oslo);
  oslo.crash(0, lose);
  await oslo.mergeWith(paris);
  assert.deepEqual([oslo.read('a').equals(shown), paris.read('a').equals(shown)], [true, true]);
});

test('a version that others have is not overwritten by older bytes of a file that was synced while it was made', async (t) => {
  const oslo = site(t);
  oslo.write('a', 'small');
  makeDurable(oslo);
  const lose = workAsSynced(t, oslo);
  const { handle, write } = opened(oslo, 'a');
  write(0, Buffer.alloc(200_000, 1));
  oslo.volume.publishAll();
  oslo.volume.files.fsync(handle);
  const shown = Buffer.alloc(200_000, 2);
  write(0, shown); // a worker reads it, and no fsync(2) covers it
  for (const result of await oslo.pack()) oslo.volume.arrivals.ingested(result);
  makeDurable(oslo);
  oslo.crash(0, lose);
  await oslo.publish();
  assert.ok(oslo.read('a').equals(shown));
});

for (const isOpen of [true, false]) {
  test(`a file published ${isOpen ? 'while it was open' : 'when it was closed'} does not go back when power takes what the log said last`, (t) => {
    const oslo = site(t);
    oslo.write('a', 'first');
    makeDurable(oslo);
    const { handle, write } = opened(oslo, 'a');
    write(0, Buffer.from('secon'));
    oslo.volume.fold();
    const lose = logAsItIs(oslo);
    write(5, Buffer.from('d'));
    if (!isOpen) oslo.volume.files.release(handle);
    oslo.volume.publishAll();
    oslo.volume.objects.sync();
    oslo.volume.journal.sync();
    oslo.crash(0, lose);
    oslo.volume.fold();
    assert.deepEqual([oslo.text('a'), oslo.list('')], ['second', ['a']]);
    oslo.crash();
    assert.equal(oslo.text('a'), 'second');
  });
}

test('what fsync covered of an open file is there when power takes what the log said last', (t) => {
  const oslo = site(t);
  oslo.write('a', 'first');
  makeDurable(oslo);
  const { handle, write } = opened(oslo, 'a');
  write(0, Buffer.from('secon'));
  oslo.volume.files.fsync(handle);
  const lose = logAsItIs(oslo);
  write(5, Buffer.from('d'));
  oslo.write('b', 'other');
  oslo.volume.fold();
  oslo.volume.objects.sync();
  oslo.volume.journal.sync();
  oslo.crash(0, lose);
  oslo.volume.fold();
  assert.deepEqual([oslo.text('a'), oslo.text('b')], ['secon', 'other']);
});

for (const [what, lose] of [
  ['power loss', (): void => {}],
  ['SIGKILL', undefined],
] as const) {
  test(`what fsync covered is there after ${what} when an earlier start found that its version was undone`, async (t) => {
    const oslo = site(t);
    const bytes = Buffer.alloc(300_000, 'synced');
    const ino = oslo.write('file', '');
    const { handle } = oslo.volume.files.open(ino, O_RDWR, false, USER);
    oslo.volume.files.write(handle, 0, bytes, false);
    oslo.volume.files.fsync(handle);
    oslo.volume.fold();
    const undo = stateAsItIs(oslo);
    oslo.volume.files.release(handle);
    await oslo.publish();
    oslo.crash(0, undo);
    assert.ok(oslo.read('file').equals(bytes));
    oslo.volume.fold();
    oslo.crash(0, lose);
    assert.ok(oslo.read('file').equals(bytes));
    await oslo.publish();
    assert.ok(oslo.read('file').equals(bytes));
  });
}

test('zeros stand in a synced file that was being truncated when power failed', async (t) => {
  const oslo = site(t);
  const bytes = Buffer.alloc(85_010, 'abc');
  const ino = oslo.write('file', bytes);
  await oslo.publish();
  makeDurable(oslo);
  const { handle } = oslo.volume.files.open(ino, O_RDWR, false, USER);
  oslo.volume.files.setattr(ino, { size: 20 }, USER, handle);
  oslo.volume.files.fsync(handle);
  const lose = workAsItIs(oslo);
  oslo.volume.files.setattr(ino, { size: 0 }, USER, handle);
  oslo.volume.files.write(handle, 0, Buffer.from('new'), false);
  oslo.volume.files.setattr(ino, { size: 2 }, USER, handle);
  oslo.crash(0, lose);
  // The log outlived the file, whose bytes were lost.
  assert.equal(oslo.read('file').length, 2);
});

test('a file that was truncated and synced again before power failed lacks what was written then', async (t) => {
  const oslo = site(t);
  const ino = oslo.write('file', Buffer.alloc(85_010, 'abc'));
  await oslo.publish();
  makeDurable(oslo);
  const { handle } = oslo.volume.files.open(ino, O_RDWR, false, USER);
  oslo.volume.files.setattr(ino, { size: 20 }, USER, handle);
  oslo.volume.files.write(handle, 20, Buffer.alloc(70_000, 'd'), false);
  oslo.volume.files.fsync(handle);
  oslo.crash(0, workAsItIs(oslo));
  assert.equal(oslo.text('file'), Buffer.alloc(20, 'abc').toString() + 'd'.repeat(70_000));
});
