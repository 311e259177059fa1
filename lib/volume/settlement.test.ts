import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type Conflict, type ConflictKind, listConflicts } from '../crdt/conflicts.js';
import { ObjectKind } from '../chunks/object-kind.js';
import { encodeManifest, inlineManifest } from '../chunks/manifest.js';
import { conflictId } from './conflict-id.js';
import { choicesOf, type Settled } from './settlement.js';
import { USER, VolumeFixture } from './volume-fixture.test-support.js';

const open: VolumeFixture[] = [];
after(() => open.forEach((fixture) => fixture.remove()));

/** Two sites that share what `start` makes, do what `act` does each on its own, and merge. */
async function merged(
  start: (site: VolumeFixture) => void,
  act: (one: VolumeFixture, other: VolumeFixture) => void,
): Promise<[VolumeFixture, VolumeFixture]> {
  const one = VolumeFixture.create();
  open.push(one);
  const other = await one.join();
  open.push(other);
  start(one);
  await one.mergeWith(other);
  act(one, other);
  await one.mergeWith(other);
  return [one, other];
}

function conflictsOf({ volume }: VolumeFixture): Conflict[] {
  volume.fold();
  return listConflicts(volume.journal.store, volume.journal.actors);
}

function only(site: VolumeFixture, kind: ConflictKind): Conflict {
  const [conflict, ...more] = conflictsOf(site);
  assert.deepEqual([conflict?.kind, more.length], [kind, 0]);
  return conflict!;
}

function resolve(site: VolumeFixture, conflict: Conflict, keep: string, text?: string): Settled {
  let content = null;
  if (text !== undefined) {
    const bytes = encodeManifest(inlineManifest(Buffer.from(text)));
    content = { manifest: site.volume.objects.put(ObjectKind.manifest, bytes), size: Buffer.byteLength(text) };
  }
  return site.volume.settlement.resolve({
    id: conflictId(conflict),
    directory: conflict.at.parent,
    keep,
    merged: content,
  });
}

/** Every path below a directory, with the text of files. */
function tree(site: VolumeFixture, path = ''): Record<string, string> {
  const all: Record<string, string> = {};
  for (const name of site.list(path)) {
    const at = `${path}/${name}`;
    const isDirectory = (site.volume.files.getattr(site.resolve(at)).mode & 0o170000) === 0o040000;
    all[at] = isDirectory ? 'directory' : site.text(at);
    if (isDirectory) Object.assign(all, tree(site, at));
  }
  return all;
}

async function assertSettled(one: VolumeFixture, other: VolumeFixture): Promise<void> {
  await one.mergeWith(other);
  assert.equal(one.digest, other.digest);
  for (const site of [one, other]) assert.deepEqual(conflictsOf(site), []);
}

function writtenAtBoth(): Promise<[VolumeFixture, VolumeFixture]> {
  return merged(
    (site) => void site.write('/plan', 'base'),
    (one, other) => {
      one.write('/plan', 'of one');
      other.write('/plan', 'of other, later');
    },
  );
}

for (const [keep, expected, text] of [
  ['shown', 'of other, later', undefined],
  ['hidden', 'of one', undefined],
  ['merge', 'of both', 'of both'],
] as const) {
  test(`two versions of a file: keep ${keep}, and undo`, async () => {
    const [one, other] = await writtenAtBoth();
    const before = tree(one);
    const ino = one.resolve('/plan');
    one.volume.files.link(ino, 1, 'second name');
    const { undo } = resolve(one, only(one, 'copy'), keep, text);
    assert.deepEqual(tree(one), { '/plan': expected, '/second name': expected });
    assert.equal(one.resolve('/plan'), ino);
    await assertSettled(one, other);
    one.unlink('/second name');
    one.volume.reversible.undo(undo);
    assert.deepEqual(tree(one), before);
    await assertSettled(one, other);
    assert.deepEqual(tree(other), before);
  });
}

test('two versions of a file: keep both, by the name of no site', async () => {
  const [one, other] = await writtenAtBoth();
  const before = tree(one);
  const conflict = only(one, 'copy');
  assert.throws(() => resolve(one, conflict, 'rome'), /choose one of .*both, merge/);
  assert.throws(() => resolve(one, conflict, 'merge'), /--from FILE/);
  assert.deepEqual(resolve(one, conflict, 'both').undo, []);
  assert.deepEqual(tree(one), before);
  await assertSettled(one, other);
  assert.throws(() => resolve(one, conflict, 'both'), /settled already/);
});

test('the kernel hears of everything that a settlement changes', async () => {
  const [one] = await writtenAtBoth();
  const conflict = only(one, 'copy');
  one.notices.length = 0;
  resolve(one, conflict, 'hidden');
  const copy = conflict.path.join('/');
  assert.ok(
    one.notices.some((notice) => notice.endsWith(` 1/${copy}`)),
    one.notices.join(),
  );
  assert.ok(one.notices.includes(`inode ${one.resolve('/plan')} content`), one.notices.join());
});

test('undo is refused, with nothing changed, when the file was written since', async () => {
  const [one] = await writtenAtBoth();
  const { undo } = resolve(one, only(one, 'copy'), 'hidden');
  one.write('/plan', 'newer');
  await one.publish();
  const before = tree(one);
  assert.throws(() => one.volume.reversible.undo(undo), /written since/);
  assert.deepEqual(tree(one), before);
});

test('undo is refused when something else has the name', async () => {
  const [one] = await writtenAtBoth();
  const conflict = only(one, 'copy');
  const { undo } = resolve(one, conflict, 'shown');
  one.write(`/${conflict.path.join('/')}`, 'in the way');
  assert.throws(() => one.volume.reversible.undo(undo), /there is another .*rename it/);
});

for (const [keep, expected] of [
  ['shown', 'later'],
  ['hidden', 'earlier'],
  ['merge', 'joined'],
] as const) {
  test(`two new files of one name: keep ${keep}, and undo`, async () => {
    const [one, other] = await merged(
      () => {},
      (a, b) => {
        a.write('/new', 'earlier');
        b.write('/new', 'later');
      },
    );
    const before = tree(one);
    const inodes = Object.keys(before).map((path) => one.resolve(path));
    const { undo } = resolve(other, only(other, 'name'), keep, keep === 'merge' ? expected : undefined);
    assert.deepEqual(tree(other), { '/new': expected });
    await assertSettled(one, other);
    other.volume.reversible.undo(undo);
    await assertSettled(one, other);
    assert.deepEqual(tree(one), before);
    assert.deepEqual(
      Object.keys(before).map((path) => one.resolve(path)),
      inodes,
    );
  });
}

test('two new files of one name: keep both', async () => {
  const [one, other] = await merged(
    () => {},
    (a, b) => {
      a.write('/new', 'earlier');
      b.write('/new', 'later');
    },
  );
  const before = tree(one);
  resolve(one, only(one, 'name'), 'both');
  await assertSettled(one, other);
  assert.deepEqual(tree(other), before);
});

test('a file and a directory of one name: the file instead of an empty directory, and never of a full one', async () => {
  const [one, other] = await merged(
    () => {},
    (a, b) => {
      a.mkdir('/new');
      a.write('/new/inside', 'of one');
      b.write('/new', 'a file');
    },
  );
  const before = tree(one);
  const conflict = only(one, 'name');
  assert.equal(choicesOf(conflict).includes('merge'), false);
  assert.throws(() => resolve(one, conflict, 'hidden'), /not empty/);
  assert.deepEqual(tree(one), before);
  one.unlink('/new/inside');
  const { undo } = resolve(one, conflict, 'hidden');
  assert.deepEqual(tree(one), { '/new': 'a file' });
  await assertSettled(one, other);
  one.volume.reversible.undo(undo);
  await assertSettled(one, other);
  assert.equal(tree(other)['/new'], 'directory');
});

test('written here, removed there: kept for good, or removed and back', async () => {
  const revived = (): Promise<[VolumeFixture, VolumeFixture]> =>
    merged(
      (site) => void site.write('/plan', 'base'),
      (a, b) => {
        a.write('/plan', 'edited');
        b.unlink('/plan');
      },
    );
  const [one, other] = await revived();
  resolve(one, only(one, 'revived'), 'shown');
  await assertSettled(one, other);
  assert.deepEqual(tree(other), { '/plan': 'edited' });

  const [here, there] = await revived();
  const { undo } = resolve(here, only(here, 'revived'), 'hidden');
  await assertSettled(here, there);
  assert.deepEqual(tree(there), {});
  here.volume.reversible.undo(undo);
  await assertSettled(here, there);
  assert.deepEqual(tree(there), { '/plan': 'edited' });
});

test('a directory that came back with a file stays when it is kept', async () => {
  const [one, other] = await merged(
    (site) => void site.mkdir('/d'),
    (a, b) => {
      a.write('/d/added', 'new');
      b.rmdir('/d');
    },
  );
  const conflict = only(one, 'revived');
  assert.throws(() => resolve(one, conflict, 'hidden'), /not empty/);
  resolve(one, conflict, 'shown');
  await assertSettled(one, other);
  assert.deepEqual(tree(other), { '/d': 'directory', '/d/added': 'new' });
});

test('moved here, removed there', async () => {
  const [one, other] = await merged(
    (site) => void site.write('/x', 'base'),
    (a, b) => {
      a.rename('/x', '/y');
      b.unlink('/x');
    },
  );
  const conflict = only(one, 'removed-elsewhere');
  const { undo } = resolve(one, conflict, 'hidden');
  assert.deepEqual(tree(one), {});
  one.volume.reversible.undo(undo);
  await assertSettled(one, other);
  assert.deepEqual(tree(other), { '/y': 'base' });
});

test('moved to two places: the other place, and back; or this one for good', async () => {
  const moved = (): Promise<[VolumeFixture, VolumeFixture]> =>
    merged(
      (site) => {
        site.mkdir('/d');
        site.write('/d/x', 'base');
      },
      (a, b) => {
        a.rename('/d', '/of-one');
        b.rename('/d', '/of-other');
      },
    );
  const [one, other] = await moved();
  const before = tree(one);
  assert.equal(before['/of-other/x'], 'base');
  const { undo } = resolve(one, only(one, 'moved-elsewhere'), 'hidden');
  assert.equal(tree(one)['/of-one/x'], 'base');
  await assertSettled(one, other);
  one.volume.reversible.undo(undo);
  await assertSettled(one, other);
  assert.deepEqual(tree(other), before);

  const [here, there] = await moved();
  resolve(there, only(there, 'moved-elsewhere'), 'shown');
  await assertSettled(here, there);
  assert.deepEqual(tree(here), before);
});

test('a move that would form a cycle: given up, or made, and undone', async () => {
  const cycle = (): Promise<[VolumeFixture, VolumeFixture]> =>
    merged(
      (site) => {
        for (const path of ['/x', '/y']) site.mkdir(path);
        site.write('/x/in-x', 'x');
        site.write('/y/in-y', 'y');
      },
      (a, b) => {
        a.rename('/x', '/y/z');
        b.rename('/y', '/x/w');
      },
    );
  const [one, other] = await cycle();
  const before = tree(one);
  assert.equal(before['/y/z/in-x'], 'x');
  resolve(one, only(one, 'move-deferred'), 'shown');
  await assertSettled(one, other);
  assert.deepEqual(tree(other), before);

  const [here, there] = await cycle();
  const { undo } = resolve(here, only(here, 'move-deferred'), 'hidden');
  await assertSettled(here, there);
  assert.equal(tree(there)['/x/w/in-y'], 'y');
  here.volume.reversible.undo(undo);
  await assertSettled(here, there);
  assert.deepEqual(tree(there), before);
});

test('permissions, owner and attributes set at both: each side, what is shown, and back', async () => {
  const [one, other] = await merged(
    (site) => void site.write('/x', 'base'),
    (a, b) => {
      for (const [i, site] of [a, b].entries()) {
        const ino = site.resolve('/x');
        site.volume.files.setattr(ino, { uid: 10 + i }, USER, undefined);
        site.volume.files.setattr(ino, { mode: i === 0 ? 0o664 : 0o645 }, USER, undefined);
        site.volume.files.setxattr(ino, 'user.a', Buffer.from(`of ${i}`), 0, false);
      }
    },
  );
  const mode = (): string => (one.volume.files.getattr(one.resolve('/x')).mode & 0o7777).toString(8);
  assert.equal(mode(), '665');
  const [chmod, chown, xattr, ...more] = conflictsOf(one);
  assert.deepEqual([chmod?.kind, chown?.kind, xattr?.kind, more.length], ['mode', 'owner', 'attribute', 0]);
  const settled = resolve(one, chmod!, 'hidden');
  assert.equal(mode(), '664');
  one.volume.reversible.undo(settled.undo);
  assert.equal(mode(), '665');
  assert.equal(resolve(one, chown!, 'hidden').done, '/x: owner is 10');
  assert.equal(one.volume.files.getattr(one.resolve('/x')).uid, 10);
  resolve(one, xattr!, 'hidden');
  assert.equal(one.volume.files.getxattr(one.resolve('/x'), 'user.a').toString(), 'of 0');
  await assertSettled(one, other);
});

test('user.weft.conflicts of a directory lists its conflicts, and can neither be set nor copied', async () => {
  const [one] = await merged(
    (site) => {
      site.mkdir('/d');
      site.write('/d/plan', 'base');
    },
    (a, b) => {
      a.write('/d/plan', 'of one');
      b.write('/d/plan', 'of other');
    },
  );
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
  const [one, other] = await merged(
    (site) => {
      site.mkdir('/d');
      site.write('/d/plan', 'base');
    },
    (a, b) => {
      a.write('/d/plan', 'of one');
      b.write('/d/plan', 'of other');
    },
  );
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

// ── at two sites at once ──────────────────────────────────────────────────────────────────────────────────────────────────────

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

test('undo works after a restart, after a crash, and from what was written to a file', async () => {
  const [one, other] = await writtenAtBoth();
  const before = tree(one);
  const { undo } = resolve(one, only(one, 'copy'), 'hidden');
  const kept = JSON.parse(JSON.stringify(undo)) as typeof undo;
  one.reopen();
  one.crash();
  one.volume.reversible.undo(kept);
  assert.deepEqual(tree(one), before);
  one.crash();
  await assertSettled(one, other);
  assert.deepEqual(tree(other), before);
});

test('undo twice is refused the second time, with nothing changed', async () => {
  const [one] = await writtenAtBoth();
  const { undo } = resolve(one, only(one, 'copy'), 'hidden');
  one.volume.reversible.undo(undo);
  const before = tree(one);
  assert.throws(() => one.volume.reversible.undo(undo), /nothing was undone|undo again/);
  assert.deepEqual(tree(one), before);
});

test('undo of permissions, owners and attributes is refused once somebody set them again', async () => {
  const [one, other] = await merged(
    (site) => void site.write('/x', 'base'),
    (a, b) => {
      for (const [i, site] of [a, b].entries()) {
        const ino = site.resolve('/x');
        site.volume.files.setattr(ino, { gid: 10 + i }, USER, undefined);
        site.volume.files.setattr(ino, { mode: i === 0 ? 0o664 : 0o645 }, USER, undefined);
        site.volume.files.setxattr(ino, 'user.a', Buffer.from(`of ${i}`), 0, false);
      }
    },
  );
  const undo = conflictsOf(one).map((conflict) => resolve(one, conflict, 'hidden').undo);
  assert.equal(undo.length, 3);
  await one.mergeWith(other);
  const ino = other.resolve('/x');
  other.volume.files.setattr(ino, { gid: 99 }, USER, undefined);
  other.volume.files.setattr(ino, { mode: 0o600 }, USER, undefined);
  other.volume.files.setxattr(ino, 'user.a', Buffer.from('newer'), 0, false);
  await one.mergeWith(other);
  for (const steps of undo) assert.throws(() => one.volume.reversible.undo(steps), /attribute was set since/);
  const { gid, mode } = one.volume.files.getattr(ino);
  assert.deepEqual([gid, mode & 0o7777], [99, 0o600]);
});

test('an undo of several steps of which one fails changes nothing', async () => {
  const [one] = await writtenAtBoth();
  one.write('/moved', 'here');
  const ino = one.resolve('/moved');
  const before = tree(one);
  const rename = { undo: 'rename', ino, from: { parent: 1, name: 'moved' }, to: { parent: 1, name: 'away' } } as const;
  const refused = { undo: 'attribute', ino, name: 'of.no.namespace', settled: null, value: 'x' } as const;
  assert.throws(() => one.volume.reversible.undo([rename, refused]));
  assert.deepEqual(tree(one), before);
});

test('a settlement of several steps that cannot be completed changes nothing', async () => {
  const [one, other] = await merged(
    (site) => {
      for (const path of ['/x', '/y']) site.mkdir(path);
    },
    (a, b) => {
      a.rename('/x', '/y/z');
      b.rename('/y', '/x/w');
    },
  );
  const conflict = only(one, 'move-deferred');
  // Where the directory in the way came from there is something else now: the move cannot be made without moving it.
  one.write('/x', 'in the way');
  const before = tree(one);
  assert.throws(() => resolve(one, conflict, 'hidden'), /another .*rename it/);
  assert.deepEqual(tree(one), before);
  await one.mergeWith(other);
  assert.equal(one.digest, other.digest);
});
