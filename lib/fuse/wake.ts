// wake.ts — lets other threads end the sleep of the thread that serves a mount.
// Its descriptor is an eventfd(2), valid in the whole process: pass the number to another thread and call `signalWake` there.

import { writeSync } from 'node:fs';

import { close, eventDescriptor, read } from './system-calls.js';

const ONE = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);

/** Wakes the thread that sleeps on `fd`. From any thread, any number of times; signals before the thread looks are one. */
export function signalWake(fd: number): void {
  writeSync(fd, ONE);
}

/** Gives back a descriptor that was taken from a session. */
export function closeWake(fd: number): void {
  close(fd);
}

export class Wake {
  readonly fd = eventDescriptor();
  private readonly counter = Buffer.alloc(8);

  /** True when it was signalled since the last call. */
  take(): boolean {
    return read(this.fd, this.counter) > 0;
  }

  close(): void {
    close(this.fd);
  }
}
