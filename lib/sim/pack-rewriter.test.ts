// pack-rewriter.test.ts — lib/chunks/pack-rewriter.ts on the simulated disk, which knows what was synced.

import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { objectIdOf, ObjectKind } from '../chunks/object-kind.js';
import { PackReader } from '../chunks/pack-reader.js';
import { rewritePacks } from '../chunks/pack-rewriter.js';
import { PackWriter } from '../chunks/pack.js';
import { Random } from './random.js';
import { scratchDirectory } from './scratch-directory.js';
import { SiteDisk } from './site-disk.js';
import { Totals } from './totals.js';

const { path: root, remove } = scratchDirectory();
after(remove);

test('objects that a collection moved are lost when power fails as soon as they are named where they are then', () => {
  const state = join(root, 'state-1');
  const packs = join(state, 'packs');
  mkdirSync(packs, { recursive: true });
  const random = new Random('moved');
  const writer = new PackWriter(packs, 'site');
  const objects = Array.from({ length: 40 }, () => {
    const bytes = Buffer.from(random.hex(1 + random.below(5_000)));
    return { ...writer.append(ObjectKind.chunk, objectIdOf(bytes), bytes), packNumber: 1 };
  });
  writer.sync();
  writer.close();
  const disk = new SiteDisk(state, true, new Totals(), { fileTimeNs: 0n }, () => {}, random.fork('disk'));
  after(() => SiteDisk.forget(state));
  let moves = 0;
  for (const { moved } of rewritePacks(packs, objects)) {
    moves += moved.length;
    for (let n = 0; n < 20; n++) {
      const left = join(root, 'state-2');
      disk.loseTo(random.fork(`power ${n}`), left);
      const reader = new PackReader(join(left, 'packs'));
      for (const { id, to } of moved) {
        const object = objects.find((one) => one.id === id)!;
        assert.equal(objectIdOf(reader.read({ ...object, ...to })), id);
      }
      reader.close();
      rmSync(left, { recursive: true });
    }
  }
  assert.equal(moves, objects.length);
});
