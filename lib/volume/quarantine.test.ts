// quarantine.test.ts — changes that no honest site makes, from a member: they are set aside with their sender named, and others go on.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, test } from 'node:test';
import { inoOf, slotOf } from '../crdt/ids.js';
import type { ChangeOp } from '../crdt/change.js';
import { checkInvariants } from '../crdt/invariants.js';
import { encodeChange, type EncodedChange } from '../journal/change-codec.js';
import { temporaryDirectory, VolumeFixture } from './volume-fixture.test-support.js';

let paris: VolumeFixture;
let oslo: VolumeFixture;
const hostile = { siteId: 'ab'.repeat(16), actor: 'cd'.repeat(16) };

beforeEach(async () => {
  paris = VolumeFixture.create();
  oslo = await paris.join();
});
afterEach(() => {
  oslo.remove();
  paris.remove();
});

/** A change that paris could take: the first one of an actor of the hostile site, which belongs to the volume. */
function forged(
  ops: readonly ChangeOp[],
  more: Partial<Parameters<typeof encodeChange>[0]> = {},
  site = hostile.siteId,
): EncodedChange {
  const { journal } = paris.volume;
  const actor = more.actor ?? hostile.actor;
  const first = { key: `0.actor:${actor}`, value: site, pred: [] };
  return encodeChange({
    actor,
    seq: 1,
    startOp: journal.maxOp + 1,
    stamp: journal.lastStamp() + 1,
    deps: [...journal.heads],
    ops: more.seq === undefined ? [first, ...ops] : ops,
    ...more,
  });
}

function send(...changes: EncodedChange[]): void {
  const bytes = changes.map((change) => change.bytes);
  paris.volume.remote.deliver(bytes, hostile.siteId, (error) => assert.equal(error, null));
  while (paris.volume.background.run(() => false));
}

/** Whether a change went in; else what is said of it. */
function verdictOn(change: EncodedChange): string {
  const before = paris.notices.length;
  send(change);
  if (paris.volume.journal.hasHash(change.change.hash)) return 'taken';
  return paris.notices.slice(before).join('; ');
}

const set = (key: string, value: string | number, pred: readonly string[] = []): ChangeOp => ({ key, value, pred });
const born = (ino: number, name: string): ChangeOp => set(`${ino}.born`, `f 1/${name} 1.000000000 420 0 0 0`);
const placed = (ino: number, name: string): ChangeOp => set(`${ino}.link:0`, `1/${name}`);

test('a change of a member that keeps to the rules is taken', () => {
  const slot = 4711;
  assert.equal(
    verdictOn(
      forged([set(`0.slot:${slot}`, hostile.siteId), born(inoOf(slot, 5), 'hello'), placed(inoOf(slot, 5), 'hello')]),
    ),
    'taken',
  );
  assert.deepEqual(paris.list('/'), ['hello']);
  assert.deepEqual(paris.volume.quarantine.all, []);
});

test('a change that claims the run, the slot or the address of another site is quarantined, and its sender named', () => {
  const { siteId } = oslo;
  const osloSlot = slotOf(oslo.write('/mine', 'x'));
  const claim = [...paris.volume.journal.store.inode(0)!.registers.get(`slot:${osloSlot}`)!][0]!;
  const overwritten = `${claim.counter}@${paris.volume.journal.actors.id(claim.actor)}`;
  const cases: [RegExp, EncodedChange][] = [
    [/it says whose run ef/, forged([set(`0.actor:${'ef'.repeat(16)}`, hostile.siteId)])],
    [/does not say which site made it/, forged([set('1.mode', 0o755)], { ops: [set('1.mode', 0o755)] })],
    [/claims slot:77 for site/, forged([set('0.slot:77', siteId)])],
    [/takes slot:\d+ from another site/, forged([set(`0.slot:${osloSlot}`, hostile.siteId, [overwritten])])],
    [/says where site .* listens/, forged([set(`0.address:${siteId}`, '192.0.2.1:1')])],
    [/of slot 99, which no site has/, forged([born(inoOf(99, 1), 'a')])],
    [/unknown field/, forged([set('1.colour', 'red')])],
    [/no '\/'|a name with/, forged([born(inoOf(99, 1), 'a/b')])],
  ];
  for (const [reason, change] of cases) {
    const verdict = verdictOn(change);
    assert.match(verdict, reason);
    assert.ok(verdict.includes(`quarantined ${hostile.siteId}`), verdict);
  }
  assert.deepEqual(
    paris.volume.quarantine.all.map(({ from, changes }) => ({ from, changes })),
    [{ from: hostile.siteId, changes: cases.length }],
  );
  assert.deepEqual(checkInvariants(paris.volume.journal.store, paris.volume.journal.actors), []);
});

test('a change in the name of a run that goes on takes the number of its next one', async () => {
  oslo.write('/a', '1');
  await oslo.sendTo(paris);
  const own = [...paris.volume.journal.vector()];
  paris.write('/b', '2');
  paris.volume.fold();
  const [actor, seq] = [...paris.volume.journal.vector()].find(([id, n]) => own.some(([o, m]) => o === id && m < n))!;
  const next = forged([set('1.mode', 0o700)], { actor, seq: seq + 1 });
  assert.match(verdictOn(next), /in the name of this very run/);
  paris.write('/c', '3');
  await paris.sendTo(oslo);
  assert.equal(oslo.text('/c'), '3');
});

test('a clock a hundred years ahead, and operation numbers near their end, leave no room for what anybody does afterwards', async () => {
  const far = paris.volume.journal.lastStamp() + 200 * 366 * 86_400_000_000;
  assert.match(verdictOn(forged([set('1.mode', 0o700)], { stamp: far })), /a stamp behind the year 2199/);
  assert.match(
    verdictOn(forged([set('1.mode', 0o700)], { startOp: 2 ** 32 - 9 })),
    /its operations begin at 4294967287/,
  );
  assert.match(verdictOn(forged([set('1.mode', 0o700)], { startOp: 1 })), /its operations begin at 1, /);
  paris.write('/goes-on', 'x');
  await paris.mergeWith(oslo);
  assert.equal(oslo.text('/goes-on'), 'x');
  assert.equal(oslo.digest, paris.digest);
});

test('a change from next year waits until the clock agrees; what builds on it waits too, and others go on', async () => {
  // Simulated clocks stand in 2023, which no real one says: it is put right first.
  const clock = { us: Date.UTC(2027, 0, 1) * 1000 };
  paris.volume.remote['core'].clock.nowUs = () => clock.us;
  const early = forged([set('1.mode', 0o700)], { stamp: clock.us + 400 * 86_400_000_000 });
  const { hash, startOp, ops, stamp } = early.change;
  const next = forged([set('1.uid', 7)], { seq: 2, startOp: startOp + ops.length, deps: [hash], stamp: stamp + 1 });
  assert.match(verdictOn(early), /from the far future \(400 days ahead\)/);
  assert.equal(verdictOn(next), '', 'said once');
  assert.deepEqual(paris.volume.journal.parked(), []);
  oslo.write('/from-oslo', 'x');
  await oslo.sendTo(paris);
  assert.equal(paris.text('/from-oslo'), 'x');
  clock.us += 60 * 86_400_000_000;
  send(early, next);
  assert.ok(paris.volume.journal.hasHash(next.change.hash), 'taken when it comes again');
});

test('two sites that claimed one slot while apart make the same inode number twice', async () => {
  // Both draw the same slot, and numbers from other places in it.
  const draw = (place: number) => (n: number) => (n > 2 ** 14 ? place : 0);
  const [rome, bern] = [await guest(), await guest()];
  const slots = [rome.claimSlot(draw(1000)), bern.claimSlot(draw(2000))];
  assert.equal(slots[0], slots[1]);
  for (let i = 0; i < 20; i++) for (const site of [rome, bern]) site.write(`/${site.siteId.slice(0, 4)}-${i}`, `${i}`);
  await rome.mergeWith(paris);
  await bern.mergeWith(paris);
  await rome.mergeWith(paris);
  for (const site of [rome, bern]) site.write(`/${site.siteId.slice(0, 4)}-after`, 'y');
  await rome.mergeWith(paris);
  await bern.mergeWith(paris);
  await rome.mergeWith(paris);
  const names = paris.list('/').filter((name) => name !== '.' && name !== '..');
  assert.equal(names.length, 42);
  assert.equal(new Set(names.map((name) => paris.resolve(`/${name}`))).size, 42);
  assert.equal(new Set([rome.digest, bern.digest, paris.digest]).size, 1);
  const moved = [rome, bern].filter(({ notices }) =>
    notices.some((notice) => /another site claimed the same/.test(notice)),
  );
  assert.equal(moved.length, 1, 'one of the two went on in another slot');
  const after = [rome, bern].map((site) => slotOf(site.resolve(`/${site.siteId.slice(0, 4)}-after`)));
  assert.notEqual(after[0], after[1]);
  rome.reopen();
  bern.reopen();
  const kept = [rome, bern].map((site) => slotOf(site.write(`/${site.siteId.slice(0, 4)}-later`, 'z')));
  assert.deepEqual(kept, after, 'a restart goes on in the slot that was claimed last');
  rome.remove();
  bern.remove();
});

async function guest(): Promise<VolumeFixture> {
  const site = new VolumeFixture(temporaryDirectory(), randomBytes(16).toString('hex'), null);
  await paris.sendTo(site);
  return site;
}

test('a state that went back with its whole disk gives out numbers that others know already', async () => {
  paris.write('/kept', '1');
  await paris.mergeWith(oslo);
  const back = VolumeFixture.copyOf(paris);
  for (let i = 0; i < 10; i++) paris.write(`/since-${i}`, 'old');
  await paris.sendTo(oslo);
  for (let i = 0; i < 10; i++) back.write(`/new-${i}`, 'new');
  await back.mergeWith(oslo);
  const names = oslo.list('/');
  assert.equal(names.length, 21);
  assert.equal(new Set(names.map((name) => oslo.resolve(`/${name}`))).size, 21);
  assert.equal(oslo.digest, back.digest);
  back.remove();
});

test('a site goes on with a slot of which numbers turn up that it never gave out', async () => {
  const slot = slotOf(paris.write('/a', '1'));
  paris.volume.fold();
  const unknown = inoOf(slot, 2 ** 38);
  // Another run of this very site, as where its whole disk was copied.
  send(forged([born(unknown, 'lost'), placed(unknown, 'lost')], {}, paris.siteId));
  assert.ok(paris.notices.some((notice) => /it went back, or another copy of it runs/.test(notice)));
  assert.notEqual(slotOf(paris.write('/b', '2')), slot);
  assert.deepEqual(paris.list('/'), ['a', 'b', 'lost']);
});
