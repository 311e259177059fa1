// killed-collection.test.ts — SIGKILL to a daemon that takes writes, packs them and collects what nothing needs, all at once: what was
// acknowledged is there after mounting again, and all of it can be read. COLLECTION_KILLS=500 SEED=7: as many times, from that seed.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Cluster } from '../scripts/sites/cluster.js';
import type { Site } from '../scripts/sites/site.js';
import { type Model, stepsOf } from './random-writer.js';

const WRITER = fileURLToPath(new URL('random-writer.js', import.meta.url));
const KILLS = Number(process.env['COLLECTION_KILLS'] ?? 6);
const SEED = Number(process.env['SEED'] ?? Math.floor(Math.random() * 1e6));
const LONGEST_RUN_MS = 1_200;

/** Writes, and collects all the while, until the daemon is killed; returns how many steps of the round were acknowledged. */
async function writeUntilKilled(site: Site, round: number, afterMs: number): Promise<number> {
  const writer = spawn(process.execPath, [WRITER, site.mountpoint, String(SEED), String(round)], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let output = '';
  writer.stdout.setEncoding('latin1').on('data', (text: string) => (output += text));
  const ended = once(writer, 'close');
  const collecting = collectUntilKilled(site);
  await sleep(afterMs);
  await site.kill();
  await Promise.all([ended, collecting]);
  return Number(output.slice(0, output.lastIndexOf('\n')).split('\n').at(-1));
}

async function collectUntilKilled(site: Site): Promise<void> {
  for (let code: number | null = 0; code === 0;) code = (await site.weft(['gc', site.mountpoint, '--run'])).code;
}

function read(site: Site): Model {
  const { mountpoint } = site;
  const names = readdirSync(mountpoint);
  try {
    return new Map(names.map((name) => [name, readFileSync(join(mountpoint, name))]));
  } catch (error) {
    throw new Error(`${(error as Error).message}: ${site.logTroubles().join(', ')}`, { cause: error });
  }
}

/** The paths at which one is not as the other, but for those that a step was at. */
function differences(expected: Model, found: Model, except: readonly string[]): string[] {
  const paths = new Set([...expected.keys(), ...found.keys()]);
  const same = (path: string): boolean => {
    const [a, b] = [expected.get(path), found.get(path)];
    return a === undefined || b === undefined ? a === b : a.equals(b);
  };
  return [...paths].filter((path) => !except.includes(path) && !same(path)).toSorted();
}

describe(`a daemon killed while it collects, seed ${SEED}`, () => {
  const cluster = new Cluster('weft-collection');
  const paris = cluster.addSite('paris');
  let model: Model = new Map();

  before(async () => {
    await paris.create('team');
    assert.equal((await paris.weft(['gc', paris.mountpoint, '--keep-history', '0'])).code, 0);
  });
  after(() => cluster.close());

  test('no acknowledged byte is lost, and everything can be read', async () => {
    let steps = 0;
    for (let round = 1; round <= KILLS; round++) {
      const acknowledged = await writeUntilKilled(paris, round, (((round * 7919 + SEED) % 997) / 997) * LONGEST_RUN_MS);
      steps += acknowledged;
      let begun: readonly string[] = [];
      let number = 0;
      for (const step of stepsOf(SEED, round)) {
        if (number++ === acknowledged) begun = step.paths;
        if (number > acknowledged) break;
        step.apply(model);
      }
      await paris.mount();
      const found = read(paris);
      assert.deepEqual(differences(model, found, begun), [], `seed ${SEED}, round ${round}, ${acknowledged} steps`);
      model = found;
      if (round % 4 > 0) continue;
      const collected = await paris.weft(['gc', paris.mountpoint, '--run']);
      assert.equal(collected.code, 0, collected.stderr);
      await paris.umount();
      await paris.mount();
      assert.deepEqual(differences(model, read(paris), []), [], `seed ${SEED}, round ${round}, collected`);
    }
    assert.ok(steps > 0, 'nothing was written');
  });

  test('nothing was found damaged or missing on the way', () => {
    const troubles = paris.logTroubles().filter((line) => !line.includes('an earlier daemon left behind'));
    assert.deepEqual(troubles, []);
  });
});
