// unfetched-calls.test.ts — random calls on files of which a site has fetched nothing, or part, with real daemons and mounts: each read and
// what is there at the end is compared with what the same calls make of a buffer. The daemon is killed and mounted again meanwhile, content
// is given up there, and at the other site all that nobody says he needs. Programs of the simulator read a file before they change it.
// SEED and STEPS in the environment choose others than what every run of the tests plays. Needs root and /dev/fuse.

import assert from 'node:assert/strict';
import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { copyFileRange, fallocate } from '../lib/fuse/posix-calls.test-support.js';
import { Random } from '../lib/sim/random.js';
import { at, Team, weft } from './team.test-support.js';

const SEED = Number(process.env['SEED'] || 1);
const STEPS = Number(process.env['STEPS'] || 60);
const FILES = 8;
const SIZES = [100, 5_000, 70_000, 400_000, 3_000_000, 9_000_000];
const LENGTHS = [1, 50, 5_000, 200_000];
/** linux/falloc.h: a hole, and zeros. FUSE refuses the modes that move bytes. */
const PUNCH_HOLE = 3;
const ZERO_RANGE = 16;

const WEIGHTS = {
  write: 6,
  read: 4,
  truncate: 2,
  append: 1,
  punch: 1,
  zero: 1,
  copyRange: 1,
  rename: 1,
  fsync: 1,
  close: 1,
  evict: 1,
  giveUp: 1,
  kill: 1,
  mountAgain: 1,
  overwrittenElsewhere: 1,
};

/** What a buffer holds after bytes were written at an offset, behind its end too. */
function written(content: Buffer, offset: number, data: Buffer): Buffer {
  const result = Buffer.alloc(Math.max(content.length, offset + data.length));
  content.copy(result);
  data.copy(result, offset);
  return result;
}

function cutTo(content: Buffer, size: number): Buffer {
  return Buffer.concat([content.subarray(0, size), Buffer.alloc(Math.max(0, size - content.length))]);
}

describe('a site that has not fetched what calls are about', () => {
  const team = new Team('weft-unfetched-calls');
  const { cluster, paris, oslo } = team;
  const random = new Random(SEED);
  const model = new Map<string, Buffer>();
  const open = new Map<string, number>();
  const history: string[] = [];

  before(async () => {
    await paris.create('team');
    await oslo.join(await paris.invite(), ['--content', 'on-demand']);
    await weft(paris, 'gc', '--keep-history', '0');
    for (let i = 0; i < FILES; i++) writeAnew(paris.mountpoint, `f${i}`);
    await cluster.settle();
  });
  after(() => team.close());

  function bytes(length: number): Buffer {
    const data = Buffer.alloc(length);
    for (let i = 0; i + 4 <= length; i += 4) data.writeUInt32LE(Math.floor(random.next() * 2 ** 32), i);
    return data;
  }

  function writeAnew(directory: string, name: string): void {
    const data = bytes(random.pick(SIZES)!);
    model.set(name, data);
    writeFileSync(`${directory}/${name}`, data);
  }

  function anyFile(): string {
    return `f${random.below(FILES)}`;
  }

  function descriptor(name: string): number {
    let fd = open.get(name);
    if (fd === undefined) open.set(name, (fd = openSync(at(oslo, name), 'r+')));
    return fd;
  }

  function closeAll(): void {
    for (const fd of open.values()) closeSync(fd);
    open.clear();
  }

  /** Those of a daemon that was killed cannot be closed without an error. */
  function forgetAll(): void {
    for (const fd of open.values()) {
      try {
        closeSync(fd);
      } catch (error) {
        assert.ok((error as { code?: string }).code, String(error));
      }
    }
    open.clear();
  }

  function makeZeros(mode: number, name: string): void {
    const content = model.get(name)!;
    if (content.length === 0) return;
    const offset = random.below(content.length);
    const length = 1 + random.below(content.length - offset);
    history.push(`zeros ${mode} ${name} ${offset} ${length}`);
    fallocate(descriptor(name), mode, offset, length);
    model.set(name, written(content, offset, Buffer.alloc(length)));
  }

  function copyRange(from: string, to: string): void {
    const [source, target] = [model.get(from)!, model.get(to)!];
    if (from === to || source.length === 0) return;
    const offset = random.below(source.length);
    const length = 1 + random.below(source.length - offset);
    const place = random.below(target.length + 1);
    history.push(`copy ${from} ${offset} ${length} to ${to} ${place}`);
    for (let done = 0; done < length;)
      done += copyFileRange(
        descriptor(from),
        BigInt(offset + done),
        descriptor(to),
        BigInt(place + done),
        length - done,
      );
    model.set(to, written(target, place, source.subarray(offset, offset + length)));
  }

  function rename(from: string, to: string): void {
    if (from === to) return;
    history.push(`rename ${from} ${to}`);
    closeAll();
    renameSync(at(oslo, from), at(oslo, to));
    model.set(to, model.get(from)!);
    writeAnew(oslo.mountpoint, from);
  }

  async function step(): Promise<void> {
    const name = anyFile();
    const content = model.get(name)!;
    const verb = random.weighted(WEIGHTS);
    switch (verb) {
      case 'write': {
        const [offset, data] = [random.below(content.length + 1_000), bytes(random.pick(LENGTHS)!)];
        history.push(`write ${name} ${offset} ${data.length}`);
        assert.equal(writeSync(descriptor(name), data, 0, data.length, offset), data.length);
        model.set(name, written(content, offset, data));
        return;
      }
      case 'read': {
        const [offset, into] = [random.below(content.length + 1), Buffer.alloc(random.pick(LENGTHS)!)];
        history.push(`read ${name} ${offset} ${into.length}`);
        const count = readSync(descriptor(name), into, 0, into.length, offset);
        assert.ok(into.subarray(0, count).equals(content.subarray(offset, offset + into.length)), `${count} bytes`);
        return;
      }
      case 'truncate': {
        const size = random.pick([0, random.below(content.length + 1), content.length + random.below(100_000)])!;
        history.push(`truncate ${name} ${size}`);
        if (random.chance(0.5)) ftruncateSync(descriptor(name), size);
        else truncateSync(at(oslo, name), size);
        model.set(name, cutTo(content, size));
        return;
      }
      case 'append': {
        const data = bytes(random.pick(LENGTHS)!);
        history.push(`append ${name} ${data.length}`);
        writeFileSync(at(oslo, name), data, { flag: 'a' });
        model.set(name, Buffer.concat([content, data]));
        return;
      }
      case 'copyRange':
        return copyRange(name, anyFile());
      case 'rename':
        return rename(name, anyFile());
      case 'fsync':
        return fsyncSync(descriptor(name));
      case 'close':
        return closeAll();
      case 'evict':
        history.push('evict');
        await weft(oslo, 'evict', oslo.mountpoint);
        return;
      case 'giveUp':
        history.push('give up');
        await weft(paris, 'gc', '--run');
        return;
      case 'kill':
        history.push('kill');
        await oslo.kill();
        forgetAll();
        return oslo.mount();
      case 'mountAgain':
        history.push('mount again');
        closeAll();
        await oslo.umount();
        return oslo.mount();
      case 'overwrittenElsewhere':
        history.push(`overwritten ${name}`);
        closeAll();
        await cluster.settle();
        writeAnew(paris.mountpoint, name);
        return cluster.settle();
      case 'punch':
        return makeZeros(PUNCH_HOLE, name);
      case 'zero':
        return makeZeros(ZERO_RANGE, name);
    }
  }

  test('calls on a file that was not fetched do other than on one that is here', async () => {
    try {
      for (let i = 0; i < STEPS; i++) await step();
      closeAll();
      await cluster.settle();
      for (const site of [paris, oslo]) {
        assert.deepEqual(readdirSync(site.mountpoint).toSorted(), [...model.keys()].toSorted());
        for (const [name, content] of model)
          assert.ok(readFileSync(at(site, name)).equals(content), `${name} at ${site.name}`);
        const { code, stdout } = await site.weft(['fsck', site.mountpoint, '--data'], { timeoutMs: 60_000 });
        assert.equal(code, 0, stdout);
      }
    } catch (error) {
      const steps = history.slice(-20).join('\n  ');
      throw new Error(`${(error as Error).message}: SEED=${SEED} STEPS=${STEPS}, which ended with\n  ${steps}`, {
        cause: error,
      });
    }
  });
});
