// restored-backup.test.ts — what README.md says to do about a damaged state directory, done: nothing that another site has is lost.

import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Cluster } from '../scripts/sites/cluster.js';
import type { Site } from '../scripts/sites/site.js';

const COUNT = 20;

describe('a restored backup', () => {
  const cluster = new Cluster('weft-restored');
  const paris = cluster.addSite('paris');
  const oslo = cluster.addSite('oslo');
  const backup = join(cluster.directory, 'backup');
  const expected = new Set<string>();

  before(async () => {
    await paris.create('team');
    await oslo.join(await paris.invite());
  });
  after(() => cluster.close());

  function writeFiles(site: Site, prefix: string): void {
    for (let i = 0; i < COUNT; i++) {
      const name = `${prefix}${i}`;
      writeFileSync(join(site.mountpoint, name), name);
      expected.add(name);
    }
  }

  /** Every file that was ever written, with its own bytes, and nothing else. */
  async function assertWhole(): Promise<void> {
    await cluster.settle();
    for (const site of [paris, oslo]) {
      assert.deepEqual(readdirSync(site.mountpoint).toSorted(), [...expected].toSorted(), site.name);
      for (const name of expected) assert.equal(readFileSync(join(site.mountpoint, name), 'utf8'), name, site.name);
    }
    assert.equal((await paris.status()).digest, (await oslo.status()).digest);
  }

  test('a state directory that is not in use is one database without a log beside it', async () => {
    writeFiles(paris, 'before');
    await cluster.settle();
    await paris.umount();
    assert.deepEqual(
      readdirSync(paris.state).filter((name) => name.startsWith('state.db')),
      ['state.db'],
    );
    cpSync(paris.state, backup, { recursive: true, preserveTimestamps: true });
  });

  test('files made since the backup vanish behind new ones that get their inode numbers', async () => {
    await paris.mount();
    writeFiles(paris, 'since');
    await cluster.settle();
    await paris.umount();
    rmSync(paris.state, { recursive: true });
    cpSync(backup, paris.state, { recursive: true, preserveTimestamps: true });
    // New files are made before anything is heard of the old ones.
    await oslo.pause('paris');
    await paris.mount();
    writeFiles(paris, 'after');
    await oslo.resume('paris');
    await assertWhole();
    assert.equal((await paris.status()).conflicts, 0);
  });

  test('a backup copied over the directory is as good as one put in its place', async () => {
    await paris.umount();
    cpSync(backup, paris.state, { recursive: true, preserveTimestamps: true });
    const log = join(paris.state, 'state.db-wal');
    rmSync(log, { force: true });
    await oslo.pause('paris');
    await paris.mount();
    writeFiles(paris, 'again');
    await oslo.resume('paris');
    await assertWhole();
  });

  test('the journal of a site that came back from a backup is cut off as that of any other', async () => {
    for (const site of [paris, oslo]) await site.weftChecked(['gc', site.mountpoint, '--keep-history', '0', '--run']);
    for (const site of [paris, oslo])
      await site.statusUntil('cut off', ({ journalBytes }) => journalBytes < 1_000, 30_000);
  });

  test('a damaged site joins again under its own name, as the error says', async () => {
    await paris.umount();
    const path = join(paris.state, 'state.db');
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.fill(0x5a, 4096));
    const refused = await paris.weft(['mount', paris.mountpoint]);
    assert.equal(refused.code, 1);
    const told = /^weft: (\S+) is damaged: .*or move (\S+) aside and run "weft join"/.exec(refused.stderr);
    assert.deepEqual([told?.[1], told?.[2]], [path, paris.state], refused.stderr);
    renameSync(paris.state, `${paris.state}.damaged`);
    await paris.join(await oslo.invite());
    await assertWhole();
  });
});
