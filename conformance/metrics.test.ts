// metrics.test.ts — a real daemon answers Prometheus: every metric that docs/metrics.md explains is there, and none that it does not.
// Needs root and /dev/fuse.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Cluster } from '../scripts/sites/cluster.js';
import { projectRoot } from '../scripts/sites/project-root.js';

describe('--metrics', () => {
  const cluster = new Cluster('weft-metrics');
  const paris = cluster.addSite('paris');
  const oslo = cluster.addSite('oslo');
  let address = '';

  before(async () => {
    await paris.create('team');
    await oslo.join(await paris.invite());
    await paris.umount();
    await paris.mount(['--metrics', '127.0.0.1:0']);
    const logged = /"address":"([^"]+)","msg":"metrics are served"/.exec(
      readFileSync(join(paris.state, 'daemon.log'), 'utf8'),
    );
    address = logged![1]!;
  });
  after(() => cluster.close());

  async function scrape(): Promise<Map<string, number>> {
    const response = await fetch(`http://${address}/metrics`);
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type')!, /^text\/plain; version=0.0.4/);
    const lines = (await response.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    return new Map(
      lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
    );
  }

  test('what a peer lacks, and what is done at the mount, can be watched', async () => {
    await oslo.statusUntil('linked', ({ peers }) => peers.some(({ state }) => state === 'connected'));
    const linked = await scrape();
    assert.equal(linked.get('weft_peer_connected{peer="oslo"}'), 1);
    const writes = linked.get('weft_requests_total{operation="CREATE"}') ?? 0;
    await oslo.umount();
    writeFileSync(join(paris.mountpoint, 'a'), 'nobody else has this');
    await paris.statusUntil('alone', ({ peers }) => peers.every(({ aheadCommits }) => aheadCommits > 0));
    const alone = await scrape();
    assert.equal(alone.get('weft_peer_connected{peer="oslo"}'), 0);
    assert.ok(alone.get('weft_peer_ahead_changes{peer="oslo"}')! > 0);
    assert.ok(alone.get('weft_peer_last_seen_timestamp_seconds{peer="oslo"}')! > 1e9);
    assert.equal(alone.get('weft_requests_total{operation="CREATE"}'), writes + 1);
    assert.ok(alone.get('weft_commits_total')! > linked.get('weft_commits_total')!);
  });

  test('every metric is explained, and every one that is explained is there', async () => {
    const response = await fetch(`http://${address}/metrics`);
    const there = [...(await response.text()).matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name!);
    const explained = [...readFileSync(join(projectRoot(), 'docs', 'metrics.md'), 'utf8').matchAll(/^\| `(weft_\w+)/gm)]
      .map(([, name]) => name!)
      .filter((name) => !name.endsWith('_'));
    const own = there.filter((name) => !/^weft_(process|nodejs)_/.test(name));
    assert.deepEqual(own.toSorted(), explained.toSorted());
  });

  test('nothing else is served, nor anywhere else', async () => {
    assert.equal((await fetch(`http://${address}/`)).status, 404);
    assert.equal((await fetch(`http://${address}/metrics`, { method: 'POST' })).status, 404);
    const outward = await oslo.weft(['mount', oslo.mountpoint, '--metrics', '0.0.0.0:9464']);
    assert.equal(outward.code, 2);
    assert.match(outward.stderr, /on this machine alone; choose 127.0.0.1:PORT/);
    const taken = await oslo.weft(['mount', oslo.mountpoint, '--metrics', address]);
    assert.equal(taken.code, 1);
    assert.match(taken.stderr, /metrics cannot be served at .*EADDRINUSE.*another port/);
    await oslo.mount(['--metrics', 'off']);
  });
});
