// tree-exerciser.ts — random operations on a tree, every result and errno compared with a model (tree-model.ts); four processes at once,
// each in a directory of its own, all of them also moving files through one that they share.

import { type Program } from './program.js';

const OPERATIONS = 6000;

export const treeExerciser: Program = {
  name: 'tree-exerciser',
  needs: [],
  run: async (place) => {
    await place.bash('mkdir shared own1 own2 own3 own4');
    const ends = await Promise.allSettled(
      [1, 2, 3, 4].map((number) =>
        place.node(
          'exercise-tree.js',
          place.at(`own${number}`),
          place.at('shared'),
          String(place.seed + number),
          String(OPERATIONS),
        ),
      ),
    );
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    await place.bash(`
      # A directory's link count: its own two and one of each subdirectory.
      find . -type d -print0 | while IFS= read -r -d '' directory; do
        below=$(find "$directory" -mindepth 1 -maxdepth 1 -type d -printf x)
        test "$(stat -c %h "$directory")" = $((\${#below} + 2)) || fail "link count of $directory"
      done
    `);
  },
};
