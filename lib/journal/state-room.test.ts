// What is allocated for commits on a disk that somebody else fills. Needs root: the disk is a small tmpfs, or a btrfs in a file.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  rmdirSync,
  statSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startCheckpointThread } from './checkpoint-thread.js';
import { Checkpointer } from './checkpointer.js';
import { Journal } from './journal.js';
import { checkState, openStateReader, shmPath, statePath, walPath } from './schema.js';
import { temporaryDirectory } from './temporary-directory.js';
import { SHORT_WAL_BYTES, SHORT_WAL_FILE_BYTES } from './wal.js';

const DISK_MIB = 96;

function smallDisk(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'weft-journal-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MIB}m`, 'weft-state-room', directory]);
  t.after(() => {
    execFileSync('umount', ['--lazy', directory]);
    rmdirSync(directory);
  });
  return directory;
}

function lacksBtrfs(): string | false {
  if (!/\tbtrfs$/m.test(readFileSync('/proc/filesystems', 'utf8'))) return 'needs a kernel with btrfs';
  return existsSync('/dev/loop-control') ? false : 'needs loop devices';
}

/** A disk of btrfs, which writes elsewhere what is written over. */
function copyingDisk(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'weft-journal-'));
  const [image, mountpoint] = [join(directory, 'image'), join(directory, 'disk')];
  mkdirSync(mountpoint);
  execFileSync('truncate', ['--size', '256M', image]);
  execFileSync('mkfs.btrfs', ['--quiet', image]);
  execFileSync('mount', ['-o', 'loop', image, mountpoint]);
  t.after(() => {
    execFileSync('umount', ['--lazy', mountpoint]);
    rmSync(directory, { recursive: true });
  });
  return mountpoint;
}

/** Takes every block that is left. */
function fill(directory: string): string {
  const other = join(directory, 'other');
  assert.throws(() => writeFileSync(other, Buffer.alloc(DISK_MIB << 20)), { code: 'ENOSPC' });
  assert.equal(statfsSync(directory).bfree, 0);
  return other;
}

/** Likewise where a write that has no room gives some back, and finds some again later. */
function fillInParts(directory: string): void {
  let parts = 0;
  for (let bytes = 256 << 20; bytes >= 4 << 10; bytes >>= 1) {
    const writeParts = (): void => {
      for (;;) writeFileSync(join(directory, `other-${parts++}`), Buffer.alloc(bytes), { flush: true });
    };
    assert.throws(writeParts, { code: 'ENOSPC' });
  }
}

/** Entries that no commit before had: the database grows by them. */
function writeCommit(journal: Journal, round: number): void {
  for (let i = 0; i < 200; i++) {
    const n = round * 200 + i;
    journal.store.setDirent({ parent: n % 100, name: `file-${n}`, ino: n + 1, link: round, type: 8 });
  }
  journal.commit(round);
}

test('commits fail on a full disk while there is room that was allocated for them', (t) => {
  const directory = smallDisk(t);
  const journal = Journal.open(directory);
  journal.shortenWal(true);
  const checkpointer = Checkpointer.open(directory);
  checkpointer.shorten(true);
  let round = 1;
  while (journal.walBytes() < SHORT_WAL_BYTES / 4) writeCommit(journal, round++);
  checkpointer.poll();
  assert.equal(checkpointer.keepRoom(), undefined);
  const other = fill(directory);

  const passes = new Set<string>();
  let largestWalBytes = 0;
  for (; journal.walRoomBytes() > 1 << 20; round++) {
    writeCommit(journal, round);
    journal.relax();
    passes.add(checkpointer.poll());
    largestWalBytes = Math.max(largestWalBytes, journal.walBytes());
  }
  assert.ok(passes.has('made'), 'the database had room to grow');
  assert.ok(passes.has('lacksRoom'), 'until that was taken');
  // More than 4,096 frames: the index of the log took a further block.
  assert.ok(largestWalBytes > 4_096 * 4_120, `${largestWalBytes} bytes of the log`);

  rmSync(other);
  assert.equal(checkpointer.poll(), 'made');
  writeCommit(journal, round);
  journal.close();
  checkpointer.close();
  const reader = openStateReader(statePath(directory));
  t.after(() => reader.close());
  assert.deepEqual(checkState(reader), []);
  const entries = reader.prepare('select count(*) from dirent').pluck().get();
  assert.equal(entries, round * 200);
});

test('commits fail on a full btrfs', { skip: lacksBtrfs() }, (t) => {
  const directory = copyingDisk(t);
  const state = join(directory, 'state');
  const journal = Journal.open(state);
  const checkpointer = Checkpointer.open(state);
  writeCommit(journal, 1);
  checkpointer.poll();
  assert.equal(checkpointer.keepRoom(), undefined);
  fillInParts(directory);
  let round = 2;
  for (; journal.walRoomBytes() > 1 << 20; round++) writeCommit(journal, round);
  assert.ok(round > 20, `room for ${round - 1} commits`);
  checkpointer.close();
  journal.close();
});

test('commits have no room for ten seconds after a full disk has some again', async (t) => {
  const directory = smallDisk(t);
  const journal = Journal.open(directory);
  const other = fill(directory);
  const errors: Error[] = [];
  const thread = startCheckpointThread(directory, (error) => errors.push(error));
  await sleep(500);
  assert.ok(journal.walRoomBytes() < 1 << 20, 'it got room on a full disk: this shows nothing');
  rmSync(other);
  for (const endMs = performance.now() + 4_000; journal.walRoomBytes() < 8 << 20; await sleep(20))
    assert.ok(performance.now() < endMs, 'within 4 s');
  await thread.stop();
  journal.close();
  assert.deepEqual(errors, []);
});

test('what was allocated for commits is still taken once the state is closed', (t) => {
  const directory = temporaryDirectory(t);
  const journal = Journal.open(directory);
  const checkpointer = Checkpointer.open(directory);
  const blocksOf = (path: string): number => statSync(path).blocks * 512;
  const path = statePath(directory);
  assert.equal(checkpointer.keepRoom(), undefined);
  assert.ok(blocksOf(path) >= statSync(path).size + (8 << 20));
  assert.ok(blocksOf(shmPath(path)) >= 1 << 20);
  for (const close of [() => checkpointer.close(), () => journal.close()]) close();
  assert.ok(blocksOf(path) <= statSync(path).size + 4096, `${blocksOf(path)} bytes for ${statSync(path).size}`);
});

test("SQLite's log keeps a hundred megabytes of a disk that is nearly full", (t) => {
  const directory = temporaryDirectory(t);
  const journal = Journal.open(directory);
  t.after(() => journal.close());
  const checkpointer = Checkpointer.open(directory);
  t.after(() => checkpointer.close());
  const sizeBytes = (): number => statSync(walPath(statePath(directory))).size;
  let round = 1;
  while (sizeBytes() < 2 * SHORT_WAL_FILE_BYTES) writeCommit(journal, round++);
  assert.equal(checkpointer.poll(), 'none', 'on a disk that has room it is nothing');

  journal.shortenWal(true);
  checkpointer.shorten(true);
  assert.equal(checkpointer.poll(), 'made');
  journal.relax();
  for (const _ of [1, 2]) writeCommit(journal, round++);
  assert.ok(journal.walBytes() < SHORT_WAL_BYTES);
  assert.ok(sizeBytes() <= SHORT_WAL_FILE_BYTES, `${sizeBytes()} bytes`);
});
