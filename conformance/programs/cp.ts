// cp.ts — cp -a --reflink=auto --sparse=always, cp --sparse=never, install, mv across filesystems, dd over holes: same bytes, fewer blocks.

import { assertIsCopy, writeCopiedTree } from './copied-tree.js';
import { command, type Program } from './program.js';

export const cp: Program = {
  name: 'cp',
  needs: [command('cp', 'coreutils'), command('setfacl', 'acl'), command('setfattr', 'attr')],
  prepare: writeCopiedTree,
  run: async (place) => {
    await place.bash(`cp -a --reflink=auto --sparse=always "$INPUTS/tree" one`);
    await assertIsCopy(place, 'one');
    // From the place to itself: copy_file_range(2), SEEK_HOLE.
    await place.bash(`cp -a --reflink=auto --sparse=always one two; cp -a --reflink=auto one three`);
    await assertIsCopy(place, 'two');
    await assertIsCopy(place, 'three');
    await place.bash(`
      for copy in one two three; do
        test "$(du -k $copy/sparse | cut -f1)" -lt 1024 || fail "$copy/sparse takes $(du -k $copy/sparse) KiB"
        test "$(du -k $copy/holes | cut -f1)" -lt 700 || fail "$copy/holes takes $(du -k $copy/holes) KiB"
      done
      cp --sparse=never one/sparse dense
      cmp one/sparse dense
      test "$(du -k dense | cut -f1)" -ge 65536 || fail "a dense copy takes $(du -k dense) KiB"
      fallocate --dig-holes dense
      cmp one/sparse dense
      test "$(du -k dense | cut -f1)" -lt 1024 || fail "after fallocate -d it takes $(du -k dense) KiB"
      if cp --reflink=always one/large clone 2> /dev/null; then cmp one/large clone; else rm -f clone; fi
      dd if=one/large of=dd bs=64k conv=sparse status=none; cmp one/large dd
      dd if=one/large of=direct bs=4096 count=1000 oflag=direct status=none; cmp -n 4096000 one/large direct
      dd if=direct of=direct2 bs=4096 iflag=direct,fullblock status=none; cmp direct direct2
      cp -l one/large link; test one/large -ef link
      cp --backup=numbered one/empty direct; test -e direct.~1~
      if test $UID = 0; then owner=1234 group=2345; else owner=$UID group=$(id -g); fi
      install -m 4711 -o $owner -g $group one/large installed
      test "$(stat -c '%a %u %g' installed)" = "4711 $owner $group"
      mv two "$INPUTS/moved.$$"; mv "$INPUTS/moved.$$" two
    `);
    await assertIsCopy(place, 'two');
  },
};
