import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conflictId } from './conflict-id.js';
import { only, open, resolve, writtenAtBoth } from './settlement-fixture.test-support.js';

test('user.weft.conflicts of a directory lists its conflicts, and can neither be set nor copied', async () => {
  const [one] = await writtenAtBoth('/d/plan');
  const { volume } = one;
  const conflict = only(one, 'copy');
  const text = volume.files.getxattr(one.resolve('/d'), 'user.weft.conflicts').toString();
  assert.equal(text, `${conflictId(conflict)} copy ${conflict.at.name}: ${conflict.why}\n`);
  assert.equal(volume.files.getxattr(1, 'user.weft.conflicts').length, 0);
  assert.deepEqual(volume.files.listxattr(one.resolve('/d')), []);
  assert.throws(() => volume.files.getxattr(one.resolve('/d/plan'), 'user.weft.conflicts'), { code: 'ENODATA' });
  assert.throws(() => volume.files.setxattr(1, 'user.weft.conflicts', Buffer.from(''), 0, false), { code: 'EPERM' });
  assert.throws(() => volume.files.removexattr(1, 'user.weft.conflicts'), { code: 'EPERM' });
});

test('a conflict is the same after a restart and at a site that starts anew', async () => {
  const [one, other] = await writtenAtBoth();
  const id = conflictId(only(one, 'copy'));
  one.reopen();
  other.crash();
  const rebuilt = await other.join();
  open.push(rebuilt);
  for (const site of [one, other, rebuilt]) assert.equal(conflictId(only(site, 'copy')), id);
});

test('an id stays when a directory above is renamed, and not when somebody writes again', async () => {
  const [one, other] = await writtenAtBoth('/d/plan');
  const before = only(one, 'copy');
  other.rename('/d', '/e');
  await one.mergeWith(other);
  assert.equal(conflictId(only(one, 'copy')), conflictId(before));
  other.write('/e/plan', 'newer');
  await one.mergeWith(other);
  assert.notEqual(conflictId(only(one, 'copy')), conflictId(before));
  assert.throws(() => resolve(one, before, 'hidden'), /settled already, or is another now/);
  assert.equal(one.text('/e/plan'), 'newer');
});
