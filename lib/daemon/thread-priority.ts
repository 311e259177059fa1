// thread-priority.ts — while changes of other sites are merged on a busy machine, the thread that does it goes before what else keeps the
// processors busy, and rests in between.
// Why: it also answers the calls of programs. A thread that computes is no sleeper whom a call wakes: once others took its place, a call
// waits until it has its turn, tens of milliseconds. Nice values do not help where the kernel shares the processors between sessions first
// (sched_autogroup). So it becomes a real-time thread, and rests after each slice, so that others have theirs: never more than about two
// thirds of a processor, and less where it has to wait itself, which only other such threads bring about: many sites that merge on one
// machine leave something to others, too. Where no thread waits for a processor, and at other times, it goes as all do: make -j4 became
// 4 % slower when it went before its compilers. Linux; needs CAP_SYS_NICE, and without it everything stays as it is.

import { closeSync, openSync, readSync } from 'node:fs';
import { availableParallelism, constants } from 'node:os';
import { setRealTime, SystemCallError } from '../fuse/system-calls.js';

/** The next changes, or the objects that they name, are under way: a merge is not over, ms. */
const LINGER_MS = 1000;
/** So long a machine counts as busy, ms. */
const BUSY_MS = 100;
/** About half of what a slice with its commit takes, ms. */
const REST_MS = 2;

/** Of the time that it had to wait for a processor it adds so many times to its rest … */
const BACK_OFF = 4;
/** … and rests at most so long, ms. A request ends the rest. */
const LONGEST_REST_MS = 50;

/** How busy the processors are, as the kernel says to the thread that makes this. Each look takes some µs. */
export class Load {
  private readonly loadavg = openSync('/proc/loadavg', 'r');
  private readonly schedstat = openSync('/proc/thread-self/schedstat', 'r');
  private readonly text = Buffer.alloc(128);

  /** How many threads of the machine run or would: proc_loadavg(5), the number before the slash. */
  running(): number {
    const text = this.read(this.loadavg);
    return Number.parseInt(text.slice(text.lastIndexOf(' ', text.indexOf('/'))), 10);
  }

  /** How long this thread waited for a processor in all, ms: Documentation/scheduler/sched-stats.rst, the second number. */
  waitedMs(): number {
    return Number(this.read(this.schedstat).split(' ')[1]) / 1e6;
  }

  close(): void {
    closeSync(this.loadavg);
    closeSync(this.schedstat);
  }

  private read(fd: number): string {
    return this.text.toString('latin1', 0, readSync(fd, this.text, 0, this.text.length, 0));
  }
}

/** Of the thread that makes it. */
export class ThreadPriority {
  private readonly processors = availableParallelism();
  private raised = false;
  private refused = false;
  private mergesUntilMs = -Infinity;
  private busyUntilMs = -Infinity;
  private waitedMs = 0;
  /** How long to leave the processor to others before the next slice, ms. */
  restMs = 0;

  constructor(private readonly load: Pick<Load, 'running' | 'waitedMs'>) {}

  /** To be told before each slice: `waiting`, whether changes of others wait. */
  merges(waiting: boolean, nowMs: number): void {
    if (waiting) this.mergesUntilMs = nowMs + LINGER_MS;
    const merges = nowMs < this.mergesUntilMs;
    if (merges && this.load.running() > this.processors) this.busyUntilMs = nowMs + BUSY_MS;
    const wasRaised = this.raised;
    this.raise(merges && nowMs < this.busyUntilMs);
    this.restMs = this.raised ? Math.min(REST_MS + BACK_OFF * this.waited(wasRaised), LONGEST_REST_MS) : 0;
  }

  /** Since the last call, as a real-time thread. */
  private waited(wasRaised: boolean): number {
    const before = this.waitedMs;
    this.waitedMs = this.load.waitedMs();
    return wasRaised ? this.waitedMs - before : 0;
  }

  /** It goes as all do from now on. */
  end(): void {
    this.raise(false);
    this.restMs = 0;
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
