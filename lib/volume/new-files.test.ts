import assert from 'node:assert/strict';
import { ftruncateSync, readdirSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { ROOT_INO } from '../crdt/ids.js';
import { USER, VolumeFixture } from './volume-fixture.test-support.js';

const O_WRONLY = 1;
const O_RDWR = 2;
const O_TRUNC = 0o1000;
const O_DSYNC = 0o10000;
const LARGE = 300_000;
/** After which a new file is not taken for one of a burst of small ones, ms. */
const QUIET_MS = 200;

interface NewFile {
  readonly ino: number;
  readonly handle: number;
  /** The local file that the "kernel" writes to. */
  readonly fd: number | undefined;
}

function site(t: TestContext): VolumeFixture {
  const fixture = VolumeFixture.create();
  fixture.volume.allowPassthrough();
  fixture.commitMs = QUIET_MS;
  t.after(() => fixture.remove());
  return fixture;
}

function create({ volume }: VolumeFixture, name: string, flags = O_RDWR): NewFile {
  const { attributes, opened } = volume.files.create(ROOT_INO, name, 0o644, flags, 0o022, USER);
  return { ino: attributes.ino, handle: opened.handle, fd: opened.backing };
}

/** A new file in a local file. */
function backed(fixture: VolumeFixture, name: string): NewFile & { readonly fd: number } {
  const { fd, ...file } = create(fixture, name);
  assert.ok(fd !== undefined, `${name} has a local file`);
  return { ...file, fd };
}

/** As by `>` of a shell. */
function emptied(fixture: VolumeFixture, name: string): NewFile {
  const ino = fixture.resolve(name);
  const { handle, backing } = fixture.volume.files.open(ino, O_RDWR | O_TRUNC, false, USER);
  return { ino, handle, fd: backing };
}

/** A file that was large before a restart of the site, emptied to be written anew: in a local file. */
function emptiedAfterRestart(fixture: VolumeFixture, name: string): NewFile & { readonly fd: number } {
  fixture.reopen();
  fixture.volume.allowPassthrough();
  const { fd, ...file } = emptied(fixture, name);
  assert.ok(fd !== undefined, `${name} has a local file`);
  return { ...file, fd };
}

function localFiles({ directory }: VolumeFixture): string[] {
  return readdirSync(join(directory, 'work'));
}

const told = ({ notices }: VolumeFixture): string[] => notices.filter((notice) => /^(lost|corrupt) /.test(notice));

test('what is written to a new file by the kernel itself is shown at once, and a version after the close', async (t) => {
  const a = site(t);
  for (const [name, size] of [
    ['small', 4096],
    ['large', LARGE],
  ] as const) {
    const bytes = Buffer.alloc(size, name);
    const { ino, handle, fd } = backed(a, name);
    writeSync(fd, bytes, 0, size, 0);
    const { size: shown, mtime, ctime } = a.volume.files.getattr(ino);
    assert.equal(shown, size);
    assert.deepEqual(ctime, mtime);
    a.volume.files.release(handle);
    assert.deepEqual(a.read(name), bytes);
    await a.publish();
  }
  const b = await a.join();
  t.after(() => b.remove());
  assert.equal(b.text('small'), 'small'.repeat(1000).slice(0, 4096));
  assert.deepEqual(b.read('large'), Buffer.alloc(LARGE, 'large'));
});

test('small files that are made one after the other share one local file, and no later one shows bytes of an earlier one', async (t) => {
  const a = site(t);
  for (let i = 0; i < 10; i++) {
    const { handle, fd, ino } = backed(a, `f${i}`);
    assert.equal(a.volume.files.getattr(ino).size, 0);
    writeSync(fd, `${i}`.repeat(5000 - i * 100), 0);
    a.volume.files.release(handle);
    await a.publish();
  }
  assert.equal(localFiles(a).length, 1);
  for (let i = 0; i < 10; i++) assert.equal(a.text(`f${i}`), `${i}`.repeat(5000 - i * 100));
});

test('in a burst of small files the log takes the bytes', async (t) => {
  const a = site(t);
  const first = backed(a, 'first');
  a.volume.files.release(first.handle);
  const second = create(a, 'second');
  assert.equal(second.fd, undefined);
  a.volume.files.write(second.handle, 0, Buffer.from('text'), false);
  a.volume.files.release(second.handle);
  assert.equal(create(a, 'third').fd, undefined);
  await a.publish();
  assert.notEqual(create(a, 'later').fd, undefined);
});

test('a new file has no local file where each write is to be synced, and where the kernel may use none', (t) => {
  const a = site(t);
  assert.equal(create(a, 'synchronous', O_WRONLY | O_DSYNC).fd, undefined);
  const plain = VolumeFixture.create();
  t.after(() => plain.remove());
  assert.equal(create(plain, 'plain').fd, undefined);
});

test('a new file that nobody wrote to is no version, and keeps the times that it was given', async (t) => {
  const a = site(t);
  const { ino, handle } = backed(a, 'touched');
  const mtime = { s: 1_000_000, ns: 5 };
  a.volume.files.setattr(ino, { mtime }, USER, handle);
  assert.deepEqual(a.volume.files.getattr(ino).mtime, mtime);
  a.volume.files.release(handle);
  await a.publish();
  assert.deepEqual(a.volume.files.getattr(ino).mtime, mtime);
  assert.equal(a.volume.journal.store.inode(ino)?.registers.get('head'), undefined);
});

test('after a crash a local file is not taken for that of an inode that gave it back', (t) => {
  const a = site(t);
  const first = backed(a, 'first');
  writeSync(first.fd, 'first', 0);
  a.volume.files.release(first.handle);
  for (let i = 0; i < QUIET_MS; i++) a.volume.folding.dueInMs(); // each look at the clock moves it
  const second = backed(a, 'second');
  assert.equal(second.fd, first.fd);
  writeSync(second.fd, 'second', 0);
  a.crash();
  assert.deepEqual([a.text('first'), a.text('second')], ['first', 'second']);
  a.crash();
  assert.deepEqual([a.text('first'), a.text('second')], ['first', 'second']);
  assert.deepEqual(told(a), []);
});

test('whatever is done to new files, SIGKILL takes no byte', async () => {
  const offset = fc.integer({ min: 0, max: 200_000 });
  const step = fc.oneof(
    fc.record({ kind: fc.constant('create' as const) }),
    fc.record({ kind: fc.constant('rewrite' as const), number: fc.nat({ max: 3 }) }),
    fc.record({
      kind: fc.constant('write' as const),
      offset: fc.oneof(fc.constant(0), offset),
      length: fc.integer({ min: 1, max: 40_000 }),
    }),
    fc.record({ kind: fc.constant('truncate' as const), size: fc.oneof(fc.constant(0), offset) }),
    fc.record({
      kind: fc.constantFrom('fsync' as const, 'close' as const, 'fold' as const, 'crash' as const, 'publish' as const),
    }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const a = VolumeFixture.create();
      a.volume.allowPassthrough();
      a.commitMs = QUIET_MS;
      const expected = new Map<string, Buffer>();
      let open: { name: string; file: NewFile } | undefined;
      let marks = 0;
      try {
        for (const each of steps) {
          if (each.kind === 'create') {
            if (open) a.volume.files.release(open.file.handle);
            const name = `f${expected.size}`;
            open = { name, file: create(a, name) };
            expected.set(name, Buffer.alloc(0));
          } else if (each.kind === 'rewrite') {
            if (open) a.volume.files.release(open.file.handle);
            open = undefined;
            const name = `f${each.number}`;
            if (!expected.has(name)) continue;
            open = { name, file: emptied(a, name) };
            expected.set(name, Buffer.alloc(0));
          } else if (each.kind === 'crash') {
            a.crash();
            open = undefined;
          } else if (each.kind === 'fold') a.volume.fold();
          else if (each.kind === 'publish') await a.publish();
          if (!open) continue;
          const { name, file } = open;
          const before = expected.get(name)!;
          if (each.kind === 'write') {
            const data = Buffer.alloc(each.length, `${marks++} `);
            if (file.fd === undefined) a.volume.files.write(file.handle, each.offset, data, false);
            else writeSync(file.fd, data, 0, data.length, each.offset);
            const after = Buffer.alloc(Math.max(before.length, each.offset + each.length));
            before.copy(after);
            data.copy(after, each.offset);
            expected.set(name, after);
          } else if (each.kind === 'truncate') {
            a.volume.files.setattr(file.ino, { size: each.size }, USER, file.handle);
            const after = Buffer.alloc(each.size);
            before.copy(after);
            expected.set(name, after);
          } else if (each.kind === 'fsync') a.volume.files.fsync(file.handle);
          else if (each.kind === 'close') {
            a.volume.files.release(file.handle);
            open = undefined;
          }
        }
        a.crash();
        for (const [name, bytes] of expected) assert.ok(a.read(name).equals(bytes), `${name} after the crash`);
        await a.publish();
        for (const [name, bytes] of expected) assert.ok(a.read(name).equals(bytes), `${name} as a version`);
        assert.deepEqual(told(a), []);
      } finally {
        a.remove();
      }
    }),
    { numRuns: 10 },
  );
});

test('what was large is written anew through a local file, also in a burst of small files and after a restart', async (t) => {
  const a = site(t);
  a.write('large', Buffer.alloc(LARGE, 'old'));
  await a.publish();
  a.reopen();
  a.volume.allowPassthrough();
  a.volume.files.release(backed(a, 'small').handle);
  const { fd, ino, handle } = emptied(a, 'large');
  assert.ok(fd !== undefined, 'it has a local file');
  assert.equal(a.volume.files.getattr(ino).size, 0);
  writeSync(fd, Buffer.alloc(LARGE, 'new'), 0, LARGE, 0);
  a.volume.files.release(handle);
  await a.publish();
  const b = await a.join();
  t.after(() => b.remove());
  assert.deepEqual(b.read('large'), Buffer.alloc(LARGE, 'new'));
  assert.deepEqual(b.list(''), ['large', 'small']);
});

test('a file that is emptied and never written is empty everywhere', async (t) => {
  const a = site(t);
  a.write('file', Buffer.alloc(LARGE, 'old'));
  await a.publish();
  const { handle } = emptiedAfterRestart(a, 'file');
  a.volume.files.release(handle);
  assert.equal(a.text('file'), '');
  a.crash();
  assert.equal(a.text('file'), '');
  await a.publish();
  const b = await a.join();
  t.after(() => b.remove());
  assert.equal(b.text('file'), '');
});

test("what was written anew does not take another site's version away", async (t) => {
  const a = site(t);
  a.write('file', Buffer.alloc(LARGE, 'old'));
  const b = await a.join();
  t.after(() => b.remove());
  const { fd, handle } = emptiedAfterRestart(a, 'file');
  writeSync(fd, Buffer.alloc(LARGE, 'here'), 0, LARGE, 0);
  b.write('file', Buffer.alloc(LARGE, 'there'));
  await b.publish();
  await b.sendTo(a);
  a.volume.files.release(handle);
  await a.publish();
  const shown = new Set(a.list('').map((name) => a.text(name).slice(0, 4)));
  assert.deepEqual(shown, new Set(['here', 'ther']));
});

// ── power loss ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Local files as if nothing of them had come to the disk, or something else. */
function spoilWork(content: string): (copy: string) => void {
  return (copy) => {
    for (const name of readdirSync(join(copy, 'work'))) writeFileSync(join(copy, 'work', name), content);
  };
}

function removeWork(copy: string): void {
  for (const name of readdirSync(join(copy, 'work'))) rmSync(join(copy, 'work', name));
}

for (const [what, lose] of [
  ['lost', spoilWork('')],
  ["another file's", spoilWork('secret of somebody else'.repeat(1000))],
  ['gone with its name', removeWork],
] as const) {
  test(`a small file that fsync covered survives power loss, its local file's bytes ${what}`, async (t) => {
    const a = site(t);
    const synced = backed(a, 'synced');
    writeSync(synced.fd, 'covered', 0);
    a.volume.files.fsync(synced.handle);
    writeSync(synced.fd, 'C', 0);
    a.crash(0, lose);
    assert.equal(a.text('synced'), 'covered');
    a.crash();
    assert.equal(a.text('synced'), 'covered');
    await a.publish();
    assert.equal(a.text('synced'), 'covered');
  });

  test(`a new file that nobody synced is empty after power loss, its local file's bytes ${what}`, async (t) => {
    const a = site(t);
    const { fd } = backed(a, 'unsynced');
    writeSync(fd, 'not covered', 0);
    a.crash(0, lose);
    assert.equal(a.text('unsynced'), '');
    await a.publish();
    a.crash();
    assert.equal(a.text('unsynced'), '');
  });
}

test('a file that was emptied and written anew shows its version after power loss, or what fsync covered', async (t) => {
  for (const isSynced of [false, true]) {
    const a = site(t);
    a.write('file', Buffer.alloc(LARGE, 'old'));
    await a.publish();
    const { fd, handle } = emptiedAfterRestart(a, 'file');
    writeSync(fd, Buffer.alloc(LARGE, 'new'), 0, LARGE, 0);
    if (isSynced) a.volume.files.fsync(handle);
    a.crash(0, isSynced ? () => {} : spoilWork("another file's"));
    assert.deepEqual(a.read('file'), Buffer.alloc(LARGE, isSynced ? 'new' : 'old'));
    await a.publish();
    assert.deepEqual(a.read('file'), Buffer.alloc(LARGE, isSynced ? 'new' : 'old'));
  }
});

test('a file that outgrew the log between two calls of fsync has what the second covered after power loss', (t) => {
  const a = site(t);
  const { fd, handle } = backed(a, 'file');
  writeSync(fd, 'first', 0);
  a.volume.files.fsync(handle);
  writeSync(fd, Buffer.alloc(LARGE, 'second'), 0, LARGE, 0);
  a.volume.files.fsync(handle);
  a.crash(0, () => {});
  assert.deepEqual(a.read('file'), Buffer.alloc(LARGE, 'second'));
});

test('a local file that fsync made durable is not used for another file', async (t) => {
  const a = site(t);
  const { fd, ino, handle } = backed(a, 'file');
  writeSync(fd, Buffer.alloc(LARGE), 0, LARGE, 0);
  a.volume.files.fsync(handle);
  a.volume.files.setattr(ino, { size: 3 }, USER, handle);
  writeSync(fd, 'abc', 0);
  a.volume.files.fsync(handle);
  a.volume.files.release(handle);
  await a.publish();
  const next = backed(a, 'next');
  assert.notEqual(next.fd, fd);
  writeSync(next.fd, 'other', 0);
  a.crash(0, () => {});
  assert.equal(a.text('file'), 'abc');
});

test('what was synced before and after a crash is there after power loss, as it was last', async (t) => {
  const a = site(t);
  const { fd, handle } = backed(a, 'file');
  writeSync(fd, 'old', 0);
  a.volume.files.fsync(handle);
  a.crash();
  const again = a.volume.files.open(a.resolve('file'), O_RDWR, false, USER);
  assert.notEqual(again.backing, undefined);
  writeSync(again.backing!, 'new', 0);
  a.volume.files.fsync(again.handle);
  a.crash(0, () => {});
  assert.equal(a.text('file'), 'new');
});

test('holes of a new file stay holes', async (t) => {
  const a = site(t);
  const { fd, ino, handle } = backed(a, 'sparse');
  ftruncateSync(fd, 65_536);
  writeSync(fd, 'end', 65_536);
  a.volume.files.release(handle);
  await a.publish();
  assert.equal(a.volume.files.getattr(ino).blocks, 8);
});
