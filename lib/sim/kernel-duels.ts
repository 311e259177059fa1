// kernel-duels.ts — duels about bytes that the kernel reads and writes past the site (kernel-files.ts), which may see to none of them before a
// kill, the loss of power or another site's version. At sites without passthrough they are about open files like any others. See duels.ts.

import { type Duel, FILES, type Words } from './duel.js';

type End = 'kill' | 'power';

/** Long enough that a new file is not taken for one of a burst, that a file which is open becomes a version, or neither. */
function pause(d: Duel): void {
  const [fromMs, toMs] = d.pick([1, 20], [120, 200], [120, 200], [300, 500], [1_000, 1_500], [2_000, 3_000]) as [
    number,
    number,
  ];
  d.wait(fromMs, toMs);
}

function mode(d: Duel): string {
  return d.pick('rw', 'rw', 'rw', 'sync');
}

function smallSize(d: Duel): number {
  return d.chance(0.1) ? 65_000 : Math.ceil(d.random.logUniform(10, 5_000));
}

/** What a program does with a file that it has open. */
function use(d: Duel, handle: string, size: () => number): Words {
  const put: Words = ['put', handle, d.pick(-1, 0, 7), d.mark(d.one), size()];
  const store: Words = ['store', handle, d.random.below(300), d.mark(d.one), d.pick(20, 20, 600)];
  return d.pick<Words>(
    put,
    put,
    store,
    store,
    ['fsync', handle],
    ['fsync', handle],
    ['cut', handle, d.pick(0, 20, 900)],
  );
}

/** `handle`: maybe open still. */
function crash(d: Duel, how: End, handle: string): void {
  if (d.chance(0.5)) {
    // In the middle of one of the next calls.
    d.say(d.one, how, 'after', d.pick(1, 2, 3, 1 + d.random.below(12)));
    d.say(d.one, ...d.pick<Words>(['fsync', handle], ['fsync', handle], d.write(d.one, d.pick(...FILES))));
    pause(d);
  } else d.say(d.one, how);
  d.wait(1, 500);
  if (d.chance(0.3)) {
    // While it recovers.
    d.say(d.one, d.pick('kill', how), 'starting', Math.ceil(d.random.logUniform(1, 40)));
    d.say(d.one, 'restart');
  }
  d.say(d.one, 'restart');
}

/** New files, one after the other: the local file of one that stayed small serves the next. */
function newFiles(d: Duel, how: End): void {
  const count = 2 + d.random.below(3);
  for (let i = 0; i < count; i++) {
    const [name, handle] = [FILES[i % FILES.length]!, `n${i}`];
    d.say(d.one, 'rm', name);
    pause(d);
    const opening = d.pick<Words>(['create', handle, name, mode(d)], ['create', handle, name]);
    d.say(d.one, ...opening);
    const isLarge = d.chance(0.15);
    d.say(d.one, 'put', handle, -1, d.mark(d.one), isLarge ? 90_000 : smallSize(d));
    const rounds = d.pick(0, 0, 1, 2, 3);
    for (let round = 0; round < rounds; round++) {
      d.say(d.one, ...use(d, handle, () => smallSize(d)));
      if (d.chance(0.2)) pause(d);
    }
    if (d.chance(0.65)) d.say(d.one, 'close', handle);
    if (d.chance(0.3)) d.say(d.one, 'sync', name);
    if (d.chance(0.5)) pause(d);
  }
  if (d.chance(0.8)) crash(d, how, `n${count - 1}`);
}

export function newFilesThenKilled(d: Duel): void {
  newFiles(d, 'kill');
}

export function newFilesThenPowerLost(d: Duel): void {
  newFiles(d, 'power');
}

/** A large version is written over by who has it open, maybe several, while it goes on becoming versions. */
function oldFile(d: Duel, how: End): void {
  const f = d.pick(...FILES);
  d.say(d.one, 'write', f, d.mark(d.one), 70_000 + d.random.below(60_000));
  d.wait(100, 20_000);
  d.say(d.one, 'open', 'o1', f, mode(d));
  const hasSecond = d.chance(0.3);
  if (hasSecond) d.say(d.one, 'open', 'o2', f, d.pick('r', 'rw', 'sync'));
  const rounds = 1 + d.random.below(5);
  for (let round = 0; round < rounds; round++) {
    d.say(d.one, ...use(d, hasSecond && d.chance(0.3) ? 'o2' : 'o1', () => d.pick(20, 400, 3_000, 20_000)));
    if (d.chance(0.5)) pause(d);
    if (d.chance(0.1))
      d.say(d.other, ...d.pick<Words>(d.write(d.other, f), ['patch', f, 9, d.mark(d.other), 30], ['rm', f]));
    if (d.chance(0.1))
      d.say(
        d.one,
        ...d.pick<Words>(['chmod', f, '4755'], ['touch', f, 1_200_000_000], ['rm', f], ['truncate', f, 70_001]),
      );
    if (d.chance(0.1)) d.say(d.one, 'sync', f);
  }
  if (d.chance(0.3)) d.say(d.one, 'close', d.pick('o1', 'o2'));
  if (d.chance(0.3)) d.say(d.one, 'write', d.pick(...FILES), d.mark(d.one), 30_000);
  if (d.chance(0.8)) crash(d, how, 'o1');
  if (d.chance(0.5)) d.touchResult(f);
}

/** What nothing synced goes to others in a version, of a file whose local file counts after power loss because of what was synced. */
export function shownThenPowerLost(d: Duel): void {
  const f = d.pick(...FILES);
  d.say(d.one, 'write', f, d.mark(d.one), 70_000 + d.random.below(60_000));
  if (d.chance(0.5)) d.wait(100, 3_000);
  d.say(d.one, 'open', 's1', f, 'sync');
  if (d.chance(0.5)) d.say(d.one, 'put', 's1', d.pick(-1, 0, 7), d.mark(d.one), d.pick(20, 3_000));
  d.wait(1, 2_500);
  d.say(d.one, 'write', f, d.mark(d.one), d.pick(90_000, 30_000));
  d.wait(1_050, 3_000);
  d.say(d.one, 'power');
  d.wait(1, 500);
  d.say(d.one, 'restart');
}

/** A large version is opened again and again, mostly without a write: its local file goes from one draft to the next. */
function reopened(d: Duel, how: End): void {
  const f = d.pick(...FILES);
  d.say(d.one, 'write', f, d.mark(d.one), d.pick(3_000, 70_000, 100_000));
  d.wait(100, 20_000);
  const rounds = 2 + d.random.below(3);
  for (let round = 1; round <= rounds; round++) {
    const handle = `q${round}`;
    d.say(d.one, 'open', handle, f, mode(d));
    const uses = round === rounds ? 1 + d.random.below(2) : d.pick(0, 0, 0, 1);
    for (let n = 0; n < uses; n++) d.say(d.one, ...use(d, handle, () => d.pick(20, 3_000)));
    if (round === rounds) {
      if (d.chance(0.6)) d.say(d.one, 'fsync', handle);
      crash(d, how, handle);
    } else {
      d.say(d.one, 'close', handle);
      if (d.chance(0.7)) d.wait(1, d.pick(20, 400, 3_000));
    }
  }
  // What a start leaves to be removed goes once a commit is durable, and the next start looks for it.
  if (d.chance(0.5)) d.wait(100, 3_000);
  if (d.chance(0.4)) d.say(d.one, 'patch', f, -1, d.mark(d.one), 30);
  if (d.chance(0.6)) crash(d, d.pick('kill', how), 'q9');
}

export function reopenedThenKilled(d: Duel): void {
  reopened(d, 'kill');
}

export function reopenedThenPowerLost(d: Duel): void {
  reopened(d, 'power');
}

export function oldFileThenKilled(d: Duel): void {
  oldFile(d, 'kill');
}

export function oldFileThenPowerLost(d: Duel): void {
  oldFile(d, 'power');
}

/** What fsync covered is in a local file, which was large for a while and goes to others. */
export function syncedThenGivenBack(d: Duel): void {
  const [f, g] = d.random.shuffled(FILES) as [string, string];
  d.say(d.one, 'rm', f);
  d.wait(150, 1_500);
  d.say(d.one, 'create', 'g1', f);
  if (d.chance(0.4)) {
    d.say(d.one, 'put', 'g1', 0, d.mark(d.one), 300);
    d.say(d.one, 'fsync', 'g1');
  }
  d.say(d.one, 'put', 'g1', d.pick(0, -1), d.mark(d.one), 90_000);
  d.say(d.one, 'fsync', 'g1');
  if (d.chance(0.7)) d.say(d.one, 'cut', 'g1', d.pick(900, 20));
  if (d.chance(0.3)) d.say(d.one, 'put', 'g1', -1, d.mark(d.one), 30);
  if (d.chance(0.25)) d.say(d.one, 'fsync', 'g1');
  d.say(d.one, 'close', 'g1');
  d.wait(1, d.pick(4, 8, 200));
  if (d.chance(0.5)) d.say(d.one, ...d.write(d.one, g));
  d.say(d.one, 'power');
  d.wait(1, 500);
  d.say(d.one, 'restart');
}

/**
 * Where the time of the local file tells nothing: it was written back and the bytes since were synced without, or a page is stored to once
 * more, or a worker reads the file while it is closed.
 */
function untold(d: Duel, end: End): void {
  const [f, g] = d.random.shuffled(FILES) as [string, string];
  const kind = d.pick('synced', 'stored', 'closed');
  if (kind === 'closed') {
    // While a version is being made of it.
    d.say(d.one, 'rm', g);
    d.wait(120, 200);
    d.say(d.one, 'create', 'u2', g);
    d.say(d.one, 'put', 'u2', 0, d.mark(d.one), smallSize(d));
    d.wait(1_000, 1_280);
    d.say(d.one, 'close', 'u2');
    pause(d);
    return;
  }
  const isNew = d.chance(0.3);
  if (isNew) {
    d.say(d.one, 'rm', f);
    d.wait(120, 200);
  } else {
    d.say(d.one, 'write', f, d.mark(d.one), 70_000);
    d.wait(3_000, 20_000);
  }
  const how = d.pick('rw', 'sync');
  d.say(d.one, isNew ? 'create' : 'open', 'u1', f, how);
  if (kind === 'synced') {
    const rounds = d.pick(1, 1, 2);
    for (let round = 0; round < rounds; round++) {
      if (round > 0) d.wait(1_300, 2_000);
      d.say(d.one, 'put', 'u1', 7, d.mark(d.one), 300);
      if (how !== 'sync') d.say(d.one, 'fsync', 'u1');
    }
    d.say(d.one, end);
    d.wait(1, 100);
    d.say(d.one, 'restart');
    return;
  }
  d.say(d.one, 'put', 'u1', 0, d.mark(d.one), 2_000);
  d.say(d.one, 'store', 'u1', 7, d.mark(d.one), 300);
  d.wait(1_000, 1_700);
  d.say(d.one, 'store', 'u1', 400, d.mark(d.one), 300);
  d.say(d.one, 'close', 'u1');
}

export function untoldThenKilled(d: Duel): void {
  untold(d, 'kill');
}

export function untoldThenPowerLost(d: Duel): void {
  untold(d, 'power');
}

/** Who reads a large file sees the version that was there, while others write it; so does who opens it then at the same site. */
export function readMeanwhile(d: Duel): void {
  const f = d.pick(...FILES);
  d.say(d.one, 'write', f, d.mark(d.one), 70_000 + d.random.below(60_000));
  d.meet();
  d.say(d.one, 'open', 'r1', f, 'r');
  d.say(d.other, ...d.pick<Words>(d.write(d.other, f), ['patch', f, 9, d.mark(d.other), 30]));
  d.wait(600, 3_000);
  const calls = 1 + d.random.below(2);
  for (let i = 0; i < calls; i++) {
    const open: Words = ['open', `r${i + 2}`, f, mode(d)];
    const patch: Words = ['patch', f, -1, d.mark(d.one), 30];
    d.say(d.one, ...d.pick<Words>(open, open, patch, ['truncate', f, 70_001], ['append', f, d.mark(d.one), 30]));
    d.say(d.one, 'put', 'r2', 5, d.mark(d.one), 40);
    if (d.chance(0.3)) pause(d);
  }
  for (const name of ['r1', 'r2', 'r3']) if (d.chance(0.8)) d.say(d.one, 'close', name);
  d.meet();
  d.touchResult(f);
}
