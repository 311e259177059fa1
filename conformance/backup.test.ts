// backup.test.ts — a site is backed up while programs write, killed, and brought back from that: alone, and with a site that went on.
// Needs root and /dev/fuse.

import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Cluster } from '../scripts/sites/cluster.js';

const LARGE = Buffer.alloc(3 << 20, 'a large file ');

describe('weft backup', () => {
  const cluster = new Cluster('weft-backup');
  const paris = cluster.addSite('paris');
  const oslo = cluster.addSite('oslo');
  const backups = join(cluster.directory, 'backups');
  const backup = join(backups, 'first');
  const written: string[] = [];
  let count = 0;

  function write(prefix: string): string {
    const name = `${prefix}-${count++}`;
    writeFileSync(join(paris.mountpoint, name), `bytes of ${name}`);
    written.push(name);
    return name;
  }

  function assertHas(site: typeof paris, names: readonly string[]): void {
    for (const name of names) assert.equal(readFileSync(join(site.mountpoint, name), 'utf8'), `bytes of ${name}`);
  }

  before(async () => {
    cluster.scratch('backups');
    await paris.create('team');
  });
  after(() => cluster.close());

  test('it is taken while files are written, large and open ones too', async () => {
    for (let i = 0; i < 50; i++) write('before');
    writeFileSync(join(paris.mountpoint, 'large'), LARGE);
    const open = openSync(join(paris.mountpoint, 'open'), 'w');
    writeSync(open, LARGE);
    fsyncSync(open);
    writeSync(open, 'the end');
    const certain = [...written];
    const load = { runs: true };
    const loaded = (async () => {
      while (load.runs) {
        write('meanwhile');
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    })();
    const { code, stderr } = await paris.weft(['backup', paris.mountpoint, backup]);
    load.runs = false;
    await loaded;
    closeSync(open);
    assert.equal(code, 0, stderr);
    assert.equal(statSync(backup).mode & 0o777, 0o700);
    assert.equal(statSync(join(backup, 'site.key')).mode & 0o777, 0o600);
    write('after');
    await paris.kill();
    rmSync(paris.state, { recursive: true });
    await paris.weftChecked(['restore-site', backup, paris.mountpoint, '--state', paris.state]);
    await paris.noteDaemon();
    assertHas(paris, certain);
    assert.deepEqual(readFileSync(join(paris.mountpoint, 'large')), LARGE);
    assert.deepEqual(readFileSync(join(paris.mountpoint, 'open')), Buffer.concat([LARGE, Buffer.from('the end')]));
    for (const name of readdirSync(paris.mountpoint)) readFileSync(join(paris.mountpoint, name));
    const { code: faults, stdout } = await paris.weft(['fsck', paris.mountpoint, '--data']);
    assert.equal(faults, 0, stdout);
    const restored = written.filter((name) => existsSync(join(paris.mountpoint, name)));
    // The backup is of one moment: the last file may have been created by then, and not written.
    const last = join(paris.mountpoint, restored.at(-1)!);
    if (restored.length > certain.length && statSync(last).size === 0) {
      rmSync(last);
      restored.pop();
    }
    assertHas(paris, restored);
    written.splice(0, written.length, ...restored);
  });

  test('what another site knows since comes back, nothing is reverted there, and no inode number is given out twice', async () => {
    await oslo.join(await paris.invite());
    const second = join(backups, 'second');
    await paris.weftChecked(['backup', paris.mountpoint, second]);
    for (let i = 0; i < 20; i++) write('since');
    rmSync(join(paris.mountpoint, written[0]!));
    written.shift();
    await cluster.settle();
    await paris.kill();
    rmSync(paris.state, { recursive: true });
    await oslo.pause('paris');
    await paris.weftChecked(['restore-site', second, paris.mountpoint, '--state', paris.state]);
    await paris.noteDaemon();
    for (let i = 0; i < 20; i++) write('restored');
    await oslo.resume('paris');
    await cluster.settle();
    for (const site of [paris, oslo]) {
      assertHas(site, written);
      const names = readdirSync(site.mountpoint);
      assert.equal(names.length, written.length + 2);
      assert.equal(new Set(names.map((name) => statSync(join(site.mountpoint, name)).ino)).size, names.length);
    }
    assert.equal((await paris.status()).digest, (await oslo.status()).digest);
    assert.equal((await paris.status()).conflicts, 0);
    assert.match(readFileSync(join(paris.state, 'daemon.log'), 'utf8'), /this state directory is a copy, or went back/);
  });

  test('what cannot be is refused with the remedy', async () => {
    const refused = async (args: string[]): Promise<string> => {
      const { code, stderr } = await paris.weft(args);
      assert.equal(code, 1, stderr);
      return stderr;
    };
    assert.match(await refused(['backup', paris.mountpoint, backup]), /is not empty: choose a new directory/);
    assert.match(
      await refused(['backup', paris.mountpoint, join(paris.mountpoint, 'b')]),
      /which is what is backed up/,
    );
    assert.match(await refused(['backup', paris.mountpoint, join(backups, 'no', 'where')]), /mkdir -p makes it/);
    assert.match(await refused(['restore-site', backups, cluster.scratch('m')]), /is no whole backup: weft backup/);
    assert.match(
      await refused(['restore-site', backup, cluster.scratch('n'), '--state', paris.state]),
      /already holds site paris/,
    );
  });
});
