// tar.ts — GNU tar there and back with ACLs, extended attributes, hard links and holes; incremental dumps.

import { assertIsCopy, writeCopiedTree } from './copied-tree.js';
import { command, type Program } from './program.js';

const FLAGS = "--acls --xattrs --xattrs-include='*' --sparse --numeric-owner --format=posix";

export const tar: Program = {
  name: 'tar',
  needs: [command('tar'), command('setfacl', 'acl'), command('setfattr', 'attr')],
  prepare: async (inputs) => {
    await writeCopiedTree(inputs);
    await inputs.bash(`tar -c ${FLAGS} -f tree.tar tree`);
  },
  run: async (place) => {
    await place.bash(`
      tar -x -p ${FLAGS} -f "$INPUTS/tree.tar"
      tar -d ${FLAGS} -f "$INPUTS/tree.tar"
      test "$(du -k tree/sparse | cut -f1)" -lt 1024 || fail "the sparse file takes $(du -k tree/sparse)"
    `);
    await assertIsCopy(place, 'tree');
    await place.bash(`
      mkdir back
      tar -c ${FLAGS} -f back/again.tar tree
      tar -x -p ${FLAGS} -C back -f back/again.tar
      rm back/again.tar
      for file in tree/large tree/modes; do
        getfacl -n -p "$file" | grep -q 1234 || fail "$file has lost its ACL"
        diff <(cd "$INPUTS"; getfacl -n "$file") <(cd back; getfacl -n "$file")
      done
    `);
    await assertIsCopy(place, 'back/tree');
    await place.bash(`
      # An incremental dump sees what changed by its times, and what was renamed or removed by the inode numbers of directories.
      mkdir -p live/old live/stays; echo 1 > live/old/a; echo 2 > live/stays/b
      tar -c -g snapshot -f 0.tar live
      sleep 0.05; mv live/old live/new; echo 3 > live/stays/c; rm live/stays/b
      tar -c -g snapshot -f 1.tar live
      mkdir restored; tar -x -g /dev/null -C restored -f 0.tar; tar -x -g /dev/null -C restored -f 1.tar
      diff -r live restored/live
    `);
  },
};
