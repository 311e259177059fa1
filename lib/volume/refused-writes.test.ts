import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { posixError } from '../errno.js';
import type { Ino } from '../crdt/ids.js';
import { LocalFile } from '../chunks/local-file.js';
import { IntentLog } from '../journal/intent-log.js';
import { RECORD } from './intent-records.js';
import { USER, VolumeFixture } from './volume-fixture.test-support.js';

// What a call leaves that its disk refused.

const O_RDWR = 2;
const O_SYNC = 0o4010000;

function site(t: TestContext): VolumeFixture {
  const fixture = VolumeFixture.create();
  fixture.volume.allowPassthrough();
  t.after(() => fixture.remove());
  return fixture;
}

for (const [call, act] of [
  ['truncate', (at: VolumeFixture, ino: Ino) => at.volume.files.setattr(ino, { size: 200_000 }, USER, undefined)],
  [
    'open for synchronous writing',
    (at: VolumeFixture, ino: Ino) => at.volume.files.open(ino, O_RDWR | O_SYNC, false, USER),
  ],
] as const)
  test(`a file of which ${call} failed for the disk is as it was, is at rest, and shows what another site writes then`, async (t) => {
    const a = site(t);
    const isLarge = call !== 'truncate';
    const bytes = Buffer.alloc(isLarge ? 300_000 : 20, 'before');
    const ino = a.write('file', bytes);
    await a.publish();
    const b = await a.join();
    t.after(() => b.remove());
    const failing = t.mock.method(LocalFile.prototype, isLarge ? 'sync' : 'write', () => {
      throw posixError('EIO');
    });
    assert.throws(() => act(a, ino), { code: 'EIO' });
    failing.mock.restore();
    a.volume.fold();
    assert.ok(a.read('file').equals(bytes));
    assert.equal(a.volume.background.nextTimeoutMs, -1);
    b.write('file', 'after');
    await b.publish();
    await b.sendTo(a);
    assert.equal(a.text('file'), 'after');
  });

test('a local file that a failed write left changed is not taken for the version before', async (t) => {
  const a = site(t);
  const bytes = Buffer.alloc(300_000, 'before');
  const ino = a.write('file', bytes);
  await a.publish();
  const { append } = IntentLog.prototype;
  const full = t.mock.method(
    IntentLog.prototype,
    'append',
    function (this: IntentLog, kind: number, ...parts: Buffer[]) {
      if (kind === RECORD.resize) throw posixError('ENOSPC');
      return append.call(this, kind, ...parts);
    },
  );
  assert.throws(() => a.volume.files.setattr(ino, { size: 10 }, USER, undefined), { code: 'ENOSPC' });
  full.mock.restore();
  a.volume.fold();
  assert.ok(a.read('file').equals(bytes));
});
