// small-removed-blocks.ts — small blocks of removed inodes (journal/removed-packing.ts), for the simulations of this process.
// A simulated site removes some ten files in its life, and drops their changes: none would ever be packed, nor come out of a block again.

import { Journal } from '../journal/journal.js';

const open = Journal.open.bind(Journal);
Journal.open = (directory, options) => open(directory, { ...options, removed: { perBlock: 2, waiting: 3 } });
