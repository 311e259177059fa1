// tree-exerciser.ts — random operations on a tree, every result and errno compared with a model (tree-model.ts); four processes at once,
// each in a directory of its own, all of them also moving files through one that they share.

import { type Program } from './program.js';

const OPERATIONS = 6000;

export const treeExerciser: Program = {
  name: 'tree-exerciser',
  needs: [],
  rootOnly: true,
  run: async (place) => {
    await place.bash('mkdir shared own1 own2 own3 own4');
    await Promise.all(
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
    await place.bash(`
      find . > /dev/null
      for directory in $(find . -type d); do
        # A directory's link count: its own two and one of each subdirectory.
        test "$(stat -c %h $directory)" = $(($(find $directory -mindepth 1 -maxdepth 1 -type d | wc -l) + 2)) || fail "link count of $directory"
      done
    `);
  },
};
