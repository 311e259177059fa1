import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { CorruptionError } from '../codec/bytes.js';
import { IntentLog } from './intent-log.js';
import { supplySegment, suppliedPath } from './segment-supply.js';
import { temporaryDirectory } from './temporary-directory.js';

const SMALL = { segmentBytes: 4096 };

interface Appended {
  readonly lsn: number;
  readonly kind: number;
  readonly text: string;
}

function contents(log: IntentLog, afterLsn = 0): Appended[] {
  return [...log.recover(afterLsn)].map(({ lsn, kind, payload }) => ({ lsn, kind, text: payload.toString('latin1') }));
}

function append(log: IntentLog, kind: number, text: string): Appended {
  return { lsn: log.append(kind, Buffer.from(text, 'latin1')), kind, text };
}

function segmentsIn(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith('.seg'))
    .toSorted();
}

function copyDirectory(source: string, target: string): void {
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target);
  for (const name of segmentsIn(source)) copyFileSync(join(source, name), join(target, name));
}

test('records come back in order with their kinds, over any number of opens and segments', (t) => {
  const directory = temporaryDirectory(t);
  const sessions = fc.array(fc.array(fc.tuple(fc.nat(255), fc.integer({ min: 0, max: 9_000 })), { maxLength: 12 }), {
    minLength: 1,
    maxLength: 5,
  });
  fc.assert(
    fc.property(sessions, (appends) => {
      rmSync(directory, { recursive: true, force: true });
      const expected: Appended[] = [];
      for (const records of appends) {
        const log = IntentLog.open(directory, 0, SMALL);
        assert.deepEqual(contents(log), expected);
        for (const [kind, length] of records) {
          expected.push(append(log, kind, String.fromCharCode(kind).repeat(length)));
        }
        assert.equal(log.lastLsn, expected.length);
        log.close();
      }
      const log = IntentLog.open(directory, 0, SMALL);
      assert.deepEqual(contents(log), expected);
      assert.deepEqual(contents(log, 3), expected.slice(3));
      log.close();
    }),
    { numRuns: 30 },
  );
});

test('parts of a payload are written one behind the other', (t) => {
  const directory = temporaryDirectory(t);
  const log = IntentLog.open(directory, 0, SMALL);
  log.append(7, Buffer.from('one,'), Buffer.from('two,'), Buffer.alloc(0), Buffer.from('three'));
  log.append(8);
  log.close();
  const reopened = IntentLog.open(directory, 0, SMALL);
  assert.deepEqual(contents(reopened), [
    { lsn: 1, kind: 7, text: 'one,two,three' },
    { lsn: 2, kind: 8, text: '' },
  ]);
  reopened.close();
});

test('a record larger than a segment gets one of its own', (t) => {
  const directory = temporaryDirectory(t);
  const log = IntentLog.open(directory, 0, SMALL);
  const expected = [append(log, 1, 'small'), append(log, 2, 'x'.repeat(50_000)), append(log, 3, 'small again')];
  log.close();
  const reopened = IntentLog.open(directory, 0, SMALL);
  assert.deepEqual(contents(reopened), expected);
  reopened.close();
});

test('a torn or changed tail loses records from there on, and never one before or a later one', (t) => {
  const directory = temporaryDirectory(t);
  const intact = join(directory, 'intact');
  const damaged = join(directory, 'damaged');
  const log = IntentLog.open(intact, 0, SMALL);
  const expected: Appended[] = [];
  const ends = [24];
  for (let i = 0; i < 6; i++) {
    expected.push(append(log, i, `record ${i} ${'.'.repeat(i * 5)}`));
    ends.push(ends.at(-1)! + 9 + expected.at(-1)!.text.length);
  }
  log.close();
  const [name] = segmentsIn(intact);
  const bytes = readFileSync(join(intact, name!));

  for (let at = ends[2]!; at < ends[6]!; at++) {
    const whole = ends.filter((end) => end <= at).length - 1;
    for (const damage of ['change', 'truncate', 'zero the rest'] as const) {
      copyDirectory(intact, damaged);
      const path = join(damaged, name!);
      if (damage === 'truncate') truncateSync(path, at);
      else {
        const changed = Buffer.from(bytes);
        if (damage === 'change') changed[at]! ^= 0x35;
        else changed.fill(0, at);
        writeFileSync(path, changed);
      }
      const reopened = IntentLog.open(damaged, 0, SMALL);
      // Zeros that were there before are no damage: the last records may be whole.
      const least = expected.slice(0, whole);
      const got = contents(reopened);
      assert.deepEqual(got, expected.slice(0, got.length), `${damage} at ${at}`);
      if (damage === 'zero the rest') assert.ok(got.length >= least.length);
      else assert.deepEqual(got, least, `${damage} at ${at}`);

      // What is appended now follows the prefix, and nothing of what was cut off comes back behind it.
      const next = append(reopened, 9, expected[got.length]?.text.replaceAll('.', '!') ?? 'next');
      reopened.close();
      const again = IntentLog.open(damaged, 0, SMALL);
      assert.deepEqual(contents(again), [...got, next], `${damage} at ${at}, after another append`);
      again.close();
    }
  }
});

test('one flipped bit, wherever it is, costs no record and is told', (t) => {
  const directory = temporaryDirectory(t);
  const intact = join(directory, 'intact');
  const damaged = join(directory, 'damaged');
  const log = IntentLog.open(intact, 0, SMALL);
  const expected = [0, 1, 2].map((i) => append(log, i, `record ${i}`));
  log.close();
  const [name] = segmentsIn(intact);
  const bytes = readFileSync(join(intact, name!));
  const end = 24 + 3 * (9 + 'record 0'.length);
  for (let bit = 0; bit < end * 8; bit++) {
    copyDirectory(intact, damaged);
    const changed = Buffer.from(bytes);
    changed[bit >>> 3]! ^= 1 << (bit & 7);
    writeFileSync(join(damaged, name!), changed);
    const told: string[] = [];
    const reopened = IntentLog.open(damaged, 0, { ...SMALL, damaged: (what) => told.push(what) });
    assert.deepEqual(contents(reopened), expected, `bit ${bit}`);
    assert.equal(told.length, 1, `bit ${bit}`);
    reopened.close();
  }
});

test('acknowledged operations behind a damaged one are told of and kept aside, not dropped in silence', (t) => {
  const directory = temporaryDirectory(t);
  const log = IntentLog.open(directory, 0, SMALL);
  const expected = [0, 1, 2].map((i) => append(log, i, `record ${i}`));
  log.close();
  const [name] = segmentsIn(directory);
  const bytes = readFileSync(join(directory, name!));
  bytes.fill(0xff, 24 + 17 + 9, 24 + 17 + 12); // the second
  writeFileSync(join(directory, name!), bytes);
  const told: string[] = [];
  const reopened = IntentLog.open(directory, 0, { ...SMALL, damaged: (what) => told.push(what) });
  assert.deepEqual(contents(reopened), expected.slice(0, 1));
  assert.match(told.join(), /operation 2 is damaged, and operations that were acknowledged follow it/);
  assert.ok(existsSync(join(directory, `damaged-${name}`)));
  reopened.close();
});

test('segments behind a torn one are no part of the log', (t) => {
  const directory = temporaryDirectory(t);
  const log = IntentLog.open(directory, 0, SMALL);
  const expected: Appended[] = [];
  for (let i = 0; i < 12; i++) expected.push(append(log, 1, `${i} ${'x'.repeat(1_200)}`));
  log.close();
  const names = segmentsIn(directory);
  assert.equal(names.length, 4);
  const path = join(directory, names[1]!);
  const bytes = readFileSync(path);
  bytes[1_300]! ^= 3; // the second of the three records in the second segment
  writeFileSync(path, bytes);

  const reopened = IntentLog.open(directory, 0, SMALL);
  assert.deepEqual(contents(reopened), expected.slice(0, 4));
  const next = append(reopened, 1, 'next');
  assert.equal(next.lsn, 5);
  reopened.close();
  const again = IntentLog.open(directory, 0, SMALL);
  assert.deepEqual(contents(again), [...expected.slice(0, 4), next]);
  again.close();
});

test('a site did not start: power loss left the header of a segment without a record, and the segment behind it', (t) => {
  const directory = temporaryDirectory(t);
  const log = IntentLog.open(directory, 4, SMALL);
  for (let i = 0; i < 6; i++) append(log, 1, `${i} ${'x'.repeat(1_200)}`);
  log.close();
  const [first, second] = segmentsIn(directory);
  assert.ok(second);
  const path = join(directory, first!);
  writeFileSync(path, Buffer.concat([readFileSync(path).subarray(0, 24), Buffer.alloc(4072)]));
  const reopened = IntentLog.open(directory, 4, SMALL);
  assert.deepEqual(contents(reopened), []);
  assert.equal(append(reopened, 1, 'next').lsn, 5);
  reopened.close();
});

test('released segments are recycled, and their old records never come back', (t) => {
  const directory = temporaryDirectory(t);
  const log = IntentLog.open(directory, 0, SMALL);
  let last = 0;
  for (let i = 0; i < 400; i++) {
    last = log.append(1, Buffer.alloc(600, i));
    if (i % 7 === 0) log.release(last - 2);
    assert.ok(log.sizeBytes <= 5 * 4096, `${log.sizeBytes} bytes`);
  }
  log.release(last);
  log.sync();
  assert.equal(segmentsIn(directory).length, 1);
  log.close();
  const reopened = IntentLog.open(directory, last - 1, SMALL);
  assert.deepEqual(contents(reopened, last - 1), [
    { lsn: last, kind: 1, text: Buffer.alloc(600, 399).toString('latin1') },
  ]);
  reopened.close();
});

test('a segment that was made in advance is taken when one is needed, if it is of the right size', (t) => {
  const directory = temporaryDirectory(t);
  supplySegment(directory, 4096);
  supplySegment(directory, 8192); // one is there already
  const log = IntentLog.open(directory, 0, SMALL);
  const expected = [append(log, 1, 'one')];
  assert.ok(!existsSync(suppliedPath(directory)));
  supplySegment(directory, 8192);
  for (let i = 0; i < 9; i++) expected.push(append(log, 2, 'x'.repeat(1000)));
  assert.ok(existsSync(suppliedPath(directory)));
  log.sync();
  log.close();
  const reopened = IntentLog.open(directory, 0, SMALL);
  assert.deepEqual(contents(reopened), expected);
  reopened.close();
});

test('a segment of an earlier open is released too', (t) => {
  const directory = temporaryDirectory(t);
  const first = IntentLog.open(directory, 0, SMALL);
  append(first, 1, 'one');
  first.close();
  const second = IntentLog.open(directory, 0, SMALL);
  second.release(1);
  assert.deepEqual(segmentsIn(directory), []);
  assert.equal(append(second, 1, 'two').lsn, 2);
  second.close();
});

test('numbers stay above what the state holds, when power loss left the log behind it', (t) => {
  const directory = temporaryDirectory(t);
  const log = IntentLog.open(directory, 0, SMALL);
  const kept = append(log, 1, 'one');
  log.close();
  const ahead = IntentLog.open(directory, 10, SMALL);
  assert.deepEqual(contents(ahead, 10), []);
  assert.equal(ahead.lastLsn, 10);
  const next = append(ahead, 1, 'eleven');
  assert.equal(next.lsn, 11);
  ahead.close();
  const again = IntentLog.open(directory, 10, SMALL);
  assert.deepEqual(contents(again, 10), [next]);
  assert.deepEqual(contents(again), [kept, next]);
  again.close();
});

test('a state older than the log is reported instead of leaving a hole', (t) => {
  const directory = temporaryDirectory(t);
  const log = IntentLog.open(directory, 10, SMALL);
  append(log, 1, 'eleven');
  log.close();
  assert.throws(() => IntentLog.open(directory, 4, SMALL), CorruptionError);
  assert.throws(() => IntentLog.open(directory, 4, SMALL), /older/);
  assert.equal(segmentsIn(directory).length, 1);
});

test('a site did not start: power loss took the name of the first segment, and left the second', (t) => {
  const directory = temporaryDirectory(t);
  const log = IntentLog.open(directory, 4, SMALL);
  for (let i = 0; i < 6; i++) append(log, 1, `${i} ${'x'.repeat(1_200)}`);
  log.close();
  const [first, second] = segmentsIn(directory);
  rmSync(join(directory, first!));
  const told: string[] = [];
  const options = { ...SMALL, afterPowerLoss: true, damaged: (what: string) => void told.push(what) };
  const reopened = IntentLog.open(directory, 4, options);
  assert.deepEqual(contents(reopened), []);
  assert.equal(append(reopened, 1, 'next').lsn, 5);
  reopened.close();
  assert.deepEqual([told.length, readdirSync(directory).includes(`damaged-${second}`)], [1, true]);
});

for (const released of [1, 2])
  test(`what was synced is lost: power failed when one of ${released} released segments before it had been begun anew`, (t) => {
    const directory = temporaryDirectory(t);
    const log = IntentLog.open(directory, 0, SMALL);
    const write = (text: string): Appended => append(log, 1, `${text} ${'x'.repeat(1_200)}`);
    const written = Array.from({ length: 3 * (released + 1) }, (_, i) => write(`${i}`));
    log.sync();
    const durable = new Map(segmentsIn(directory).map((name) => [name, readFileSync(join(directory, name))]));
    const last = [...durable.keys()].at(-1)!;
    const folded = Number.parseInt(last, 16);
    log.release(folded - 1);
    for (let i = 0; i < 4; i++) write('unsynced');
    // The disk has the header of what was begun, and no name that came after the sync.
    const [begun] = segmentsIn(directory).filter((name) => !durable.has(name));
    const anew = readFileSync(join(directory, begun!));
    log.close();
    for (const name of segmentsIn(directory)) rmSync(join(directory, name));
    for (const [i, [name, bytes]] of [...durable].entries())
      writeFileSync(join(directory, name), i === 0 ? anew : bytes);
    const reopened = IntentLog.open(directory, folded, { ...SMALL, afterPowerLoss: true });
    assert.deepEqual(contents(reopened, folded - 1), written.slice(folded - 1));
    reopened.close();
  });

test('a segment that is begun is the one that was released first, whatever power loss leaves of their names', (t) => {
  const directory = temporaryDirectory(t);
  const log = IntentLog.open(directory, 0, SMALL);
  for (let i = 0; i < 9; i++) append(log, 1, 'x'.repeat(1_200));
  const inodes = segmentsIn(directory).map((name) => statSync(join(directory, name)).ino);
  log.release(6);
  for (let i = 0; i < 3; i++) append(log, 1, 'x'.repeat(1_200));
  const begun = segmentsIn(directory).at(-1)!;
  assert.equal(statSync(join(directory, begun)).ino, inodes[0]);
  log.close();
});

test('files that are no segments, or not the one they are named for, are no part of the log', (t) => {
  const directory = temporaryDirectory(t);
  const log = IntentLog.open(directory, 0, SMALL);
  const expected = append(log, 1, 'one');
  log.close();
  const [name] = segmentsIn(directory);
  copyFileSync(join(directory, name!), join(directory, '00000000000002.seg'));
  writeFileSync(join(directory, '00000000000003.seg'), Buffer.alloc(4096));
  writeFileSync(join(directory, 'README'), 'not ours');
  const reopened = IntentLog.open(directory, 0, SMALL);
  assert.deepEqual(contents(reopened), [expected]);
  assert.deepEqual(readdirSync(directory).toSorted(), [name, 'README']);
  reopened.close();
});

test('a full disk is ENOSPC at append, nothing was appended, and the log goes on once there is room', (t) => {
  const directory = temporaryDirectory(t);
  // A filesystem of 1 MiB in a mount namespace of its own, which is gone with the process.
  const script = `
    const { IntentLog } = await import(${JSON.stringify(new URL('intent-log.js', import.meta.url).href)});
    const { supplySegment } = await import(${JSON.stringify(new URL('segment-supply.js', import.meta.url).href)});
    const { readdirSync } = await import('node:fs');
    const log = IntentLog.open('${directory}/log', 0, { segmentBytes: 256 * 1024 });
    let appended = 0, code;
    try { for (;;) { log.append(1, Buffer.alloc(1000, appended)); appended++; } } catch (error) { code = error.code; }
    const supplied = supplySegment('${directory}/log', 256 * 1024);
    const rest = readdirSync('${directory}/log').filter((name) => !name.endsWith('.seg'));
    log.release(appended - 400);
    const next = log.append(1, Buffer.alloc(1000, 7));
    log.close();
    const again = IntentLog.open('${directory}/log', appended - 400);
    const recovered = [...again.recover(appended - 400)].length;
    again.close();
    console.log(JSON.stringify({ code, supplied, rest, last: next - appended, recovered }));
  `;
  const userNamespace = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const mounted = `mount -t tmpfs -o size=1m tmpfs "${directory}" && exec "${process.execPath}" --input-type=module -e "$0"`;
  const run = spawnSync('unshare', [...userNamespace, '--mount', 'sh', '-c', mounted, script], { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
  assert.deepEqual(JSON.parse(run.stdout), { code: 'ENOSPC', supplied: false, rest: [], last: 1, recovered: 401 });
});

test('sync flushes every segment written since the last one', (t) => {
  const directory = temporaryDirectory(t);
  const log = IntentLog.open(directory, 0, SMALL);
  log.sync();
  for (let i = 0; i < 20; i++) append(log, 1, 'x'.repeat(900));
  log.sync();
  log.sync();
  assert.ok(segmentsIn(directory).every((name) => statSync(join(directory, name)).blocks * 512 >= 4096));
  log.close();
});

test('room that was made for a record which never came is given to the next one, of whatever size', (t) => {
  const directory = temporaryDirectory(t);
  const log = IntentLog.open(directory, 0, SMALL);
  log.append(1, Buffer.alloc(3900));
  log.makeRoom(1000);
  log.makeRoom(1000);
  log.append(2, Buffer.alloc(10_000, 7));
  log.makeRoom(5000);
  log.append(3, Buffer.from('last'));
  log.close();
  const again = IntentLog.open(directory, 0, SMALL);
  const records = [...again.recover(0)].map(({ lsn, kind, payload }) => [lsn, kind, payload.length]);
  assert.deepEqual(records, [
    [1, 1, 3900],
    [2, 2, 10_000],
    [3, 3, 4],
  ]);
  again.close();
});
