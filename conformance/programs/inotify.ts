// inotify.ts — inotifywait(1) sees every local change, in order, under the name and in the directory where it happened.

import { command, type Program } from './program.js';

export const inotify: Program = {
  name: 'inotify',
  needs: [command('inotifywait', 'inotify-tools')],
  run: async (place) => {
    await place.bash(`
      mkdir -p tree/sub
      : > events
      inotifywait -q -m -r --format '%e %w%f' -e create,modify,close_write,moved_from,moved_to,delete,attrib tree >> events 2> said &
      watcher=$!
      trap 'kill $watcher 2> /dev/null || true' EXIT
      # There is no other sign that it watches than that it sees something.
      for try in $(seq 200); do touch tree/ready; grep -q ready events && break; sleep 0.02; done
      rm tree/ready; for try in $(seq 200); do grep -q 'DELETE tree/ready' events && break; sleep 0.02; done
      : > events
      echo one > tree/file
      echo two >> tree/file
      chmod 600 tree/file
      mv tree/file tree/sub/moved
      ln tree/sub/moved tree/hard
      mkdir tree/new
      mv tree/new tree/renamed
      ln -s nowhere tree/soft
      rm tree/hard tree/sub/moved tree/soft; rmdir tree/renamed
      for try in $(seq 200); do grep -q 'DELETE,ISDIR tree/renamed' events && break; sleep 0.02; done
      # Writes may come together; a removed link tells those who watch its inode (ATTRIB), which is local detail.
      grep -v ATTRIB events | uniq > seen || true
      cat > expected <<'END'
CREATE tree/file
MODIFY tree/file
CLOSE_WRITE,CLOSE tree/file
MODIFY tree/file
CLOSE_WRITE,CLOSE tree/file
MOVED_FROM tree/file
MOVED_TO tree/sub/moved
CREATE tree/hard
CREATE,ISDIR tree/new
MOVED_FROM,ISDIR tree/new
MOVED_TO,ISDIR tree/renamed
CREATE tree/soft
DELETE tree/hard
DELETE tree/sub/moved
DELETE tree/soft
DELETE,ISDIR tree/renamed
END
      grep -q 'ATTRIB tree/file' events || fail 'chmod was not seen'
      diff expected seen
    `);
  },
};
