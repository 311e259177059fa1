import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readlinkSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { startCheckpointThread } from './checkpoint-thread.js';
import { Checkpointer } from './checkpointer.js';
import { Journal } from './journal.js';
import { checkState, statePath, walPath } from './schema.js';
import { temporaryDirectory } from './temporary-directory.js';
import { Wal } from './wal.js';

const WAL_TARGET_BYTES = 2 * 2 ** 20;
/** The writer stops at four times the target; what it was at then is less than that. */
const MAX_WAL_BYTES = 5 * WAL_TARGET_BYTES;

/** One commit of a busy site: scattered entries, about 25 pages. */
function writeCommit(journal: Journal, round: number): void {
  for (let i = 0; i < 20; i++) {
    const n = (round * 7919 + i * 104_729) % 50_000;
    journal.store.setDirent({ parent: n % 100, name: `file-${n}`, ino: n + 1, link: round, type: 8 });
  }
  journal.commit(round);
}

test('the WAL stays bounded while one thread writes without a pause', async (t) => {
  const directory = temporaryDirectory(t);
  const journal = Journal.open(directory, { walTargetBytes: WAL_TARGET_BYTES });
  t.after(() => journal.close());
  const errors: Error[] = [];
  const thread = startCheckpointThread(directory, (error) => errors.push(error), { walTargetBytes: WAL_TARGET_BYTES });
  t.after(() => thread.stop());

  let writtenBytes = 0;
  let largestBytes = 0;
  let restarts = 0;
  let before = 0;
  const endMs = performance.now() + 3_000;
  // On a slow disk longer: less than this says nothing.
  for (let round = 1; performance.now() < endMs || writtenBytes <= 3 * MAX_WAL_BYTES; round++) {
    writeCommit(journal, round);
    journal.relax();
    const walBytes = journal.walBytes();
    if (walBytes < before) restarts++;
    writtenBytes += walBytes < before ? walBytes : walBytes - before;
    before = walBytes;
    largestBytes = Math.max(largestBytes, walBytes);
  }
  await thread.stop();
  assert.deepEqual(errors, []);
  t.diagnostic(
    `${(writtenBytes / 2 ** 20) | 0} MiB written, ${restarts} restarts, at most ${(largestBytes / 2 ** 20).toFixed(1)} MiB of WAL`,
  );
  assert.ok(restarts >= 3, `${restarts} restarts`);
  assert.ok(largestBytes <= MAX_WAL_BYTES, `${largestBytes} bytes of WAL`);
  assert.ok(statSync(walPath(statePath(directory))).size <= MAX_WAL_BYTES);
});

test('the WAL stays bounded without any other thread, by stops of the writer', (t) => {
  const directory = temporaryDirectory(t);
  const journal = Journal.open(directory, { walTargetBytes: WAL_TARGET_BYTES / 2 });
  t.after(() => journal.close());
  for (let round = 1; round <= 600; round++) {
    writeCommit(journal, round);
    if (round % 10 === 0) assert.ok(journal.walBytes() <= 3 * WAL_TARGET_BYTES);
  }
});

test('the WAL does not grow past its bound while another connection is at a checkpoint that takes its time', (t) => {
  const journal = Journal.open(temporaryDirectory(t), { walTargetBytes: WAL_TARGET_BYTES });
  t.after(() => journal.close());
  const { checkpoint } = Wal.prototype;
  t.after(() => (Wal.prototype.checkpoint = checkpoint));
  let busyCalls = 0;
  // What SQLite answers then: busy, and -1 for both counts.
  Wal.prototype.checkpoint = function (this: Wal) {
    if (++busyCalls % 50 === 0) return checkpoint.call(this);
    return { isBusy: true, walBytes: 0, backlogBytes: 0, lacksRoom: false };
  };
  for (let round = 1; round <= 600; round++) {
    writeCommit(journal, round);
    if (round % 10 === 0) assert.ok(journal.walBytes() <= MAX_WAL_BYTES, `${journal.walBytes()} bytes of WAL`);
  }
  assert.ok(busyCalls >= 50);
});

/** Reads that a busy machine puts aside for some milliseconds each, as another thread's are. */
const SLOW_READS = `
  const { parentPort, workerData } = require('node:worker_threads');
  const db = require(workerData.sqlite)(workerData.path, { readonly: true });
  const begin = db.prepare('begin');
  const read = db.prepare('select count(*) from meta');
  const end = db.prepare('commit');
  const clock = new Int32Array(new SharedArrayBuffer(4));
  let reads = 0;
  const round = () => {
    begin.run();
    read.get();
    Atomics.wait(clock, 0, 0, workerData.readMs);
    end.run();
    if (++reads === 1) parentPort.postMessage('reading');
    timer = setTimeout(round, workerData.readMs);
  };
  let timer = setTimeout(round);
  parentPort.on('message', () => { clearTimeout(timer); db.close(); parentPort.postMessage(reads); parentPort.close(); });
`;

test('the WAL does not grow past its bound while reads of another thread take milliseconds', async (t) => {
  const directory = temporaryDirectory(t);
  const journal = Journal.open(directory, { walTargetBytes: WAL_TARGET_BYTES });
  t.after(() => journal.close());
  const path = statePath(directory);
  const sqlite = createRequire(import.meta.url).resolve('better-sqlite3'); // not from the directory that the test is run in
  const reader = new Worker(SLOW_READS, { eval: true, workerData: { sqlite, path, readMs: 8 } });
  t.after(() => reader.terminate());
  await once(reader, 'message');

  let largestBytes = 0;
  let longestMs = 0;
  const endMs = performance.now() + 1_500;
  for (let round = 1; performance.now() < endMs; round++) {
    const beganMs = performance.now();
    writeCommit(journal, round);
    longestMs = Math.max(longestMs, performance.now() - beganMs);
    largestBytes = Math.max(largestBytes, journal.walBytes());
  }
  reader.postMessage('end');
  const [reads] = (await once(reader, 'message')) as [number];
  t.diagnostic(
    `${reads} reads, at most ${(largestBytes / 2 ** 20).toFixed(1)} MiB of WAL, ${longestMs.toFixed(1)} ms for a commit`,
  );
  assert.ok(reads >= 20, `${reads} reads`);
  assert.ok(largestBytes <= MAX_WAL_BYTES, `${largestBytes} bytes of WAL`);
});

test('passes copy what is committed, leave little alone, and what they leave is still there', async (t) => {
  const directory = temporaryDirectory(t);
  assert.throws(() => Checkpointer.open(directory), /no such state/);
  const journal = Journal.open(directory);
  const checkpointer = Checkpointer.open(directory, { walTargetBytes: WAL_TARGET_BYTES });
  assert.equal(checkpointer.poll(), 'none', 'too little to be worth a pass');
  for (let round = 1; round <= 100; round++) writeCommit(journal, round);
  assert.equal(checkpointer.poll(), 'made');
  assert.equal(checkpointer.poll(), 'none', 'the pass copied everything');
  writeCommit(journal, 101);
  journal.sync();
  const expected = journal.store.list(5, 0, 1_000);
  journal.abandon();
  checkpointer.close();

  const reopened = Journal.open(directory);
  t.after(() => reopened.close());
  assert.equal(reopened.foldedLsn, 101);
  assert.deepEqual(reopened.store.list(5, 0, 1_000), expected);
  reopened.commit(102);
  assert.deepEqual(checkState(reopened.db), []);
});

test('an error of the checkpoint thread is told, not swallowed', async (t) => {
  const directory = temporaryDirectory(t);
  const told = new Promise<Error>((resolve) => {
    const thread = startCheckpointThread(directory, resolve);
    t.after(() => thread.stop());
  });
  assert.match((await told).message, /no such state/);
});

function isOpenAs(fd: string, path: string): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`) === path;
  } catch {
    return false; // it was closed meanwhile
  }
}

test('a checkpoint thread that is abandoned takes the log with it when all others have closed the state', async (t) => {
  const directory = temporaryDirectory(t);
  const journal = Journal.open(directory);
  const openCount = (): number =>
    readdirSync('/proc/self/fd').filter((fd) => isOpenAs(fd, statePath(directory))).length;
  const before = openCount();
  const thread = startCheckpointThread(directory, (error) => assert.fail(error));
  writeCommit(journal, 1);
  while (openCount() < before + 2) await new Promise((resolve) => setTimeout(resolve, 10));
  journal.close();
  assert.ok(statSync(walPath(statePath(directory))).size > 0);
  thread.abandon();
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.ok(statSync(walPath(statePath(directory))).size > 0);
});
