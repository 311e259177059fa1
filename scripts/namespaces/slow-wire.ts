// slow-wire.ts — two hosts, a network namespace each, with one long wire between them: a delay, a rate, and packets that get lost.
// The kernel's own TCP runs over it. The delay is made by a process that holds packets between two TUN devices (slow-wire-process.ts), since
// netem may not be there; the rate is tbf's (tc-tbf(8)), the loss is drawn by iptables' statistic match where packets arrive.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Namespace } from './namespace.js';

export interface WireProperties {
  /** There and back, without any queue. */
  readonly roundTripMs: number;
  readonly bitsPerS: number;
  /** Of the packets in either direction, 0 to 1. */
  readonly lossShare: number;
  /** Of TCP, e.g. cubic; null: as the machine does. */
  readonly congestionControl: string | null;
}

/** The interface at both ends. */
export const WIRE = 'wire0';
/** What fits in tbf's bucket, and how long a packet may wait for it: a router's buffer. */
const BURST_BYTES = 32 * 1024;
const QUEUE_MS = 200;

export class WireEnd {
  constructor(
    readonly address: string,
    readonly namespace: Namespace,
  ) {}
}

export class SlowWire {
  private constructor(
    readonly near: WireEnd,
    readonly far: WireEnd,
    private readonly holder: ChildProcess,
  ) {}

  static async create(properties: WireProperties): Promise<SlowWire> {
    const near = new WireEnd('10.78.0.1', await Namespace.create('near'));
    const far = new WireEnd('10.78.0.2', await Namespace.create('far'));
    const script = new URL('slow-wire-process.js', import.meta.url).pathname;
    const words = [script, near.namespace.path, far.namespace.path, String(properties.roundTripMs / 2)];
    // It ends with its standard input, and so with this process.
    const holder = spawn(process.execPath, words, { stdio: ['pipe', 'pipe', 'inherit'] });
    await Promise.race([
      once(holder.stdout!, 'data'),
      once(holder, 'exit').then(() => {
        throw new Error('there are no TUN devices here: is /dev/net/tun there?');
      }),
    ]);
    for (const [end, other] of [
      [near, far],
      [far, near],
    ] as const) {
      const { namespace } = end;
      await namespace.ip(`addr add ${end.address} peer ${other.address} dev ${WIRE}`);
      await namespace.ip(`link set ${WIRE} up`);
      const { bitsPerS, lossShare, congestionControl } = properties;
      const shape = `qdisc add dev ${WIRE} root tbf rate ${bitsPerS}bit burst ${BURST_BYTES} latency ${QUEUE_MS}ms`;
      await namespace.run('tc', shape.split(' '));
      if (lossShare > 0) {
        const lose = `-A INPUT -i ${WIRE} -m statistic --mode random --probability ${lossShare} -j DROP`;
        await namespace.run('iptables', lose.split(' '));
      }
      if (congestionControl !== null)
        await namespace.run('sysctl', ['-qw', `net.ipv4.tcp_congestion_control=${congestionControl}`]);
    }
    return new SlowWire(near, far, holder);
  }

  async delete(): Promise<void> {
    const gone = once(this.holder, 'exit');
    this.holder.stdin!.end();
    await gone;
    await this.near.namespace.delete();
    await this.far.namespace.delete();
  }
}
