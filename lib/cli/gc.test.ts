import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeCollection } from './gc.js';
import { FakeDaemon } from './fake-daemon.test-support.js';

const NO_STATE = {
  directory: '/',
  config: () => assert.fail(),
  saveConfig: () => {},
};

test('weft gc says what is kept for what, for whom, and what would go', async () => {
  const daemon = new FakeDaemon(NO_STATE);
  const looked = describeCollection({ volume: 'team', ...(await daemon.collect(false)) });
  assert.equal(
    looked,
    [
      'team                  OBJECTS  SIZE',
      'kept for files        1 204    5.0 MiB',
      'kept for other sites  2        1.0 KiB',
      'would go              7        2.0 MiB',
      'oslo may still need what is kept for other sites (weft retire puts a site out)',
      'weft gc --run gives back 3.0 MiB of 9.0 MiB',
    ].join('\n'),
  );
  const done = describeCollection({ volume: 'team', ...(await daemon.collect(true)) });
  assert.match(done, /^not needed\s+7 /m);
  assert.match(done, /3\.0 MiB of 9\.0 MiB reclaimed$/);
});
