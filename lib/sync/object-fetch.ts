// object-fetch.ts — which peer is asked for which missing object: one site's decision over all its links. Pure; time comes as ticks.
// Invariant: an object is asked of one link at a time, except when that link has answered nothing for STALE_TICKS; such a link gets
// no further asks. One that a link reported absent is not asked of it again until the link announces it, or FORGET_TICKS passed.

import type { ObjectId } from '../crdt/ids.js';

/** A link that can take more. */
export interface Capacity {
  readonly link: number;
  readonly room: number;
  /** It is asked for what every link that is none reported absent. */
  readonly lastResort?: boolean;
}

/** Ticks are seconds. */
const STALE_TICKS = 5;
const FORGET_TICKS = 10;
const REST_TICKS = 5;

export class ObjectFetch {
  /** Links asked for an object and still expected to answer. */
  private readonly asked = new Map<ObjectId, number[]>();
  private readonly absent = new Map<ObjectId, Set<number>>();
  /** Per link: unanswered asks, and for how long it has not answered any. */
  private readonly links = new Map<number, { unanswered: number; idleTicks: number }>();
  private ticks = 0;
  private restUntil = 0;

  /** How many ids of the missing list assign() may have to pass over. */
  get passedOver(): number {
    return this.asked.size + this.absent.size;
  }

  get resting(): boolean {
    return this.ticks < this.restUntil;
  }

  /** Distributes missing ids, most needed first, over links, most promising first; fills one link before the next. */
  assign(missing: readonly ObjectId[], links: readonly Capacity[]): Map<number, ObjectId[]> {
    const wants = new Map<number, ObjectId[]>();
    const open = links.filter(({ link }) => !this.isStale(link)).map((capacity) => ({ ...capacity }));
    const first = open.filter(({ lastResort }) => !lastResort);
    for (const id of missing) {
      const asked = this.asked.get(id);
      if (asked?.some((link) => !this.isStale(link))) continue;
      const absent = this.absent.get(id);
      const isLeft = first.every(({ link }) => absent?.has(link) || asked?.includes(link));
      const taker = open.find(
        ({ link, room, lastResort }) =>
          room > 0 && !absent?.has(link) && !asked?.includes(link) && (isLeft || !lastResort),
      );
      if (taker === undefined) {
        if (open.every(({ room }) => room === 0)) break;
        continue;
      }
      taker.room--;
      if (asked) asked.push(taker.link);
      else this.asked.set(id, [taker.link]);
      const want = wants.get(taker.link);
      if (want) want.push(id);
      else wants.set(taker.link, [id]);
      const { unanswered } = this.links.get(taker.link) ?? { unanswered: 0 };
      this.links.set(taker.link, { unanswered: unanswered + 1, idleTicks: 0 });
    }
    return wants;
  }

  /** The link answered this many of the asks. What it delivered stays asked for until it is stored. */
  answered(link: number, count: number): void {
    const unanswered = (this.links.get(link)?.unanswered ?? count) - count;
    this.links.set(link, { unanswered, idleTicks: 0 });
  }

  /** Held here from now on. */
  stored(ids: readonly ObjectId[]): void {
    for (const id of ids) {
      this.asked.delete(id);
      this.absent.delete(id);
    }
  }

  reportedAbsent(link: number, ids: readonly ObjectId[]): void {
    this.answered(link, ids.length);
    for (const id of ids) {
      this.unask(link, id);
      const links = this.absent.get(id);
      if (links) links.add(link);
      else this.absent.set(id, new Set([link]));
    }
  }

  /** Those of the objects that every one of these links reported absent. */
  absentOnAll(links: readonly number[], ids: readonly ObjectId[]): ObjectId[] {
    return ids.filter((id) => links.every((link) => this.absent.get(id)?.has(link)));
  }

  announced(link: number, ids: readonly ObjectId[]): void {
    for (const id of ids) {
      const links = this.absent.get(id);
      if (links?.delete(link) && links.size === 0) this.absent.delete(id);
    }
  }

  linkGone(link: number): void {
    this.links.delete(link);
    for (const id of this.asked.keys()) this.unask(link, id);
    for (const [id, links] of this.absent) {
      if (links.delete(link) && links.size === 0) this.absent.delete(id);
    }
  }

  /** There was no room for these: nothing is asked for during a while. */
  noRoom(ids: readonly ObjectId[]): void {
    for (const id of ids) this.asked.delete(id);
    this.restUntil = this.ticks + REST_TICKS;
  }

  /** A second passed. */
  tick(): void {
    this.ticks++;
    for (const link of this.links.values()) link.idleTicks++;
    if (this.ticks % FORGET_TICKS === 0) this.absent.clear();
  }

  private isStale(link: number): boolean {
    const state = this.links.get(link);
    return state !== undefined && state.unanswered > 0 && state.idleTicks >= STALE_TICKS;
  }

  private unask(link: number, id: ObjectId): void {
    const links = this.asked.get(id)?.filter((other) => other !== link);
    if (links === undefined) return;
    if (links.length > 0) this.asked.set(id, links);
    else this.asked.delete(id);
  }
}
