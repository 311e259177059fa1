// killed-at-work.test.ts — SIGKILL to either of two daemons while files are written, packed, fetched, evicted and collected: every byte that was
// acknowledged is there after mounting again, and fsck finds nothing. ROUNDS and SEED in the environment choose others than the slice
// that every run of the tests plays: `make kills`. Needs root and /dev/fuse.

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { Site } from '../scripts/sites/site.js';
import { at, Team } from './team.test-support.js';
import { writeWhole } from './write-whole.js';

const ROUNDS = Number(process.env['ROUNDS'] || 2);
const SEED = Number(process.env['SEED'] || 1);
const LARGE_BYTES = 1_500_000;
const CACHE_BYTES = 16 << 20;
/** So many files at each site; older ones are removed. */
const MAX_FILES = 60;
const SETTLE_EVERY = 25;

/** Numbers that follow from the seed alone. */
class Choice {
  private state = SEED;

  below(limit: number): number {
    this.state = createHash('sha256').update(String(this.state)).digest().readUInt32LE();
    return this.state % limit;
  }

  bytes(length: number): Buffer {
    const key = createHash('sha256')
      .update(String(this.below(2 ** 32)))
      .digest();
    return Buffer.alloc(length, Buffer.concat([key, Buffer.alloc(31, key[0])]));
  }
}

/** What one site was told is done. */
class Writer {
  /** Content of each file whose last call returned. */
  readonly files = new Map<string, Buffer>();
  private count = 0;

  constructor(
    readonly site: Site,
    private readonly choice: Choice,
  ) {}

  /** Writes until a call fails: the daemon is dead. What that call was about may be in any state, and is removed when it is back. */
  writeUntilKilled(): string {
    for (;;) {
      const { path, act } = this.next();
      const before = this.files.get(path);
      this.files.delete(path);
      try {
        const content = act(at(this.site, path), before);
        if (content) this.files.set(path, content);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        assert.ok(code === 'ENOTCONN' || code === 'ECONNABORTED' || code === 'EIO', `${path}: ${String(error)}`);
        return path;
      }
    }
  }

  private next(): { path: string; act: (path: string, before: Buffer | undefined) => Buffer | undefined } {
    const { choice } = this;
    const known = [...this.files.keys()];
    const some = known[choice.below(Math.max(1, known.length))];
    const what = choice.below(100);
    if (some !== undefined && (known.length >= MAX_FILES || what < 10)) {
      return { path: some, act: (path) => void rmSync(path) };
    }
    if (some !== undefined && what < 35) return { path: some, act: (path, before) => this.change(path, before!) };
    const content = choice.bytes(what < 50 ? LARGE_BYTES + choice.below(1000) : 1 + choice.below(20_000));
    return {
      path: `${this.site.name}/${this.count++}`,
      act: (path) => {
        writeFileSync(path, content);
        return content;
      },
    };
  }

  private change(path: string, before: Buffer): Buffer {
    const content = Buffer.from(before);
    const fd = openSync(path, 'r+');
    try {
      for (let writes = 0; writes < 3; writes++) {
        const piece = this.choice.bytes(1 + this.choice.below(Math.min(4000, content.length)));
        const offset = this.choice.below(content.length - piece.length + 1);
        writeWhole(fd, piece, offset);
        piece.copy(content, offset);
      }
    } finally {
      closeSync(fd);
    }
    return content;
  }

  check(site: Site = this.site): void {
    for (const [path, content] of this.files) {
      assert.ok(readFileSync(at(site, path)).equals(content), `${path} at ${site.name} is not what was written`);
    }
  }
}

describe(`daemons killed while they work, from seed ${SEED} on`, () => {
  const team = new Team('weft-killed-at-work');
  const { cluster, paris, oslo } = team;
  const choice = new Choice();
  const writers = [new Writer(paris, choice), new Writer(oslo, choice)];
  before(async () => {
    await paris.create('team');
    await oslo.join(await paris.invite(), ['--content', 'on-demand']);
    await oslo.weft(['content', oslo.mountpoint, '--cache', String(CACHE_BYTES)]);
    await paris.weft(['gc', paris.mountpoint, '--keep-history', '0']);
    for (const { site } of writers) mkdirSync(at(site, site.name));
    await cluster.settle();
  });
  after(() => team.close());

  for (let round = 0; round < ROUNDS; round++) {
    test(`round ${round}`, { timeout: 600_000 }, async () => {
      const writer = writers[round % 2]!;
      const other = writers[(round + 1) % 2]!;
      const { site } = writer;
      const helpers: ChildProcess[] = [];
      const beside = (command: string): void => {
        helpers.push(
          spawn('sh', ['-c', command], { stdio: 'ignore', env: { ...process.env, WEFT_HOME: cluster.home } }),
        );
      };
      const weft = `${process.execPath} ${new URL('../lib/cli/main.js', import.meta.url).pathname}`;
      if (site === paris) beside(`${weft} gc ${paris.mountpoint} --run`);
      else beside(`${weft} evict ${oslo.mountpoint}; cat ${at(oslo, other.site.name)}/*`);
      beside(`sleep 0.${1 + choice.below(9)}; kill -9 ${site.daemonPid}`);
      const inDoubt = writer.writeUntilKilled();
      await site.kill();
      for (const helper of helpers) helper.kill('SIGKILL');
      await site.mount();
      rmSync(at(site, inDoubt), { force: true });
      if (site === oslo) {
        await oslo.statusUntil('linked', ({ peers }) => peers.every(({ state }) => state === 'connected'), 60_000);
      }
      writer.check();
      const { code, stdout } = await site.weft(['fsck', site.mountpoint, '--data'], { timeoutMs: 300_000 });
      assert.equal(code, 0, stdout);
      if ((round + 1) % SETTLE_EVERY !== 0 && round + 1 < ROUNDS) return;
      await paris.statusUntil('linked', ({ peers }) => peers.every(({ state }) => state === 'connected'), 60_000);
      await Promise.all([paris.sync(300_000), oslo.sync(300_000)]);
      await Promise.all([paris.sync(300_000), oslo.sync(300_000)]);
      assert.equal((await paris.status()).digest, (await oslo.status()).digest);
      writers[0]!.check(oslo);
      writers[1]!.check(paris);
    });
  }
});
