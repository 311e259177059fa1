// sync-pacing.ts — how long commits may wait to share one sync of the disk.
// What a program asked to be durable does not wait for this: fsync(2) syncs the intent log. A commit must be durable before it is
// sent to a peer, so with one connected the first is synced at once, and a burst of them as often as leaves the disk to others.
// With none connected only a power loss is at stake, and the log's room.
// Pure: takes time as an argument.

/** Without a peer, a power loss may cost this much of what no program synced, ms; local filesystems allow themselves 5 to 30 s. */
const ALONE_MS = 1000;
/** In a burst, syncs take one part in this many of the time. */
const PARTS = 5;
/** … and are at most this far apart, ms. */
const LONGEST_PAUSE_MS = 50;

export class SyncPacing {
  private sinceMs = Infinity;
  private startedMs = 0;
  private endedMs = -Infinity;
  private tookMs = 0;
  private pressing = false;

  /** A commit was heard of. `pressing`: the intent log can hold little more until what is in it is durable. */
  committed(nowMs: number, pressing: boolean): void {
    this.sinceMs = Math.min(this.sinceMs, nowMs);
    this.pressing ||= pressing;
  }

  /** A sync of all commits heard of begins. */
  began(nowMs: number): void {
    this.startedMs = nowMs;
    this.sinceMs = Infinity;
    this.pressing = false;
  }

  ended(nowMs: number): void {
    this.endedMs = nowMs;
    this.tookMs = nowMs - this.startedMs;
  }

  /** How long the next sync may wait, ms; 0 or less: not at all. `linked`: a peer is connected. */
  mayWaitMs(nowMs: number, linked: boolean): number {
    if (this.pressing) return 0;
    if (!linked) return this.sinceMs + ALONE_MS - nowMs;
    return this.endedMs + Math.min(this.tookMs * (PARTS - 1), LONGEST_PAUSE_MS) - nowMs;
  }
}
