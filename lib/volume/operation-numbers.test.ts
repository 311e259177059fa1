import assert from 'node:assert/strict';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { MAX_OP } from '../journal/change-format.js';
import { dropPageSums } from '../journal/page-sums.js';
import { rowSum } from '../journal/row-sum.js';
import { statePath } from '../journal/schema.js';
import { VolumeFixture } from './volume-fixture.test-support.js';

test('a volume without numbers for operations can be read, and says what to do', (t) => {
  const site = VolumeFixture.create();
  t.after(() => site.remove());
  site.write('/file', 'kept');
  site.volume.publishAll();
  site.volume.close();
  const db = new Database(statePath(site.directory));
  const cells = db.prepare('select folded_lsn, max_op, heads, journal_bytes, sequence, mark from progress').raw().get();
  const row = cells as [number, number, Buffer, number, number, Buffer];
  row[1] = MAX_OP - 2 ** 20;
  db.prepare('update progress set max_op = ?, sum = ?').run(row[1], rowSum(...row));
  db.close();
  dropPageSums(statePath(site.directory));
  site.reopenClosed();
  assert.equal(site.text('/file'), 'kept');
  assert.throws(() => site.mkdir('/new'), { code: 'EROFS' });
  assert.throws(() => site.write('/file', 'more'), { code: 'EROFS' });
  assert.throws(() => site.volume.membership.checkWritable(), /copy it into a new one/);
});
