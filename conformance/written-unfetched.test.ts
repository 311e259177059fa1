// written-unfetched.test.ts — a site that fetches what is read there writes to files of which it has little, with real daemons, mounts and
// links. Whatever others do meanwhile, and whether they can be reached or not: no byte is lost, and no command waits for ever.
// Needs root and /dev/fuse.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Team, at, weft } from './team.test-support.js';

const SIZE = 24 << 20;
const PATCH = Buffer.from('of oslo');
const PATCHED_AT = 5_000_000;

function patched(bytes: Buffer, ...at: readonly number[]): Buffer {
  const copy = Buffer.from(bytes);
  for (const offset of at) PATCH.copy(copy, offset);
  return copy;
}

/** Opens a file that is there and writes a few bytes into it. */
function openAndPatch(path: string): number {
  const fd = openSync(path, 'r+');
  writeSync(fd, PATCH, 0, PATCH.length, PATCHED_AT);
  return fd;
}

describe('a site that has not fetched what it writes to', () => {
  const team = new Team('weft-written-unfetched');
  const { cluster, paris, oslo } = team;

  before(async () => {
    await paris.create('team');
    await oslo.join(await paris.invite(), ['--content', 'on-demand']);
    await weft(paris, 'gc', '--keep-history', '0');
  });
  after(() => team.close());

  /** A file that paris has and oslo knows of. */
  async function file(name: string): Promise<Buffer> {
    for (const other of names()) rmSync(at(paris, other));
    const bytes = randomBytes(SIZE);
    writeFileSync(at(paris, name), bytes);
    await cluster.settle();
    return bytes;
  }

  /** Whatever oslo does not say that it needs, paris gives up. */
  async function giveUp(): Promise<void> {
    for (let round = 0; round < 3; round++) {
      await paris.sync();
      await weft(paris, 'gc', '--run');
    }
  }

  /** The same at both sites, and all of it. */
  async function bothShow(expected: Readonly<Record<string, Buffer>>): Promise<void> {
    await cluster.settle();
    for (const site of [paris, oslo]) {
      for (const [name, bytes] of Object.entries(expected))
        assert.ok(readFileSync(at(site, name)).equals(bytes), `${name} at ${site.name}`);
      assert.equal((await site.status()).missingObjects, 0, site.name);
    }
    assert.deepEqual(Object.keys(expected).toSorted(), names());
  }

  function names(): string[] {
    return readdirSync(paris.mountpoint).toSorted();
  }

  function copyOf(name: string): string {
    return names().find((other) => other.startsWith(`${name}.~`))!;
  }

  test('a version without bytes, made of one that another site overwrote while it was open here', async () => {
    const bytes = await file('overwritten');
    const fd = openAndPatch(at(oslo, 'overwritten'));
    const other = randomBytes(SIZE);
    writeFileSync(at(paris, 'overwritten'), other);
    await giveUp();
    closeSync(fd);
    await cluster.settle();
    const copy = copyOf('overwritten');
    const mine = patched(bytes, PATCHED_AT);
    const isCopy = readFileSync(at(paris, copy)).equals(mine);
    await bothShow({ overwritten: isCopy ? other : mine, [copy]: isCopy ? mine : other });
  });

  test('a version without bytes, made of one that another site removed while it was open here', async () => {
    const bytes = await file('removed');
    const fd = openAndPatch(at(oslo, 'removed'));
    rmSync(at(paris, 'removed'));
    await giveUp();
    closeSync(fd);
    await bothShow({ removed: patched(bytes, PATCHED_AT) });
  });

  test('a conflict copy without bytes, of what another site wrote and removed while the file was open here', async () => {
    const bytes = await file('both');
    const fd = openSync(at(oslo, 'both'), 'r+');
    const other = randomBytes(SIZE);
    writeFileSync(at(paris, 'both'), other);
    rmSync(at(paris, 'both'));
    await giveUp();
    writeSync(fd, PATCH, 0, PATCH.length, PATCHED_AT);
    closeSync(fd);
    await cluster.settle();
    const mine = patched(bytes, PATCHED_AT);
    const copy = copyOf('both');
    await bothShow(copy ? { both: mine, [copy]: other } : { both: mine });
  });

  test('no command returns while a file lacks bytes of a site that cannot be reached', async () => {
    const bytes = await file('patched');
    const fd = openAndPatch(at(oslo, 'patched'));
    await oslo.pause();
    writeSync(fd, PATCH, 0, PATCH.length, 2 * PATCHED_AT);
    closeSync(fd);
    assert.match(await weft(oslo, 'history', at(oslo, 'patched')), /written/);
    assert.match(
      (await oslo.weft(['sync', '--wait', oslo.mountpoint], { timeoutMs: 20_000 })).stdout,
      /no peer is connected/,
    );
    const backup = await weft(oslo, 'backup', oslo.mountpoint, `${oslo.state}.backup`);
    assert.match(backup, /in it without what was written last: 1 file:/);
    const umount = await oslo.weft(['umount', oslo.mountpoint], { timeoutMs: 20_000 });
    assert.equal(umount.code, 0, umount.stderr);
    assert.match(umount.stdout, /1 written file: kept here, and at no other site: could not be packed yet/);
    await oslo.mount();
    await oslo.resume();
    await cluster.settle();
    for (const site of [oslo, paris])
      assert.ok(readFileSync(at(site, 'patched')).equals(patched(bytes, PATCHED_AT, 2 * PATCHED_AT)), site.name);
  });
});
