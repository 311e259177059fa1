// channel.ts — reads requests from /dev/fuse and writes replies to it, without an event loop.
// One thread reads. Notices are written by another thread on the same descriptor (notifier.ts); the kernel takes each write(2) whole.
// What the error numbers of the device mean: fs/fuse/dev.c, fuse_dev_do_read and fuse_dev_do_write.

import { constants } from 'node:os';

import { type IdleLatency, RELEASE_AFTER_MS } from './idle-latency.js';
import { MAX_TRANSFER_BYTES } from './init.js';
import { SpinBudget } from './spin-budget.js';
import { Poll, read, SystemCallError, write, yieldProcessor } from './system-calls.js';
import type { Wake } from './wake.js';

const { EAGAIN, EINTR, ENODEV, ENOENT } = constants.errno;

/** The kernel wants room for a WRITE of the largest size with its headers; a page more keeps the data of that WRITE from the end. */
export const REQUEST_BUFFER_BYTES = MAX_TRANSFER_BYTES + 8192;

/** No request waits. */
export const NOTHING = 0;
/** The mount is gone: there will be no further request. */
export const ENDED = -1;

/** Among the descriptors that are polled. */
const DEVICE = 0;

export class Channel {
  /** Where {@link receive} puts requests. */
  readonly request: Buffer = Buffer.allocUnsafeSlow(REQUEST_BUFFER_BYTES);
  private readonly fd: number;
  private readonly wake: Wake;
  private readonly latency: IdleLatency | null;
  private readonly poll: Poll;
  private readonly spin = new SpinBudget();
  private lastReplyMs = performance.now();

  /** @param latency null: processors sleep as they like between two calls */
  constructor(fd: number, wake: Wake, latency: IdleLatency | null) {
    this.fd = fd;
    this.wake = wake;
    this.latency = latency;
    this.poll = new Poll([fd, wake.fd]);
  }

  /** Reads one request without waiting: its length, {@link NOTHING} or {@link ENDED}. */
  receive(): number {
    for (;;) {
      const length = read(this.fd, this.request);
      if (length > 0) return length;
      if (length === -EAGAIN) return NOTHING;
      if (length === -ENODEV || length === 0) return ENDED;
      // ENOENT: the caller was killed while its request was being handed over
      if (length !== -EINTR && length !== -ENOENT) throw new SystemCallError('read of /dev/fuse', -length);
    }
  }

  /**
   * Polls for a request as long as that is likely to be quicker than sleeping: its length, {@link NOTHING} or {@link ENDED}.
   * Call it when {@link receive} found nothing after a reply.
   * @param workMeanwhile does some microseconds of work between two looks; false when there is none
   */
  receiveSoon(workMeanwhile: () => boolean): number {
    let now = performance.now();
    const endMs = now + this.spin.budgetMs(now);
    while (now < endMs) {
      const worked = workMeanwhile();
      if (!worked) yieldProcessor();
      const length = this.receive();
      const before = now;
      now = performance.now();
      if (length !== NOTHING) return length;
      if (!worked && !this.spin.yielded(now - before, now)) return NOTHING;
    }
    return NOTHING;
  }

  /** Learns from when a request came: call it once per request, before handling it. */
  noteArrival(nowMs: number): void {
    this.spin.arrived(nowMs - this.lastReplyMs);
    if (this.latency === null) return;
    if (!this.spin.inARow) this.latency.release();
    else if (!this.latency.isHeld) this.latency.hold();
  }

  /** Sleeps until a request waits, the wake descriptor is signalled, or `timeoutMs` passed (-1: no limit). */
  sleep(timeoutMs: number): void {
    if (this.latency?.isHeld) {
      const restMs = Math.max(0, this.lastReplyMs + RELEASE_AFTER_MS - performance.now());
      if (timeoutMs >= 0 && timeoutMs <= restMs) {
        this.poll.wait(timeoutMs);
        return;
      }
      if (this.poll.wait(restMs) > 0) return;
      this.latency.release();
    }
    this.poll.wait(timeoutMs);
  }

  /** Closes what belongs to the channel alone: not the device. */
  close(): void {
    this.latency?.close();
  }

  /** Whether a request waits, about 1 µs; {@link receive} gets it. True at the end of the mount as well. */
  hasRequest(): boolean {
    return this.poll.isReadable(DEVICE);
  }

  /** True when the wake descriptor was signalled since the last call. */
  takeWake(): boolean {
    return this.wake.take();
  }

  /** Writes a reply: 0, or the errno with which the kernel refused it. */
  send(reply: Buffer, length: number): number {
    for (;;) {
      const result = write(this.fd, reply, length);
      this.lastReplyMs = performance.now();
      if (result >= 0) return 0;
      if (result !== -EINTR) return -result;
    }
  }
}
