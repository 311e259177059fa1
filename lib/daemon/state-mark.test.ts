import assert from 'node:assert/strict';
import fs, { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { CorruptionError } from '../codec/bytes.js';
import { Journal } from '../journal/journal.js';
import { statePath } from '../journal/schema.js';
import { lostCommits, readMark, StateMark } from './state-mark.js';

/** A state of this version that no commit was made in, and a mark of so many. */
function stateMarked(t: TestContext, commits: number): string {
  const directory = mkdtempSync(join(tmpdir(), 'weft-state-mark-'));
  t.after(() => rmSync(directory, { recursive: true }));
  Journal.open(directory).close();
  const mark = new StateMark(directory);
  mark.write(commits);
  mark.close();
  return directory;
}

function setVersion(directory: string, version: number): void {
  const journal = Journal.open(directory);
  journal.db.pragma(`user_version = ${version}`);
  journal.close();
}

test('a state that went back lacks commits', (t) => {
  assert.equal(lostCommits(stateMarked(t, 0)), 0);
  assert.ok(lostCommits(stateMarked(t, 1000)) > 0);
});

test('a state of an earlier version is asked for its commits before it is brought up to date', (t) => {
  const directory = stateMarked(t, 1);
  const lost = lostCommits(directory);
  setVersion(directory, 3);
  assert.equal(lostCommits(directory), lost);
});

test('a state of a later version is refused with what to do', (t) => {
  const directory = stateMarked(t, 1);
  setVersion(directory, 99);
  assert.throws(() => lostCommits(directory), /version 99 .*update weft/);
});

test('a state whose tables have no names that SQL can read is damaged, which can be repaired', (t) => {
  const directory = stateMarked(t, 1);
  const path = statePath(directory);
  const bytes = readFileSync(path);
  const at = bytes.indexOf('CREATE TABLE inode');
  assert.ok(at > 0);
  bytes[at + 'CREATE T'.length] = 0;
  writeFileSync(path, bytes);
  assert.throws(
    () => lostCommits(directory),
    (error) => error instanceof CorruptionError && error.message.includes('fsck --repair'),
  );
});

test('a full disk that has no room to write over what is there ends the daemon for the mark', (t) => {
  const directory = stateMarked(t, 1000);
  const mark = new StateMark(directory);
  t.after(() => mark.close());
  const fail = (code: string): void => {
    t.mock.method(fs, 'writeSync', () => {
      throw Object.assign(new Error(code), { code });
    });
    syncBuiltinESMExports();
  };
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  const before = readMark(directory);
  fail('ENOSPC');
  mark.write(2000);
  assert.equal(readMark(directory), before, 'an older one tells less, and nothing wrong');
  fail('EIO');
  assert.throws(() => mark.write(2000), { code: 'EIO' });
});
