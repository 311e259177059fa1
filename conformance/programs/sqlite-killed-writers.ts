// sqlite-killed-writers.ts — run as a program: `sqlite-killed-writers JOURNAL FILE SEED`. Writers in processes of their own move amounts
// between accounts and say what was committed; they are killed, and the rest is checked: the sum, and every acknowledged commit.
// As `… write FILE NUMBER`: one such writer.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';

const ROUNDS = 6;
const WRITERS = 3;
const ACCOUNTS = 400;
const BALANCE = 1000;
/** Commits of all writers together, after which one is killed. */
const COMMITS_PER_ROUND = 120;

function open(file: string): Database.Database {
  const database = new Database(file, { timeout: 60_000 });
  database.pragma('synchronous = FULL');
  return database;
}

/** Never ends by itself. Prints one line per commit, after it. */
function write(file: string, writer: number): void {
  const database = open(file);
  const move = database.prepare('UPDATE account SET balance = balance + ?, note = randomblob(?) WHERE id = ?');
  const log = database.prepare('INSERT INTO done (writer, step, body) VALUES (?, ?, randomblob(?))');
  const last = database.prepare('SELECT coalesce(max(step), 0) AS step FROM done WHERE writer = ?');
  const transfer = database.transaction((step: number): void => {
    for (let part = 0; part < 4; part++) {
      const [from, to] = [(step * 7 + part * 31 + writer) % ACCOUNTS, (step * 13 + part * 17) % ACCOUNTS];
      move.run(-1, (step * 37) % 2000, from);
      move.run(1, (step * 53) % 300, to);
    }
    log.run(writer, step, (step * 91) % 3000);
  });
  for (let step = (last.get(writer) as { step: number }).step + 1; ; step++) {
    transfer.immediate(step);
    process.stdout.write(`${step}\n`);
  }
}

/** Resolves to the last step that the writer said was committed. */
async function killedWriter(
  file: string,
  writer: number,
  countCommit: () => void,
  ended: AbortSignal,
): Promise<number> {
  const child = spawn(process.execPath, [import.meta.filename, 'write', file, String(writer)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  ended.addEventListener('abort', () => child.kill('SIGKILL'));
  let last = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    last = Number(line);
    countCommit();
  }
  await closed;
  assert.equal(child.signalCode, 'SIGKILL', `writer ${writer} ended by itself with ${child.exitCode}`);
  return last;
}

async function drive(journal: string, file: string, seed: number): Promise<void> {
  let database = open(file);
  assert.equal(database.pragma(`journal_mode = ${journal}`, { simple: true }), journal);
  database.exec('CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL, note BLOB)');
  database.exec('CREATE TABLE done (writer INTEGER, step INTEGER, body BLOB, PRIMARY KEY (writer, step))');
  const insert = database.prepare('INSERT INTO account (id, balance) VALUES (?, ?)');
  database.transaction(() => {
    for (let id = 0; id < ACCOUNTS; id++) insert.run(id, BALANCE);
  })();
  database.close();
  for (let round = 0; round < ROUNDS; round++) {
    let commits = 0;
    const kill = new AbortController();
    const writers = Array.from({ length: WRITERS }, (_, writer) =>
      killedWriter(
        file,
        writer,
        () => {
          // The moment of the kill within a transaction is another in every round.
          if (++commits === COMMITS_PER_ROUND) void sleep((seed * 7 + round * 3) % 11).then(() => kill.abort());
        },
        kill.signal,
      ),
    );
    const acknowledged = await Promise.all(writers);
    database = open(file);
    assert.equal(database.pragma('integrity_check', { simple: true }), 'ok', `round ${round}`);
    const { sum } = database.prepare('SELECT sum(balance) AS sum FROM account').get() as { sum: number };
    assert.equal(sum, ACCOUNTS * BALANCE, `round ${round}: a transaction was applied in part`);
    for (const [writer, step] of acknowledged.entries()) {
      const found = database
        .prepare('SELECT coalesce(max(step), 0) AS step, count(*) AS count FROM done WHERE writer = ?')
        .get(writer);
      const { step: last, count } = found as { step: number; count: number };
      assert.ok(last >= step, `round ${round}: writer ${writer} committed ${step}, the database holds ${last}`);
      assert.equal(count, last, `round ${round}: writer ${writer} has gaps`);
    }
    database.close();
  }
}

const [mode, file, number] = process.argv.slice(2);
if (mode === undefined || file === undefined || number === undefined) {
  throw new Error('usage: sqlite-killed-writers JOURNAL FILE SEED | write FILE NUMBER');
}
if (mode === 'write') write(file, Number(number));
else await drive(mode, file, Number(number));
