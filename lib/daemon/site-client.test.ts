import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { statePath } from '../journal/schema.js';
import { temporaryDirectory } from '../journal/temporary-directory.js';
import { VolumeFixture } from '../volume/volume-fixture.test-support.js';
import type { Log } from './daemon-interface.js';
import { SiteClient } from './site-client.js';

const SILENT = Object.fromEntries(
  ['trace', 'debug', 'info', 'warn', 'error', 'fatal'].map((level) => [level, () => {}]),
) as unknown as Log;

test('a killed site could not be mounted again: a file that was being packed was packed before the mount was there', async (t) => {
  const fixture = VolumeFixture.create();
  t.after(() => fixture.remove());
  fixture.write('large', Buffer.alloc(200_000, 1));
  const directory = temporaryDirectory(t);
  execFileSync('cp', ['-a', `${fixture.directory}/.`, directory]);
  rmSync(`${statePath(directory)}-shm`);
  const answered: SiteClient[] = [];
  const nothing = (): void => {};
  const site = await SiteClient.start(
    {
      stateDirectory: directory,
      config: {
        volumeId: '1'.repeat(32),
        volume: 'team',
        siteId: fixture.siteId,
        site: 'paris',
        mountpoint: '/nowhere',
        listen: '127.0.0.1:0',
        driver: 'kernel',
        mountOptions: [],
        peers: [],
        slot: null,
      },
      mount: false,
      actorId: '2'.repeat(32),
      afterPowerLoss: false,
    },
    {
      ingest({ job }, from) {
        from.send({ type: 'ingestFailed', jobId: job.jobId, absent: [] });
        answered.push(from);
      },
      committed: nothing,
      needed: nothing,
      ahead: nothing,
      asked: nothing,
      unused: nothing,
      slot: nothing,
      quarantined: nothing,
    },
    SILENT,
  );
  await site.request('fold', null);
  assert.ok(answered.length > 0, 'nothing was to be packed');
  assert.ok(answered.every((from) => from === site));
  await site.request('stop', null);
  assert.equal(await site.ended, null);
});
