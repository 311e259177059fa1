// killed-daemon.test.ts — SIGKILL to a daemon in the middle of a copy: what was acknowledged is there after mounting again (promise P2).

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { mountAt } from '../lib/fuse/mount-table.js';
import { Cluster } from '../scripts/sites/cluster.js';
import { runChecked } from '../scripts/sites/command.js';
import type { Site } from '../scripts/sites/site.js';
import { snapshotTree, treeDifferences, type TreeSnapshot } from '../scripts/sites/tree-snapshot.js';
import { git } from './git-repository.js';
import { writeSourceTree } from './source-tree.js';

/**
 * Copies a tree onto a site with cp -a, and kills the site's daemon once `afterFiles` were begun. Resolves to the paths that were
 * complete by then: cp says what it is about to copy, so all that it said but the last.
 */
async function copyUntilKilled(source: string, site: Site, target: string, afterFiles: number): Promise<string[]> {
  assert.ok(site.daemonPid !== null, `${site.name} is not mounted`);
  const copy = spawn('stdbuf', ['-oL', 'cp', '-av', source, join(site.mountpoint, target)], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = once(copy, 'close');
  const begun: string[] = [];
  let killed: Promise<void> | null = null;
  for await (const line of createInterface({ input: copy.stdout })) {
    const path = /^'(.*)' -> '/.exec(line)?.[1];
    if (path === undefined) continue; // a name that cp quotes in another way
    begun.push(relative(source, path));
    if (begun.length === afterFiles) killed = site.kill();
  }
  await ended;
  assert.ok(killed, `cp said ${begun.length} names, too few to be killed after ${afterFiles}`);
  await killed;
  assert.notEqual(copy.exitCode, 0, 'cp ended before the daemon was killed');
  return begun.slice(0, afterFiles - 1);
}

describe('a daemon killed in the middle of cp -a', () => {
  const cluster = new Cluster('weft-killed');
  const paris = cluster.addSite('paris');
  const oslo = cluster.addSite('oslo');
  const source = join(cluster.directory, 'source');
  let original: TreeSnapshot;

  before(async () => {
    await paris.create('team');
    await oslo.join(await paris.invite());
    writeSourceTree(source);
    original = snapshotTree(source);
    await git(paris.mountpoint, 'init', '-q', 'repository');
    await runChecked('cp', ['-a', join(source, 'real/yargs'), join(paris.mountpoint, 'repository')]);
    await git(join(paris.mountpoint, 'repository'), 'add', '.');
    await git(join(paris.mountpoint, 'repository'), 'commit', '-q', '-m', 'before');
  });
  after(() => cluster.close());

  for (const [round, afterFiles] of [60, 400, 900].entries()) {
    test(`what was copied before is there after mounting again: killed after ${afterFiles} names`, async () => {
      const target = `copy${round}`;
      const complete = await copyUntilKilled(source, paris, target, afterFiles);
      await paris.mount();
      const survived = snapshotTree(join(paris.mountpoint, target));
      // Directories get their times and modes last, so only what is in them was complete; and a hard link that came later raises nlink.
      const expected = new Map(
        [...original].filter(([path, { type }]) => complete.includes(path) && type !== 'directory'),
      );
      const found = new Map([...survived].filter(([path]) => expected.has(path)));
      const differences = treeDifferences(
        { name: 'the source', tree: expected },
        { name: 'paris', tree: found },
        new Set(['inode', 'nlink']),
      );
      assert.deepEqual(differences, []);
      await git(join(paris.mountpoint, 'repository'), 'fsck', '--full', '--strict');
    });
  }

  test('afterwards the site works and syncs as before', async () => {
    await paris.statusUntil('connected', ({ peers }) => peers.every(({ state }) => state === 'connected'));
    mkdirSync(join(paris.mountpoint, 'afterwards'));
    writeFileSync(join(paris.mountpoint, 'afterwards/file'), 'still here\n');
    await cluster.settle();
    assert.equal(readFileSync(join(oslo.mountpoint, 'afterwards/file'), 'utf8'), 'still here\n');
    const [here, there] = [paris, oslo].map((site) => ({ name: site.name, tree: snapshotTree(site.mountpoint) }));
    assert.deepEqual(treeDifferences(here!, there!), []);
    assert.equal((await paris.status()).digest, (await oslo.status()).digest);
    await git(join(oslo.mountpoint, 'repository'), 'fsck', '--full', '--strict');
  });
});

/** Writes files without a pause, whatever the answers are; at the end of its input it prints which it could write. */
const RESTLESS_WRITER = `
const { existsSync, mkdirSync, writeFileSync } = require('node:fs');
let ended = false;
process.stdin.on('end', () => (ended = true)).resume();
const written = [];
let i = 0;
(function write() {
  for (const next = i + 100; i < next; i++) {
    try {
      if (written.length === 0 && !existsSync(process.argv[1] + '/busy')) mkdirSync(process.argv[1] + '/busy');
      writeFileSync(process.argv[1] + '/busy/' + i, 'x');
      written.push(i);
    } catch (error) {
      if (!['ENOTCONN', 'ECONNABORTED', 'EEXIST'].includes(error.code)) throw error;
    }
  }
  if (!ended) setImmediate(write);
  else process.stdout.write(JSON.stringify({ tried: i, written }));
})();`;

test('a program that writes while a killed site comes back writes nothing into the bare directory below the mount', async () => {
  const cluster = new Cluster('weft-killed-below');
  try {
    const site = cluster.addSite('paris');
    await site.create('team');
    const writer = spawn(process.execPath, ['-e', RESTLESS_WRITER, site.mountpoint], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const ended = once(writer, 'close');
    const said = text(writer.stdout);
    for (let round = 0; round < 3; round++) {
      await site.kill();
      await site.mount();
    }
    writer.stdin.end();
    await ended;
    const { tried, written } = JSON.parse(await said) as { tried: number; written: number[] };
    assert.ok(written.length > 0 && written.length < tried, `${written.length} of ${tried} files could be written`);
    const there = new Set(readdirSync(join(site.mountpoint, 'busy')));
    assert.deepEqual(
      written.filter((i) => !there.has(String(i))),
      [],
    );
    await site.umount();
    assert.deepEqual(readdirSync(site.mountpoint), []);
    assert.ok(!mountAt(site.mountpoint), 'nothing is mounted there any more');
  } finally {
    await cluster.close();
  }
});

test('a site that was killed is mounted again at once, though the kernel still has the attributes of its root', async () => {
  const cluster = new Cluster('weft-killed-at-once');
  try {
    const site = cluster.addSite('paris');
    await site.create('team');
    for (let round = 0; round < 5; round++) {
      readdirSync(site.mountpoint);
      statSync(site.mountpoint);
      await site.kill();
      await site.mount();
    }
    await site.umount();
  } finally {
    await cluster.close();
  }
});
