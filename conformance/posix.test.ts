// posix.test.ts — our own POSIX suite on a fresh mount, and on a local directory, so that what it expects is what Linux does: by root for
// all users, and by a plain user on a mount of its own. Needs root, /dev/fuse and fusermount3.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Cluster } from '../scripts/sites/cluster.js';
import type { Site } from '../scripts/sites/site.js';
import { notApplicable } from './posix/not-applicable.js';
import { PARTS, SYSCALLS } from './posix/parts.js';
import { runAsUser } from './posix/run-as-user.js';
import { type DirectoryResult, runSuite } from './posix/run-suite.js';
import type { Assertion } from './posix/trial.js';

const LEAST_ASSERTIONS = 40_000;
const LEAST_AS_USER = 14_000;

describe('the POSIX suite', () => {
  const cluster = new Cluster('weft-posix');
  let site: Site;

  before(async () => {
    site = cluster.addSite('mount', ['allow_other']);
    await site.create('posix');
  });
  after(() => cluster.close());

  test('every assertion holds on the mount', async () => {
    assertComplete(await runSuite(site.mountpoint, []));
  });

  let byRoot: readonly Assertion[] = [];
  test('every assertion holds on the local filesystem', async () => {
    const result = await runSuite(cluster.scratch('local'), []);
    byRoot = result.assertions;
    assertComplete(result);
  });

  test('what a plain user may assert holds on a mount through fusermount3, and locally; the rest is counted', async (t) => {
    const [mount, local] = await runAsUser([], 'kernel');
    assert.match(mount!.filesystem, /^fuse\./);
    for (const { assertions } of [mount!, local!]) {
      assertHolds(assertions);
      assert.ok(assertions.length >= LEAST_AS_USER, `only ${assertions.length} assertions`);
    }
    const left = notApplicable(byRoot, mount!.assertions);
    for (const { reason, assertions } of left) t.diagnostic(`${assertions.length} need root: ${reason}`);
    const total = left.reduce((sum, { assertions }) => sum + assertions.length, 0);
    assert.ok(total + mount!.assertions.length >= byRoot.length, `${byRoot.length} by root, ${total} of them left out`);
  });

  test('every part makes assertions about what it says it does', () => {
    for (const [name, part] of Object.entries(PARTS)) assert.ok(part.syscalls.length > 0, name);
    assert.equal(new Set(SYSCALLS).size, SYSCALLS.length);
  });
});

function assertComplete({ assertions }: DirectoryResult): void {
  assertHolds(assertions);
  assert.ok(assertions.length >= LEAST_ASSERTIONS, `only ${assertions.length} assertions`);
  assert.deepEqual([...new Set(assertions.map(({ syscall }) => syscall))].toSorted(), SYSCALLS);
}

function assertHolds(assertions: readonly Assertion[]): void {
  const failed = assertions.filter(({ failure, limit }) => failure !== null && limit === undefined);
  assert.deepEqual(failed.slice(0, 50), []);
}
