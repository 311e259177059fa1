// site-sync-store.test.ts — objects on their way from a peer to the index, while a collection begins.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ObjectKind, objectIdOf } from '../chunks/object-kind.js';
import type { PackedObject } from '../chunks/pack.js';
import { VolumeFixture } from '../volume/volume-fixture.test-support.js';
import { DurableCommits } from './durable-commits.js';
import { someSiteConfig } from './site-config.test-support.js';
import { type ObjectIntake, SiteSyncStore } from './site-sync-store.js';

test('a link broke when a collection gave up the pack that what it had sent was in', async (t) => {
  const fixture = VolumeFixture.create();
  t.after(() => fixture.remove());
  const bytes = Buffer.from('from a peer');
  const id = objectIdOf(bytes);
  const order: string[] = [];
  let write!: (packed: PackedObject[]) => void;
  const received: ObjectIntake = {
    store: () => new Promise((resolve) => (write = resolve)),
    seal: async () => void order.push('to new packs from now on'),
    close: async () => {},
  };
  const request = async (name: string): Promise<never> => {
    order.push(name);
    return null as never;
  };
  const durable = new DurableCommits(
    async () => {},
    () => {},
    () => {},
  );
  const store = new SiteSyncStore({ request }, durable, received, () => someSiteConfig('/nowhere'), fixture.directory);
  t.after(() => store.close());
  const stored = store.storeObjects([{ id, kind: ObjectKind.chunk, bytes }], false);
  const sealed = store.seal().then(() => order.push('a collection may begin'));
  await nextTurn();
  write([{ id, kind: ObjectKind.chunk, pack: 'peer-1.pack', offset: 8, stored: 11, raw: 11, flags: 0 }]);
  await Promise.all([stored, sealed]);
  assert.deepEqual(order, ['to new packs from now on', 'objects', 'a collection may begin']);
});
