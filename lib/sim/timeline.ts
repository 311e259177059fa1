// timeline.ts — simulated time: what happens when, one thing at a time.
// Invariant: events happen in the order of their times, those of one time in the order in which they were planned; the promises that
// an event settles have had their effect before the next event. Nothing here reads the machine's clock.

interface Planned {
  readonly atMs: number;
  readonly order: number;
  readonly fire: () => void;
  cancelled: boolean;
}

/** Events before the event loop goes around. */
const TURNS = 16;

export class Timeline {
  /** Milliseconds since the simulation began. */
  nowMs = 0;
  /** Events that happened. */
  count = 0;
  /** A binary heap: the next event first. */
  private readonly heap: Planned[] = [];
  private planned = 0;

  /** Calls `fire` after so many simulated milliseconds; the result cancels it. */
  after(delayMs: number, fire: () => void): () => void {
    const event = { atMs: this.nowMs + Math.max(0, delayMs), order: this.planned++, fire, cancelled: false };
    this.push(event);
    return () => (event.cancelled = true);
  }

  /** Lets everything happen that is due within so many milliseconds. Whatever an event throws ends the run. */
  run(forMs: number): Promise<void> {
    const untilMs = this.nowMs + forMs;
    return new Promise((resolve, reject) => {
      let isOver = false;
      // Between two immediates all promises are settled that need no input or output. Several at a time: going once around the
      // event loop for each costs more than most events.
      const takeTurn = (): void => {
        if (isOver) return;
        const event = this.nextUntil(untilMs);
        isOver = event === undefined;
        try {
          event?.fire();
        } catch (error) {
          isOver = true;
          return reject(error as Error);
        }
        if (!isOver) return;
        this.nowMs = untilMs;
        resolve();
      };
      const takeTurns = (): void => {
        for (let i = 0; i < TURNS; i++) setImmediate(takeTurn);
        setImmediate(() => {
          if (!isOver) takeTurns();
        });
      };
      takeTurns();
    });
  }

  /** Time goes on to the next event, if it is due. */
  private nextUntil(untilMs: number): Planned | undefined {
    for (let event = this.heap[0]; event && event.atMs <= untilMs; event = this.heap[0]) {
      this.pop();
      if (event.cancelled) continue;
      this.nowMs = event.atMs;
      this.count++;
      return event;
    }
    return undefined;
  }

  private push(event: Planned): void {
    const { heap } = this;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (isBefore(heap[parent]!, event)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  private pop(): void {
    const { heap } = this;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (isBefore(last, heap[child]!)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Planned, b: Planned): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
