// posix.test.ts — our own POSIX suite on a fresh mount, and on a local directory, so that what it expects is what Linux does.
// Needs root and /dev/fuse.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Cluster } from '../scripts/sites/cluster.js';
import type { Site } from '../scripts/sites/site.js';
import { PARTS, SYSCALLS } from './posix/parts.js';
import { runSuite } from './posix/run-suite.js';

const LEAST_ASSERTIONS = 40_000;

describe('the POSIX suite', () => {
  const cluster = new Cluster('weft-posix');
  let site: Site;

  before(async () => {
    site = cluster.addSite('mount', ['allow_other']);
    await site.create('posix');
  });
  after(() => cluster.close());

  test('every assertion holds on the mount', async () => {
    await assertHolds(site.mountpoint);
  });

  test('every assertion holds on the local filesystem', async () => {
    await assertHolds(cluster.scratch('local'));
  });

  test('every part makes assertions about what it says it does', () => {
    for (const [name, part] of Object.entries(PARTS)) assert.ok(part.syscalls.length > 0, name);
    assert.equal(new Set(SYSCALLS).size, SYSCALLS.length);
  });
});

async function assertHolds(directory: string): Promise<void> {
  const { assertions } = await runSuite(directory, []);
  const failed = assertions.filter(({ failure, limit }) => failure !== null && limit === undefined);
  assert.deepEqual(failed.slice(0, 50), []);
  assert.ok(assertions.length >= LEAST_ASSERTIONS, `only ${assertions.length} assertions`);
  assert.deepEqual([...new Set(assertions.map(({ syscall }) => syscall))].toSorted(), SYSCALLS);
}
