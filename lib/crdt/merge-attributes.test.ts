import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { converge, partitioned } from './convergence.test-support.js';
import { compareTimes, formatMode, formatModeWithoutSetId, timeOfStamp } from './fields.js';
import { attributesOf, mergeModes, xattrOf } from './inode-attributes.js';
import type { Inode } from './inode.js';
import type { SimulatedSite } from './simulated-site.test-support.js';

// MERGE.md: attributes.

function inodeAt(site: SimulatedSite, path: string): Inode {
  return site.store.inode(site.find(path)!.ino)!;
}

function modeAfter(...modes: readonly (readonly [base: number, mode: number])[]): number {
  return mergeModes(modes.map(([base, mode]) => formatMode(base, mode)));
}

test('chmod ∥ chmod: bit by bit against the common base', () => {
  assert.equal(modeAfter([0o644, 0o664], [0o644, 0o645]), 0o665);
  assert.equal(modeAfter([0o666, 0o644], [0o666, 0o662]), 0o640);
  assert.equal(modeAfter([0o644, 0o644], [0o644, 0o600]), 0o600);
});

test('chmod ∥ chmod: where both changed a bit differently the stricter wins', () => {
  // One site had already taken a bit away that the other, from an older mode, set.
  assert.equal(modeAfter([0o640, 0o644], [0o644, 0o640]), 0o640);
  // Sticky is the stricter for others.
  assert.equal(modeAfter([0o777, 0o1777], [0o1777, 0o777]), 0o1777);
});

test('chmod ∥ chown ∥ write: set-user-id and set-group-id fall to a concurrent chown or write', () => {
  const setId = formatMode(0o755, 0o6755);
  assert.equal(mergeModes([setId, formatModeWithoutSetId(0o755)]), 0o755);
  assert.equal(mergeModes([setId]), 0o6755);
});

test('chmod ∥ chmod: of three sites, each against what it saw', () => {
  const [oslo, paris, rome] = partitioned((site) => {
    site.write('x', 'base');
    site.chmod('x', 0o644);
  }, 3);
  oslo.chmod('x', 0o755);
  paris.chmod('x', 0o640);
  rome.chmod('x', 0o600);
  rome.chmod('x', 0o620);
  converge(oslo, paris, rome);
  assert.equal(oslo.mode('x').toString(8), '731');
});

test('the merged mode does not depend on the order of the values', () => {
  const mode = fc.integer({ min: 0, max: 0o7777 });
  const value = fc.tuple(mode, mode).map(([base, bits]) => formatMode(base, bits));
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 4 }), (values) => {
      assert.equal(mergeModes(values), mergeModes(values.toReversed()));
    }),
  );
});

test('chmod ∥ chown ∥ write: all apply', () => {
  const [oslo, paris] = partitioned((site) => site.write('x', 'base'));
  oslo.chmod('x', 0o600);
  paris.write('x', 'edited');
  paris.chown('x', 7, 8);
  assert.deepEqual(converge(oslo, paris), { x: 'edited' });
  const { mode, uid, gid } = attributesOf(inodeAt(oslo, 'x'));
  assert.deepEqual([mode, uid, gid], [0o600, 7, 8]);
});

test('chown ∥ chown: of the same id, the later', () => {
  const [oslo, paris] = partitioned((site) => site.write('x', 'base'));
  oslo.chown('x', 1, 1);
  paris.nowUs += 10;
  paris.chown('x', 2, 2);
  converge(oslo, paris);
  assert.equal(attributesOf(inodeAt(oslo, 'x')).uid, 2);
});

test('xattr ∥ xattr: key by key, the later; set beats remove', () => {
  const [oslo, paris] = partitioned((site) => {
    site.write('x', 'base');
    for (const key of ['a', 'b', 'c']) site.setxattr('x', key, 'base');
  });
  oslo.setxattr('x', 'a', 'oslo');
  oslo.setxattr('x', 'b', 'oslo');
  oslo.setxattr('x', 'c', undefined);
  paris.nowUs += 10;
  paris.setxattr('x', 'a', undefined);
  paris.setxattr('x', 'b', 'paris');
  paris.setxattr('x', 'c', undefined);
  converge(oslo, paris);
  const inode = inodeAt(oslo, 'x');
  assert.deepEqual([xattrOf(inode, 'a'), xattrOf(inode, 'b'), xattrOf(inode, 'c')], ['oslo', 'paris', undefined]);
});

test('utimens ∥ write: mtime travels with the winning version; a later utimens stands', () => {
  const [oslo, paris] = partitioned((site) => site.write('x', 'base'));
  oslo.utimens('x', 5);
  paris.nowUs += 10;
  paris.write('x', 'edited');
  const writtenUs = paris.nowUs;
  converge(oslo, paris);
  assert.deepEqual(attributesOf(inodeAt(oslo, 'x')).mtime, timeOfStamp(writtenUs));
  paris.utimens('x', 7);
  converge(oslo, paris);
  assert.deepEqual(attributesOf(inodeAt(oslo, 'x')).mtime, { s: 7, ns: 0 });
});

test('settling a conflict does not change the mtime of the winner', () => {
  const [oslo, paris] = partitioned((site) => site.write('x', 'base'));
  oslo.write('x', 'mine');
  paris.nowUs += 10;
  paris.write('x', 'theirs');
  paris.utimens('x', 7);
  const copy = Object.keys(converge(oslo, paris)).find((name) => name.includes('.~'))!;
  oslo.unlink(copy);
  converge(oslo, paris);
  assert.deepEqual(attributesOf(inodeAt(paris, 'x')).mtime, { s: 7, ns: 0 });
});

test('utimens ∥ write: ctime is at least as late as every change seen', () => {
  const [oslo, paris] = partitioned((site) => site.write('x', 'base'));
  paris.nowUs += 1000;
  paris.chmod('x', 0o600);
  const changedUs = paris.nowUs;
  converge(oslo, paris);
  assert.ok(compareTimes(inodeAt(oslo, 'x').ctime, timeOfStamp(changedUs)) >= 0);
});
