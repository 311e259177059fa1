// received-content.test.ts — content on its way from one real daemon to another, over a real link. Needs root and /dev/fuse.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, describe, test } from 'node:test';
import { Cluster } from '../scripts/sites/cluster.js';

const MIB = 1 << 20;
const SIZE_MIB = 256;
/** It was one for every 9 MiB. */
const MARKINGS_MAX = 4;

describe('content from a peer', () => {
  const cluster = new Cluster('weft-received');
  const [paris, oslo] = [cluster.addSite('paris'), cluster.addSite('oslo')];
  after(() => cluster.close());

  async function markings(address: string): Promise<number> {
    // A link of its own: the daemon closes one that is idle for 5 s, and this process, at work on files, sees that too late.
    const request = get(`http://${address}/metrics`, { agent: false });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const metrics = await text(response);
    const count = /^weft_nodejs_gc_duration_seconds_count\{kind="major"\} (\d+)$/m.exec(metrics)?.[1];
    return Number(count ?? 0);
  }

  test('does not have the receiver mark its whole heap again and again', async () => {
    await paris.create('content');
    await oslo.join(await paris.invite());
    await oslo.umount();
    await oslo.mount(['--metrics', '127.0.0.1:0']);
    const log = readFileSync(join(oslo.state, 'daemon.log'), 'utf8');
    const address = /"address":"([^"]+)","msg":"metrics are served"/.exec(log)![1]!;
    await cluster.settle();
    const before = await markings(address);
    const content = randomBytes(SIZE_MIB * MIB);
    writeFileSync(join(paris.mountpoint, 'large'), content);
    await cluster.settle();
    assert.ok(readFileSync(join(oslo.mountpoint, 'large')).equals(content));
    const made = (await markings(address)) - before;
    assert.ok(made <= MARKINGS_MAX, `${made} markings of the heap for ${SIZE_MIB} MiB`);
  });
});
