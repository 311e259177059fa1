import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertSettled, merged, only, resolve, tree, writtenAtBoth } from './settlement-fixture.test-support.js';
import { USER, type VolumeFixture } from './volume-fixture.test-support.js';

/** Every text of a file of the tree, sorted. */
function texts(site: VolumeFixture): string[] {
  return Object.values(tree(site))
    .filter((text) => text !== 'directory')
    .toSorted();
}

test('settled alike at both sites at once: once', async () => {
  for (const keep of ['shown', 'hidden', 'both', 'merge']) {
    const [one, other] = await writtenAtBoth();
    const text = keep === 'merge' ? 'merged' : undefined;
    for (const site of [one, other]) resolve(site, only(site, 'copy'), keep, text);
    await assertSettled(one, other);
    assert.equal(Object.keys(tree(one)).length, keep === 'both' ? 2 : 1, keep);
  }
});

test('settled differently at both sites at once: both contents are there, and the conflict is listed again', async () => {
  const [one, other] = await writtenAtBoth();
  resolve(one, only(one, 'copy'), 'hidden');
  resolve(other, only(other, 'copy'), 'merge', 'merged');
  await one.mergeWith(other);
  assert.equal(one.digest, other.digest);
  assert.deepEqual(texts(one), ['merged', 'of one']);
  resolve(other, only(other, 'copy'), 'shown');
  await assertSettled(one, other);
});

test('settled here while it was written to there: what was written is not lost', async () => {
  for (const keep of ['shown', 'hidden', 'merge'] as const) {
    const [one, other] = await writtenAtBoth();
    const copy = only(other, 'copy').path.join('/');
    resolve(one, only(one, 'copy'), keep, keep === 'merge' ? 'merged' : undefined);
    other.write('/plan', 'later still');
    other.write(`/${copy}`, 'an edited copy');
    await one.mergeWith(other);
    assert.equal(one.digest, other.digest);
    for (const text of ['later still', 'an edited copy']) assert.ok(texts(one).includes(text), `${keep}: ${text}`);
    if (keep === 'merge') assert.ok(texts(one).includes('merged'));
  }
});

test('two names settled differently at both sites at once: what one site kept is there, or comes back by undo', async () => {
  const [one, other] = await merged(
    () => {},
    (a, b) => {
      a.write('/new', 'earlier');
      b.write('/new', 'later');
    },
  );
  const { undo } = resolve(one, only(one, 'name'), 'hidden');
  resolve(other, only(other, 'name'), 'shown');
  await one.mergeWith(other);
  assert.equal(one.digest, other.digest);
  assert.ok(texts(one).includes('earlier'));
  one.volume.reversible.undo(undo);
  await one.mergeWith(other);
  assert.equal(one.digest, other.digest);
  assert.deepEqual(texts(other), ['earlier', 'later']);
});

test('a file that stays open while its conflict is settled: what is written then is a version beside the settled one', async () => {
  const [one, other] = await writtenAtBoth();
  const { handle } = one.volume.files.open(one.resolve('/plan'), 2, false, USER);
  resolve(one, only(one, 'copy'), 'hidden');
  one.volume.files.write(handle, 0, Buffer.from('OF OTHER'), false);
  one.volume.files.release(handle);
  await one.mergeWith(other);
  assert.equal(one.digest, other.digest);
  assert.deepEqual(texts(one), ['OF OTHER, later', 'of one']);
});

/** A conflict copy is open at one site while the other gives it a name of its own, does something with it, and says so. */
async function renamedWhileOpen(edit: (other: VolumeFixture) => void): Promise<[VolumeFixture, VolumeFixture, number]> {
  const [one, other] = await writtenAtBoth();
  const copy = `/${only(one, 'copy').path.join('/')}`;
  const { handle } = one.volume.files.open(one.resolve(copy), 2, false, USER);
  other.rename(copy, '/kept');
  edit(other);
  await other.sendTo(one);
  return [one, other, handle];
}

test('a conflict copy that is open here while it is renamed there is no conflict with itself when it is written then', async () => {
  const [one, other, handle] = await renamedWhileOpen(() => {});
  one.volume.files.write(handle, 0, Buffer.from('OF'), false);
  one.volume.files.release(handle);
  await assertSettled(one, other);
  assert.deepEqual(texts(one), ['OF one', 'of other, later']);
});

test('what a conflict copy held is there once after it was added to here, open, and there, renamed', async () => {
  const [one, other, handle] = await renamedWhileOpen((site) => {
    site.volume.files.setxattr(site.resolve('/kept'), 'user.weft.merge', Buffer.from('append'), 0, false);
    site.write('/kept', 'of one, more of other');
  });
  one.volume.files.write(handle, 'of one'.length, Buffer.from(', more of one'), false);
  one.volume.files.release(handle);
  await one.mergeWith(other);
  await assertSettled(one, other);
  assert.deepEqual(texts(one), ['of one, more of other, more of one', 'of other, later']);
});

// ── conflicts of conflict copies ──────────────────────────────────────────────────────────────────────────────────────────────

test('a conflict copy that is edited at both sites keeps all versions, and settles one by one', async () => {
  const [one, other] = await writtenAtBoth();
  const copy = `/${only(one, 'copy').path.join('/')}`;
  one.write(copy, 'copy edited at one');
  other.write(copy, 'copy edited at other');
  await one.mergeWith(other);
  assert.equal(one.digest, other.digest);
  assert.deepEqual(texts(one), ['copy edited at one', 'copy edited at other', 'of other, later']);
  const nested = only(one, 'copy');
  assert.equal(nested.winner.path!.join('/'), copy.slice(1));
  assert.ok(nested.path.join('/').startsWith(`${copy.slice(1)}.~`));
  const before = tree(one);
  const { undo } = resolve(other, only(other, 'copy'), 'hidden');
  await assertSettled(one, other);
  assert.deepEqual(texts(one), ['copy edited at one', 'of other, later']);
  other.volume.reversible.undo(undo);
  await assertSettled(one, other);
  assert.deepEqual(tree(one), before);
});

test('a conflict copy of a conflict copy that is edited at both sites once more: nothing is lost', async () => {
  const [one, other] = await writtenAtBoth();
  let copy = `/${only(one, 'copy').path.join('/')}`;
  for (const round of ['first', 'second', 'third']) {
    one.write(copy, `${round} of one`);
    other.write(copy, `${round} of other`);
    await one.mergeWith(other);
    assert.equal(one.digest, other.digest);
    copy = `/${only(one, 'copy').path.join('/')}`;
  }
  assert.deepEqual(texts(one), [
    'first of other',
    'of other, later',
    'second of other',
    'third of one',
    'third of other',
  ]);
});

test('a conflict copy: renamed here and removed there, renamed over the file here and edited there, edited here and settled there', async () => {
  const acts: [string, (site: VolumeFixture, copy: string) => void, (site: VolumeFixture, copy: string) => void][] = [
    ['of one', (site, copy) => site.rename(copy, '/renamed'), (site, copy) => site.unlink(copy)],
    ['edited', (site, copy) => site.rename(copy, '/plan'), (site, copy) => void site.write(copy, 'edited')],
    [
      'edited',
      (site, copy) => void site.write(copy, 'edited'),
      (site) => void resolve(site, only(site, 'copy'), 'shown'),
    ],
    [
      'edited',
      (site, copy) => void site.write(copy, 'edited'),
      (site) => void resolve(site, only(site, 'copy'), 'hidden'),
    ],
  ];
  for (const [i, [kept, here, there]] of acts.entries()) {
    const [one, other] = await writtenAtBoth();
    const copy = `/${only(one, 'copy').path.join('/')}`;
    here(one, copy);
    there(other, copy);
    await one.mergeWith(other);
    assert.equal(one.digest, other.digest);
    assert.ok(texts(one).includes(kept), `${i}: ${texts(one).join()}`);
  }
});

// ── taking it back ────────────────────────────────────────────────────────────────────────────────────────────────────────────
