// file-exerciser.ts — random operations on one file against a model (file-exerciser.c): small files, large files, several at once.

import { join } from 'node:path';
import { projectRoot } from '../../scripts/sites/project-root.js';
import { command, type Program } from './program.js';

export const fileExerciser: Program = {
  name: 'file-exerciser',
  needs: [command('gcc')],
  prepare: async (inputs) => {
    const source = join(projectRoot(), 'conformance/programs/file-exerciser.c');
    await inputs.bash(`gcc -O2 -Wall -Wextra -o file-exerciser '${source}'`);
  },
  run: async (place) => {
    await place.bash(`
      exercise() { "$INPUTS/file-exerciser" "$1" "$2" "$3" "$4" || { echo "seed $2" >&2; return 1; }; }
      exercise tiny $SEED 4000 20000
      exercise small $((SEED + 1)) 4000 200000
      exercise large $((SEED + 2)) 1500 6000000
      running=()
      for n in 1 2 3 4; do exercise "one$n" $((SEED + 10 + n)) 1500 1000000 & running+=($!); done
      for pid in "\${running[@]}"; do wait $pid; done
    `);
  },
};
