import assert from 'node:assert/strict';
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Random } from './random.js';
import { scratchDirectory } from './scratch-directory.js';
import { SiteDisk } from './site-disk.js';
import { Totals } from './totals.js';

const { path: root, remove } = scratchDirectory();
after(remove);

test('what a dead site still holds open is closed without a fault of the disk that its successor has', () => {
  const [first, second] = [join(root, 'state-1'), join(root, 'state-2')];
  for (const directory of [first, second]) mkdirSync(directory);
  const disk = new SiteDisk(first, false, new Totals(), { fileTimeNs: 0n }, () => {}, new Random(1));
  const open = (directory: string): number => openSync(join(directory, 'pack'), 'wx');
  const write = (fd: number): number => writeSync(fd, Buffer.from('staged'));
  const [dead, alive] = [open(first), open(second)];
  disk.fullness = 'really';
  assert.throws(() => write(dead), { code: 'ENOSPC' });
  assert.equal(write(alive), 6, 'a directory on no simulated disk');
  disk.moveTo(second, null);
  SiteDisk.forget(first);
  assert.equal(write(dead), 6);
  assert.throws(() => open(second), { code: 'ENOSPC' });
  assert.equal(disk.refusals, 1);
  for (const fd of [dead, alive]) closeSync(fd);
});
