// flock.ts — flock(1) and fcntl locks between processes: exclusion, sharing, release by kill, a counter that loses no step.

import { command, type Program } from './program.js';

export const flock: Program = {
  name: 'flock',
  needs: [command('flock', 'util-linux'), command('python3')],
  run: async (place) => {
    await place.bash(`
      touch lock
      flock lock sleep 60 & holder=$!
      for try in $(seq 100); do flock -n lock true || break; sleep 0.02; done
      if flock -n lock true; then fail 'two exclusive locks'; fi
      if flock -n -s lock true; then fail 'a shared lock beside an exclusive one'; fi
      if flock -w 0.2 lock true; then fail 'a lock was given before its time'; fi
      # The child of flock(1) holds the descriptor too.
      kill -9 $(ps -o pid= --ppid $holder) $holder; wait $holder 2> /dev/null || true
      flock -w 5 lock true || fail 'a killed holder keeps its lock'
      flock -s lock flock -n -s lock true || fail 'two shared locks exclude each other'
      if flock -s lock flock -n lock true; then fail 'an exclusive lock beside a shared one'; fi

      echo 0 > counter
      count() { for n in $(seq 40); do flock lock bash -c 'echo $(($(cat counter) + 1)) > counter'; done; }
      for worker in 1 2 3 4; do count & done; wait
      test "$(cat counter)" = 160 || fail "160 steps under a lock counted $(cat counter)"

      python3 - <<'END'
import fcntl, os, multiprocessing
def work(number):
    for step in range(100):
        with open('ranges', 'r+b', buffering=0) as file:
            start = (number + step) % 4 * 8
            fcntl.lockf(file, fcntl.LOCK_EX, 8, start)          # one byte range of four
            file.seek(start)
            value = int.from_bytes(file.read(8), 'big')
            file.seek(start)
            file.write((value + 1).to_bytes(8, 'big'))
            fcntl.lockf(file, fcntl.LOCK_UN, 8, start)
with open('ranges', 'wb') as file: file.write(bytes(32))
workers = [multiprocessing.Process(target=work, args=(number,)) for number in range(4)]
for worker in workers: worker.start()
for worker in workers: worker.join()
with open('ranges', 'rb') as file: counts = [int.from_bytes(file.read(8), 'big') for _ in range(4)]
assert counts == [100] * 4, counts
END
    `);
  },
};
