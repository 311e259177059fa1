// restart-in-place.test.ts — the daemon ends, well or badly, while programs use the mount: what they and others see until it is back, and
// what an orderly end says. Needs root and /dev/fuse.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, fsyncSync, openSync, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Cluster } from '../scripts/sites/cluster.js';
import { runChecked } from '../scripts/sites/command.js';

describe('a daemon that ends while its mount is in use', () => {
  const cluster = new Cluster('weft-restart');
  const paris = cluster.addSite('paris');
  const oslo = cluster.addSite('oslo');

  before(async () => {
    await paris.create('team');
    await oslo.join(await paris.invite());
    await cluster.settle();
  });
  after(() => cluster.close());

  test('killed, every call says ENOTCONN at once; mounted again, new calls work and nothing acknowledged is lost', async () => {
    const path = join(paris.mountpoint, 'file');
    writeFileSync(path, 'acknowledged');
    const open = openSync(path, 'r+');
    writeSync(open, 'ACK');
    fsyncSync(open);
    // A shell that stands in the mount keeps it busy for as long as it likes.
    const shell = spawn('sh', ['-c', 'read line; ls 2>&1; read line; cd "$OLD"; ls'], {
      cwd: paris.mountpoint,
      env: { ...process.env, OLD: paris.mountpoint, LC_ALL: 'C' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let said = '';
    shell.stdout.on('data', (bytes: Buffer) => (said += bytes.toString()));
    await paris.kill();
    const startMs = performance.now();
    for (const call of [() => readFileSync(path), () => readdirSync(paris.mountpoint), () => writeSync(open, 'x')]) {
      // A call that was on its way when the daemon died, or came right then, was aborted.
      assert.throws(call, /ENOTCONN|ECONNABORTED/);
      assert.throws(call, { code: 'ENOTCONN' });
    }
    assert.ok(performance.now() - startMs < 1000, 'nothing hangs');
    shell.stdin.write('\n');
    await paris.mount();
    assert.equal(readFileSync(path, 'utf8'), 'ACKnowledged');
    // What was opened before belongs to the mount that is gone.
    assert.throws(() => writeSync(open, 'x'), { code: 'ENOTCONN' });
    closeSync(open);
    shell.stdin.end('\n');
    await new Promise((resolve) => shell.once('close', resolve));
    assert.match(said, /Transport endpoint is not connected/);
    assert.match(said, /^file$/m, 'it goes on where it stood once it went there again');
  });

  test('unmounted by umount(8), it is mounted again at once, though the daemon still packs what was written last', async () => {
    const bytes = Buffer.alloc(200 << 20, 'written last');
    writeFileSync(join(oslo.mountpoint, 'large'), bytes);
    await runChecked('umount', [oslo.mountpoint]);
    await oslo.mount();
    assert.ok(readFileSync(join(oslo.mountpoint, 'large')).equals(bytes));
  });

  test('an orderly end is refused while the mount is used, and says what is at no other site', async () => {
    const open = openSync(join(paris.mountpoint, 'file'), 'r');
    const busy = await paris.weft(['umount', paris.mountpoint]);
    assert.equal(busy.code, 1);
    closeSync(open);
    await oslo.umount();
    for (let i = 0; i < 3; i++) writeFileSync(join(paris.mountpoint, `alone-${i}`), 'nobody else has this');
    const ended = await paris.weft(['umount', paris.mountpoint]);
    assert.equal(ended.code, 0, ended.stderr);
    assert.match(ended.stdout, /^\d+ changes?, .*: at no other site yet; weft sync --wait/);
    await paris.mount(['--log-level', 'error']);
    await oslo.mount();
    await cluster.settle();
    const quiet = await paris.weft(['umount', paris.mountpoint]);
    assert.equal(quiet.stdout, '');
    const lines = readFileSync(join(paris.state, 'daemon.log'), 'utf8').trim().split('\n');
    assert.match(lines.at(-1)!, /unmounted/, 'of the run before the last, which logs errors alone');
    await paris.mount();
  });

  test('an invite need not be on a command line', async () => {
    const rome = cluster.addSite('rome');
    const invite = await paris.invite();
    const joined = await rome.weft(['join', '-', rome.mountpoint, '--site', 'rome', '--state', rome.state], {
      input: invite,
    });
    assert.equal(joined.code, 0, joined.stderr);
    await rome.noteDaemon();
  });
});
