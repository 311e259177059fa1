// copied-tree.ts — the tree that archivers and copiers carry here and there, and the comparison of what arrived with it.
// Everything that they can preserve is in it: hard links, holes, ACLs, extended attributes, times to the nanosecond, names of any bytes.

import assert from 'node:assert/strict';
import { snapshotTree, treeDifferences, type TreeField } from '../../scripts/sites/tree-snapshot.js';
import { writeSourceTree } from '../source-tree.js';
import type { Place } from './program.js';

/** Writes it as `tree` into the inputs; with devices, and attributes that only root sees, where root does. */
export async function writeCopiedTree(inputs: Place): Promise<void> {
  writeSourceTree(inputs.at('tree'));
  await inputs.bash(`
    cd tree
    setfacl -m u:1234:rw,g:2345:r,m::rw large
    setfacl -m d:u:1234:rwx,d:o::- modes
    setfattr -n user.weft -v public empty
    if test $UID = 0; then setfattr -n trusted.weft -v secret empty; mknod null c 1 3; mknod loop b 7 99; fi
    # Many extents: a block of every 40, as holes that are worth keeping.
    for n in $(seq 0 40 3999); do dd if=/dev/urandom of=holes bs=4096 count=1 seek=$n conv=notrunc status=none; done
    mkfifo pipe
    # rsync compares some times by the second alone: nothing may be as new as its copy.
    find . -exec touch -h -d '2021-03-04 05:06:07.890123456' {} +
    touch -d '1960-02-03 04:05:06.123456789' empty
    touch -d '2100-02-03 04:05:06.987654321' links
  `);
}

/** Resolves when the copy is the tree; a copier that does not carry a field names it. */
export async function assertIsCopy(
  place: Place,
  copy: string,
  ignored: readonly TreeField[] = [],
  original = `${place.inputs}/tree`,
): Promise<void> {
  const differences = treeDifferences(
    { name: 'the original', tree: snapshotTree(original) },
    { name: 'the copy', tree: snapshotTree(place.at(copy)) },
    new Set<TreeField>(['inode', ...ignored]),
  );
  assert.deepEqual(differences, []);
  // The snapshot knows hard links by their count alone.
  await place.bash(`
    cd ${copy}
    test links/one -ef links/two && test links/one -ef links/deep/three || fail 'hard links were copied as files'
  `);
}
