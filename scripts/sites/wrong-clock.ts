// wrong-clock.ts — the wall clock of one site's programs, off by as much as is wanted, also while they run.
// libfaketime (https://github.com/wolfcw/libfaketime) is put before libc's calls; it looks at a file for the offset once a second. Time
// namespaces cannot do this: they have monotonic clocks of their own, and no wall clock. Monotonic time and file times stay true.

import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRunning } from './processes.js';

const LIBRARIES = '/usr/lib';
const LIBRARY = 'faketime/libfaketimeMT.so.1';

/** Where the library is installed; null: nowhere. */
export function clockLibrary(): string | null {
  const folders = [LIBRARIES, ...readdirSync(LIBRARIES).map((name) => join(LIBRARIES, name))];
  return folders.map((folder) => join(folder, LIBRARY)).find((path) => existsSync(path)) ?? null;
}

/** The library makes a semaphore and shared memory for each process, and removes them at its orderly end: those of killed ones stay. */
const LEFT_BY = /^(?:sem\.faketime_sem|faketime_shm)_(\d+)$/;

/** Removes what the library left of processes that were killed. `directory`: where the system has shared memory. */
export function removeLeftovers(directory = '/dev/shm'): void {
  for (const name of readdirSync(directory)) {
    const pid = LEFT_BY.exec(name)?.[1];
    if (pid !== undefined && !isRunning(Number(pid))) rmSync(join(directory, name), { force: true });
  }
}

export class WrongClock {
  private offset = 0;

  /** `file`: where the offset is written for the programs. */
  constructor(
    private readonly library: string,
    private readonly file: string,
  ) {
    this.set(0);
  }

  get offsetS(): number {
    return this.offset;
  }

  /** Within a second. Positive: ahead. */
  set(offsetS: number): void {
    this.offset = offsetS;
    writeFileSync(this.file, `${offsetS < 0 ? '' : '+'}${offsetS}\n`);
  }

  /** What the environment of a program needs to have this clock. */
  get environment(): Readonly<Record<string, string>> {
    return {
      LD_PRELOAD: this.library,
      FAKETIME_TIMESTAMP_FILE: this.file,
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      NO_FAKE_STAT: '1',
    };
  }
}
