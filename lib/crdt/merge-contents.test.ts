import assert from 'node:assert/strict';
import { test } from 'node:test';
import { converge, partitioned } from './convergence.test-support.js';
import { SimulatedSite } from './simulated-site.test-support.js';

// MERGE.md: versions of content, and what becomes of conflict copies.

/** x was written at both sites: paris won, oslo's version is a copy. */
function conflicting(): { oslo: SimulatedSite; paris: SimulatedSite; copy: string } {
  const [oslo, paris] = partitioned((site) => site.write('x', 'base'));
  oslo.write('x', 'mine');
  paris.nowUs += 10;
  paris.write('x', 'theirs');
  const copy = Object.keys(converge(oslo, paris)).find((name) => name.includes('.~'))!;
  return { oslo, paris, copy };
}

test('write ∥ write: the later version at the path, the other as a copy beside it', () => {
  const { oslo, copy } = conflicting();
  assert.match(copy, /^x\.~oslo-[a-z2-7]{4}$/);
  assert.deepEqual(oslo.tree(), { x: 'theirs', [copy]: 'mine' });
  assert.deepEqual(oslo.conflicts(), [`copy ${copy}`]);
  assert.equal(oslo.nlink('x'), 1);
  assert.equal(oslo.nlink(copy), 1);
});

test('write ∥ write: of the same bytes is no conflict', () => {
  const [oslo, paris] = partitioned((site) => site.write('x', 'base'));
  oslo.write('x', 'same');
  paris.write('x', 'same');
  assert.deepEqual(converge(oslo, paris), { x: 'same' });
  assert.deepEqual(oslo.conflicts(), []);
});

test('write ∥ write: of three versions, one winner, two copies; settling one leaves the other', () => {
  const [oslo, paris, rome] = partitioned((site) => site.write('x', 'base'), 3);
  for (const [i, site] of [oslo, paris, rome].entries()) {
    site.nowUs += i * 10;
    site.write('x', site.name);
  }
  const tree = converge(oslo, paris, rome);
  assert.deepEqual(Object.values(tree).toSorted(), ['oslo', 'paris', 'rome']);
  const copy = Object.keys(tree).find((name) => name.includes('oslo'))!;
  paris.unlink(copy);
  assert.deepEqual(Object.values(converge(oslo, paris, rome)).toSorted(), ['paris', 'rome']);
});

test('truncate ∥ write: two versions, that which was cut off among them', () => {
  for (const isCutLater of [false, true]) {
    const [oslo, paris] = partitioned((site) => site.write('x', 'base'));
    const [writer, cutter] = [oslo, paris];
    (isCutLater ? cutter : writer).nowUs += 10;
    writer.write('x', 'edited');
    cutter.write('x', '');
    const tree = converge(oslo, paris);
    assert.equal(tree['x'], isCutLater ? '' : 'edited');
    assert.deepEqual(Object.values(tree).toSorted(), ['', 'edited']);
  }
});

test('a copy is settled by removing it', () => {
  const { oslo, paris, copy } = conflicting();
  paris.unlink(copy);
  assert.deepEqual(converge(oslo, paris), { x: 'theirs' });
  assert.deepEqual(oslo.conflicts(), []);
});

test('a copy is settled by renaming it over the winner', () => {
  const { oslo, paris, copy } = conflicting();
  oslo.rename(copy, 'x');
  assert.deepEqual(converge(oslo, paris), { x: 'mine' });
  assert.deepEqual(oslo.conflicts(), []);
});

test('a copy that is edited, renamed or chmod-ed becomes a file of its own, with its inode number', () => {
  for (const [act, expected] of [
    [(site: SimulatedSite, copy: string) => void site.write(copy, 'edited'), 'edited'],
    [(site: SimulatedSite, copy: string) => site.chmod(copy, 0o600), 'mine'],
    [(site: SimulatedSite, copy: string) => site.setxattr(copy, 'user.a', '1'), 'mine'],
  ] as const) {
    const { oslo, paris, copy } = conflicting();
    const { ino } = oslo.find(copy)!;
    act(paris, copy);
    assert.deepEqual(converge(oslo, paris), { x: 'theirs', [copy]: expected });
    assert.equal(oslo.find(copy)!.ino, ino);
    assert.deepEqual(oslo.conflicts(), []);
  }
  const { oslo, paris, copy } = conflicting();
  paris.rename(copy, 'other');
  assert.deepEqual(converge(oslo, paris), { other: 'mine', x: 'theirs' });
});

test('a version is not lost because another of the same bytes became a file of its own, and was edited', () => {
  const [oslo, paris, rome] = partitioned((site) => site.write('x', 'base'), 3);
  const lima = new SimulatedSite('lima', 4);
  lima.receive(oslo.changes);
  for (const [i, site] of [rome, lima, oslo, paris].entries()) site.nowUs = oslo.nowUs + (i + 1) * 1000;
  rome.write('x', 'older');
  lima.write('x', 'same');
  oslo.write('x', 'same');
  paris.write('x', 'theirs');
  // At rome oslo's version wins, and is said again; at paris it loses, and its copy becomes a file.
  rome.receive(oslo.changes);
  paris.receive(oslo.changes);
  rome.unlink(rome.list('').find((name) => name.includes('.~'))!);
  const copy = paris.list('').find((name) => name.includes('.~'))!;
  paris.write(copy, 'edited');
  const tree = converge(oslo, paris, rome, lima);
  assert.deepEqual(Object.values(tree).toSorted(), ['edited', 'same', 'theirs']);
  assert.match(
    Object.keys(tree).find((name) => tree[name] === 'same')!,
    /^x\.~lima-/,
  );
});

/** One file, as x and as y, at both sites. */
function twoNames(): [SimulatedSite, SimulatedSite] {
  const [oslo, paris] = partitioned((site) => {
    site.write('x', 'base');
    site.link('x', 'y');
  });
  return [oslo, paris];
}

test('an edit is not lost because its writer removed another name of the file', () => {
  const [oslo, paris] = twoNames();
  paris.write('x', 'edited');
  paris.unlink('y');
  oslo.unlink('y');
  oslo.unlink('x');
  assert.deepEqual(Object.values(converge(oslo, paris)), ['edited']);
});

test('unlink of one name ∥ unlink of another: neither removed the file, so it returns', () => {
  const [oslo, paris] = twoNames();
  oslo.unlink('x');
  paris.nowUs += 10;
  paris.unlink('y');
  assert.deepEqual(converge(oslo, paris), { y: 'base' });
  paris.unlink('y');
  assert.deepEqual(converge(oslo, paris), {});
});

test('both names removed at both sites: it is gone', () => {
  const [oslo, paris] = twoNames();
  for (const site of [oslo, paris]) for (const name of ['x', 'y']) site.unlink(name);
  assert.deepEqual(converge(oslo, paris), {});
});

test('ln of a file in conflict: its copies stay beside the name where they were', () => {
  const [oslo, paris] = partitioned((site) => site.write('x', 'base'));
  // The link that paris makes has a higher number than one that oslo makes later.
  paris.link('x', 'y');
  paris.unlink('x');
  converge(oslo, paris);
  oslo.write('y', 'from oslo');
  paris.nowUs += 10;
  paris.write('y', 'from paris');
  const before = converge(oslo, paris);
  assert.equal(Object.keys(before).length, 2);
  oslo.link('y', 'z');
  const after = { ...before, z: 'from paris' };
  assert.deepEqual(oslo.tree(), after);
  assert.deepEqual(converge(oslo, paris), after);
});

test('edit ∥ edit of a copy: the same rules again', () => {
  const { oslo, paris, copy } = conflicting();
  oslo.write(copy, 'oslo again');
  paris.write(copy, 'paris again');
  const tree = converge(oslo, paris);
  assert.deepEqual(Object.values(tree).toSorted(), ['oslo again', 'paris again', 'theirs']);
  assert.ok(Object.keys(tree).some((name) => /\.~oslo-....\.~(oslo|paris)-....$/.test(name)));
});

test('edit of a copy ∥ its removal: the edit is kept', () => {
  const { oslo, paris, copy } = conflicting();
  oslo.write(copy, 'edited');
  paris.unlink(copy);
  const tree = converge(oslo, paris);
  assert.equal(tree['x'], 'theirs');
  assert.ok(Object.values(tree).includes('edited'));
});

test('a write to the winner leaves the copy alone', () => {
  const { oslo, paris, copy } = conflicting();
  paris.write('x', 'later');
  assert.deepEqual(converge(oslo, paris), { x: 'later', [copy]: 'mine' });
});

test('removing the winner leaves the copies, as files of their own', () => {
  const { oslo, paris, copy } = conflicting();
  paris.unlink('x');
  assert.deepEqual(converge(oslo, paris), { [copy]: 'mine' });
  assert.deepEqual(oslo.conflicts(), []);
});

test('copies move with their file', () => {
  const { oslo, paris } = conflicting();
  paris.mkdir('d');
  paris.rename('x', 'd/y');
  const tree = converge(oslo, paris);
  assert.deepEqual(
    Object.keys(tree).map((name) => name.replace(/-....$/, '')),
    ['d', 'd/y', 'd/y.~oslo'],
  );
});

test('a copy looks like its file: mode, owner and attributes', () => {
  const { oslo, paris, copy } = conflicting();
  paris.chmod('x', 0o600);
  converge(oslo, paris);
  oslo.link(copy, 'kept');
  assert.equal(oslo.mode('kept'), 0o600);
});

test('write ∥ unlink: the data wins, and the list says so', () => {
  const [oslo, paris] = partitioned((site) => site.write('x', 'base'));
  oslo.write('x', 'edited');
  paris.nowUs += 10;
  paris.unlink('x');
  assert.deepEqual(converge(oslo, paris), { x: 'edited' });
  assert.deepEqual(oslo.conflicts(), ['revived x']);
  oslo.unlink('x');
  assert.deepEqual(converge(oslo, paris), {});
});

test('chmod, times or xattr ∥ unlink: they do not bring a removed file back', () => {
  const [oslo, paris] = partitioned((site) => site.write('x', 'base'));
  oslo.chmod('x', 0o600);
  oslo.utimens('x', 5);
  oslo.setxattr('x', 'user.a', '1');
  paris.unlink('x');
  assert.deepEqual(converge(oslo, paris), {});
});

test('write ∥ unlink and re-creation: both are there', () => {
  const [oslo, paris] = partitioned((site) => site.write('x', 'base'));
  oslo.write('x', 'edited');
  paris.unlink('x');
  paris.write('x', 'new');
  const tree = converge(oslo, paris);
  assert.equal(tree['x'], 'new');
  assert.deepEqual(Object.values(tree).toSorted(), ['edited', 'new']);
});

test('save-by-rename ∥ save-by-rename: two versions', () => {
  const [oslo, paris] = partitioned((site) => site.write('x', 'base'));
  oslo.saveByRename('x', 'mine');
  paris.nowUs += 10;
  paris.saveByRename('x', 'theirs');
  const tree = converge(oslo, paris);
  assert.equal(tree['x'], 'theirs');
  assert.deepEqual(Object.values(tree).toSorted(), ['mine', 'theirs']);
});

test('write through one link ∥ removal of another: nothing is lost', () => {
  const [oslo, paris] = partitioned((site) => {
    site.write('x', 'base');
    site.link('x', 'y');
  });
  oslo.write('y', 'edited');
  paris.unlink('y');
  assert.deepEqual(converge(oslo, paris), { x: 'edited' });
});

test('a version that lost is shown beside the first link only', () => {
  const [oslo, paris] = partitioned((site) => {
    site.write('x', 'base');
    site.link('x', 'y');
  });
  oslo.write('x', 'mine');
  paris.nowUs += 10;
  paris.write('y', 'theirs');
  const tree = converge(oslo, paris);
  assert.equal(Object.values(tree).filter((content) => content === 'mine').length, 1);
  // Removing that link leaves the copy where it is.
  const copy = Object.keys(tree).find((name) => name.startsWith('x.~'))!;
  paris.unlink('x');
  assert.deepEqual(converge(oslo, paris), { [copy]: 'mine', y: 'theirs' });
});

test('an unnamed file that is linked at one site is there', () => {
  const [oslo, paris] = partitioned();
  oslo.createUnnamed('x', 'late name');
  assert.deepEqual(converge(oslo, paris), { x: 'late name' });
});

test('a copy that became a file and moved, in one batch with its rivals, is shown once', () => {
  const { oslo, paris, copy } = conflicting();
  oslo.mkdir('d');
  oslo.rename('x', 'd/x');
  const moved = oslo.list('d').find((name) => name.includes('.~'))!;
  oslo.unlink('d/x');
  oslo.rename(`d/${moved}`, 'kept');
  paris.write(copy, 'edited too');
  const tree = converge(oslo, paris);
  assert.ok(Object.values(tree).includes('edited too'));
});

test('merge ∥ merge: of the same versions they are one version and no conflict, and the next write settles them', () => {
  const { oslo, paris } = conflicting();
  for (const site of [oslo, paris]) assert.ok(site.merge('x'));
  assert.deepEqual(converge(oslo, paris), { x: 'mine+theirs' });
  assert.deepEqual(oslo.conflicts(), []);
  assert.equal(oslo.merge('x'), false);
  oslo.write('x', 'after');
  assert.deepEqual(converge(oslo, paris), { x: 'after' });
  assert.equal(paris.store.inode(paris.find('x')!.ino)!.registers.get('head')!.length, 1);
});

test('merge ∥ merge: of more versions at one site they are two versions, which merge to the same as all at once', () => {
  const [oslo, paris, rome] = partitioned((site) => site.write('x', 'base'), 3);
  for (const site of [oslo, paris, rome]) site.write('x', site.name);
  converge(oslo, paris);
  oslo.merge('x');
  converge(paris, rome);
  rome.merge('x');
  converge(oslo, paris, rome);
  paris.merge('x');
  assert.deepEqual(converge(oslo, paris, rome), { x: 'oslo+paris+rome' });
  assert.deepEqual(oslo.conflicts(), []);
});

test('write ∥ write under a merge policy: who saw all that is in a merge has removed it too', () => {
  const { oslo, paris } = conflicting();
  oslo.merge('x');
  paris.merge('x');
  paris.unlink('x');
  assert.deepEqual(converge(oslo, paris), {});
  assert.deepEqual(oslo.conflicts(), []);
});

test('write ∥ write under a merge policy: who had not seen all that is in a merge has not removed it', () => {
  const [oslo, paris, rome] = partitioned((site) => site.write('x', 'base'), 3);
  oslo.write('x', 'oslo');
  paris.write('x', 'paris');
  converge(oslo, paris);
  oslo.merge('x');
  rome.unlink('x');
  assert.deepEqual(converge(oslo, paris, rome), { x: 'oslo+paris' });
});

test('a copy that is settled ∥ a merge that has it: the file has what was settled, and the copy is a file', () => {
  const { oslo, paris, copy } = conflicting();
  oslo.merge('x');
  paris.chmod(copy, 0o600);
  const tree = converge(oslo, paris);
  assert.equal(tree[copy], 'mine');
  assert.deepEqual(Object.values(tree).toSorted(), ['mine', 'mine+theirs', 'theirs']);
});
