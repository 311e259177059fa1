import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { AbsentObjects } from './absent-objects.js';
import { checkContent } from './content-model.test-support.js';
import { commit, randomBytes, temporaryDirectory, temporaryStore, wordyBytes } from './chunks-fixture.test-support.js';
import type { TestStore } from './chunks-fixture.test-support.js';
import { IngestPool } from './ingest.js';
import { decodeManifest, NO_HOLES } from './manifest.js';
import { ObjectKind } from './object-kind.js';
import { SmallContent } from './small-content.js';
import { WorkingCopy } from './working-copy.js';

interface Ingest extends TestStore {
  readonly pool: IngestPool;
  readonly directory: string;
}

function startIngest(t: TestContext): Ingest {
  const fixture = temporaryStore(t);
  commit(fixture);
  const pool = new IngestPool(fixture.databasePath, fixture.objectsDirectory);
  t.after(() => pool.close());
  return { ...fixture, pool, directory: temporaryDirectory(t) };
}

async function publish(copy: WorkingCopy, { pool, store }: Ingest): Promise<number> {
  const result = await pool.run(copy.job(1));
  store.adopt(result.objects);
  copy.published(result.manifestId, decodeManifest(Buffer.from(result.manifest)));
  return result.objects.reduce((sum, { raw }) => sum + raw, 0);
}

test('a working copy becomes a version in another thread, and then only its changes do', async (t) => {
  const ingest = startIngest(t);
  const { store, directory, db } = ingest;
  const bytes = Buffer.concat([randomBytes(5 << 20, 1), wordyBytes(1 << 20, 2)]);
  const copy = WorkingCopy.spill(join(directory, 'a'), new SmallContent(), store);
  copy.write(0, bytes);
  assert.ok((await publish(copy, ingest)) > bytes.length);
  assert.ok(store.has(copy.baseId!));

  copy.write(3_000_000, Buffer.from('changed'));
  bytes.write('changed', 3_000_000);
  assert.ok((await publish(copy, ingest)) < 3 << 20); // before the index is committed
  commit({ store, db });
  checkContent(
    WorkingCopy.create(join(directory, 'b'), copy.baseId!, decodeManifest(store.get(copy.baseId!)), store),
    bytes,
  );

  assert.equal(await publish(copy, ingest), 0); // nothing changed
});

test('many jobs are all answered', async (t) => {
  const ingest = startIngest(t);
  const copies = Array.from({ length: 12 }, (_, i) => {
    const copy = WorkingCopy.spill(join(ingest.directory, `${i}`), new SmallContent(), ingest.store);
    copy.write(0, randomBytes(300_000, i % 5));
    return copy;
  });
  await Promise.all(copies.map((copy) => publish(copy, ingest)));
  for (const [i, copy] of copies.entries()) {
    copy.remove();
    const fresh = WorkingCopy.create(
      copy.path,
      copy.baseId!,
      decodeManifest(ingest.store.get(copy.baseId!)),
      ingest.store,
    );
    checkContent(fresh, randomBytes(300_000, i % 5));
  }
});

test('bytes of the base that are not here fail the job by name; with them it succeeds', async (t) => {
  const ingest = startIngest(t);
  const { store, directory, db } = ingest;
  const chunk = randomBytes(100_000, 1);
  const elsewhere = temporaryStore(t).store;
  const id = elsewhere.put(ObjectKind.chunk, chunk);
  const manifest = {
    size: 100_000,
    extents: [{ offset: 0, length: 100_000, chunk: id }],
    inline: null,
    holes: NO_HOLES,
  };
  const copy = WorkingCopy.create(join(directory, 'a'), 'ab'.repeat(32), manifest, store);
  copy.write(5, Buffer.from('x'));
  await assert.rejects(publish(copy, ingest), (error) => error instanceof AbsentObjects && error.ids[0] === id);
  copy.unpublished();
  store.put(ObjectKind.chunk, chunk);
  setTimeout(() => commit({ store, db }), 20); // the job waits for the commit
  await publish(copy, ingest);
  chunk.write('x', 5);
  checkContent(copy, chunk);
});

test('a job for a file that is gone fails, and those sent with it do not', async (t) => {
  const ingest = startIngest(t);
  const bad = { jobId: 1, path: join(ingest.directory, 'none'), size: 100_000, base: null, changed: [] };
  const others = Array.from({ length: 4 }, (_, i) => {
    const copy = WorkingCopy.spill(
      join(ingest.directory, `other-${i}`),
      new SmallContent(randomBytes(99, i)),
      ingest.store,
    );
    return publish(copy, ingest);
  });
  await assert.rejects(ingest.pool.run(bad), /none is gone/);
  await Promise.all(others);
  const copy = WorkingCopy.spill(join(ingest.directory, 'a'), new SmallContent(randomBytes(100, 1)), ingest.store);
  await publish(copy, ingest);
  assert.deepEqual(decodeManifest(ingest.store.get(copy.baseId!)).inline, randomBytes(100, 1));
});

test('a damaged base manifest fails the job', async (t) => {
  const { pool, directory } = startIngest(t);
  const job = { jobId: 1, path: join(directory, 'none'), size: 1, base: Buffer.from('no manifest'), changed: [] };
  await assert.rejects(pool.run(job), /manifest: these bytes are not one/);
});

test('a thread that cannot start fails its jobs, not the process', async (t) => {
  const directory = temporaryDirectory(t);
  const pool = new IngestPool(join(directory, 'none.db'), directory);
  t.after(() => pool.close());
  const job = { jobId: 1, path: join(directory, 'none'), size: 1, base: null, changed: [] };
  await assert.rejects(pool.run(job), /unable to open|does not exist/);
  await assert.rejects(pool.run(job), /unable to open|does not exist/);
});

test('closing lets the running job end, and refuses the rest', async (t) => {
  const ingest = startIngest(t);
  const copy = WorkingCopy.spill(join(ingest.directory, 'a'), new SmallContent(), ingest.store);
  copy.write(0, randomBytes(8 << 20, 1));
  copy.truncate(20 << 20);
  const job = copy.job(1);
  const jobs = Array.from({ length: 4 }, () => ingest.pool.run(job));
  const results = Promise.allSettled(jobs);
  await ingest.pool.close();
  const states = (await results).map(({ status }) => status);
  assert.deepEqual(states, ['fulfilled', 'fulfilled', 'rejected', 'rejected']);
  await assert.rejects(ingest.pool.run(job), /closed/);
  copy.remove();
});
