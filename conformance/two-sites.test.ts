// two-sites.test.ts — a day of two sites, end to end: real daemons, real mounts, the command line, and programs that people use.
// The steps share one volume and build on each other, in order. Needs root, /dev/fuse and git.

import assert from 'node:assert/strict';
import {
  closeSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Cluster } from '../scripts/sites/cluster.js';
import { run, runChecked } from '../scripts/sites/command.js';
import type { Site } from '../scripts/sites/site.js';
import { linkCountViolations } from '../scripts/sites/tree-invariants.js';
import { snapshotTree, treeDifferences } from '../scripts/sites/tree-snapshot.js';
import { git } from './git-repository.js';
import { SPARSE_BYTES, writeSourceTree } from './source-tree.js';

/** One digest, one tree, sound link counts at all sites. */
async function assertSame(sites: readonly Site[]): Promise<void> {
  const [first, ...others] = await Promise.all(
    sites.map(async (site) => ({
      name: site.name,
      digest: (await site.status()).digest,
      tree: snapshotTree(site.mountpoint),
    })),
  );
  for (const other of others) {
    assert.deepEqual(treeDifferences(first!, other), []);
    assert.equal(other.digest, first!.digest);
  }
  assert.deepEqual(linkCountViolations(first!.tree), []);
}

/** A path in the directory that both sites work in. */
function at(site: Site, path: string): string {
  return join(site.mountpoint, 'shared', path);
}

describe('two sites', () => {
  const cluster = new Cluster('weft-two-sites');
  const paris = cluster.addSite('paris');
  const oslo = cluster.addSite('oslo');
  const source = join(cluster.directory, 'source');

  before(async () => {
    await paris.create('team');
    await oslo.join(await paris.invite());
    writeSourceTree(source);
  });
  after(() => cluster.close());

  test('a file that is replaced at one site is whole at the other, whenever it is read', async () => {
    const name = 'replaced';
    writeFileSync(join(paris.mountpoint, name), Buffer.alloc(300_000, 1));
    await cluster.settle();
    const versions = new Set<number>();
    for (let i = 2; i < 42; i++) {
      writeFileSync(join(paris.mountpoint, `${name}.new`), Buffer.alloc(i % 2 ? 300_000 : 20_000, i));
      renameSync(join(paris.mountpoint, `${name}.new`), join(paris.mountpoint, name));
      for (const endMs = performance.now() + 25; performance.now() < endMs;) {
        const bytes = readFileSync(join(oslo.mountpoint, name));
        const [first] = bytes;
        versions.add(first!);
        assert.ok(bytes.length === (first! % 2 ? 300_000 : 20_000), `${bytes.length} bytes of version ${first}`);
        assert.ok(bytes.equals(Buffer.alloc(bytes.length, first)), `version ${first} is mixed with another`);
      }
    }
    assert.ok(versions.size > 1, 'no version came');
    rmSync(join(paris.mountpoint, name));
  });

  test('a descriptor shows the version that it was opened on, all of it, after another site wrote a longer or a shorter one', async () => {
    const name = 'rewritten';
    const path = join(oslo.mountpoint, name);
    for (const [length, newLength] of [
      [100, 5_000],
      [5_000, 100],
      [100_000, 300_001],
      [300_000, 10],
    ] as const) {
      writeFileSync(join(paris.mountpoint, name), Buffer.alloc(length, 'a'));
      await cluster.settle();
      const fd = openSync(path, 'r');
      try {
        assert.equal(readFileSync(fd).length, length);
        writeFileSync(join(paris.mountpoint, name), Buffer.alloc(newLength, 'b'));
        await cluster.settle();
        const show = (): void => {
          assert.equal(fstatSync(fd).size, length);
          const bytes = Buffer.alloc(400_000);
          const shown = bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, 0));
          assert.ok(shown.equals(Buffer.alloc(length, 'a')), `${shown.length} bytes, ${shown.indexOf(0)}`);
        };
        show();
        assert.ok(readFileSync(path).equals(Buffer.alloc(newLength, 'b')), 'who opens it now sees what is new');
        show();
      } finally {
        closeSync(fd);
      }
      assert.equal(statSync(path).size, newLength);
      assert.ok(readFileSync(path).equals(Buffer.alloc(newLength, 'b')));
    }
    rmSync(path);
  });

  test('a tree that was copied in with cp -a is the same at both sites', async () => {
    await runChecked('cp', ['-a', source, join(paris.mountpoint, 'tree')], { timeoutMs: 60_000 });
    await cluster.settle();
    const original = { name: 'the source', tree: snapshotTree(source) };
    assert.ok(original.tree.size > 500);
    for (const site of [paris, oslo]) {
      const copy = join(site.mountpoint, 'tree');
      assert.equal((await run('diff', ['-r', '--no-dereference', source, copy])).stdout, '');
      const tree = { name: site.name, tree: snapshotTree(copy) };
      assert.deepEqual(treeDifferences(original, tree, new Set(['inode'])), []);
    }
    await assertSame([paris, oslo]);
    const sparse = statSync(join(paris.mountpoint, 'tree/sparse'));
    assert.equal(sparse.size, SPARSE_BYTES);
    assert.ok(sparse.blocks * 512 < SPARSE_BYTES / 2, `the sparse file takes ${sparse.blocks * 512} bytes`);
  });

  test('git works on the mount, and its repository at the other site', async () => {
    const repository = join(paris.mountpoint, 'repository');
    await git(paris.mountpoint, 'init', '-q', 'repository');
    await runChecked('cp', ['-a', join(source, 'real'), join(source, 'names'), repository]);
    await git(repository, 'add', '.');
    await git(repository, 'commit', '-q', '-m', 'everything');
    await git(repository, 'checkout', '-q', '-b', 'side');
    rmSync(join(repository, 'real/yargs'), { recursive: true });
    await git(repository, 'commit', '-q', '-a', '-m', 'less');
    await git(repository, 'checkout', '-q', '-');
    await git(repository, 'gc', '-q');
    await git(repository, 'fsck', '--full', '--strict');
    assert.equal(await git(repository, 'status', '--porcelain'), '');
    await cluster.settle();
    const clone = join(oslo.mountpoint, 'repository');
    await git(clone, 'fsck', '--full', '--strict');
    assert.equal(await git(clone, 'status', '--porcelain'), '');
    assert.equal(await git(clone, 'rev-parse', 'HEAD', 'side'), await git(repository, 'rev-parse', 'HEAD', 'side'));
    await assertSame([paris, oslo]);
  });

  test('an SQLite database works on the mount, and is sound at the other site', async () => {
    const program = join(import.meta.dirname, 'sqlite-workload.js');
    for (const mode of ['delete', 'wal']) {
      await runChecked(process.execPath, [program, 'write', join(paris.mountpoint, `${mode}.db`), mode]);
    }
    await cluster.settle();
    for (const mode of ['delete', 'wal']) {
      await runChecked(process.execPath, [program, 'check', join(oslo.mountpoint, `${mode}.db`)]);
    }
    await cluster.settle();
    await assertSame([paris, oslo]);
  });

  test('both sites work on while they are cut off, and nothing that they wrote is lost', async () => {
    mkdirSync(at(paris, ''));
    for (const path of ['red', 'blue', 'drawer']) mkdirSync(at(paris, path));
    for (const path of ['plan', 'removed', 'drawer/old']) writeFileSync(at(paris, path), `${path} before\n`);
    await cluster.settle();
    await paris.pause();
    await oslo.pause();
    await paris.statusUntil('cut off', ({ peers }) => peers.every(({ state }) => state === 'paused'));
    for (const site of [paris, oslo]) {
      writeFileSync(at(site, 'plan'), `plan of ${site.name}\n`);
      writeFileSync(at(site, 'new'), `new at ${site.name}\n`);
      mkdirSync(at(site, 'common'));
      writeFileSync(at(site, `common/${site.name}`), `in common from ${site.name}\n`);
    }
    rmSync(at(paris, 'removed'));
    writeFileSync(at(oslo, 'removed'), 'edited at oslo\n');
    rmSync(at(paris, 'drawer'), { recursive: true });
    writeFileSync(at(oslo, 'drawer/added'), 'added at oslo\n');
    renameSync(at(paris, 'red'), at(paris, 'blue/red'));
    renameSync(at(oslo, 'blue'), at(oslo, 'red/blue'));
    await paris.resume();
    await oslo.resume();
    await paris.statusUntil('connected', ({ peers }) => peers.every(({ state }) => state === 'connected'));
    await cluster.settle();
    await assertSame([paris, oslo]);

    const texts = readdirSync(at(oslo, ''), { recursive: true, encoding: 'utf8' })
      .filter((path) => lstatSync(at(oslo, path)).isFile())
      .map((path) => readFileSync(at(oslo, path), 'utf8'));
    const expected = ['added at oslo\n', 'edited at oslo\n'];
    for (const name of ['paris', 'oslo']) {
      expected.push(`plan of ${name}\n`, `new at ${name}\n`, `in common from ${name}\n`);
    }
    assert.deepEqual(texts.toSorted(), expected.toSorted());
    assert.deepEqual(readdirSync(at(paris, 'common')), ['oslo', 'paris']);
    assert.ok((await paris.status()).conflicts > 0);
  });

  test('a third site that knows only the second has it all, and is heard by the first', async () => {
    const rome = cluster.addSite('rome');
    await rome.join(await oslo.invite());
    await cluster.settle();
    await assertSame([paris, oslo, rome]);
    assert.deepEqual(
      (await rome.status()).peers.map(({ site }) => site),
      ['oslo'],
    );
    writeFileSync(join(rome.mountpoint, 'from-rome'), 'ciao\n');
    await cluster.settle();
    assert.equal(readFileSync(join(paris.mountpoint, 'from-rome'), 'utf8'), 'ciao\n');
    await assertSame([paris, oslo, rome]);
  });

  test('a volume that is unmounted and mounted again is as it was', async () => {
    const earlier = { name: 'before', tree: snapshotTree(oslo.mountpoint) };
    const { digest } = await oslo.status();
    await oslo.umount();
    assert.deepEqual(readdirSync(oslo.mountpoint), []);
    await oslo.mount();
    assert.deepEqual(treeDifferences(earlier, { name: 'after', tree: snapshotTree(oslo.mountpoint) }), []);
    assert.equal((await oslo.status()).digest, digest);
    await oslo.statusUntil('connected', ({ peers }) => peers.every(({ state }) => state === 'connected'));
    await cluster.settle();
    await assertSame([...cluster.sites.values()]);
  });
});
