// acceptance.test.ts — sites that were closed: whatever the order of delivery, all others end up with the same changes.
// A model of a site: a journal of changes, those that wait, and the volume's registers; no tree, no disk.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Acceptance } from './acceptance.js';
import type { Candidate } from './acceptance.js';
import { ActorTable, VOLUME_INO } from './ids.js';
import type { ActorId, OpId, SiteId } from './ids.js';
import { Inode } from './inode.js';
import { membersOf } from './members.js';
import { writeRegister } from './register.js';
import { formatRole } from './volume-fields.js';
import type { RoleKind } from './volume-fields.js';

interface ModelChange extends Candidate {
  readonly stamp: number;
  readonly counter: number;
}

let stamps = 0;

class ModelSite {
  readonly id: SiteId;
  readonly actor: ActorId;
  readonly held = new Map<string, ModelChange>();
  private readonly waiting = new Map<string, ModelChange>();
  private readonly actors = new ActorTable();
  private readonly volume = new Inode(VOLUME_INO, new Map(), 0, { s: 0, ns: 0 }, { s: 0, ns: 0 });
  private heads = new Set<string>();
  private counter = 0;

  constructor(index: number) {
    this.id = index.toString(16).padStart(32, '0');
    this.actor = (1000 + index).toString(16).padStart(32, 'a');
  }

  get role(): RoleKind {
    return this.roleOf(this);
  }

  /** As this site sees it. */
  roleOf({ id }: ModelSite): RoleKind {
    return membersOf(this.volume).find(({ siteId }) => siteId === id)?.role.kind ?? 'read-write';
  }

  /** Changes the tree, if this site believes that it may. */
  write(): void {
    if (this.role === 'read-write') this.author([{ key: '5.mode', value: ++stamps, pred: [] }]);
  }

  setRole(other: ModelSite, kind: RoleKind): void {
    if (this.role !== 'read-write') return;
    const cut = new Map<ActorId, number>();
    for (const { actor, seq } of this.held.values()) {
      if (actor === other.actor) cut.set(actor, Math.max(seq, cut.get(actor) ?? 0));
    }
    this.say(`role:${other.id}`, formatRole({ kind, cut }));
  }

  /** As RemoteChanges.take, and BackgroundWork after it. */
  take(change: ModelChange): void {
    if (this.held.has(change.hash)) return;
    this.waiting.set(change.hash, change);
    let rolesChanged = false;
    for (let ready = this.ready(); ready; ready = this.ready()) {
      this.waiting.delete(ready.hash);
      this.append(ready);
      rolesChanged ||= ready.ops.some(({ key }) => key.startsWith(`${VOLUME_INO}.role:`));
    }
    const acceptance = new Acceptance(this.volume);
    const heads = [...this.heads].map((hash) => this.held.get(hash)!);
    const isDue = rolesChanged || acceptance.endorsementDue(heads, this.id, this.role === 'read-write');
    if (isDue) this.say(`site:${this.id}`, 'again');
  }

  private ready(): ModelChange | undefined {
    const acceptance = new Acceptance(this.volume);
    const waiting = [...this.waiting.values()];
    const released = acceptance.released(waiting);
    return waiting.find(
      (change) =>
        change.deps.every((dep) => this.held.has(dep)) && (!acceptance.bars(change) || released.has(change.hash)),
    );
  }

  private say(field: string, value: string): void {
    const entries = this.volume.registers.get(field) ?? [];
    const pred = entries.map(({ counter, actor }) => `${counter}@${this.actors.id(actor)}`);
    this.author([{ key: `${VOLUME_INO}.${field}`, value, pred }]);
  }

  private author(ops: ModelChange['ops']): void {
    const seq = [...this.held.values()].filter(({ actor }) => actor === this.actor).length + 1;
    const first = { key: `${VOLUME_INO}.actor:${this.actor}`, value: this.id, pred: [] };
    this.append({
      hash: `${this.actor}-${seq}`,
      actor: this.actor,
      seq,
      deps: [...this.heads].toSorted(),
      ops: seq === 1 ? [first, ...ops] : ops,
      stamp: ++stamps,
      counter: this.counter + 1,
    });
  }

  private append(change: ModelChange): void {
    this.held.set(change.hash, change);
    for (const dep of change.deps) this.heads.delete(dep);
    this.heads.add(change.hash);
    this.counter = Math.max(this.counter, change.counter + change.ops.length - 1);
    for (const [i, { key, value, pred }] of change.ops.entries()) {
      if (!key.startsWith(`${VOLUME_INO}.`)) continue;
      const field = key.slice(2);
      const overwritten = pred.map((op): OpId => {
        const [counter, actor] = op.split('@') as [string, string];
        return { counter: Number(counter), actor: this.actors.intern(actor) };
      });
      const write = {
        counter: change.counter + i,
        actor: this.actors.intern(change.actor),
        stamp: change.stamp,
        value,
      };
      const entries = writeRegister(this.volume.registers.get(field), { ...write, pred: overwritten }, this.actors);
      this.volume.write(field, entries);
    }
  }

  /** Whether this site's view of who may do what is the other's. */
  sees(): string {
    const roles = membersOf(this.volume).map(({ siteId, role }) => [siteId, role.kind, [...role.cut]]);
    return JSON.stringify([[...this.held.keys()].toSorted(), roles]);
  }

  /** Whether it made something that others do not take. */
  isRefused(other: ModelSite): boolean {
    return [...this.held.values()].some(({ actor, hash }) => actor === this.actor && !other.held.has(hash));
  }
}

/** Small, fast, and the same on every machine: mulberry32. */
function randomFrom(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };
}

function shuffled<T>(items: readonly T[], random: (n: number) => number): T[] {
  const order = [...items];
  for (let i = order.length - 1; i > 0; i--) {
    const j = random(i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

/** Exchanges everything among these until nobody learns anything any more. */
function converge(sites: readonly ModelSite[], random: (n: number) => number): void {
  let before = '';
  for (let round = 0; ; round++) {
    assert.ok(round < 50, 'they answer each other for ever');
    for (const from of shuffled(sites, random)) {
      for (const to of shuffled(sites, random)) {
        // What a site knows to be retired is not linked.
        if (from.roleOf(to) === 'retired' || to.roleOf(from) === 'retired') continue;
        for (const change of shuffled([...from.held.values()], random)) to.take(change);
      }
    }
    const now = sites.map((site) => site.sees()).join();
    if (now === before) return;
    before = now;
  }
}

test('whoever closes whom, and whatever reaches whom when: all sites that may write end up with the same', () => {
  const seeds =
    process.env['SEED'] === undefined ? Array.from({ length: 400 }, (_, i) => i) : [Number(process.env['SEED'])];
  let retired = 0;
  let refused = 0;
  for (const seed of seeds) {
    const random = randomFrom(seed);
    const sites = Array.from({ length: 3 + random(3) }, (_, i) => new ModelSite(i + 1));
    const some = (): ModelSite => sites[random(sites.length)]!;
    const closable = sites.slice(1); // one stays that may write
    for (let step = 0; step < 60; step++) {
      const [from, to] = [some(), some()];
      const act = random(20);
      if (act < 8) from.write();
      else if (act < 18) {
        const changes = [...from.held.values()];
        if (changes.length > 0) to.take(changes[random(changes.length)]!);
      } else {
        const other = closable[random(closable.length)]!;
        const kind = (['retired', 'read-only', 'read-write', 'read-only'] as const)[random(4)]!;
        if (other !== from) from.setRole(other, kind);
      }
    }
    converge(sites, random);
    // Of one that is put out nothing is expected, nor of one that may only read and had written what nobody had taken.
    const first = sites[0]!;
    for (const site of sites) {
      const role = first.roleOf(site);
      if (role === 'retired') retired++;
      else if (role === 'read-only' && site.isRefused(first)) refused++;
      else assert.equal(site.sees(), first.sees(), `SEED=${seed}: ${role}`);
    }
  }
  if (seeds.length > 1) assert.ok(retired > 50 && refused > 10, `${retired} retired, ${refused} refused`);
});

test('one history, delivered in every order, gives every site the same changes', () => {
  const [paris, oslo, rome] = [new ModelSite(1), new ModelSite(2), new ModelSite(3)];
  oslo.write(); // what paris has of it when it retires oslo
  for (const change of oslo.held.values()) paris.take(change);
  oslo.write(); // what rome takes before it knows
  for (const change of oslo.held.values()) rome.take(change);
  rome.write();
  paris.setRole(oslo, 'retired');
  oslo.write(); // what nobody takes
  const history = [...new Map([...paris.held, ...oslo.held, ...rome.held]).values()];
  assert.equal(history.length, 5);
  const results = new Set<string>();
  const permute = (rest: readonly ModelChange[], order: readonly ModelChange[]): void => {
    if (rest.length > 0) {
      for (const next of rest)
        permute(
          rest.filter((change) => change !== next),
          [...order, next],
        );
      return;
    }
    const late = new ModelSite(9);
    for (const change of order) late.take(change);
    // Who learns of the retirement says what it builds on; one that had taken what nobody else took has it count for all.
    const own = [...late.held.keys()].filter((hash) => hash.startsWith(late.actor)).length;
    results.add(`${late.held.has(`${oslo.actor}-3`)} ${own}: ${late.held.size - own}`);
    assert.ok(late.held.has(`${oslo.actor}-2`) && late.held.has(`${rome.actor}-1`), 'rome built on it');
  };
  permute(history, []);
  assert.deepEqual([...results].toSorted(), ['false 1: 4', 'true 1: 5']);
});
