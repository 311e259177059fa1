// timeline.ts — simulated time: what happens when, one thing at a time.
// Invariant: events happen in the order of their times, those of one time in the order in which they were planned; the promises that
// an event settles have had their effect before the next event. Nothing here reads the machine's clock.

interface Planned {
  readonly atMs: number;
  readonly order: number;
  readonly fire: () => void;
  cancelled: boolean;
}

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
  async run(forMs: number): Promise<void> {
    const untilMs = this.nowMs + forMs;
    await promisesSettled();
    for (let event = this.heap[0]; event && event.atMs <= untilMs; event = this.heap[0]) {
      this.pop();
      if (event.cancelled) continue;
      this.nowMs = event.atMs;
      this.count++;
      event.fire();
      await promisesSettled();
    }
    this.nowMs = untilMs;
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

/** Promises among themselves need no input or output: all of them are through when the event loop gets its turn. */
function promisesSettled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
