// failed-sync.test.ts — a daemon that ends after a sync of its state failed, and the one that starts then.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { hasFailedSync, markFailedSync } from '../lib/failed-sync-mark.js';
import { statePath, walPath } from '../lib/journal/schema.js';
import { Cluster } from '../scripts/sites/cluster.js';
import { at } from './team.test-support.js';

const cluster = new Cluster('weft-failed-sync');
const paris = cluster.addSite('paris');
const SMALL = 'small\n';
const LARGE = Buffer.alloc(300_000, 'large\n');

before(() => paris.create('team'));
after(() => cluster.close());

test("SQLite's log is copied and removed at the end of a daemon whose syncs do not say what is on the disk", async () => {
  writeFileSync(at(paris, 'small'), SMALL, { flush: true });
  writeFileSync(at(paris, 'large'), LARGE, { flush: true });
  const wal = walPath(statePath(paris.state));
  markFailedSync(paris.state);
  await paris.umount();
  assert.ok(existsSync(wal));

  const writtenMs = statSync(wal).mtimeMs;
  await paris.mount();
  assert.ok(!hasFailedSync(paris.state), 'all was written again');
  assert.ok(statSync(wal).mtimeMs > writtenMs);
  assert.equal(readFileSync(at(paris, 'small'), 'utf8'), SMALL);
  assert.ok(readFileSync(at(paris, 'large')).equals(LARGE));
  assert.match(readFileSync(join(paris.state, 'daemon.log'), 'utf8'), /written again/);

  await paris.umount();
  assert.ok(!existsSync(wal), 'as after every orderly end');
  await paris.mount();
  assert.equal(readFileSync(at(paris, 'small'), 'utf8'), SMALL);
});
