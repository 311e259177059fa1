// sqlite.ts — SQLite under load: writers killed with SIGKILL in the middle of a transaction, again and again; no torn and no lost commit.
// Rollback journal and write-ahead log (which maps its index into memory and locks byte ranges of it), several processes at once.

import { command, type Program } from './program.js';

function sqlite(journal: 'delete' | 'truncate' | 'wal'): Program {
  return {
    name: `sqlite-${journal}`,
    needs: [command('sqlite3')],
    run: async (place) => {
      await place.node('sqlite-killed-writers.js', journal, place.at('database'), String(place.seed));
      await place.bash(`
        test "$(sqlite3 database 'PRAGMA integrity_check')" = ok
        sqlite3 database .dump > dump
        sqlite3 restored < dump
        diff <(sqlite3 restored .dump) dump
        sqlite3 database "VACUUM INTO 'vacuumed'"
        test "$(sqlite3 vacuumed 'PRAGMA integrity_check')" = ok
        diff <(sqlite3 vacuumed .dump) dump
        sqlite3 database ".backup backup"
        diff <(sqlite3 backup .dump) dump
      `);
    },
  };
}

export const sqliteRollback = sqlite('delete');
export const sqliteTruncate = sqlite('truncate');
export const sqliteWal = sqlite('wal');
