import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ROOT_INO } from '../crdt/ids.js';
import { VolumeFixture } from './volume-fixture.test-support.js';

const ROUNDS = 300;

let fixture: VolumeFixture;
let names = 0;
before(() => (fixture = VolumeFixture.create()));
after(() => fixture.remove());

/** Gives a file so many more names, with what a volume does between calls; returns how many commits these are. */
function commitsOfLinks(count: number): number {
  const { volume } = fixture;
  const ino = names === 0 ? fixture.write('file', 'x') : fixture.resolve('file');
  const first = volume.folding.lastCommit;
  for (let i = 0; i < count; i++) {
    volume.files.link(ino, ROOT_INO, `name-${names++}`);
    volume.background.run(() => false);
  }
  return volume.folding.lastCommit - first;
}

test('a file with tens of thousands of names: what takes longer to fold is folded less often, not with each name', () => {
  const quick = commitsOfLinks(ROUNDS);
  fixture.commitMs = 50;
  const slow = commitsOfLinks(ROUNDS);
  fixture.commitMs = 0;
  assert(slow > 0, 'it is folded at all');
  assert(slow < quick / 2, `${slow} folds where there were ${quick}`);
});

test('a fold during which the machine slept does not hold up the next one', () => {
  fixture.commitMs = 3_600_000;
  while (commitsOfLinks(1) === 0);
  fixture.commitMs = 0;
  assert(commitsOfLinks(ROUNDS) > 1);
});
