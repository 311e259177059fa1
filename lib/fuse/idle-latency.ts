// idle-latency.ts — asks the kernel to keep idle processors quick to wake while one call follows the other.
// A caller sleeps while its call is served, on a processor that goes idle; waking that again costs 1 to 2 µs from a light sleep, 50 µs
// and more from a deep one, and 10 to 40 µs in a virtual machine, where idling means leaving it: more than serving the call.
// The request is one for the whole machine and costs power, so it is held only where calls come in a row (spin-budget.ts), and dropped
// RELEASE_AFTER_MS after the last. It belongs to an open descriptor: the kernel drops it when this process ends, however it ends.
// Root's alone; without it everything works, only slower. Documentation/power/pm_qos_interface.rst of Linux.

import { readFileSync } from 'node:fs';
import { constants } from 'node:os';

import { close, openNonBlocking, SystemCallError, write } from './system-calls.js';

const DEVICE = '/dev/cpu_dma_latency';
/** The value of a request that asks for nothing: PM_QOS_CPU_LATENCY_DEFAULT_VALUE of include/linux/pm_qos.h, µs. */
const ANY_US = 2_000_000_000;
/** Allows the lightest sleep of real processors (C1: 1 to 2 µs), not the deeper ones. */
const LIGHT_SLEEP_US = 2;
/** With cpuidle's driver for virtual machines only 0 keeps an idle processor from leaving the machine (drivers/cpuidle/governors/haltpoll.c). */
const NO_SLEEP_US = 0;
const IDLE_DRIVER = '/sys/devices/system/cpu/cpuidle/current_driver';

/** Shorter pauses between calls are those of a program that is not done, ms. */
export const RELEASE_AFTER_MS = 3;

export class IdleLatency {
  private held = false;
  private readonly value = Buffer.alloc(4);
  private readonly fd: number;
  private readonly wantedUs: number;

  private constructor(fd: number, wantedUs: number) {
    this.fd = fd;
    this.wantedUs = wantedUs;
  }

  /** Null where the system has no such device or keeps it from this user. */
  static open(): IdleLatency | null {
    let fd: number;
    try {
      fd = openNonBlocking(DEVICE);
    } catch (error) {
      const { EACCES, ENODEV, ENOENT, EPERM, EROFS, ENXIO } = constants.errno;
      if (error instanceof SystemCallError && [EACCES, ENODEV, ENOENT, EPERM, EROFS, ENXIO].includes(error.errno))
        return null;
      throw error;
    }
    return new IdleLatency(fd, idleDriver() === 'haltpoll' ? NO_SLEEP_US : LIGHT_SLEEP_US);
  }

  get isHeld(): boolean {
    return this.held;
  }

  hold(): void {
    if (this.held) return;
    this.held = true;
    this.ask(this.wantedUs);
  }

  release(): void {
    if (!this.held) return;
    this.held = false;
    this.ask(ANY_US);
  }

  close(): void {
    close(this.fd);
  }

  private ask(us: number): void {
    this.value.writeInt32LE(us);
    const result = write(this.fd, this.value, 4);
    if (result < 0) throw new SystemCallError(`write to ${DEVICE}`, -result);
  }
}

/** Name of cpuidle's driver; empty where there is none. */
function idleDriver(): string {
  try {
    return readFileSync(IDLE_DRIVER, 'latin1').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
