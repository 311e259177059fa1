// rsync.ts — rsync -aHAX onto the place and back, with checksums; then in place, by delta, with deletions, as a backup with --link-dest.

import { assertIsCopy, writeCopiedTree } from './copied-tree.js';
import { command, type Program } from './program.js';

export const rsync: Program = {
  name: 'rsync',
  needs: [command('rsync'), command('setfacl', 'acl'), command('setfattr', 'attr')],
  prepare: writeCopiedTree,
  run: async (place) => {
    await place.bash(`
      rsync -aHAX --sparse --checksum --numeric-ids "$INPUTS/tree/" there/
      test -z "$(rsync -naHAXi --checksum --delete --numeric-ids "$INPUTS/tree/" there/)" || fail 'a second run finds differences:' \\
        "$(rsync -naHAXi --checksum --delete --numeric-ids "$INPUTS/tree/" there/ | head)"
    `);
    await assertIsCopy(place, 'there');
    await place.bash(`
      rsync -aHAX --sparse --checksum --numeric-ids there/ back/
      test -z "$(rsync -naHAXi --checksum --delete --numeric-ids "$INPUTS/tree/" back/)" || fail 'something was lost on the way back'

      # Delta: a few bytes of a large file; by rename, and in place. Without --checksum a change within the same second is none.
      printf 'changed' | dd of=there/large bs=1 seek=1000000 conv=notrunc status=none
      rsync -aHAX --checksum --no-whole-file --numeric-ids there/ back/
      cmp there/large back/large
      inode=$(stat -c %i back/large)
      printf 'again' | dd of=there/large bs=1 seek=3000000 conv=notrunc status=none
      rsync -aHAX --checksum --no-whole-file --inplace --numeric-ids there/ back/
      cmp there/large back/large
      test "$inode" = "$(stat -c %i back/large)" || fail '--inplace made another inode'
      echo 'appended' >> there/large
      rsync -a --append-verify there/large back/large
      cmp there/large back/large

      # A backup by hard links: what did not change is one inode.
      rsync -aHAX --numeric-ids --link-dest="$PWD/back" there/ backup1/
      test back/large -ef backup1/large || fail '--link-dest copied an unchanged file'
      rm -r there/real there/links; echo new > there/new
      rsync -aHAX --numeric-ids --delete --link-dest="$PWD/backup1" there/ backup2/
      test -z "$(rsync -naHAXi --checksum --delete --numeric-ids there/ backup2/)"
      test -e backup1/links/one -a ! -e backup2/links
    `);
  },
};
