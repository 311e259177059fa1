// postgresql.ts — a PostgreSQL cluster: initdb, pgbench, SIGKILL of the postmaster under load, recovery; then its own checks of every page,
// index and heap (data checksums, pg_amcheck), pgbench's sums, and a dump that restores to the same dump.

import { command, type Need, type Program } from './program.js';

const SERVER: Need = { probe: 'ls /usr/lib/postgresql/*/bin/initdb', debianPackage: 'postgresql' };

export const postgresql: Program = {
  name: 'postgresql',
  needs: [SERVER, command('runuser', 'util-linux'), command('pgrep', 'procps')],
  run: async (place) => {
    await place.bash(`
      PATH=$(ls -d /usr/lib/postgresql/*/bin | tail -1):$PATH
      # It refuses to run as root.
      if test $UID = 0; then user=postgres; chown $user .; as() { runuser -u $user -- "$@"; }
      else user=$UID; as() { "$@"; }; fi
      export PGHOST=$PWD PGUSER=postgres PGDATABASE=postgres PGCONNECT_TIMEOUT=10
      as initdb -D data --auth=trust -U postgres --data-checksums > /dev/null
      cat >> data/postgresql.conf <<END
listen_addresses = ''
unix_socket_directories = '$PWD'
max_wal_size = 64MB
checkpoint_timeout = 30s
END
      start() { as pg_ctl -D data -w -t 120 -l log start > /dev/null 2>&1 || { tail -30 log >&2; exit 1; }; }
      stop() { if test -e data/postmaster.pid; then as pg_ctl -D data -m immediate -w stop > /dev/null 2>&1 || true; fi; }
      trap stop EXIT
      start
      pgbench -q -i -s 5 > /dev/null 2>&1
      pgbench -n -c 4 -j 2 -t 250 > bench1 2>&1 || fail "$(tail bench1)"
      psql -qc 'CREATE TABLE acknowledged (n int PRIMARY KEY)'

      for round in 1 2 3; do
        pgbench -n -c 4 -j 2 -T 60 > /dev/null 2>&1 & load=$!
        (n=$(psql -Atc 'SELECT coalesce(max(n), 0) FROM acknowledged')
         while n=$((n + 1)); psql -qc "INSERT INTO acknowledged VALUES ($n)" 2> /dev/null; do echo $n > acknowledged; done) & inserts=$!
        sleep 2.$round
        postmaster=$(head -1 data/postmaster.pid)
        kill -9 $postmaster
        wait $load $inserts 2> /dev/null || true
        # Its children end by themselves once they miss it; before that a new one must not start.
        for try in $(seq 300); do kill -0 $postmaster 2> /dev/null || pgrep -u $user -f '^postgres: ' > /dev/null || break; sleep 0.1; done
        start
        grep -q 'database system was not properly shut down' log || fail 'nothing to recover from: the kill came too late'
        found=$(psql -Atc 'SELECT max(n) FROM acknowledged')
        test "$found" -ge "$(cat acknowledged)" || fail "round $round: insert $(cat acknowledged) was acknowledged, the last one found is $found"
        test "$(psql -Atc 'SELECT count(*) = max(n) FROM acknowledged')" = t || fail 'acknowledged inserts are missing'
        sums=$(psql -Atc 'SELECT (SELECT sum(abalance) FROM pgbench_accounts) = ALL (ARRAY[(SELECT sum(bbalance) FROM pgbench_branches),
          (SELECT sum(tbalance) FROM pgbench_tellers), (SELECT coalesce(sum(delta), 0) FROM pgbench_history)])')
        test "$sums" = t || fail "round $round: the sums of pgbench differ"
        : > log
      done

      psql -qc 'CREATE EXTENSION amcheck'
      pg_amcheck -d postgres --heapallindexed --rootdescend --parent-check > amcheck 2>&1 || fail "$(cat amcheck)"
      psql -q -c 'VACUUM FULL' -c 'REINDEX DATABASE postgres' -c CHECKPOINT
      pg_amcheck -d postgres --heapallindexed --rootdescend --parent-check > amcheck 2>&1 || fail "after VACUUM FULL: $(cat amcheck)"
      # Newer releases put a random key into each dump.
      dump() { pg_dump "$1" | grep -Ev '^.(un)?restrict '; }
      dump postgres > dump; createdb again; psql -q again < dump; dump again > dump2
      diff dump dump2 > differences || fail "the dump of a restored dump is another: $(head -5 differences)"
      # A tablespace is a symbolic link; dropping a database removes its directories.
      mkdir space; test $UID != 0 || chown $user space; psql -qc "CREATE TABLESPACE other LOCATION '$PWD/space'"
      psql -qc 'ALTER DATABASE again SET TABLESPACE other'; dump again | cmp - dump
      dropdb again; psql -qc 'DROP TABLESPACE other'
      as pg_ctl -D data -m fast -w stop > /dev/null
      trap - EXIT
      as pg_checksums --check -D data > checksums || fail "$(cat checksums)"
    `);
  },
};
