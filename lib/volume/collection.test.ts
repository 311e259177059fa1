import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { AbsentObjects } from '../chunks/absent-objects.js';
import type { IngestResult } from '../chunks/ingest.js';
import { Ingester } from '../chunks/ingester.js';
import { encodeManifest, inlineManifest } from '../chunks/manifest.js';
import { ObjectKind, objectIdOf } from '../chunks/object-kind.js';
import { PackWriter } from '../chunks/pack.js';
import { type ObjectId, ROOT_INO } from '../crdt/ids.js';
import { formatDeletedSnapshot, formatSnapshot, snapshotField } from '../crdt/volume-fields.js';
import { encodeChange } from '../journal/change-codec.js';
import { HOLD_REASONS } from '../journal/held-versions.js';
import { JournalReader } from '../journal/journal-reader.js';
import { statePath } from '../journal/schema.js';
import { surveyObjects } from './collection-survey.js';
import { USER, VolumeFixture } from './volume-fixture.test-support.js';

const O_RDWR = 2;
const LARGE_BYTES = 2_500_000;

function site(t: TestContext): VolumeFixture {
  const fixture = VolumeFixture.create();
  t.after(() => fixture.remove());
  return fixture;
}

/** Another site writes a register of the volume's own. */
function setOnVolume(fixture: VolumeFixture, field: string, value: string): void {
  const { journal } = fixture.volume;
  const actor = randomBytes(16).toString('hex');
  const stamp = (journal.db.prepare('select max(stamp) from change').pluck().get() as number) + 1;
  const entries = journal.store.inode(0)!.registers.get(field) ?? [];
  const pred = entries.map((entry) => `${entry.counter}@${journal.actors.id(entry.actor)}`);
  const ops = [
    { key: `0.actor:${actor}`, value: 'ab'.repeat(16), pred: [] },
    { key: `0.${field}`, value, pred },
  ];
  const change = encodeChange({ actor, seq: 1, startOp: journal.maxOp + 1, stamp, deps: [...journal.heads], ops });
  fixture.volume.remote.deliver([change.bytes], '', (error) => assert.equal(error, null));
  while (fixture.volume.background.run(() => false));
}

/** Nothing needs the chunks of what was in it any more, and no collection came yet. */
async function siteWithRemovedFile(t: TestContext): Promise<{ paris: VolumeFixture; bytes: Buffer }> {
  const paris = site(t);
  const bytes = randomBytes(LARGE_BYTES);
  paris.write('large', bytes);
  await paris.publish();
  paris.unlink('large');
  paris.volume.fold();
  return { paris, bytes };
}

async function pair(t: TestContext): Promise<[VolumeFixture, VolumeFixture]> {
  const paris = site(t);
  const oslo = await paris.join();
  t.after(() => oslo.remove());
  return [paris, oslo];
}

function kept(fixture: VolumeFixture, rules = {}): string[] {
  const all = { nowUs: Infinity, keepHistoryMs: 0, acknowledged: null, ...rules };
  const inUse = fixture.volume.collection.versionsInUse();
  fixture.volume.fold();
  const survey = surveyObjects({
    stateDirectory: fixture.directory,
    rules: all,
    inUse,
    reportedAbsent: [],
    keepsAll: true,
  });
  return HOLD_REASONS.filter((reason) => survey.kept[reason].objects > 0);
}

test('what a worker packed was lost, because a collection began as it began its pack', async (t) => {
  const paris = site(t);
  const writer = new PackWriter(join(paris.directory, 'packs'), 'ingest');
  t.after(() => writer.close());
  const pack = (): ObjectId => {
    const bytes = randomBytes(100_000);
    const object = writer.append(ObjectKind.chunk, objectIdOf(bytes), bytes);
    writer.sync();
    paris.volume.objects.adopt([object]);
    return object.id;
  };
  let first = '';
  await paris.collect({}, (step) => {
    if (step === 'sealed') first = pack();
  });
  assert.equal(paris.volume.objects.has(first), false, 'nothing needs it');
  const later = pack();
  assert.ok(paris.volume.objects.verify(later), 'its pack is there');
  // When nobody writes to it any more, what nothing needs goes with it.
  writer.seal();
  const { collected } = await paris.collect();
  assert.equal(collected.removedPacks.length, 1);
});

test('a conflict copy without bytes: what was removed while it was open here was collected, and came back with the file', async (t) => {
  const [paris, oslo] = await pair(t);
  const ino = paris.write('e', 'first');
  await paris.sendTo(oslo);
  const { handle } = paris.volume.files.open(ino, O_RDWR, false, USER);
  paris.volume.files.write(handle, 0, Buffer.from('PARIS'), false);
  const bytes = randomBytes(LARGE_BYTES);
  oslo.write('e', bytes);
  await oslo.publish();
  oslo.unlink('e');
  await oslo.sendTo(paris);
  await oslo.collect();
  await paris.collect();
  paris.volume.files.release(handle);
  await paris.publish();
  const names = paris.list('').filter((name) => name.startsWith('e'));
  assert.equal(names.length, 2);
  assert.equal(paris.text('e'), 'PARIS');
  assert.ok(paris.read(names.find((name) => name !== 'e')!).equals(bytes));
});

test('the disk stays full of what was overwritten and removed', async (t) => {
  const paris = site(t);
  const large = new Map<string, Buffer>();
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 200; i++) paris.write(`small${i}`, `${round} ${i} ${'.'.repeat(500)}`);
    for (const name of ['a', 'b']) {
      large.set(name, randomBytes(LARGE_BYTES));
      paris.write(name, large.get(name)!);
    }
    await paris.publish();
  }
  for (let i = 0; i < 200; i += 2) paris.unlink(`small${i}`);
  paris.volume.fold();
  const before = paris.packBytes;
  const { collected, survey } = await paris.collect();

  assert.equal(collected.discardedObjects, survey.unused[0]!.length + survey.unused[1]!.length);
  assert.ok(before > 6 * LARGE_BYTES && paris.packBytes < 2.1 * LARGE_BYTES, `${before} → ${paris.packBytes} bytes`);
  const check = (): void => {
    for (let i = 1; i < 200; i += 2) assert.equal(paris.text(`small${i}`), `2 ${i} ${'.'.repeat(500)}`);
    for (const [name, bytes] of large) assert.ok(paris.read(name).equals(bytes), name);
  };
  check();
  paris.reopen();
  check();
  const again = await paris.collect();
  assert.equal(again.collected.discardedObjects, 0);
  assert.equal(again.collected.rewrittenPacks, 0);
});

test('I/O error in what was written again just when it was collected', async (t) => {
  const paris = site(t);
  const text = 'the same text as before';
  const bytes = randomBytes(LARGE_BYTES);
  paris.write('small', text);
  paris.write('large', bytes);
  await paris.publish();
  paris.unlink('small');
  paris.unlink('large');
  paris.volume.fold();
  const { collected } = await paris.collect({}, async (step) => {
    if (step !== 'survey') return;
    paris.write('small again', text);
    paris.write('large again', bytes);
    await paris.publish();
  });
  assert.equal(collected.discardedObjects, 0);
  for (let i = 0; i < 2; i++) {
    assert.equal(paris.text('small again'), text);
    assert.ok(paris.read('large again').equals(bytes));
    assert.equal(paris.volume.objects.missingCount(), 0);
    paris.reopen();
  }
});

test('I/O error in a file whose chunks a worker took for held while they were collected', async (t) => {
  const { paris, bytes } = await siteWithRemovedFile(t);
  paris.write('large again', bytes);
  paris.volume.publishAll();
  const results = await paris.pack(); // while everything is held: there is nothing to pack
  assert.equal(results[0]!.objects.length, 0);
  const { collected } = await paris.collect();
  assert.ok(collected.discardedObjects > 2);
  for (const result of results) paris.volume.arrivals.ingested(result);
  await paris.publish();
  assert.ok(paris.read('large again').equals(bytes));
  paris.reopen();
  assert.ok(paris.read('large again').equals(bytes));
});

test('I/O error in a file that was given to a worker between a collection took its chunks and the commit that says so', async (t) => {
  const { paris, bytes } = await siteWithRemovedFile(t);
  const { directory } = paris;
  const worker = new Ingester(
    { databasePath: statePath(directory), objectsDirectory: join(directory, 'packs') },
    () => {},
  );
  t.after(() => worker.close());
  // It is on another processor, and has nothing else to do.
  const results: IngestResult[] = [];
  paris.worker = (job) => results.push(...(worker.run([job]) as IngestResult[]));
  await paris.collect({}, (step) => {
    if (step === 'collect' && results.length === 0) paris.write('large again', bytes);
  });
  paris.worker = undefined;
  assert.equal(results[0]?.objects.length, 1, 'the worker found the chunks');
  for (const result of results) paris.volume.arrivals.ingested(result);
  await paris.publish();
  assert.ok(paris.read('large again').equals(bytes));
});

test('I/O error after a crash in a file whose list of chunks was here without them, because what began to use it again was removed', async (t) => {
  const { paris, bytes } = await siteWithRemovedFile(t);
  let steps = 0;
  await paris.collect({}, async (step) => {
    if (step !== 'collect' || ++steps > 1) return;
    // The list of chunks is gone, and its chunks are about to go.
    paris.write('removed', bytes);
    paris.volume.publishAll();
    const [result] = await paris.pack();
    assert.equal(result!.objects.length, 1);
    paris.unlink('removed');
    paris.volume.arrivals.ingested(result!);
    assert.equal(paris.volume.objects.has(result!.manifestId), false, 'nothing needs it');
    // As it was left before, and as a merge that came too late leaves it.
    paris.volume.objects.put(ObjectKind.manifest, result!.manifest);
  });
  paris.write('large again', bytes);
  paris.volume.publishAll();
  const [result] = await paris.pack();
  assert.ok(paris.volume.objects.has(result!.manifestId) && result!.objects.length > 1, 'chunks alone are packed');
  // The log has the version, and the state does not.
  t.mock.method(paris.volume.folding, 'commit', () => 0);
  paris.volume.arrivals.ingested(result!);
  paris.crash();
  await paris.publish();
  assert.ok(paris.read('large again').equals(bytes));
});

test('I/O error in a file that another site wrote with bytes which were just collected here', async (t) => {
  const [paris, oslo] = await pair(t);
  const bytes = randomBytes(LARGE_BYTES);
  oslo.write('theirs', bytes);
  await oslo.publish();
  paris.write('ours', bytes);
  await paris.publish();
  paris.unlink('ours');
  paris.volume.fold();
  await paris.collect({}, async (step) => {
    if (step === 'survey') await oslo.sendTo(paris);
  });
  assert.ok(paris.read('theirs').equals(bytes));
  assert.equal(paris.volume.objects.missingCount(), 0);
});

test('I/O error in a removed file that came back while it was collected', async (t) => {
  const [paris, oslo] = await pair(t);
  const bytes = randomBytes(LARGE_BYTES);
  paris.write('undeleted', bytes);
  paris.write('moved there', bytes.subarray(1));
  await paris.mergeWith(oslo);
  const ino = paris.resolve('undeleted');
  oslo.rename('moved there', 'moved');
  paris.unlink('undeleted');
  paris.unlink('moved there');
  paris.volume.fold();
  await paris.collect({}, async (step) => {
    if (step !== 'survey') return;
    paris.volume.restoring.placeAgain([{ ino, link: 0, parent: 1, name: 'undeleted' }], true);
    await oslo.sendTo(paris);
  });
  assert.ok(paris.read('undeleted').equals(bytes));
  assert.ok(paris.read('moved').equals(bytes.subarray(1)));
  assert.equal(paris.volume.objects.missingCount(), 0);
  // And when it was too late for that, its bytes are fetched again.
  paris.unlink('moved');
  paris.volume.fold();
  await paris.collect();
  await paris.publish();
  paris.volume.restoring.placeAgain([{ ino: oslo.resolve('moved'), link: 0, parent: 1, name: 'moved' }], true);
  assert.equal(paris.volume.objects.missingCount(), 1);
  await oslo.sendTo(paris);
  assert.ok(paris.read('moved').equals(bytes.subarray(1)));
});

test('I/O error in an open file that was removed, or overwritten, before a collection', async (t) => {
  const paris = site(t);
  const bytes = randomBytes(LARGE_BYTES);
  paris.write('removed', bytes);
  paris.write('edited', bytes.subarray(1));
  await paris.publish();
  const removed = paris.volume.files.open(paris.resolve('removed'), 0, false, USER).handle;
  const edited = paris.volume.files.open(paris.resolve('edited'), O_RDWR, false, USER).handle;
  paris.volume.files.write(edited, 100, Buffer.from('new'), false);
  paris.unlink('removed');
  paris.unlink('edited');
  paris.volume.fold();
  assert.ok(kept(paris).includes('open'));
  await paris.collect();
  const into = Buffer.alloc(LARGE_BYTES);
  assert.equal(paris.volume.files.read(removed, 0, LARGE_BYTES, into, 0), LARGE_BYTES);
  assert.ok(into.equals(bytes));
  paris.volume.files.read(edited, 0, LARGE_BYTES - 1, into, 0);
  assert.ok(into.subarray(103, LARGE_BYTES - 1).equals(bytes.subarray(104)));
  paris.volume.files.release(removed);
  paris.volume.files.release(edited);
  await paris.publish();
  await paris.collect();
  assert.deepEqual(kept(paris), []);
});

test('old versions are gone before their time, or a snapshot is not what it was', async (t) => {
  const paris = site(t);
  paris.write('overwritten', 'one');
  paris.write('removed', 'two');
  paris.volume.fold();
  const vector = new Map(paris.volume.journal.vector());
  const nowUs = paris.volume.journal.db.prepare('select max(stamp) from change').pluck().get() as number;
  paris.write('overwritten', 'three');
  paris.unlink('removed');
  paris.write('other', 'four');
  paris.volume.fold();
  paris.unlink('other');
  paris.volume.fold();
  assert.deepEqual(kept(paris, { nowUs }), ['shown', 'history']);
  assert.deepEqual(kept(paris, { nowUs: nowUs + 60e6, keepHistoryMs: 50_000 }), ['shown']);
  assert.deepEqual(kept(paris, { nowUs: nowUs + 60e6, keepHistoryMs: 100_000 }), ['shown', 'history']);
  setOnVolume(paris, 'keep', 'age=100');
  assert.deepEqual(kept(paris, { nowUs: nowUs + 60e6, keepHistoryMs: null }), ['shown', 'history']);
  setOnVolume(paris, 'keep', 'age=50');
  assert.deepEqual(kept(paris, { nowUs: nowUs + 60e6, keepHistoryMs: null }), ['shown']);
  // One that was made after they were gone needs none of them.
  setOnVolume(paris, snapshotField('late'), formatSnapshot(paris.volume.journal.vector()));
  assert.deepEqual(kept(paris), ['shown']);
  setOnVolume(paris, snapshotField('early'), formatSnapshot(vector));
  const { survey } = await paris.collect();
  assert.equal(survey.kept.snapshot.objects, 2);
  assert.equal(survey.unused[0]!.length, 1);
  setOnVolume(paris, snapshotField('early'), formatDeletedSnapshot());
  assert.deepEqual(kept(paris), ['shown']);
});

test('what a site that was away builds on is gone when it returns', async (t) => {
  const [paris, oslo] = await pair(t);
  paris.write('file', 'one');
  await paris.mergeWith(oslo);
  const acknowledged = new Map(oslo.volume.journal.vector());
  paris.write('file', 'two');
  paris.write('removed', 'three');
  paris.volume.fold();
  paris.unlink('removed');
  paris.volume.fold();
  assert.deepEqual(kept(paris, { acknowledged }), ['shown', 'peers']);
  await paris.mergeWith(oslo);
  assert.deepEqual(kept(paris, { acknowledged: new Map(oslo.volume.journal.vector()) }), ['shown']);
});

test('conflict copies, and what they would be merged on, are collected', async (t) => {
  const [paris, oslo] = await pair(t);
  paris.write('file', 'a\nb\nc\n');
  await paris.mergeWith(oslo);
  paris.write('file', 'A\nb\nc\n');
  oslo.write('file', 'a\nb\nC\n');
  await paris.mergeWith(oslo);
  assert.deepEqual(kept(paris), ['shown', 'conflict', 'merge']);
  await paris.collect();
  paris.volume.files.setxattr(paris.resolve('file'), 'user.weft.merge', Buffer.from('text'), 0, false);
  while (paris.volume.background.run(() => false));
  assert.equal(paris.text('file'), 'A\nb\nC\n');
  await paris.collect();
  assert.deepEqual(kept(paris), ['shown']);
});

test('a site that joins waits for ever for old versions that were collected everywhere', async (t) => {
  const paris = site(t);
  for (const text of ['one', 'two', 'three']) {
    paris.write('file', text);
    paris.write('large', randomBytes(LARGE_BYTES));
    await paris.publish();
  }
  await paris.collect();
  const oslo = await paris.join();
  t.after(() => oslo.remove());
  assert.equal(oslo.text('file'), 'three');
  assert.ok(oslo.read('large').equals(paris.read('large')));
  const missing = oslo.volume.objects.missing(100).map(({ id }) => id);
  assert.equal(missing.length, 4);
  const all = { nowUs: 0 };
  // It would keep them as history, if there were anyone who has them.
  await oslo.collect(all);
  assert.equal(oslo.volume.objects.missingCount(), 4);
  oslo.reportedAbsent = missing;
  await oslo.collect(all);
  assert.equal(oslo.volume.objects.missingCount(), 0);
});

for (const keeps of ['everything', 'what is pinned'])
  test(`a site that keeps ${keeps} never asks for a file's bytes, because an older one with the same was given up before they came`, async (t) => {
    const [paris, oslo] = await pair(t);
    if (keeps !== 'everything') {
      oslo.volume.wanted.keepAll(false);
      oslo.volume.wanted.pin([ROOT_INO]);
    }
    const bytes = randomBytes(LARGE_BYTES);
    paris.write('old', bytes);
    // Oslo has the list of chunks, and then nobody has them any more.
    await paris.sendTo(oslo, ({ kind }) => kind === ObjectKind.manifest);
    paris.write('old', 'short');
    await paris.publish();
    await paris.collect();
    await paris.sendTo(oslo);
    oslo.reportedAbsent = oslo.volume.objects.missing(100).map(({ id }) => id);
    assert.ok(oslo.reportedAbsent.length > 1);
    await oslo.collect({ nowUs: 0 });
    assert.equal(oslo.volume.objects.missingCount(), 0);

    paris.write('new', bytes);
    await paris.sendTo(oslo);
    assert.ok(oslo.read('new').equals(bytes));
  });

test('sites wait for ever for what versions would be merged on, when power loss took it everywhere', async (t) => {
  const [paris, oslo] = await pair(t);
  const rome = await paris.join();
  t.after(() => rome.remove());
  paris.write('file', 'a\nb\nc\n');
  await paris.mergeWith(oslo);
  paris.write('file', 'A\nb\nc\n');
  oslo.write('file', 'a\nb\nC\n');
  paris.volume.files.setxattr(paris.resolve('file'), 'user.weft.merge', Buffer.from('text'), 0, false);
  await oslo.publish();
  paris.volume.fold();
  for (const from of [paris, oslo]) {
    const reader = JournalReader.open(from.directory);
    const changes = reader.changesAfter(rome.volume.journal.vector(), 2 ** 30).map(({ bytes }) => bytes);
    reader.close();
    rome.volume.remote.deliver(changes, '', (error) => assert.equal(error, null));
  }
  while (rome.volume.background.run(() => false));
  const base = objectIdOf(encodeManifest(inlineManifest(Buffer.from('a\nb\nc\n'))));
  assert.ok(rome.volume.objects.missing(100).some(({ id }) => id === base));
  rome.reportedAbsent = [base];
  await rome.collect();
  const left = rome.volume.objects.missing(100).map(({ id }) => id);
  assert.equal(left.length, 2, 'what is shown and in conflict is waited for');
  assert.ok(!left.includes(base));
});

test('chunks are collected that a file needs whose list of chunks has not arrived', async (t) => {
  const [paris, oslo] = await pair(t);
  const bytes = randomBytes(LARGE_BYTES);
  paris.write('file', bytes);
  await paris.mergeWith(oslo);
  const { handle } = oslo.volume.files.open(oslo.resolve('file'), O_RDWR, false, USER);
  oslo.volume.files.write(handle, 0, Buffer.from('new'), false);
  oslo.volume.files.release(handle);
  await oslo.publish();
  // Paris hears of the version, and not of its chunks.
  const reader = JournalReader.open(oslo.directory);
  const changes = reader.changesAfter(paris.volume.journal.vector(), 2 ** 30).map((change) => change.bytes);
  reader.close();
  paris.volume.remote.deliver(changes, '', (error) => assert.equal(error, null));
  while (paris.volume.background.run(() => false));
  assert.throws(() => paris.read('file'), AbsentObjects);
  const { survey } = await paris.collect();
  assert.ok(survey.kept.unlisted.objects > 1);
  await oslo.sendTo(paris);
  assert.ok(paris.read('file').subarray(3).equals(bytes.subarray(3)));
});

test('a site that was killed in a collection has lost files', async (t) => {
  const paris = site(t);
  const models = new Map<string, Buffer>();
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 30; i++) {
      const bytes = randomBytes(i === 20 ? LARGE_BYTES / 10 : 300);
      models.set(`f${i}`, bytes);
      paris.write(`f${i}`, bytes);
    }
    await paris.publish();
  }
  for (let crashAt = 1; ; crashAt++) {
    let step = 0;
    const stop = new Error('killed');
    try {
      await paris.collect({}, () => {
        if (++step === crashAt) throw stop;
      });
    } catch (error) {
      if (error !== stop) throw error;
      paris.crash();
      for (const [name, bytes] of models)
        assert.ok(paris.read(name).equals(bytes), `${name}, killed at step ${crashAt}`);
      // There is something to do the next time, too.
      paris.write('f1', models.get('f1')!.fill(crashAt));
      paris.write('f20', models.get('f20')!.fill(crashAt, 0, 200_000));
      await paris.publish();
      continue;
    }
    assert.ok(crashAt > 5);
    break;
  }
  assert.deepEqual(kept(paris), ['shown']);
  assert.ok(paris.packBytes < 3 * [...models.values()].reduce((sum, bytes) => sum + bytes.length, 0));
});

test('a removed file that another site brings back lacks the version whose bytes were collected meanwhile', async (t) => {
  const [paris, oslo] = await pair(t);
  const rome = await paris.join();
  t.after(() => rome.remove());
  paris.write('f', 'first');
  for (const site of [oslo, rome]) await paris.sendTo(site);
  const bytes = randomBytes(LARGE_BYTES);
  oslo.write('f', bytes);
  await oslo.sendTo(paris);
  rome.write('f', 'written while it was removed');
  paris.unlink('f');
  const { collected } = await paris.collect();
  assert.ok(collected.discardedObjects > 1);

  await rome.sendTo(paris);
  assert.ok(paris.volume.objects.missingCount() > 0);
  await oslo.sendTo(paris);
  assert.equal(paris.volume.objects.missingCount(), 0);
  const versions = paris.list('/').map((name) => paris.read(name).toString('hex'));
  assert.deepEqual(
    versions.toSorted(),
    [bytes.toString('hex'), Buffer.from('written while it was removed').toString('hex')].toSorted(),
  );
});
