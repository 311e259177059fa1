import assert from 'node:assert/strict';
import { test } from 'node:test';
import { converge, partitioned } from './convergence.test-support.js';
import { attributesOf } from './inode-attributes.js';
import { removeLink, settleBeforeWrite } from './local-writes.js';
import type { SimulatedSite } from './simulated-site.test-support.js';

// MERGE.md: files and names. Two sites share a start, work apart, and are brought together.

test('create ∥ create: both files are kept, the later one has the bare name', () => {
  const [oslo, paris] = partitioned();
  oslo.write('notes.txt', 'from oslo');
  paris.nowUs += 10;
  paris.write('notes.txt', 'from paris');
  const tree = converge(oslo, paris);
  const [, loser] = Object.keys(tree);
  assert.match(loser!, /^notes\.txt\.~oslo-[a-z2-7]{4}$/);
  assert.deepEqual(tree, { 'notes.txt': 'from paris', [loser!]: 'from oslo' });
});

test('create ∥ create of equal files: one is shown, and the next write to it settles both', () => {
  const [oslo, paris] = partitioned();
  oslo.write('x', 'same');
  paris.write('x', 'same');
  assert.deepEqual(converge(oslo, paris), { x: 'same' });
  oslo.write('x', 'edited');
  assert.deepEqual(converge(oslo, paris), { x: 'edited' });
});

test('create ∥ create of files that differ only in mode, owner or attributes: both are shown', () => {
  for (const differ of [
    (site: { chmod: (path: string, mode: number) => void }) => site.chmod('x', 0o600),
    (site: { chown: (path: string, uid: number, gid: number) => void }) => site.chown('x', 0, 0),
    (site: { setxattr: (path: string, name: string, value: string) => void }) => site.setxattr('x', 'user.a', '1'),
  ]) {
    const [oslo, paris] = partitioned();
    oslo.write('x', 'same');
    paris.write('x', 'same');
    differ(paris);
    assert.equal(Object.keys(converge(oslo, paris)).length, 2);
  }
});

test('removing an equal file removes those hidden behind it, and none comes back', () => {
  const [oslo, paris, rome] = partitioned(() => {}, 3);
  for (const site of [oslo, paris, rome]) site.write('x', 'same');
  assert.deepEqual(converge(oslo, paris, rome), { x: 'same' });
  paris.unlink('x');
  assert.deepEqual(paris.tree(), {});
  assert.deepEqual(converge(oslo, paris, rome), {});
});

test('what is written to a file and is no version yet is not removed with the empty file that it seems equal to', () => {
  const [oslo, paris] = partitioned();
  const { store, actors } = oslo;
  oslo.create('x');
  paris.nowUs += 10;
  paris.create('x');
  const own = oslo.find('x')!.ino;
  converge(oslo, paris);
  const shown = oslo.find('x')!.ino;
  assert.notEqual(shown, own);
  assert.deepEqual(settleBeforeWrite({ store, actors }, shown).map(({ ino }) => ino), [own]); // prettier-ignore
  assert.deepEqual(settleBeforeWrite({ store, actors, isWritten: (ino) => ino === own }, shown), []);
});

test('rm of a name that both sites linked, of a file that is being written to: the name is gone', () => {
  const [oslo, paris] = partitioned((site) => site.write('x', 'base'));
  for (const site of [oslo, paris]) site.link('x', 'y');
  converge(oslo, paris);
  const { store, actors, reserve } = oslo;
  const { ino, link } = oslo.find('y')!;
  const removed = removeLink({ store, actors, isWritten: () => true }, store.inode(ino)!, link, reserve);
  const links = [...store.inode(ino)!.registers.keys()].filter((field) => field.startsWith('link:'));
  assert.deepEqual(
    removed.map(({ field }) => field).toSorted(),
    links.filter((field) => field !== 'link:0').toSorted(),
  );
});

test('renaming an equal file takes the name from those hidden behind it', () => {
  const [oslo, paris] = partitioned();
  oslo.write('x', 'same');
  paris.write('x', 'same');
  converge(oslo, paris);
  oslo.rename('x', 'y');
  assert.deepEqual(converge(oslo, paris), { y: 'same' });
});

test('symlinks of one name collapse when their targets are equal', () => {
  const [oslo, paris] = partitioned();
  oslo.symlink('/etc', 'l');
  oslo.symlink('a', 'm');
  paris.symlink('/etc', 'l');
  paris.symlink('b', 'm');
  assert.equal(Object.keys(converge(oslo, paris)).length, 3);
});

test('create ∥ mkdir: the directory has the name, even if it is the earlier one', () => {
  const [oslo, paris] = partitioned();
  oslo.mkdir('x');
  oslo.write('x/inside', 'kept');
  paris.nowUs += 1000;
  paris.write('x', 'a file');
  const tree = converge(oslo, paris);
  const suffixed = Object.keys(tree).find((path) => path.startsWith('x.~paris-'))!;
  assert.deepEqual(tree, { x: 'd', 'x/inside': 'kept', [suffixed]: 'a file' });
});

test('unlink ∥ unlink, rmdir ∥ rmdir: a file is removed once', () => {
  const [oslo, paris] = partitioned((site) => site.write('x', '1'));
  oslo.unlink('x');
  paris.unlink('x');
  assert.deepEqual(converge(oslo, paris), {});
});

test('unlink ∥ re-creation: the new file stays', () => {
  const [oslo, paris] = partitioned((site) => site.write('x', 'old'));
  oslo.unlink('x');
  paris.unlink('x');
  paris.write('x', 'new');
  assert.deepEqual(converge(oslo, paris), { x: 'new' });
});

test('rename ∥ unlink: the move wins, and the list says so', () => {
  const [oslo, paris] = partitioned((site) => site.write('x', '1'));
  oslo.rename('x', 'y');
  paris.nowUs += 100;
  paris.unlink('x');
  assert.deepEqual(converge(oslo, paris), { y: '1' });
  assert.deepEqual(oslo.conflicts(), ['removed-elsewhere y']);
});

test('rename ∥ rename: of one file, one link, at the later place; the other is listed', () => {
  const [oslo, paris] = partitioned((site) => {
    site.write('x', '1');
    site.mkdir('d');
  });
  oslo.rename('x', 'd/early');
  paris.nowUs += 10;
  paris.rename('x', 'late');
  assert.deepEqual(converge(oslo, paris), { d: 'd', late: '1' });
  assert.deepEqual(oslo.conflicts(), ['moved-elsewhere late, not d/early']);
  assert.equal(oslo.nlink('late'), 1);
});

test('two files renamed to one name: the later one has it, the other is beside it', () => {
  const [oslo, paris] = partitioned((site) => {
    site.write('a', 'A');
    site.write('b', 'B');
  });
  oslo.rename('a', 'c');
  paris.nowUs += 10;
  paris.rename('b', 'c');
  const tree = converge(oslo, paris);
  assert.equal(tree['c'], 'B');
  assert.deepEqual(Object.values(tree).toSorted(), ['A', 'B']);
});

test('two files renamed to one name: a victim that both replaced is gone', () => {
  const [oslo, paris] = partitioned((site) => {
    site.write('a', 'A');
    site.write('b', 'B');
    site.write('c', 'victim');
  });
  oslo.rename('a', 'c');
  paris.rename('b', 'c');
  assert.deepEqual(Object.values(converge(oslo, paris)).toSorted(), ['A', 'B']);
});

test('rename over a file ∥ write to it: the renamed one has the name, the written victim is beside it, named after who wrote it', () => {
  const [oslo, paris] = partitioned((site) => {
    site.write('new', 'replacement');
    site.write('x', 'old');
  });
  oslo.rename('new', 'x');
  paris.nowUs += 10;
  paris.write('x', 'edited');
  const tree = converge(oslo, paris);
  assert.equal(tree['x'], 'replacement');
  const suffixed = Object.keys(tree).find((path) => path.startsWith('x.~paris-'));
  assert.equal(tree[suffixed!], 'edited');
});

test('link ∥ unlink: the file lives by its new link', () => {
  const [oslo, paris] = partitioned((site) => site.write('x', '1'));
  oslo.link('x', 'y');
  paris.unlink('x');
  assert.deepEqual(converge(oslo, paris), { y: '1' });
  assert.equal(oslo.nlink('y'), 1);
});

test('link ∥ link at one name: one entry, and removing it removes both links', () => {
  const [oslo, paris] = partitioned((site) => site.write('x', '1'));
  oslo.link('x', 'y');
  paris.link('x', 'y');
  assert.deepEqual(converge(oslo, paris), { x: '1', y: '1' });
  assert.equal(oslo.nlink('x'), 2);
  oslo.unlink('y');
  assert.deepEqual(converge(oslo, paris), { x: '1' });
  assert.equal(oslo.nlink('x'), 1);
});

test('exchange ∥ anything: one change, also of a directory with a file, and of a loser with its winner', () => {
  const [oslo, paris] = partitioned((site) => {
    site.write('x', 'X');
    site.mkdir('d');
    site.write('d/in', 'I');
  });
  oslo.exchange('x', 'd');
  assert.deepEqual(converge(oslo, paris), { d: 'X', x: 'd', 'x/in': 'I' });
  oslo.write('n', '1');
  paris.write('n', '2');
  converge(oslo, paris);
  const suffixed = paris.list('').find((name) => name.includes('.~'))!;
  const [shown, beside] = [paris.read('n'), paris.read(suffixed)];
  paris.exchange('n', suffixed);
  converge(oslo, paris);
  assert.deepEqual([oslo.read('n'), oslo.read(suffixed)], [beside, shown]);
});

test('exchange ∥ anything: an exchange, a write, a rename, a removal', () => {
  const start = (site: SimulatedSite): void => {
    site.write('x', 'X');
    site.write('y', 'Y');
  };
  const cases: readonly [(site: SimulatedSite) => void, Record<string, string>][] = [
    [(site) => site.exchange('x', 'y'), { x: 'Y', y: 'X' }],
    [(site) => site.write('x', 'edited'), { x: 'Y', y: 'edited' }],
    [(site) => site.rename('x', 'z'), { x: 'Y', z: 'X' }],
    // The exchange moved it: a rename wins over a removal.
    [(site) => site.unlink('x'), { x: 'Y', y: 'X' }],
  ];
  for (const [act, expected] of cases) {
    const [oslo, paris] = partitioned(start);
    oslo.exchange('x', 'y');
    paris.nowUs += 10;
    act(paris);
    assert.deepEqual(converge(oslo, paris), expected);
  }
});

test('mknod: a pipe, a socket and a device are entries like any other, and never versions', () => {
  const [oslo, paris] = partitioned();
  oslo.mknod('p', 'p');
  paris.nowUs += 10;
  paris.mknod('s', 'p');
  paris.mknod('c', 'dev', 0x103);
  const tree = converge(oslo, paris);
  const [beside] = Object.keys(tree).filter((name) => name.startsWith('p.~oslo-'));
  assert.deepEqual(Object.keys(tree), ['dev', 'p', beside]);
  const typeAt = (path: string): string => attributesOf(oslo.store.inode(oslo.find(path)!.ino)!).type;
  assert.deepEqual([typeAt('dev'), typeAt('p'), typeAt(beside!)], ['c', 's', 'p']);
  assert.equal(attributesOf(oslo.store.inode(oslo.find('dev')!.ino)!).rdev, 0x103);
});

test('names are bytes: neither case nor Unicode normalisation makes two names one', () => {
  const [oslo, paris] = partitioned();
  oslo.write('README', '1');
  paris.write('readme', '2');
  oslo.write('\xc3\xa9', 'composed');
  paris.write('e\xcc\x81', 'decomposed');
  assert.equal(Object.keys(converge(oslo, paris)).length, 4);
});

test('a suffixed name fits into 255 bytes and does not end within a character', () => {
  const [oslo, paris] = partitioned();
  const long = '\xc3\xa9'.repeat(127); // é
  oslo.write(long, '1');
  paris.nowUs += 10;
  paris.write(long, '2');
  const suffixed = Object.keys(converge(oslo, paris)).find((name) => name.includes('.~'))!;
  assert.ok(suffixed.length <= 255);
  assert.match(suffixed, /^(\xc3\xa9)+\.~oslo-....$/);
});

test('a file made with the very name of a loser keeps it, and the loser takes a longer one', () => {
  const [oslo, paris, rome] = partitioned(() => {}, 3);
  oslo.write('x', '1');
  paris.nowUs += 10;
  paris.write('x', '2');
  converge(oslo, paris);
  const suffixed = oslo.list('').find((name) => name.includes('.~'))!;
  rome.write(suffixed, 'genuine');
  const tree = converge(oslo, paris, rome);
  assert.equal(tree[suffixed], 'genuine');
  assert.deepEqual(Object.values(tree).toSorted(), ['1', '2', 'genuine']);
  const longer = Object.keys(tree).find((name) => name !== 'x' && name !== suffixed)!;
  assert.ok(longer.length > suffixed.length && longer.startsWith(suffixed));
});

test('a loser is settled by renaming it over the winner', () => {
  const [oslo, paris] = partitioned();
  oslo.write('x', 'mine');
  paris.nowUs += 10;
  paris.write('x', 'theirs');
  converge(oslo, paris);
  oslo.rename(
    oslo.list('').find((name) => name.includes('.~'))!,
    'x',
  );
  assert.deepEqual(converge(oslo, paris), { x: 'mine' });
  assert.deepEqual(oslo.conflicts(), []);
});

test('removing the winner leaves the loser where it was shown', () => {
  const [oslo, paris] = partitioned();
  oslo.write('x', 'mine');
  paris.nowUs += 10;
  paris.write('x', 'theirs');
  converge(oslo, paris);
  const suffixed = oslo.list('').find((name) => name.includes('.~'))!;
  oslo.unlink('x');
  assert.deepEqual(converge(oslo, paris), { [suffixed]: 'mine' });
  assert.deepEqual(paris.conflicts(), []);
});

test('the same name clash at three sites: one winner, two losers, named alike everywhere', () => {
  const [oslo, paris, rome] = partitioned(() => {}, 3);
  for (const [i, site] of [oslo, paris, rome].entries()) {
    site.nowUs += i;
    site.write('x', `from ${site.name}`);
  }
  const tree = converge(oslo, paris, rome);
  assert.equal(tree['x'], 'from rome');
  assert.deepEqual(
    Object.keys(tree).map((name) => name.replace(/-....$/, '')),
    ['x', 'x.~oslo', 'x.~paris'],
  );
});

test('clocks that agree to the microsecond still give one winner', () => {
  const [oslo, paris] = partitioned();
  oslo.write('x', '1');
  paris.write('x', '2');
  converge(oslo, paris);
});

test('a site that takes another name has it in every suffix, everywhere', () => {
  const [oslo, paris] = partitioned();
  oslo.write('x', '1');
  paris.nowUs += 10;
  paris.write('x', '2');
  converge(oslo, paris);
  paris.receive(oslo.changes);
  oslo.renameSite('Tromsø/nord');
  const suffixed = Object.keys(converge(oslo, paris)).find((name) => name.includes('.~'))!;
  assert.match(suffixed, /^x\.~Troms\xc3\xb8_nord-....$/);
});
