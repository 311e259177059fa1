// How the process of a daemon ends: with its log on a disk that fails, and by an exception.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MemoryMount } from '../fuse/memory-mount.test-support.js';
import { MNT_DETACH, unmountNow } from '../fuse/system-calls.js';

const CHILD = `
  import { endWithoutHandlers } from ${JSON.stringify(new URL('process-end.js', import.meta.url).href)};
  await endWithoutHandlers();
  process.once('message', () => process.exit(3));
  process.send('ready');
`;

test(
  'a daemon whose log cannot be synced does not end, and every program in the mount waits',
  { timeout: 20_000 },
  async (t) => {
    const mount = await MemoryMount.start();
    const log = openSync(join(mount.path, 'daemon.log'), 'w');
    const child = spawn(process.execPath, ['--input-type=module', '--eval', CHILD], {
      stdio: ['ignore', log, log, 'ipc'],
    });
    t.after(() => child.kill('SIGKILL'));
    await new Promise((resolve) => child.once('message', resolve));
    closeSync(log);
    // Nobody serves the file any more: every sync of it fails.
    void mount.order({ kind: 'stop' });
    await mount.ended;
    if (mount.mounted) unmountNow(mount.path, MNT_DETACH);
    mount.release();
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.send('end');
    assert.equal(await ended, 3);
  },
);

test('a daemon in the foreground ends without a word when an exception is not caught', () => {
  const script = `
    import { endByUncaught, endWithoutHandlers } from ${JSON.stringify(new URL('process-end.js', import.meta.url).href)};
    import { openLog } from ${JSON.stringify(new URL('daemon-logger.js', import.meta.url).href)};
    await endWithoutHandlers();
    endByUncaught(openLog('/dev/null', { level: 'info', foreground: true }));
    setImmediate(() => { throw new Error('told to the caller'); });
  `;
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
  });
  assert.match(stderr, /told to the caller/);
  assert.equal(status, 1);
});
