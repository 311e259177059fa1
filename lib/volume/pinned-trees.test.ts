import assert from 'node:assert/strict';
import { test } from 'node:test';
import { surveyPins } from './pin-survey.js';
import { PinnedTrees } from './pinned-trees.js';
import { USER, VolumeFixture } from './volume-fixture.test-support.js';

test('a pin covers what is below it, wherever that and it itself are moved', async (t) => {
  const fixture = VolumeFixture.create();
  t.after(() => fixture.remove());
  const { files, journal } = fixture.volume;
  const kept = files.mkdir(1, 'kept', 0o755, 0, USER).ino;
  const below = files.mkdir(kept, 'below', 0o755, 0, USER).ino;
  fixture.write('file', Buffer.from('bytes'));
  const file = fixture.resolve('file');
  const pins = new PinnedTrees(journal.store, journal.actors);
  assert.equal(pins.set([kept]), false);
  assert.equal(pins.resolve('/kept/below'), below);
  assert.equal(pins.resolve('/nothing/below'), undefined);
  assert.deepEqual([pins.covering(below), pins.covering(file), pins.covering(1)], [kept, undefined, undefined]);
  files.rename(1, 'file', below, 'file', 0, USER);
  files.rename(1, 'kept', 1, 'renamed', 0, USER);
  assert.equal(pins.covering(file), kept);
  files.link(file, 1, 'another name');
  files.unlink(below, 'file');
  assert.equal(pins.covering(file), undefined);
  assert.equal(pins.set([]), true);
  await fixture.publish();
  const { trees, needed } = surveyPins(fixture.directory, [kept, file]);
  assert.deepEqual(
    trees.map(({ path, files: count, missingBytes }) => [path, count, missingBytes]),
    [
      ['/renamed', 0, 0],
      ['/another name', 1, 0],
    ],
  );
  assert.deepEqual(needed, []);
});
