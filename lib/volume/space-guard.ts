// space-guard.ts — refuses changes while the disk that holds the state is nearly full.
// Why before and not at the failing write: an operation that was logged must also fit into the database, and what frees space
// (unlink, truncate, punching holes) needs some itself. So a reserve is kept that only those may use. Other programs may take that,
// too: then what was allocated for the commits is for those, and when little is left of it they fail as well. Of a quota statfs(2) says
// nothing: that it is used up shows when commits get no more of the disk.

import { isScarce, leftOf, roomBesideReserve } from '../disk-reserve.js';
import { type ErrnoCode, posixError } from '../errno.js';
import type { Journal } from '../journal/journal.js';

const CHECK_EVERY_MS = 500;
const AMPLE_BYTES = 4 * 2 ** 30;
/** Other programs may fill what is not ample from one look to the next. */
const CHECK_SCARCE_EVERY_MS = 50;
/** Of the reserve. */
const CHANGES_BYTES = 32 * 2 ** 20;
/** With less than this the disk is as good as full for what a commit needs. */
const FULL_BYTES = 4 * 2 ** 20;
/** Of what is allocated for commits: for those of what was acknowledged, and of what nobody asks for. */
const COMMITS_BYTES = 4 * 2 ** 20;

export class SpaceGuard {
  private checkedMs = -Infinity;
  /** Beside the reserve, when it was last looked at, less what was taken since. Less than 0: a part of the reserve is taken. */
  private roomBytes = 0;
  /** Why commits get no more of the disk, if they do not. */
  private refusalAtLook: ErrnoCode | undefined;
  private scarceAtLook = false;

  constructor(
    private readonly directory: string,
    private readonly monotonicMs: () => number,
    private readonly journal: Pick<Journal, 'shortenWal' | 'walRoomBytes' | 'takeWalRoom'>,
  ) {}

  /**
   * @param bytes what is about to be taken of the disk, or more
   * @param exactly how much of that it is: asked only where there is not ample room
   * @throws PosixError ENOSPC, EDQUOT
   */
  check(bytes = 0, exactly?: () => number): void {
    if (!this.hasRoom(bytes) && exactly) bytes = exactly();
    if (this.roomBytes < bytes) throw posixError(this.refusalAtLook ?? 'ENOSPC');
    this.roomBytes -= bytes;
  }

  /**
   * For what changes something that is there, which takes little: a part of the reserve is for that, too. The rest is for what frees space.
   * @throws PosixError ENOSPC, EDQUOT
   */
  checkChange(): void {
    if (this.isStale) this.look();
    if (this.roomBytes < -CHANGES_BYTES) throw posixError(this.refusalAtLook ?? 'ENOSPC');
  }

  /**
   * For what frees space.
   * @throws PosixError ENOSPC, EDQUOT
   */
  checkRemoval(): void {
    if (this.isFull && this.journal.walRoomBytes() < COMMITS_BYTES) throw posixError(this.refusalAtLook ?? 'ENOSPC');
  }

  /** Whether so much fits beside the reserve. */
  hasRoom(bytes: number): boolean {
    if (this.isStale || this.roomBytes < bytes) this.look();
    return this.roomBytes >= bytes;
  }

  /** Whether there is so much room that a writer who is not asked between two writes will hardly come to the reserve. */
  get isAmple(): boolean {
    if (this.isStale) this.look();
    return this.roomBytes >= AMPLE_BYTES;
  }

  /** Whether commits get no more of the disk than what is allocated for them: then each must be small. */
  get isFull(): boolean {
    if (this.isStale) this.look();
    return this.refusalAtLook !== undefined;
  }

  private get isStale(): boolean {
    return this.monotonicMs() - this.checkedMs >= (this.scarceAtLook ? CHECK_SCARCE_EVERY_MS : CHECK_EVERY_MS);
  }

  private look(): void {
    this.checkedMs = this.monotonicMs();
    this.roomBytes = roomBesideReserve(this.directory);
    const isFull = leftOf(this.roomBytes) < FULL_BYTES;
    this.refusalAtLook = isFull ? 'ENOSPC' : this.journal.takeWalRoom(2 * COMMITS_BYTES);
    if (this.refusalAtLook && !isFull) this.roomBytes = -Infinity;
    const scarce = isScarce(this.roomBytes);
    if (scarce !== this.scarceAtLook) this.journal.shortenWal(scarce);
    this.scarceAtLook = scarce;
  }
}
