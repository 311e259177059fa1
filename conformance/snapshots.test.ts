// snapshots.test.ts — the tree as it was, on real mounts: moments and snapshots in `.weft/snapshots`, and what README.md says of them.

import assert from 'node:assert/strict';
import { chmodSync, linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { statSync, symlinkSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { runChecked } from '../scripts/sites/command.js';
import type { Site } from '../scripts/sites/site.js';
import { refused, weft, Team } from './team.test-support.js';

describe('snapshots', () => {
  const team = new Team('weft-snapshots');
  const { cluster, paris, oslo } = team;
  const at = (...names: string[]): string => join(paris.mountpoint, ...names);
  const there = (...names: string[]): string => join(oslo.mountpoint, ...names);

  before(() => team.found());
  after(() => team.close());

  test('a moment is a directory that shows the tree as it was, and is in no listing', async () => {
    mkdirSync(at('m/sub'), { recursive: true });
    const large = Buffer.alloc(3 << 20, 'something large\n');
    writeFileSync(at('m/large'), large);
    writeFileSync(at('m/small'), 'small');
    linkSync(at('m/small'), at('m/sub/other'));
    symlinkSync('small', at('m/l'));
    chmodSync(at('m/small'), 0o640);
    utimesSync(at('m/small'), 1_000_000, 1_000_000.5);
    await weft(paris, 'history', at('m'));
    await sleep(20);
    const moment = new Date().toISOString();
    await sleep(20);
    const then = statSync(at('m/small'));
    writeFileSync(at('m/small'), 'changed');
    unlinkSync(at('m/large'));
    renameSync(at('m/sub'), at('m/moved'));
    const past = (...names: string[]): string => at('.weft/snapshots', moment, 'm', ...names);
    assert.deepEqual(readdirSync(past()).toSorted(), ['l', 'large', 'small', 'sub']);
    assert.deepEqual(readFileSync(past('large')), large);
    assert.equal(readFileSync(past('sub/other'), 'utf8'), 'small');
    assert.equal(readFileSync(past('l'), 'utf8'), 'small');
    const { mode, uid, mtimeMs, nlink, size, ino } = statSync(past('small'));
    assert.deepEqual([mode, uid, mtimeMs, nlink, size], [then.mode, then.uid, then.mtimeMs, 2, 5]);
    assert.equal(statSync(past('sub/other')).ino, ino);
    assert.ok(ino < 2 ** 39 && then.ino >= 2 ** 39, 'numbers of the past are none of the present');
    await cluster.settle();
    const seen = there('.weft/snapshots', moment, 'm');
    assert.deepEqual(readFileSync(join(seen, 'large')), large);

    assert.ok(!readdirSync(paris.mountpoint).includes('.weft'));
    assert.deepEqual(readdirSync(at('.weft')), ['snapshots']);
    assert.ok(!(await runChecked('find', [paris.mountpoint, '-name', 'snapshots'])).includes('snapshots'));
    assert.throws(() => statSync(at('.weft/snapshots/2000-01-01')), { code: 'ENOENT' });
    assert.throws(() => statSync(at('.weft/snapshots/2100-01-01')), { code: 'ENOENT' });
    assert.throws(() => statSync(at('.weft/snapshots/1h')), { code: 'ENOENT' });
    assert.ok(statSync(at('.weft/snapshots/0.01s')).isDirectory());
    for (const call of [
      () => writeFileSync(past('small'), 'x'),
      () => writeFileSync(past('new'), 'x'),
      () => unlinkSync(past('small')),
      () => mkdirSync(past('d')),
      () => renameSync(past('small'), at('m/small2')),
      () => renameSync(at('m/small'), past('small3')),
      () => chmodSync(past('small'), 0o600),
      () => utimesSync(past('small'), 1, 1),
      () => symlinkSync('x', past('y')),
      () => linkSync(at('m/small'), past('small3')),
      () => rmSync(at('.weft'), { recursive: true }),
      () => renameSync(at('.weft'), at('weft')),
    ])
      assert.throws(call, { code: 'EROFS' }, call.toString());
    assert.throws(() => linkSync(past('small'), at('m/linked')), { code: 'EXDEV' });
    assert.throws(() => mkdirSync(at('.weft')), { code: 'EEXIST' });
    await runChecked('cp', ['-a', past(), at('m.back')]);
    await runChecked('diff', ['-r', past(), at('m.back')]);
  });

  test('snapshots are made at each site while they are apart, and both of one name are kept', async () => {
    writeFileSync(at('s'), 'first');
    await cluster.settle();
    await paris.pause();
    assert.match(await weft(paris, 'snapshot', 'create', 'before', paris.mountpoint), /snapshot before: .*before/);
    assert.match(
      await refused(paris, 'snapshot', 'create', 'before', paris.mountpoint),
      /a snapshot before of paris: choose/,
    );
    assert.match(await refused(paris, 'snapshot', 'create', '2h', paris.mountpoint), /2h is a moment/);
    assert.match(await refused(paris, 'snapshot', 'create', 'a/b', paris.mountpoint), /no name for a snapshot/);
    assert.match(
      await refused(paris, 'snapshot', 'delete', 'never', paris.mountpoint),
      /no snapshot never: weft snapshot list/,
    );
    writeFileSync(at('s'), 'paris after');
    writeFileSync(there('s'), 'oslo');
    await weft(oslo, 'snapshot', 'create', 'before', oslo.mountpoint);
    await paris.resume();
    await cluster.settle();
    await sleep(1100); // so long a name may mean what it did
    for (const site of [paris, oslo]) {
      const root = join(site.mountpoint, '.weft/snapshots');
      assert.deepEqual(readdirSync(root).toSorted(), ['before', 'before.~paris']);
      assert.equal(readFileSync(join(root, 'before/s'), 'utf8'), 'oslo');
      assert.equal(readFileSync(join(root, 'before.~oslo/s'), 'utf8'), 'oslo');
      assert.equal(readFileSync(join(root, 'before.~paris/s'), 'utf8'), 'first');
      const names = JSON.parse(await weft(site, 'snapshot', 'list', site.mountpoint, '--json')) as { name: string }[];
      assert.deepEqual(
        names.map(({ name }) => name),
        ['before', 'before.~paris'],
      );
    }
    await weft(paris, 'restore', `${at('s')}@before.~paris`);
    assert.equal(readFileSync(at('s'), 'utf8'), 'first');
    await weft(oslo, 'snapshot', 'delete', 'before', oslo.mountpoint);
    await cluster.settle();
    await sleep(1100);
    for (const site of [paris, oslo]) {
      assert.deepEqual(readdirSync(join(site.mountpoint, '.weft/snapshots')), ['before']);
      assert.equal(readFileSync(join(site.mountpoint, '.weft/snapshots/before/s'), 'utf8'), 'first');
    }
    assert.equal((await paris.status()).digest, (await oslo.status()).digest);
  });

  test('a snapshot has the same inode numbers after a restart', async () => {
    const before = statSync(at('.weft/snapshots/before/s')).ino;
    await paris.umount();
    await paris.mount();
    assert.equal(statSync(at('.weft/snapshots/before/s')).ino, before);
    assert.equal(readFileSync(at('.weft/snapshots/before/s'), 'utf8'), 'first');
  });

  test('limits of the volume reach every site, and those of a site go before them', async () => {
    await weft(paris, 'snapshot', 'keep', paris.mountpoint, '--age', '90d', '--count', '100');
    await cluster.settle();
    await weft(oslo, 'snapshot', 'keep', oslo.mountpoint, '--age', '7d', '--here');
    const all = Number.MAX_SAFE_INTEGER;
    const kept = async (site: Site): Promise<unknown> =>
      (JSON.parse(await weft(site, 'snapshot', 'keep', site.mountpoint, '--json')) as { inForce: unknown }).inForce;
    assert.deepEqual(await kept(paris), { age: 90 * 86_400, count: 100, bytes: all });
    assert.deepEqual(await kept(oslo), { age: 7 * 86_400, count: 100, bytes: all });
    await weft(oslo, 'snapshot', 'keep', oslo.mountpoint, '--age', 'unset', '--here');
    assert.deepEqual(await kept(oslo), { age: 90 * 86_400, count: 100, bytes: all });
  });
});
