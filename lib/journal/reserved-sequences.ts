// reserved-sequences.ts — the numbers that a site gives its new inodes, within its slot: each once, whatever crashes.
// Invariant: a sequence is handed out only below a limit that survives power loss; a start goes on from that limit.

/** Reserved at a time; the most that a crash can leave unused. 2^39 of them last for two million crashes. */
const SPAN = 2 ** 18;

export class ReservedSequences {
  private limit: number;

  /** @param next the limit that is durable */
  constructor(private next: number) {
    this.limit = next;
  }

  /** Whether this state has not given it out yet. */
  isFresh(sequence: number): boolean {
    return sequence >= this.next;
  }

  take(): number {
    if (this.next >= this.limit) throw new Error(`no commit in ${SPAN / 2} inode numbers`);
    return this.next++;
  }

  /** Leaves out so many, of a share that comes to its end; to be committed before the next one is taken. */
  skip(count: number): void {
    this.next += count;
  }

  /** Goes on from here, in a share that none was given out of; to be committed before the next one is taken. */
  restart(at: number): void {
    this.next = at;
    this.limit = at;
  }

  /** The limit that the next commit is to make durable; as it is, where enough are left. */
  nextLimit(): number {
    return this.limit - this.next < SPAN / 2 ? this.next + SPAN : this.limit;
  }

  /** Whether a commit that says so is to be durable before {@link reserved}. */
  exceeds(limit: number): boolean {
    return limit > this.limit;
  }

  /** Up to here none will be handed out again after power loss. */
  reserved(limit: number): void {
    this.limit = limit;
  }

  /** What an orderly end leaves: none is wasted. */
  get unused(): number {
    return this.next;
  }
}
