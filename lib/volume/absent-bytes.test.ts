// absent-bytes.test.ts — what can be done with a file that another site wrote, before its bytes have arrived.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AbsentObjects } from '../chunks/absent-objects.js';
import { JournalReader } from '../journal/journal-reader.js';
import { USER, VolumeFixture } from './volume-fixture.test-support.js';

const O_WRONLY = 1;
const O_TRUNC = 0o1000;

test('Input/output error, says a truncating open during a partition: what it discards need not be here', async (t) => {
  const paris = VolumeFixture.create();
  const oslo = await paris.join();
  t.after(() => {
    paris.remove();
    oslo.remove();
  });
  for (const [name, size] of [
    ['small', 100],
    ['large', 3_000_000],
  ] as const) {
    oslo.write(name, Buffer.alloc(size, 'oslo'));
    await oslo.publish();
    const reader = JournalReader.open(oslo.directory);
    paris.volume.remote.deliver(
      reader.changesAfter(paris.volume.journal.vector(), 2 ** 30).map(({ bytes }) => bytes),
      (error) => {
        if (error) throw error;
      },
    );
    reader.close();
    while (paris.volume.background.run(() => false));
    assert.throws(() => paris.text(name), AbsentObjects);

    const { handle } = paris.volume.files.open(paris.resolve(name), O_WRONLY | O_TRUNC, false, USER);
    paris.volume.files.write(handle, 0, Buffer.from('paris'), false);
    paris.volume.files.release(handle);
    await paris.publish();
    assert.equal(paris.text(name), 'paris');
    await paris.mergeWith(oslo);
    assert.equal(oslo.text(name), 'paris');
    assert.equal(oslo.digest, paris.digest);
  }
});
