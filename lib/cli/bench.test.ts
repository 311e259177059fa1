import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Comparison } from './bench.js';
import { Scratch } from './spawn-weft.test-support.js';

const scratch = new Scratch();
after(() => scratch.remove());
const skip = existsSync('/dev/fuse') && process.getuid?.() === 0 ? false : 'needs root and /dev/fuse';

test('weft bench compares a temporary volume with the local filesystem, and leaves nothing', { skip }, async () => {
  const folder = scratch.folder('place');
  const { code, stdout, stderr } = await scratch.weft(['bench', folder, '--quick', '--json']);
  assert.equal(code, 0, stderr);
  const comparisons = JSON.parse(stdout) as Comparison[];
  for (const operation of ['create', 'stat missing', 'rename', '4k write+fsync', 'write', 'read'])
    assert.ok(
      comparisons.some((each) => each.operation === operation),
      operation,
    );
  for (const { operation, local, weft, ratio } of comparisons)
    assert.ok(local > 0 && weft > 0 && ratio > 0, `${operation}: ${local}, ${weft}, ${ratio}`);
  assert.deepEqual(readdirSync(folder), []);
});

test('weft bench names a directory that cannot hold a volume', async () => {
  const { code, stderr } = await scratch.weft(['bench', join(scratch.directory, 'absent')]);
  assert.equal(code, 1);
  assert.match(stderr, /absent cannot hold a temporary volume \(.*ENOENT.*\): name another directory/);
});
