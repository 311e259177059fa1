import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import { attributesOf } from '../crdt/inode-attributes.js';
import { commonVector } from '../journal/held-versions.js';
import { USER, VolumeFixture } from './volume-fixture.test-support.js';

const O_RDWR = 2;
const O_APPEND = 0o2000;
const POLICY = 'user.weft.merge';

function site(t: TestContext): VolumeFixture {
  const fixture = VolumeFixture.create();
  t.after(() => fixture.remove());
  return fixture;
}

/** Sites of one volume that all have these files. */
async function sites(t: TestContext, count: number, policy: string, files: Record<string, string | Buffer>) {
  const first = site(t);
  first.mkdir('d');
  setPolicy(first, 'd', policy);
  for (const [name, content] of Object.entries(files)) first.write(`d/${name}`, content);
  const all = [first];
  for (let i = 1; i < count; i++) {
    const other = await all[i - 1]!.join();
    t.after(() => other.remove());
    all.push(other);
  }
  await settle(all);
  return all;
}

function setPolicy(at: VolumeFixture, path: string, policy: string): void {
  at.volume.files.setxattr(at.resolve(path), POLICY, Buffer.from(policy), 0, false);
}

function append(at: VolumeFixture, path: string, text: string): void {
  const ino = at.resolve(path);
  const { handle } = at.volume.files.open(ino, O_RDWR, false, USER);
  at.volume.files.write(handle, at.volume.files.getattr(ino).size, Buffer.from(text), false);
  at.volume.files.release(handle);
}

function overwrite(at: VolumeFixture, path: string, offset: number, bytes: Buffer): void {
  const { handle } = at.volume.files.open(at.resolve(path), O_RDWR, false, USER);
  at.volume.files.write(handle, offset, bytes, false);
  at.volume.files.release(handle);
}

/** Until every site has what every other has, merges included. */
async function settle(all: readonly VolumeFixture[]): Promise<void> {
  for (let round = 0; round < 4; round++) {
    for (const from of all) for (const to of all) if (from !== to) await from.sendTo(to);
  }
  for (const one of all) assert.equal(one.digest, all[0]!.digest);
}

/** Drops what every site has from the journal of one of them, where no history is wanted. */
function cutJournal(at: VolumeFixture, all: readonly VolumeFixture[]): void {
  at.volume.fold();
  const frontier = commonVector(all.map(({ volume }) => volume.journal.vector()));
  at.volume.truncating.ask({ frontier, keepHistoryMs: 0, nowUs: at.volume.journal.lastStamp() });
  idle(at);
  at.volume.folding.commit();
}

/** Does what is done between calls. */
function idle(at: VolumeFixture): void {
  while (at.volume.background.run(() => false));
}

function heads(at: VolumeFixture, path: string): number {
  return attributesOf(at.volume.journal.store.inode(at.resolve(path))!).heads.length;
}

function copies(at: VolumeFixture): number {
  return at.volume.journal.store.copies().size;
}

/** All of it, whole and in parts, so that each part is found exactly once. */
function assertParts(text: string, parts: readonly string[]): void {
  for (const part of parts)
    assert.equal(text.split(part).length - 1, 1, `${JSON.stringify(part)} in ${JSON.stringify(text)}`);
  assert.equal(text.length, parts.join('').length, text);
}

// ── append ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

test('a log that two sites appended to has both parts, the earlier first, and no copy beside it', async (t) => {
  const [a, b] = await sites(t, 2, 'append', { log: 'begin\n' });
  append(a!, 'd/log', 'from a\n');
  await a!.publish();
  append(b!, 'd/log', 'from b\n');
  await settle([a!, b!]);
  for (const one of [a!, b!]) {
    assert.deepEqual(one.list('d'), ['log']);
    assert.equal(one.text('d/log'), 'begin\nfrom a\nfrom b\n');
    assert.equal(copies(one), 0);
  }
});

test('merges of the same versions made at two sites are no conflict, and the next write settles them', async (t) => {
  const [a, b] = await sites(t, 2, 'append', { log: '' });
  append(a!, 'd/log', 'a\n');
  append(b!, 'd/log', 'b\n');
  await settle([a!, b!]);
  assert.ok(heads(a!, 'd/log') >= 1);
  append(b!, 'd/log', 'c\n');
  await settle([a!, b!]);
  assert.equal(heads(a!, 'd/log'), 1);
  assert.equal(heads(b!, 'd/log'), 1);
  assert.equal(a!.text('d/log'), 'a\nb\nc\n');
});

test('merges of merges hold each part once, whichever sites met first', async (t) => {
  const meetings: readonly (readonly [number, number])[][] = [
    [
      [0, 1],
      [1, 2],
      [2, 0],
    ],
    [
      [2, 1],
      [0, 2],
      [1, 0],
    ],
    [
      [0, 1],
      [0, 2],
      [1, 2],
      [0, 1],
    ],
  ];
  for (const meeting of meetings) {
    const all = await sites(t, 3, 'append', { log: 'begin\n' });
    for (const [i, one] of all.entries()) append(one, 'd/log', `${i} wrote this\n`);
    for (const [step, [x, y]] of meeting.entries()) {
      await all[x]!.sendTo(all[y]!);
      append(all[x]!, 'd/log', `${x} after it met ${y}, ${step}\n`);
      await all[y]!.sendTo(all[x]!);
    }
    await settle(all);
    const lines = ['begin\n', ...all.map((_, i) => `${i} wrote this\n`)];
    for (const [step, [x, y]] of meeting.entries()) lines.push(`${x} after it met ${y}, ${step}\n`);
    assertParts(all[0]!.text('d/log'), lines);
    assert.deepEqual(all[0]!.list('d'), ['log']);
  }
});

test('logs that stay open at both sites lose nothing and double nothing', async (t) => {
  const [a, b] = await sites(t, 2, 'append', { log: 'begin\n' });
  const open = [a!, b!].map((one) => ({
    one,
    handle: one.volume.files.open(one.resolve('d/log'), O_RDWR, false, USER).handle,
    at: 6,
  }));
  const lines = ['begin\n'];
  for (let round = 0; round < 5; round++) {
    for (const [i, file] of open.entries()) {
      const line = `round ${round} at ${i}\n`;
      file.one.volume.files.write(file.handle, file.at, Buffer.from(line), false);
      file.at += line.length;
      lines.push(line);
    }
    await a!.sendTo(b!);
    if (round !== 2) await b!.sendTo(a!);
  }
  for (const { one, handle } of open) one.volume.files.release(handle);
  await settle([a!, b!]);
  assertParts(a!.text('d/log'), lines);
  assert.deepEqual(a!.list('d'), ['log']);
});

test('logs that stay open at both sites are merged after journals were cut off as well', async (t) => {
  const [a, b] = await sites(t, 2, 'append', { log: 'begin\n' });
  const open = [a!, b!].map((one) => ({
    one,
    ...one.volume.files.open(one.resolve('d/log'), O_RDWR, false, USER),
    at: 6,
  }));
  const lines = ['begin\n'];
  for (let round = 0; round < 6; round++) {
    const file = open[round % 2]!;
    const line = `round ${round}\n`;
    file.one.volume.files.write(file.handle, file.at, Buffer.from(line), false);
    file.at += line.length;
    lines.push(line);
    await settle([a!, b!]);
    for (const one of [a!, b!]) cutJournal(one, [a!, b!]);
    assert.deepEqual(a!.list('d'), ['log'], `round ${round}`);
  }
  for (const { one, handle } of open) one.volume.files.release(handle);
  await settle([a!, b!]);
  for (const one of [a!, b!]) cutJournal(one, [a!, b!]);
  assertParts(b!.text('d/log'), lines);
  assert.equal(a!.volume.journal.journalBytes, 0);
});

test('a file that stays open keeps its base in the journal while others change it, but no longer than a month', async (t) => {
  const [a, b] = await sites(t, 2, 'ranges', { f: 'x'.repeat(100_000) });
  for (const one of [a!, b!]) cutJournal(one, [a!, b!]);
  const { files, truncating, journal } = a!.volume;
  const ino = a!.resolve('d/f');
  const { handle } = files.open(ino, O_RDWR, false, USER);
  overwrite(b!, 'd/f', 0, Buffer.from('from b'));
  await settle([a!, b!]);
  cutJournal(a!, [a!, b!]);
  assert.deepEqual(truncating.heldBy, { by: 'open', ino });
  files.write(handle, 90_000, Buffer.from('from a'), false);
  await settle([a!, b!]);
  assert.equal(b!.text('d/f').replaceAll('x', ''), 'from bfrom a');
  overwrite(b!, 'd/f', 50_000, Buffer.from('b again'));
  await settle([a!, b!]);
  const nowUs = journal.lastStamp() + 31 * 86_400_000_000;
  truncating.ask({ frontier: new Map(journal.vector()), keepHistoryMs: 0, nowUs });
  idle(a!);
  assert.equal(truncating.heldBy, null);
  files.release(handle);
});

/** Lines appended by path and through descriptors that stay open, at three sites that meet at random. */
async function appendAtRandom(t: TestContext, seed: number, isJournalCut: boolean): Promise<void> {
  let state = seed;
  const random = (n: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % n;
  };
  const all = await sites(t, 3, 'append', { log: 'begin\n' });
  const handles = all.map((): number | undefined => undefined);
  const lines = ['begin\n'];
  for (let step = 0; step < 25; step++) {
    const i = random(3);
    const one = all[i]!;
    const ino = one.resolve('d/log');
    const what = random(6);
    if (what < 2) {
      const line = `site ${i} in step ${step}\n`;
      const handle = handles[i];
      if (handle === undefined) append(one, 'd/log', line);
      else one.volume.files.write(handle, one.volume.files.getattr(ino).size, Buffer.from(line), false);
      lines.push(line);
    } else if (what === 2) {
      if (handles[i] === undefined) handles[i] = one.volume.files.open(ino, O_RDWR | O_APPEND, false, USER).handle;
      else {
        one.volume.files.release(handles[i]);
        handles[i] = undefined;
      }
    } else {
      await one.sendTo(all[(i + 1 + random(2)) % 3]!);
      if (isJournalCut) for (const each of all) cutJournal(each, all);
    }
  }
  for (const [i, handle] of handles.entries()) if (handle !== undefined) all[i]!.volume.files.release(handle);
  await settle(all);
  if (isJournalCut) assertKept(all[0]!, lines);
  else {
    assertParts(all[0]!.text('d/log'), lines);
    assert.deepEqual(all[1]!.list('d'), ['log'], `seed ${seed}`);
  }
}

/** Where three sites each dropped what only the others need, versions may stay beside each other: nothing is lost, and nothing doubled. */
function assertKept(at: VolumeFixture, lines: readonly string[]): void {
  const texts = at.list('d').map((name) => at.text(`d/${name}`));
  for (const line of lines) {
    const counts = texts.map((text) => text.split(line).length - 1);
    assert.equal(Math.max(...counts), 1, `${JSON.stringify(line)} in ${JSON.stringify(texts)}`);
  }
}

test('whoever appends when and meets whom, each line is in the log once', async (t) => {
  const base = process.env['SEED'] === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(process.env['SEED']);
  for (let i = 0; i < Number(process.env['ROUNDS'] ?? 4); i++) {
    await t.test(`seed ${base + i}`, (inner) => appendAtRandom(inner, base + i, false));
    await t.test(`seed ${base + i}, no history kept`, (inner) => appendAtRandom(inner, base + i, true));
  }
});

test('a log that one site rewrote and the other appended to is kept twice', async (t) => {
  const [a, b] = await sites(t, 2, 'append', { log: 'begin\n' });
  a!.write('d/log', 'rotated\n');
  await a!.publish();
  append(b!, 'd/log', 'from b\n');
  await settle([a!, b!]);
  assert.equal(copies(a!), 1);
  const texts = a!.list('d').map((name) => a!.text(`d/${name}`));
  assert.deepEqual(texts.toSorted(), ['begin\nfrom b\n', 'rotated\n']);
});

test('a large log is merged without being written anew', async (t) => {
  const lines = Array.from({ length: 40_000 }, (_, i) => `line ${i} of a log that is long enough for chunks\n`).join(
    '',
  );
  const [a, b] = await sites(t, 2, 'append', { log: lines });
  append(a!, 'd/log', 'from a\n');
  await a!.publish();
  append(b!, 'd/log', 'from b\n');
  const before = a!.volume.objects.bytes();
  await settle([a!, b!]);
  assert.equal(a!.text('d/log'), `${lines}from a\nfrom b\n`);
  assert.equal(copies(a!), 0);
  assert.ok(a!.volume.objects.bytes() - before < lines.length / 4);
});

test('small logs that are large when they are merged', async (t) => {
  const [a, b] = await sites(t, 2, 'append', { log: 'begin\n', empty: '' });
  const [fromA, fromB] = ['from a\n'.repeat(6_000), 'from b\n'.repeat(6_000)];
  for (const name of ['log', 'empty']) {
    append(a!, `d/${name}`, fromA);
    await a!.publish();
    append(b!, `d/${name}`, fromB);
  }
  await settle([a!, b!]);
  assert.ok(a!.text('d/log') === `begin\n${fromA}${fromB}`);
  assert.ok(b!.text('d/empty') === fromA + fromB);
  assert.equal(copies(a!), 0);
});

// ── text ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

const PARAGRAPHS = 'Title\n\nFirst paragraph.\n\nSecond paragraph.\n\nThird paragraph.\n';

test('paragraphs that were edited at two sites are all in the text', async (t) => {
  const [a, b] = await sites(t, 2, 'text', { text: PARAGRAPHS });
  a!.write('d/text', PARAGRAPHS.replace('First', 'Foremost'));
  b!.write('d/text', PARAGRAPHS.replace('Third', 'Last'));
  await settle([a!, b!]);
  assert.deepEqual(b!.list('d'), ['text']);
  assert.equal(b!.text('d/text'), PARAGRAPHS.replace('First', 'Foremost').replace('Third', 'Last'));
});

test('a text of many chunks is merged, be it that its first line was edited', async (t) => {
  const lines = Array.from({ length: 5_000 }, (_, i) => `line ${i} of a long text\n`);
  const edited = (numbers: readonly number[], by: string): string =>
    lines.map((line, i) => (numbers.includes(i) ? `${by} ${line}` : line)).join('');
  const [a, b] = await sites(t, 2, 'text', { text: lines.join('') });
  a!.write('d/text', edited([0, 100, 4_999], 'edited'));
  b!.write('d/text', edited([50, 3_000], 'edited'));
  await settle([a!, b!]);
  assert.ok(a!.text('d/text') === edited([0, 50, 100, 3_000, 4_999], 'edited'));
  assert.equal(copies(b!), 0);
});

test('a paragraph that was edited twice gives a copy, and deleting that settles it', async (t) => {
  const [a, b] = await sites(t, 2, 'text', { text: PARAGRAPHS });
  a!.write('d/text', PARAGRAPHS.replace('First', 'Foremost'));
  await a!.publish();
  b!.write('d/text', PARAGRAPHS.replace('First', 'Initial'));
  await settle([a!, b!]);
  assert.equal(a!.text('d/text'), PARAGRAPHS.replace('First', 'Initial'));
  const copy = a!.list('d').find((name) => name !== 'text')!;
  assert.equal(a!.text(`d/${copy}`), PARAGRAPHS.replace('First', 'Foremost'));
  a!.unlink(`d/${copy}`);
  await settle([a!, b!]);
  assert.deepEqual(b!.list('d'), ['text']);
  assert.equal(b!.text('d/text'), PARAGRAPHS.replace('First', 'Initial'));
});

test('a version that was given up does not come back with a later merge', async (t) => {
  const [a, b] = await sites(t, 2, 'text', { text: PARAGRAPHS });
  a!.write('d/text', PARAGRAPHS.replace('First', 'Foremost'));
  await a!.publish();
  b!.write('d/text', PARAGRAPHS.replace('First', 'Initial'));
  await settle([a!, b!]);
  const shown = a!.text('d/text');
  a!.unlink(`d/${a!.list('d').find((name) => name !== 'text')!}`);
  b!.write('d/text', shown.replace('Third', 'Last'));
  await settle([a!, b!]);
  assert.deepEqual(a!.list('d'), ['text']);
  assert.equal(a!.text('d/text'), shown.replace('Third', 'Last'));
});

// ── ranges ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

test('pages that were written at two sites are all in the file; a page that both wrote gives a copy', async (t) => {
  const bytes = randomBytes(3_000_000);
  const [a, b] = await sites(t, 2, 'ranges', { database: bytes });
  const expected = Buffer.from(bytes);
  for (const [one, offset] of [
    [a!, 4096],
    [b!, 8192],
    [a!, 2_000_000],
    [b!, 900_000],
  ] as const) {
    const page = randomBytes(4096);
    overwrite(one, 'd/database', offset, page);
    page.copy(expected, offset);
  }
  await settle([a!, b!]);
  assert.deepEqual(a!.read('d/database'), expected);
  assert.deepEqual(b!.read('d/database'), expected);
  assert.equal(copies(a!), 0);
  overwrite(a!, 'd/database', 5000, randomBytes(100));
  overwrite(b!, 'd/database', 5050, randomBytes(100));
  await settle([a!, b!]);
  assert.equal(copies(a!), 1);
});

// ── policies ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

test('the nearest policy on the way up counts, and a file may have its own', async (t) => {
  const [a, b] = await sites(t, 2, 'append', { inherits: '', own: '' });
  a!.mkdir('d/inner');
  setPolicy(a!, 'd/inner', 'copy');
  a!.write('d/inner/copied', '');
  setPolicy(a!, 'd/own', 'copy');
  await settle([a!, b!]);
  for (const name of ['inherits', 'own', 'inner/copied']) {
    append(a!, `d/${name}`, 'a\n');
    append(b!, `d/${name}`, 'b\n');
  }
  await settle([a!, b!]);
  assert.equal(a!.text('d/inherits'), 'a\nb\n');
  assert.equal(a!.text('d/own'), 'b\n');
  assert.equal(a!.text('d/inner/copied'), 'b\n');
  assert.equal(copies(a!), 2);
});

for (const [how, write] of [
  ['appended to', (at: VolumeFixture, path: string) => append(at, path, 'more\n')],
  ['rewritten', (at: VolumeFixture, path: string) => void at.write(path, 'more\n')],
] as const)
  test(`a copy that was renamed at two sites and ${how} at a third is what was written there, no line twice`, async (t) => {
    const [a, b, c] = (await sites(t, 3, 'copy', { log: 'base\n' })) as [VolumeFixture, VolumeFixture, VolumeFixture];
    append(a, 'd/log', 'of a\n');
    append(b, 'd/log', 'of b\n');
    await settle([a, b, c]);
    const copy = a.list('d').find((name) => name !== 'log')!;
    const text = a.text(`d/${copy}`);
    write(c, `d/${copy}`);
    const due = c.text(`d/${copy}`);
    assert.notEqual(due, text);
    for (const at of [a, b]) {
      at.rename(`d/${copy}`, 'd/other');
      setPolicy(at, 'd', 'append');
    }
    await settle([a, b, c]);
    for (const at of [a, b, c]) {
      const names = at.list('d').filter((name) => name !== 'log');
      assert.equal(names.length, 1);
      assert.equal(at.text(`d/${names[0]}`), due);
    }
  });

test('a policy that is set later merges what lies in copies already, on a file as on a directory', async (t) => {
  const [a, b] = await sites(t, 2, 'copy', { one: '', two: '' });
  for (const name of ['one', 'two']) {
    append(a!, `d/${name}`, 'a\n');
    append(b!, `d/${name}`, 'b\n');
  }
  await settle([a!, b!]);
  assert.equal(copies(b!), 2);
  setPolicy(b!, 'd/one', 'append');
  await settle([a!, b!]);
  assert.deepEqual([a!.text('d/one'), copies(a!)], ['a\nb\n', 1]);
  setPolicy(a!, 'd', 'append');
  await settle([a!, b!]);
  assert.deepEqual([b!.text('d/two'), copies(b!)], ['a\nb\n', 0]);
});

test('a file in conflict that is moved to where another policy holds is merged there, be it with its directory', async (t) => {
  const [a, b] = await sites(t, 2, 'append', {});
  const files = ['one', 'sub/two', 'three'];
  a!.mkdir('sub');
  for (const path of files) a!.write(path, '');
  await settle([a!, b!]);
  for (const path of files) {
    append(a!, path, 'a\n');
    append(b!, path, 'b\n');
  }
  await settle([a!, b!]);
  assert.equal(copies(b!), 3);
  b!.rename('one', 'd/one');
  idle(b!);
  assert.deepEqual([b!.text('d/one'), copies(b!)], ['a\nb\n', 2]);
  a!.rename('sub', 'd/sub');
  idle(a!);
  assert.deepEqual([a!.text('d/sub/two'), copies(a!)], ['a\nb\n', 2]);
  // A site that only hears of the move merges as well.
  a!.rename('three', 'd/three');
  await a!.sendTo(b!);
  assert.deepEqual([b!.text('d/three'), heads(a!, 'd/three')], ['a\nb\n', 2]);
  await settle([a!, b!]);
  assert.deepEqual([copies(a!), copies(b!)], [0, 0]);
});

test('what is no policy is refused', async (t) => {
  const a = site(t);
  a.write('file', '');
  for (const wrong of ['', 'newest', 'append\n']) {
    assert.throws(() => setPolicy(a, 'file', wrong), { code: 'EINVAL' });
  }
  setPolicy(a, 'file', 'text');
  assert.equal(a.volume.files.getxattr(a.resolve('file'), POLICY).toString(), 'text');
});

// ── with the rest of the tree ─────────────────────────────────────────────────────────────────────────────────────────────────

test('a merged file that one site removes stays removed, though the other merged it too', async (t) => {
  const [a, b] = await sites(t, 2, 'append', { log: '' });
  append(a!, 'd/log', 'a\n');
  append(b!, 'd/log', 'b\n');
  await a!.publish();
  await b!.publish();
  // Each learns of the other's version and merges, before it learns of the other's merge.
  await a!.sendTo(b!);
  await b!.sendTo(a!);
  for (const one of [a!, b!]) idle(one);
  assert.equal(a!.text('d/log'), 'a\nb\n');
  assert.equal(b!.text('d/log'), 'a\nb\n');
  a!.unlink('d/log');
  await settle([a!, b!]);
  assert.deepEqual(a!.list('d'), []);
  assert.deepEqual(b!.list('d'), []);
});

test('a write that the remover had not seen brings the file back, merged or not', async (t) => {
  const [a, b, c] = await sites(t, 3, 'append', { log: 'begin\n' });
  append(b!, 'd/log', 'b\n');
  append(c!, 'd/log', 'c\n');
  await b!.mergeWith(c!);
  idle(b!);
  a!.unlink('d/log');
  await settle([a!, b!, c!]);
  assert.equal(a!.text('d/log'), 'begin\nb\nc\n');
});

test('what was merged just before a crash is merged after it', async (t) => {
  const [a, b] = await sites(t, 2, 'append', { log: '', big: 'x'.repeat(200_000) });
  for (const [one, text] of [
    [a!, 'a\n'],
    [b!, 'b\n'],
  ] as const) {
    append(one, 'd/log', text);
    append(one, 'd/big', text);
    await one.publish();
  }
  await b!.sendTo(a!);
  a!.crash();
  await settle([a!, b!]);
  a!.reopen();
  await settle([a!, b!]);
  assert.equal(a!.text('d/log'), 'a\nb\n');
  assert.deepEqual(a!.list('d'), ['big', 'log']);
  assert.equal(a!.text('d/big').replace(/x+/, 'x'), 'xa\nb\n');
});

test('a log that was open at a crash has each line once, though another site went on from its last version', async (t) => {
  const [one, two] = (await sites(t, 2, 'append', { log: 'base\n' })) as [VolumeFixture, VolumeFixture];
  const { handle } = one.volume.files.open(one.resolve('d/log'), O_RDWR | O_APPEND, false, USER);
  one.volume.files.write(handle, 0, Buffer.from('of one\n'), false);
  await one.publish();
  await settle([one, two]);
  append(two, 'd/log', 'of two\n');
  await settle([one, two]);
  one.volume.files.write(handle, 0, Buffer.from('of one, later\n'), false);
  one.crash();
  await settle([one, two]);
  for (const at of [one, two]) assertParts(at.text('d/log'), ['base\n', 'of one\n', 'of two\n', 'of one, later\n']);
});

test('the time of a merged file is that of its latest version', async (t) => {
  const [a, b] = await sites(t, 2, 'append', { log: '' });
  append(a!, 'd/log', 'a\n');
  append(b!, 'd/log', 'b\n');
  await a!.publish();
  await b!.publish();
  const times = [a!, b!].map((one) => one.volume.files.getattr(one.resolve('d/log')).mtime);
  await settle([a!, b!]);
  assert.deepEqual(a!.volume.files.getattr(a!.resolve('d/log')).mtime, times[1]);
});
