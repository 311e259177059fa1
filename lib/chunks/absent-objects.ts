// absent-objects.ts — thrown where bytes are needed that this site knows of but does not hold. Not an error of the file: the
// caller's request waits until they came from a peer, or fails with EIO in bounded time.

import type { ObjectId } from '../crdt/ids.js';

export class AbsentObjects extends Error {
  readonly ids: readonly ObjectId[];
  constructor(ids: readonly ObjectId[]) {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    super(`${ids.length} objects are not held here, first ${ids[0]}`);
    Error.stackTraceLimit = limit;
    this.name = 'AbsentObjects';
    this.ids = ids;
  }
}
