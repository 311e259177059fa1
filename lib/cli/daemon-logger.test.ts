// The daemon's log on a disk that somebody else fills. Needs root: the disk is a small tmpfs.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { openLog } from './daemon-logger.js';

test('the daemon ends when the disk has no room for a line of its log', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'weft-log-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'weft-daemon-log', directory]);
  t.after(() => {
    execFileSync('umount', ['--lazy', directory]);
    rmdirSync(directory);
  });
  const path = join(directory, 'daemon.log');
  const log = openLog(path, { level: 'info', foreground: false });
  const other = join(directory, 'other');
  assert.throws(() => writeFileSync(other, Buffer.alloc(1 << 20)), { code: 'ENOSPC' });
  const lines = Array.from({ length: 100 }, (_, i) => `line ${i} ${'.'.repeat(100)}`);
  for (const line of lines.slice(0, -1)) log.info({}, line);
  await turn();
  rmSync(other);
  log.info({}, lines.at(-1)!);
  const written = readFileSync(path, 'utf8').trimEnd().split('\n');
  assert.deepEqual(
    written.map((line) => (JSON.parse(line) as { msg: string }).msg),
    lines,
  );
});
