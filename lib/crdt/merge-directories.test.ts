import assert from 'node:assert/strict';
import { test } from 'node:test';
import { converge, partitioned } from './convergence.test-support.js';
import type { SimulatedSite } from './simulated-site.test-support.js';

// MERGE.md: directories.

function abc(site: SimulatedSite): void {
  for (const name of ['a', 'b', 'c']) site.mkdir(name);
}

function directories(tree: Record<string, string>): string[] {
  return Object.keys(tree).filter((path) => tree[path] === 'd');
}

test('mkdir ∥ mkdir: one directory with both sets of children', () => {
  const [oslo, paris] = partitioned();
  oslo.mkdir('d');
  oslo.write('d/x', '1');
  paris.mkdir('d');
  paris.write('d/y', '2');
  assert.deepEqual(converge(oslo, paris), { d: 'd', 'd/x': '1', 'd/y': '2' });
});

test('mkdir ∥ mkdir: whole trees merge all the way down, and files that clash in them take suffixes', () => {
  const [oslo, paris] = partitioned();
  for (const site of [oslo, paris]) {
    site.mkdir('d');
    site.mkdir('d/e');
    site.mkdir('d/e/f');
    site.write('d/e/f/x', site.name);
    site.write(`d/e/${site.name}`, 'own');
  }
  const tree = converge(oslo, paris);
  assert.deepEqual(directories(tree), ['d', 'd/e', 'd/e/f']);
  assert.equal(Object.keys(tree).length, 3 + 2 + 2);
  assert.equal(oslo.nlink('d'), 3);
  assert.equal(oslo.nlink('d/e'), 3);
});

test('both numbers of a merged directory resolve, and the lower one is canonical', () => {
  const [oslo, paris] = partitioned();
  const low = oslo.mkdir('d');
  const high = paris.mkdir('d');
  converge(oslo, paris);
  assert.ok(low < high);
  assert.equal(oslo.find('d')!.ino, low);
  assert.equal(oslo.store.alias(high), low);
  assert.deepEqual(oslo.store.aliasesOf(low), [high]);
});

test('a merge outlives a later rename of the merged directory', () => {
  const [oslo, paris] = partitioned();
  oslo.mkdir('d');
  oslo.write('d/x', '1');
  paris.mkdir('d');
  paris.write('d/y', '2');
  converge(oslo, paris);
  paris.rename('d', 'e');
  assert.deepEqual(converge(oslo, paris), { e: 'd', 'e/x': '1', 'e/y': '2' });
  oslo.mkdir('d');
  assert.deepEqual(converge(oslo, paris), { d: 'd', e: 'd', 'e/x': '1', 'e/y': '2' });
});

test('removing a merged directory removes all of it', () => {
  const [oslo, paris] = partitioned();
  oslo.mkdir('d');
  paris.mkdir('d');
  converge(oslo, paris);
  oslo.rmdir('d');
  assert.deepEqual(converge(oslo, paris), {});
});

test('a file made in one part of a merged directory ∥ removal of the merged directory: only that part returns', () => {
  const [oslo, paris, rome] = partitioned(() => {}, 3);
  paris.mkdir('d');
  converge(paris, rome);
  oslo.mkdir('d');
  converge(oslo, paris);
  oslo.rmdir('d');
  rome.write('d/x', '1');
  assert.deepEqual(converge(oslo, paris, rome), { d: 'd', 'd/x': '1' });
});

test('three merged directories, of which one is renamed before it is known to be merged', () => {
  const [oslo, paris, rome] = partitioned(() => {}, 3);
  for (const site of [oslo, paris, rome]) {
    site.mkdir('d');
    site.write(`d/${site.name}`, 'own');
  }
  oslo.rename('d', 'e');
  const tree = converge(oslo, paris, rome);
  assert.deepEqual(tree, { d: 'd', 'd/paris': 'own', 'd/rome': 'own', e: 'd', 'e/oslo': 'own' });
});

test('a merged directory renamed at both sites goes to the later place, whole', () => {
  const [oslo, paris] = partitioned();
  for (const site of [oslo, paris]) {
    site.mkdir('d');
    site.write(`d/${site.name}`, 'own');
  }
  converge(oslo, paris);
  oslo.rename('d', 'e');
  paris.nowUs += 10;
  paris.rename('d', 'f');
  assert.deepEqual(converge(oslo, paris), { f: 'd', 'f/oslo': 'own', 'f/paris': 'own' });
});

test('directory moved ∥ made or moved to the same name: the earlier takes a suffix, no tree is mixed into another', () => {
  const [oslo, paris] = partitioned((site) => {
    site.mkdir('a');
    site.write('a/x', '1');
  });
  oslo.rename('a', 'b');
  paris.nowUs += 10;
  paris.mkdir('b');
  paris.write('b/y', '2');
  const tree = converge(oslo, paris);
  const suffixed = directories(tree).find((path) => path.startsWith('b.~oslo-'))!;
  assert.deepEqual(tree, { b: 'd', 'b/y': '2', [suffixed]: 'd', [`${suffixed}/x`]: '1' });
});

test('rename ∥ rename: one directory goes to the later place, whole, and the other is listed', () => {
  const [oslo, paris] = partitioned((site) => {
    abc(site);
    site.write('a/x', '1');
  });
  oslo.rename('a', 'b/a');
  paris.nowUs += 10;
  paris.rename('a', 'c/a');
  assert.deepEqual(converge(oslo, paris), { b: 'd', c: 'd', 'c/a': 'd', 'c/a/x': '1' });
  assert.deepEqual(paris.conflicts(), ['moved-elsewhere c/a, not b/a']);
});

test("rename ∥ rename: as in Kleppmann's figure 1, one directory moved under two others is under one of them", () => {
  const [oslo, paris] = partitioned(abc);
  oslo.rename('a', 'b/a');
  paris.rename('a', 'c/a');
  assert.equal(directories(converge(oslo, paris)).length, 3);
});

test("renames that form a cycle: as in Kleppmann's figure 2, a moved into b ∥ b moved into a: the later move is deferred, and takes effect when it can", () => {
  const [oslo, paris] = partitioned((site) => {
    site.mkdir('a');
    site.mkdir('b');
    site.write('a/x', '1');
    site.write('b/y', '2');
  });
  oslo.rename('b', 'a/b');
  paris.nowUs += 10;
  paris.rename('a', 'b/a');
  assert.deepEqual(converge(oslo, paris), { a: 'd', 'a/b': 'd', 'a/b/y': '2', 'a/x': '1' });
  assert.deepEqual(oslo.conflicts(), ['move-deferred a, not a/b/a']);
  // What blocked it goes.
  oslo.rename('a/b', 'b');
  assert.deepEqual(converge(oslo, paris), { b: 'd', 'b/a': 'd', 'b/a/x': '1', 'b/y': '2' });
  assert.deepEqual(oslo.conflicts(), []);
});

test('renames that form a cycle: three of them', () => {
  const [oslo, paris, rome] = partitioned(abc, 3);
  oslo.rename('a', 'b/a');
  paris.nowUs += 10;
  paris.rename('b', 'c/b');
  rome.nowUs += 20;
  rome.rename('c', 'a/c');
  assert.deepEqual(converge(oslo, paris, rome), { c: 'd', 'c/b': 'd', 'c/b/a': 'd' });
});

test('renames that form a cycle: a deferred move falls back to the next concurrent place', () => {
  const [oslo, paris, rome] = partitioned(abc, 3);
  oslo.rename('b', 'a/b');
  rome.nowUs += 5;
  rome.rename('a', 'c/a');
  paris.nowUs += 10;
  paris.rename('a', 'b/a');
  assert.deepEqual(converge(oslo, paris, rome), { c: 'd', 'c/a': 'd', 'c/a/b': 'd' });
});

test('renames that form a cycle: two cycles at once do not disturb each other', () => {
  const [oslo, paris] = partitioned((site) => {
    for (const name of ['a', 'b', 'c', 'd']) site.mkdir(name);
  });
  oslo.rename('a', 'b/a');
  oslo.rename('c', 'd/c');
  paris.nowUs += 10;
  paris.rename('b', 'a/b');
  paris.rename('d', 'c/d');
  assert.equal(directories(converge(oslo, paris)).length, 4);
});

test('a local rename in a cycle that was broken is not undone by the deferred move', () => {
  const [oslo, paris] = partitioned((site) => {
    site.mkdir('a');
    site.mkdir('b');
  });
  oslo.rename('b', 'a/b');
  paris.nowUs += 10;
  paris.rename('a', 'b/a');
  converge(oslo, paris);
  oslo.rename('a/b', 'a/c');
  assert.deepEqual(oslo.tree(), { a: 'd', 'a/c': 'd' });
  assert.deepEqual(converge(oslo, paris), { a: 'd', 'a/c': 'd' });
});

test('removing what blocks a deferred move does not bring it back', () => {
  const [oslo, paris] = partitioned((site) => {
    site.mkdir('a');
    site.mkdir('b');
  });
  oslo.rename('b', 'a/b');
  paris.nowUs += 10;
  paris.rename('a', 'b/a');
  converge(oslo, paris);
  oslo.rmdir('a/b');
  assert.deepEqual(converge(oslo, paris), { a: 'd' });
});

test('unlink ∥ unlink, rmdir ∥ rmdir: a directory is removed once', () => {
  const [oslo, paris] = partitioned((site) => site.mkdir('d'));
  oslo.rmdir('d');
  paris.rmdir('d');
  assert.deepEqual(converge(oslo, paris), {});
});

test('rename ∥ rmdir: the move wins', () => {
  const [oslo, paris] = partitioned((site) => site.mkdir('d'));
  oslo.rename('d', 'e');
  paris.nowUs += 10;
  paris.rmdir('d');
  assert.deepEqual(converge(oslo, paris), { e: 'd' });
  assert.deepEqual(oslo.conflicts(), ['removed-elsewhere e']);
});

test('create or create or rename into a directory ∥ its removal: renamed into, created in, the directory returns, and the list says so', () => {
  const [oslo, paris] = partitioned((site) => site.mkdir('d'));
  oslo.rmdir('d');
  paris.write('d/x', '1');
  assert.deepEqual(converge(oslo, paris), { d: 'd', 'd/x': '1' });
  assert.deepEqual(oslo.conflicts(), ['revived d']);
  assert.equal(oslo.nlink(''), 3);
});

test('create or rename into a directory ∥ its removal: renamed into, the directory returns', () => {
  const [oslo, paris] = partitioned((site) => {
    abc(site);
    site.write('x', '1');
  });
  oslo.rmdir('a');
  paris.rename('x', 'a/x');
  oslo.rmdir('b');
  paris.rename('c', 'b/c');
  assert.deepEqual(converge(oslo, paris), { a: 'd', 'a/x': '1', b: 'd', 'b/c': 'd' });
});

test('create or rename into a directory ∥ its removal: one that returns takes a suffix when its name was taken', () => {
  const [oslo, paris] = partitioned((site) => site.mkdir('d'));
  oslo.rmdir('d');
  oslo.mkdir('d');
  paris.write('d/x', '1');
  const tree = converge(oslo, paris);
  const suffixed = directories(tree).find((path) => path !== 'd')!;
  assert.match(suffixed, /^d\.~oslo-....$/);
  assert.deepEqual(tree, { d: 'd', [suffixed]: 'd', [`${suffixed}/x`]: '1' });
});

test('write ∥ removal of a tree: only the path to the written file returns', () => {
  const [oslo, paris] = partitioned((site) => {
    for (const path of ['d', 'd/e', 'd/e/f', 'd/g']) site.mkdir(path);
    for (const path of ['d/1', 'd/e/2', 'd/e/f/3', 'd/g/4']) site.write(path, path);
  });
  oslo.remove('d');
  paris.write('d/e/f/3', 'edited');
  assert.deepEqual(converge(oslo, paris), { d: 'd', 'd/e': 'd', 'd/e/f': 'd', 'd/e/f/3': 'edited' });
});

test('a directory that came back goes when what it held is removed, unless someone worked in it', () => {
  const [oslo, paris] = partitioned((site) => {
    site.mkdir('d');
    site.mkdir('d/e');
    site.write('d/e/x', '1');
  });
  oslo.remove('d');
  paris.write('d/e/x', '2');
  converge(oslo, paris);
  // By an ordinary call inside it, it is there for good.
  oslo.unlink('d/e/x');
  assert.deepEqual(converge(oslo, paris), { d: 'd', 'd/e': 'd' });
  oslo.remove('d');
  assert.deepEqual(converge(oslo, paris), {});
});

test('a directory that nothing keeps alive any more disappears everywhere', () => {
  const [oslo, paris, rome] = partitioned((site) => site.mkdir('d'), 3);
  oslo.rmdir('d');
  paris.write('d/x', '1');
  converge(rome, paris);
  rome.rename('d/x', 'x');
  assert.deepEqual(converge(oslo, paris, rome), { x: '1' });
});

test('a directory is never duplicated, however it is moved', () => {
  const [oslo, paris, rome] = partitioned((site) => {
    abc(site);
    site.write('a/x', '1');
  }, 3);
  oslo.rename('a', 'b/a');
  paris.rename('a', 'c/z');
  rome.rename('a', 'y');
  const tree = converge(oslo, paris, rome);
  assert.equal(Object.values(tree).filter((content) => content === '1').length, 1);
  assert.equal(directories(tree).length, 3);
});
