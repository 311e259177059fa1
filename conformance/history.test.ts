// history.test.ts — old versions and removed trees on real mounts: what README.md says of them, done.

import assert from 'node:assert/strict';
import { chmodSync, existsSync, linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { rmSync, statSync, symlinkSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { runChecked } from '../scripts/sites/command.js';
import type { Site } from '../scripts/sites/site.js';
import { refused, weft, Team } from './team.test-support.js';

interface Row {
  readonly version: string | null;
  readonly event: string;
  readonly site: string;
  readonly size: number | null;
  readonly path: string;
}

async function versionsOf(site: Site, path: string): Promise<Row[]> {
  const rows = JSON.parse(await weft(site, 'history', path, '--json')) as Row[];
  return rows.filter(({ version }) => version !== null);
}

describe('history', () => {
  const team = new Team('weft-history');
  const { cluster, paris, oslo } = team;
  const at = (...names: string[]): string => join(paris.mountpoint, ...names);
  const there = (...names: string[]): string => join(oslo.mountpoint, ...names);

  before(() => team.found());
  after(() => team.close());

  test('a version comes back, and what was there stays in the history', async () => {
    const large = Buffer.alloc(3 << 20, 'first version of something large\n');
    writeFileSync(at('f'), large);
    await cluster.settle();
    writeFileSync(there('f'), 'second');
    await cluster.settle();
    const [second, first] = await versionsOf(paris, at('f'));
    assert.deepEqual([second!.site, second!.size, first!.site, first!.size], ['oslo', 6, 'paris', large.length]);
    const before = statSync(at('f')).ino;
    assert.match(await weft(paris, 'restore', `${at('f')}@${first!.version!}`), /is at \/f/);
    assert.deepEqual(readFileSync(at('f')), large);
    assert.equal(statSync(at('f')).ino, before);
    await cluster.settle();
    assert.deepEqual(readFileSync(there('f')), large);
    assert.equal((await versionsOf(oslo, there('f'))).length, 3);
    await weft(oslo, 'restore', `${there('f')}@${second!.version!}`, '--to', there('f.second'));
    assert.equal(readFileSync(there('f.second'), 'utf8'), 'second');
    assert.match(await refused(paris, 'restore', `${at('f')}@12-abc`), /no version 12-abc: weft history/);
    assert.match(await refused(oslo, 'restore', `${there('f')}@2h`), /no file with content then/);
    assert.match(
      await refused(oslo, 'restore', `${there('f')}@${first!.version!}`, '--to', there('f.second')),
      /something of that name/,
    );
    assert.equal((await paris.status()).conflicts, 0);
  });

  test('a file that was removed comes back with the version that was asked for', async () => {
    writeFileSync(at('gone'), 'one');
    await weft(paris, 'history', at('gone'));
    writeFileSync(at('gone'), 'other');
    chmodSync(at('gone'), 0o640);
    const [, one] = await versionsOf(paris, at('gone'));
    unlinkSync(at('gone'));
    await weft(paris, 'restore', `${at('gone')}@${one!.version!}`);
    assert.equal(readFileSync(at('gone'), 'utf8'), 'one');
    assert.equal(statSync(at('gone')).mode & 0o777, 0o640);
  });

  test('a tree comes back as it was, at every site', async () => {
    mkdirSync(at('tree/deep/er'), { recursive: true });
    writeFileSync(at('tree/a'), 'a');
    writeFileSync(at('tree/deep/b'), 'b');
    linkSync(at('tree/a'), at('tree/deep/a2'));
    symlinkSync('a', at('tree/l'));
    chmodSync(at('tree/deep'), 0o750);
    chmodSync(at('tree/a'), 0o604);
    utimesSync(at('tree/a'), 1_000_000, 1_000_000.5);
    utimesSync(at('tree/deep/er'), 1_000_000, 2_000_000.5);
    await runChecked('setfattr', ['-n', 'user.colour', '-v', 'blue', at('tree/deep/b')]);
    utimesSync(at('tree'), 1_000_000, 3_000_000);
    const listing = (root: string): string[] =>
      readdirSync(root, { recursive: true, withFileTypes: true })
        .map((entry) => {
          const path = join(entry.parentPath, entry.name);
          const { ino, mode, uid, gid, nlink, mtimeMs, size } = lstatSync(path);
          return [path.slice(root.length), ino, mode, uid, gid, nlink, mtimeMs, entry.isDirectory() ? 0 : size].join(
            ' ',
          );
        })
        .toSorted();
    const before = listing(at('tree'));
    const mtime = statSync(at('tree')).mtimeMs;
    await cluster.settle(); // what one change both wrote and removed has no past
    rmSync(at('tree'), { recursive: true });
    await cluster.settle();
    assert.match(await weft(oslo, 'undelete', there('tree')), /^\/tree is back \(7 names\)$/m);
    await cluster.settle();
    for (const root of [at('tree'), there('tree')]) {
      assert.deepEqual(listing(root), before);
      assert.equal(statSync(root).mtimeMs, mtime);
      assert.equal(readFileSync(join(root, 'deep/a2'), 'utf8'), 'a');
    }
    assert.equal((await paris.status()).digest, (await oslo.status()).digest);
    assert.equal((await paris.status()).conflicts, 0);
    assert.match(await refused(paris, 'undelete', at('tree')), /nothing of the name \/tree was removed/);
  });

  test('what has the name now stays, and what is above comes back too', async () => {
    mkdirSync(at('p/q'), { recursive: true });
    writeFileSync(at('p/q/f'), 'old');
    await weft(paris, 'history', at('p/q/f'));
    rmSync(at('p'), { recursive: true });
    mkdirSync(at('p'));
    writeFileSync(at('p/other'), 'new');
    assert.match(await weft(paris, 'undelete', at('p')), /^\/p\.undeleted is back/);
    assert.equal(readFileSync(at('p.undeleted/q/f'), 'utf8'), 'old');
    assert.equal(readFileSync(at('p/other'), 'utf8'), 'new');

    mkdirSync(at('r/s'), { recursive: true });
    writeFileSync(at('r/s/f'), 'deep');
    await weft(paris, 'history', at('r/s/f'));
    rmSync(at('r'), { recursive: true });
    assert.match(await weft(paris, 'undelete', at('r/s/f')), /^\/r\/s\/f is back \(1 name\)$/m);
    assert.equal(readFileSync(at('r/s/f'), 'utf8'), 'deep');
  });

  test('what is missing of a directory since a moment comes back', async () => {
    mkdirSync(at('since/sub'), { recursive: true });
    for (const name of ['a', 'b', 'sub/c']) writeFileSync(at('since', name), name);
    await weft(paris, 'history', at('since'));
    await sleep(20);
    const moment = new Date().toISOString();
    await sleep(20);
    unlinkSync(at('since/a'));
    renameSync(at('since/b'), at('since/moved'));
    rmSync(at('since/sub'), { recursive: true });
    assert.match(await weft(paris, 'undelete', at('since'), '--since', moment), /^\/since is back \(3 names\)$/m);
    assert.deepEqual(readdirSync(at('since')).toSorted(), ['a', 'moved', 'sub']);
    assert.equal(readFileSync(at('since/sub/c'), 'utf8'), 'sub/c');
    assert.ok(!existsSync(at('since/b')));
    assert.match(await refused(paris, 'undelete', at('since'), '--since', moment), /nothing at \/since was removed/);
    assert.match(
      await refused(paris, 'undelete', at('since'), '--since', 'lunch'),
      /lunch is no moment: write for example/,
    );
  });
});
