// space-guard.ts — refuses changes while the disk that holds the state is nearly full.
// Why before and not at the failing write: an operation that was logged must also fit into the database, and what frees space
// (unlink, truncate) needs some itself. So a reserve is kept that only those may use.

import { isReserveNeeded } from '../chunks/disk-reserve.js';
import { posixError } from '../errno.js';

const CHECK_EVERY_MS = 500;
const AMPLE_BYTES = 4 * 2 ** 30;

export class SpaceGuard {
  private checkedMs = -Infinity;
  private full = false;
  private ample = false;

  constructor(
    private readonly directory: string,
    private readonly monotonicMs: () => number,
  ) {}

  /** @throws PosixError ENOSPC */
  check(): void {
    this.look();
    if (this.full) throw posixError('ENOSPC');
  }

  /** Whether there is so much room that a writer who is not asked between two writes will hardly come to the reserve. */
  get isAmple(): boolean {
    this.look();
    return this.ample;
  }

  private look(): void {
    const now = this.monotonicMs();
    if (now - this.checkedMs < CHECK_EVERY_MS) return;
    this.checkedMs = now;
    this.full = isReserveNeeded(this.directory);
    this.ample = !isReserveNeeded(this.directory, AMPLE_BYTES);
  }
}
