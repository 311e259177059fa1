import assert from 'node:assert/strict';
import { test } from 'node:test';
import { converge, partitioned, sha256 } from './convergence.test-support.js';
import { digestOf } from './digest.js';
import type { SimulatedSite } from './simulated-site.test-support.js';

function digest(site: SimulatedSite): string {
  return digestOf(site.store, sha256);
}

test('whatever is seen changes the digest', () => {
  const [oslo] = partitioned((site) => {
    site.mkdir('d');
    site.write('x', '1');
    site.symlink('t', 'l');
  });
  const seen = new Set([digest(oslo)]);
  const acts: ((site: SimulatedSite) => void)[] = [
    (site) => void site.write('x', '2'),
    (site) => site.chmod('x', 0o600),
    (site) => site.chown('x', 5, 1000),
    (site) => site.chown('x', 5, 6),
    (site) => site.utimens('x', 9),
    (site) => site.setxattr('x', 'user.a', '1'),
    (site) => site.setxattr('x', 'user.a', ''),
    (site) => site.setxattr('x', 'user.a', undefined),
    (site) => site.link('x', 'y'),
    (site) => site.rename('y', 'd/y'),
    (site) => site.unlink('l'),
    (site) => void site.symlink('u', 'l'),
    (site) => void site.mkdir('e'),
  ];
  for (const act of acts) {
    oslo.nowUs += 1_000_000;
    act(oslo);
    assert.match(digest(oslo), /^[0-9a-f]{64}$/);
    seen.add(digest(oslo));
  }
  // Removing the attribute goes back to a tree that was seen, but for the directory's time.
  assert.equal(seen.size, acts.length);
});

test('atime and ctime, which are local, do not', () => {
  const [oslo] = partitioned((site) => site.write('x', '1'));
  const before = digest(oslo);
  const inode = oslo.store.inode(oslo.find('x')!.ino)!;
  inode.atime = { s: 1, ns: 1 };
  inode.ctime = { s: 2, ns: 2 };
  assert.equal(digest(oslo), before);
});

test('a conflict copy counts by the version that it shows', () => {
  const [oslo, paris] = partitioned((site) => site.write('x', 'base'));
  oslo.write('x', '1');
  paris.write('x', '2');
  converge(oslo, paris);
  const before = digest(oslo);
  oslo.unlink(oslo.list('').find((name) => name.includes('.~'))!);
  assert.notEqual(digest(oslo), before);
});

test('sums carry: adding the highest hash twice is not adding it once', () => {
  const [oslo] = partitioned();
  const ones = (): Uint8Array => new Uint8Array(32).fill(255);
  assert.equal(digestOf(oslo.store, ones), 'ff'.repeat(32));
  oslo.mkdir('d');
  // Two inodes and an entry: 3 × (2^256 − 1) mod 2^256 = 2^256 − 3, little-endian.
  assert.equal(digestOf(oslo.store, ones), `fd${'ff'.repeat(31)}`);
});
