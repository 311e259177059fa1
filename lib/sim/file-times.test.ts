import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { fileTimeNs, setFileTime } from './file-times.js';
import { scratchDirectory } from './scratch-directory.js';

const { path: root, remove } = scratchDirectory();
after(remove);

test('a file has the microsecond that it was given, also when that is given to a copy', () => {
  const [file, copy] = ['file', 'copy'].map((name) => openSync(join(root, name), 'wx')) as [number, number];
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 51 }), (us) => {
      setFileTime(file, BigInt(us) * 1000n);
      setFileTime(copy, fileTimeNs(file));
      assert.deepEqual([fileTimeNs(file), fileTimeNs(copy)], [BigInt(us) * 1000n, BigInt(us) * 1000n]);
    }),
  );
  closeSync(file);
  closeSync(copy);
});
