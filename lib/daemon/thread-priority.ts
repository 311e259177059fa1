// thread-priority.ts — while changes of other sites are merged on a busy machine, the thread that does it goes before what else keeps the
// processors busy, and rests in between.
// Why: it also answers the calls of programs. A thread that computes is no sleeper whom a call wakes: once others took its place, a call
// waits until it has its turn, tens of milliseconds. Nice values do not help where the kernel shares the processors between sessions first
// (sched_autogroup). So it becomes a real-time thread, and rests after each slice, so that others have theirs: never more than about two
// thirds of a processor. Where no thread waits for a processor, and at other times, it goes as all do: make -j4 became 4 % slower when it
// went before its compilers. Linux; needs CAP_SYS_NICE, and without it everything stays as it is.

import { closeSync, openSync, readSync } from 'node:fs';
import { availableParallelism, constants } from 'node:os';
import { setRealTime, SystemCallError } from '../fuse/system-calls.js';

/** The next changes, or the objects that they name, are under way: a merge is not over, ms. */
const LINGER_MS = 1000;
/** So long a machine counts as busy, ms. */
const BUSY_MS = 100;
/** About half of what a slice with its commit takes, ms. */
const REST_MS = 2;

/** How many threads of the machine run or would, proc_loadavg(5): the number before the slash. */
export class RunningThreads {
  private readonly fd = openSync('/proc/loadavg', 'r');
  private readonly text = Buffer.alloc(64);

  /** Some µs. */
  count(): number {
    const text = this.text.toString('latin1', 0, readSync(this.fd, this.text, 0, this.text.length, 0));
    return Number.parseInt(text.slice(text.lastIndexOf(' ', text.indexOf('/'))), 10);
  }

  close(): void {
    closeSync(this.fd);
  }
}

/** Of the thread that makes it. */
export class ThreadPriority {
  private readonly processors = availableParallelism();
  private raised = false;
  private refused = false;
  private mergesUntilMs = -Infinity;
  private busyUntilMs = -Infinity;

  /** @param running how many threads run or would */
  constructor(private readonly running: () => number) {}

  /** To be told before each slice: `waiting`, whether changes of others wait. */
  merges(waiting: boolean, nowMs: number): void {
    if (waiting) this.mergesUntilMs = nowMs + LINGER_MS;
    const merges = nowMs < this.mergesUntilMs;
    if (merges && this.running() > this.processors) this.busyUntilMs = nowMs + BUSY_MS;
    this.raise(merges && nowMs < this.busyUntilMs);
  }

  /** It goes as all do from now on. */
  end(): void {
    this.raise(false);
  }

  /** How long to leave the processor to others before the next slice, ms. */
  get restMs(): number {
    return this.raised ? REST_MS : 0;
  }

  private raise(wanted: boolean): void {
    if (wanted === this.raised || this.refused) return;
    try {
      setRealTime(wanted);
      this.raised = wanted;
    } catch (error) {
      if (!(error instanceof SystemCallError && error.errno === constants.errno.EPERM)) throw error;
      this.refused = true;
    }
  }
}
