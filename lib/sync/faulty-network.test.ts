// faulty-network.test.ts — sites linked through a proxy that cuts, corrupts, truncates and replays bytes: links drop with a reason,
// come back, and the sites hold the same in the end. WEFT_SEED=n replays a run.

import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { equal, MemorySite } from './memory-site.test-support.js';
import { systemClock } from './system-clock.js';

type Fault = 'none' | 'corrupt' | 'truncate' | 'replay' | 'swallow';

/** A TCP proxy that does one harm to each connection, after some bytes in one of its directions. */
class FaultyProxy {
  address = '';
  connections = 0;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();

  constructor(
    target: string,
    /** The fault of the n-th connection. */
    private readonly plan: (connection: number) => { fault: Fault; afterBytes: number; inward: boolean },
  ) {
    const [host, port] = target.split(':') as [string, string];
    this.server = createServer((near) => {
      const far = connect(Number(port), host);
      const { fault, afterBytes, inward } = this.plan(this.connections++);
      this.pipe(near, far, inward ? fault : 'none', afterBytes);
      this.pipe(far, near, inward ? 'none' : fault, afterBytes);
    });
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    this.address = `127.0.0.1:${(this.server.address() as { port: number }).port}`;
    return this;
  }

  cutAll(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cutAll();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private pipe(from: Socket, to: Socket, fault: Fault, afterBytes: number): void {
    let left = afterBytes;
    this.sockets.add(from);
    from.on('error', () => {});
    from.on('close', () => {
      this.sockets.delete(from);
      to.destroy();
    });
    from.on('data', (data: Buffer) => {
      const due = fault !== 'none' && left <= data.length;
      if (fault !== 'none') left -= data.length;
      if (!due) return void to.write(data);
      const at = Math.max(0, Math.min(data.length - 1, left + data.length - 1));
      if (fault === 'corrupt') {
        data[at]! ^= 1 << (at % 8);
        to.write(data);
      } else if (fault === 'truncate') to.end(data.subarray(0, at));
      else if (fault === 'replay') {
        to.write(data);
        to.write(data);
      } else to.write(data.subarray(at + 1)); // swallow what came before
      fault = 'none';
    });
  }
}

/** Timers tenfold and never long, so that a link that hangs is found out soon and pauses between attempts stay short. */
const fast = {
  ...systemClock,
  setTimer: (ms: number, fire: () => void) => systemClock.setTimer(Math.min(ms / 10, 300), fire),
};
const cleanups: (() => Promise<void>)[] = [];

async function started(...args: ConstructorParameters<typeof MemorySite>): Promise<MemorySite> {
  const site = await MemorySite.start(args[0], { clock: fast, ...args[1] });
  cleanups.push(() => site.syncer.stop());
  return site;
}

async function proxyTo(...args: ConstructorParameters<typeof FaultyProxy>): Promise<FaultyProxy> {
  const proxy = await new FaultyProxy(...args).listen();
  cleanups.push(() => proxy.close());
  return proxy;
}

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

for (const fault of ['corrupt', 'truncate', 'replay', 'swallow'] as const) {
  test(`links that ${fault} bytes drop with a reason, come back, and nothing is lost`, async (t) => {
    let seed = Number(process.env['WEFT_SEED'] ?? Date.now() % 1_000_000);
    t.diagnostic(`WEFT_SEED=${seed}`);
    const random = (): number => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff) / 2 ** 31;
    const paris = await started('paris');
    const proxy = await proxyTo(paris.address, () => ({
      fault: faulty ? fault : 'none',
      // Not at the very start: TLS lets the version in its first record be anything.
      afterBytes: 100 + Math.floor(random() ** 3 * 150_000),
      inward: random() < 0.5,
    }));
    let faulty = true;
    const oslo = await started('oslo', { dial: [proxy.address] });
    const errors = new Set<string>();
    oslo.syncer.on('changed', () => {
      for (const { lastError } of oslo.syncer.peers()) if (lastError) errors.add(lastError);
    });
    let written = 0;
    for (; proxy.connections < 8; written++) {
      assert.ok(written < 1000, `only ${proxy.connections} connections, with ${[...errors].join('; ')}`);
      await Promise.all([paris.write(20_000), oslo.write(20_000), sleep(5)]);
    }
    faulty = false;
    await oslo.until('converged', () => equal(paris, oslo), 10_000);
    assert.ok(errors.size > 0, 'no reason was shown');
    for (const site of [paris, oslo]) assert.equal(site.store.log.length, 2 * written);
  });
}

test('sockets killed in the middle of a transfer cost nothing but what was under way', async () => {
  const paris = await started('paris');
  const proxy = await proxyTo(paris.address, () => ({ fault: 'none', afterBytes: 0, inward: true }));
  for (let i = 0; i < 60; i++) await paris.write(500_000);
  const oslo = new MemorySite('oslo', { clock: fast, dial: [proxy.address] });
  cleanups.push(() => oslo.syncer.stop());
  let kills = 0;
  oslo.store.onAdvanced = () => {
    oslo.syncer.advanced();
    if (oslo.store.objects.size < (kills + 1) * 25) return;
    kills++;
    proxy.cutAll();
  };
  await oslo.syncer.start();
  await oslo.until('converged', () => equal(paris, oslo));
  assert.equal(kills, 4);
  const wholeBytes = [...paris.store.objects.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);
  assert.equal(
    oslo.store.storedBytes <= wholeBytes * 1.5,
    true,
    `${oslo.store.storedBytes} of ${wholeBytes} bytes stored`,
  );
  assert.ok(oslo.store.ingestedCount - oslo.store.duplicateCount === 60);
});
