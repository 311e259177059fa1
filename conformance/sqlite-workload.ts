// sqlite-workload.ts — run as a program: `sqlite-workload write|check FILE [JOURNAL_MODE]`. Fills an SQLite database, or checks one.
// A process of its own: SQLite's calls block, and a mount whose daemon hangs must not take the test down with it.

import Database from 'better-sqlite3';

const ROWS = 500;

const [command, file, journalMode] = process.argv.slice(2);
if (file === undefined) throw new Error('usage: sqlite-workload write|check FILE [JOURNAL_MODE]');
const database = new Database(file);
if (command === 'write') {
  const mode = database.pragma(`journal_mode = ${journalMode}`, { simple: true });
  if (mode !== journalMode) throw new Error(`journal_mode is ${String(mode)}, asked for ${journalMode}`);
  database.exec(
    'CREATE TABLE event (id INTEGER PRIMARY KEY, name TEXT NOT NULL, body BLOB); CREATE INDEX by_name ON event (name)',
  );
  const insert = database.prepare('INSERT INTO event (name, body) VALUES (?, randomblob(900))');
  for (let batch = 0; batch < 10; batch++) {
    database.transaction(() => {
      for (let row = 0; row < ROWS / 10; row++) insert.run(`event ${batch}/${row}`);
    })();
  }
  database.exec("BEGIN; DELETE FROM event; ROLLBACK; DELETE FROM event WHERE name LIKE 'event 9/%'; VACUUM");
} else if (command !== 'check') {
  throw new Error(`unknown command ${command}`);
}
const problems = database.pragma('integrity_check', { simple: true });
const { rows } = database.prepare('SELECT count(*) AS rows FROM event').get() as { rows: number };
database.close();
if (problems !== 'ok') throw new Error(`integrity_check: ${String(problems)}`);
if (rows !== ROWS - ROWS / 10) throw new Error(`${rows} rows, expected ${ROWS - ROWS / 10}`);
