// small-base-batches.ts — small batches of inodes when a site takes the state of another one over (volume/base-transfer.ts), for the
// simulations of this process. A simulated site has some ten files: all would come in one batch.

import { BaseTransfer } from '../volume/base-transfer.js';

BaseTransfer.filesPerBatch = 2;
