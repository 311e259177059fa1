// slow-wire-process.ts — a TUN device (Documentation/networking/tuntap.rst) in each of two network namespaces; what goes into one comes
// out of the other after a while. usage: slow-wire-process NAMESPACE NAMESPACE DELAY_MS; ends when its standard input does.
// One synchronous loop, as the packets of 50 Mbit/s leave no time for a turn of the event loop each.

import { closeSync, openSync, writeSync } from 'node:fs';
import { setPriority } from 'node:os';
import koffi from 'koffi';
import { ioctl, openNonBlocking, Poll, read, write } from '../../lib/fuse/system-calls.js';
import { WIRE } from './slow-wire.js';

const CLONE_NEWNET = 0x40000000;
const TUNSETIFF = 0x400454ca;
const IFF_TUN = 1;
const IFF_NO_PI = 0x1000;
const IFREQ_BYTES = 40;
const IFREQ_FLAGS = 16;
const PACKET_MAX_BYTES = 2048;
/** Packets that were on a wire of a second and Gbit/s. */
const HELD_MAX = 100_000;
const IDLE_MS = 1000;
/** So many that were given are forgotten at once. */
const GIVEN_MAX = 1000;

const setns = koffi.load('libc.so.6').func('int setns(int fd, int nstype)');

interface Held {
  readonly dueMs: number;
  readonly packet: Buffer;
}

/** A device of a namespace: this thread enters that. */
function openDevice(namespace: string): number {
  const entry = openSync(namespace, 'r');
  if ((setns(entry, CLONE_NEWNET) as number) !== 0) throw new Error(`${namespace} cannot be entered`);
  closeSync(entry);
  const device = openNonBlocking('/dev/net/tun');
  const request = Buffer.alloc(IFREQ_BYTES);
  request.write(WIRE, 'latin1');
  request.writeUInt16LE(IFF_TUN | IFF_NO_PI, IFREQ_FLAGS);
  ioctl(device, TUNSETIFF, request);
  return device;
}

class Direction {
  private readonly held: Held[] = [];
  private first = 0;

  constructor(
    private readonly from: number,
    private readonly to: number,
    private readonly delayMs: number,
  ) {}

  /** When the next packet comes out. */
  get dueMs(): number {
    return this.held[this.first]?.dueMs ?? Infinity;
  }

  take(buffer: Buffer): void {
    for (;;) {
      const length = read(this.from, buffer);
      if (length <= 0) return;
      if (this.held.length - this.first >= HELD_MAX) continue;
      this.held.push({ dueMs: performance.now() + this.delayMs, packet: Buffer.from(buffer.subarray(0, length)) });
    }
  }

  /** What cannot be taken at the other end is lost, as on a wire. */
  give(): void {
    const nowMs = performance.now();
    for (let next = this.held[this.first]; next && next.dueMs <= nowMs; next = this.held[this.first]) {
      write(this.to, next.packet, next.packet.length);
      this.first++;
    }
    if (this.first < GIVEN_MAX) return;
    this.held.splice(0, this.first);
    this.first = 0;
  }
}

// A wire does not wait for a processor.
setPriority(-15);
const [nearPath, farPath, delay] = process.argv.slice(2);
const near = openDevice(nearPath!);
const far = openDevice(farPath!);
writeSync(1, 'ready\n');
const directions = [new Direction(near, far, Number(delay)), new Direction(far, near, Number(delay))];
const poll = new Poll([near, far, 0]);
const input = new Poll([0]);
const buffer = Buffer.alloc(PACKET_MAX_BYTES);
while (input.wait(0) === 0) {
  const dueMs = Math.min(...directions.map((direction) => direction.dueMs));
  poll.wait(Math.max(0, Math.min(dueMs - performance.now(), IDLE_MS)));
  for (const direction of directions) {
    direction.take(buffer);
    direction.give();
  }
}
process.exit(0);
