// network.ts — links between simulated sites: they break, mute one way, delay, back up and come back.
// Invariant: a connection delivers what was sent on it in order and once, or breaks; everything else is allowed: connections of one
// site are delayed independently, a peer sends again what its last connection lost, both ends dial at once. Messages cross as the
// product's own frames.

import type { Connection, Ending, Refusal, Transport } from '../sync/connection.js';
import { encodeFrames, FrameAssembler } from '../sync/frame.js';
import type { Hello, Message } from '../sync/message.js';
import type { SiteExchange } from '../sync/site-exchange.js';
import type { SiteId } from '../crdt/ids.js';
import type { Random } from './random.js';
import type { Timeline } from './timeline.js';

/** A process that takes part: one life of a site. */
export interface Node {
  /** Position of the site in the simulation. */
  readonly index: number;
  readonly siteId: SiteId;
  /** Drawn at its start: 16 hex digits. */
  readonly instance: string;
  readonly exchange: SiteExchange;
}

export interface NetworkCounts {
  connections: number;
  sent: number;
  /** Under way when their connection broke. */
  lost: number;
}

/** A link whose peer is silent for so long is cut off (lib/sync/link.ts). */
const SILENCE_MS = 7_500;
const DIAL_MS = 300;

class Pipe {
  private readonly assembler = new FrameAssembler();
  private lastMs = 0;
  private held: (() => void)[] = [];
  underWay = 0;

  constructor(
    private readonly network: Network,
    private readonly wire: Wire,
    readonly from: Node,
    readonly to: Node,
  ) {}

  send(message: Message): boolean {
    const { timeline, random, counts } = this.network;
    counts.sent++;
    this.underWay++;
    const frames = encodeFrames(message);
    const atMs = Math.max(this.lastMs, timeline.nowMs + this.wire.latencyMs * (0.5 + random.next()));
    this.lastMs = atMs;
    timeline.after(atMs - timeline.nowMs, () => this.arrive(() => this.deliver(frames)));
    if (!random.chance(0.1)) return true;
    // Enough for now: the buffer of the socket is full until what was sent is through.
    timeline.after(atMs - timeline.nowMs, () => {
      if (!this.wire.over && this.network.isUp(this.from)) this.wire.at(this.from)?.drained();
    });
    return false;
  }

  /** The end of the connection goes the way of the messages. */
  close(): void {
    const { timeline } = this.network;
    timeline.after(Math.max(0, this.lastMs - timeline.nowMs) + this.wire.latencyMs, () =>
      this.arrive(() => this.wire.broken('the connection broke off')),
    );
  }

  private arrive(act: () => void): void {
    if (this.wire.over || !this.network.isUp(this.to)) return;
    if (this.network.isMute(this.from.index, this.to.index)) this.held.push(act);
    else act();
  }

  private deliver(frames: readonly Buffer[]): void {
    this.underWay--;
    const connection = this.wire.at(this.to);
    for (const frame of frames) {
      const message = this.assembler.push(frame);
      if (message && connection && !connection.ended) connection.receive(message);
    }
  }

  /** What was held back by a mute direction flows again. */
  flow(): void {
    for (const act of this.held.splice(0)) this.arrive(act);
  }
}

/** One connection, with both its ends. */
class Wire {
  readonly latencyMs: number;
  over = false;
  private readonly ends = new Map<Node, Connection>();
  readonly pipes: readonly [Pipe, Pipe];

  constructor(
    private readonly network: Network,
    readonly dialler: Node,
    readonly listener: Node,
  ) {
    this.latencyMs = network.random.logUniform(0.05, 200);
    this.pipes = [new Pipe(network, this, dialler, listener), new Pipe(network, this, listener, dialler)];
    for (const [i, node] of [dialler, listener].entries()) {
      const pipe = this.pipes[i]!;
      const transport: Transport = { send: (message) => pipe.send(message), close: () => pipe.close() };
      const self = { instance: node.instance, address: '', introductions: [] };
      const proved = i === 0 ? null : dialler.siteId;
      node.exchange.connect(transport, self, proved, (connection) => {
        this.ends.set(node, connection);
        network.wires.set(connection, this);
      });
    }
  }

  at(node: Node): Connection | undefined {
    return this.ends.get(node);
  }

  joins(a: Node, b: Node): boolean {
    return this.ends.has(a) && this.ends.has(b);
  }

  has(node: Node): boolean {
    return this.ends.has(node);
  }

  /** Both ends find that the connection is gone. */
  broken(reason: string): void {
    if (this.over) return;
    this.over = true;
    this.network.dropped(this);
    for (const pipe of this.pipes) this.network.counts.lost += pipe.underWay;
    for (const [node, connection] of this.ends) if (this.network.isUp(node)) connection.lost(reason);
  }
}

export class Network {
  readonly counts: NetworkCounts = { connections: 0, sent: 0, lost: 0 };
  readonly wires = new Map<Connection, Wire>();
  private readonly live = new Set<Wire>();
  private readonly up = new Map<number, Node>();
  private readonly mute = new Set<string>();
  private readonly dialling = new Set<string>();

  constructor(
    readonly timeline: Timeline,
    readonly random: Random,
    /** Whether two sites are linked at all. */
    private readonly linked: (a: number, b: number) => boolean,
  ) {}

  isUp(node: Node): boolean {
    return this.up.get(node.index) === node;
  }

  /** A process is there: links to it are dialled. */
  start(node: Node): void {
    this.up.set(node.index, node);
    for (const other of this.up.keys()) this.dialSoon(node.index, other);
  }

  /** It is gone. Its peers hear of it at once when their systems do, or only by its silence. */
  kill(node: Node): void {
    this.up.delete(node.index);
    for (const wire of this.live) {
      if (!wire.has(node)) continue;
      if (this.random.chance(0.7)) wire.broken('the connection was reset');
      else this.cutAfterSilence(wire);
    }
  }

  isMute(from: number, to: number): boolean {
    return this.mute.has(`${from}>${to}`);
  }

  /** Nothing gets from one to the other any more. */
  silence(from: number, to: number): void {
    this.mute.add(`${from}>${to}`);
    for (const wire of this.live) {
      const ends = [wire.dialler.index, wire.listener.index];
      if (!ends.includes(from) || !ends.includes(to)) continue;
      if (this.random.chance(0.3)) wire.broken('the connection was reset');
      else this.cutAfterSilence(wire);
    }
  }

  /** One direction is open again; nothing else changes. */
  unsilence(from: number, to: number): void {
    if (!this.mute.delete(`${from}>${to}`)) return;
    for (const wire of this.live)
      for (const pipe of wire.pipes) if (pipe.from.index === from && pipe.to.index === to) pipe.flow();
    this.dialSoon(from, to);
  }

  /** Every direction is open again. */
  heal(): void {
    this.mute.clear();
    for (const wire of this.live) for (const pipe of wire.pipes) pipe.flow();
    for (const a of this.up.keys()) for (const b of this.up.keys()) if (a < b) this.dialSoon(a, b);
  }

  /** The connections between two sites break; they are dialled again. */
  reset(a: number, b: number): void {
    for (const wire of this.live) {
      const ends = [wire.dialler.index, wire.listener.index];
      if (ends.includes(a) && ends.includes(b)) wire.broken('the connection was reset');
    }
  }

  dropped(wire: Wire): void {
    this.live.delete(wire);
    this.dialSoon(wire.dialler.index, wire.listener.index);
  }

  private cutAfterSilence(wire: Wire): void {
    const isSilent = (): boolean =>
      !this.isUp(wire.dialler) ||
      !this.isUp(wire.listener) ||
      this.isMute(wire.dialler.index, wire.listener.index) ||
      this.isMute(wire.listener.index, wire.dialler.index);
    this.timeline.after(SILENCE_MS, () => {
      if (!wire.over && isSilent()) wire.broken(`nothing was heard for ${SILENCE_MS} ms`);
    });
  }

  private dialSoon(a: number, b: number): void {
    const key = a < b ? `${a}-${b}` : `${b}-${a}`;
    if (a === b || !this.linked(a, b) || this.dialling.has(key)) return;
    this.dialling.add(key);
    this.timeline.after(DIAL_MS * (0.2 + this.random.next()), () => {
      this.dialling.delete(key);
      this.dial(a, b);
    });
  }

  private dial(a: number, b: number): void {
    const [first, second] = [this.up.get(a), this.up.get(b)];
    if (!first || !second || this.isMute(a, b) || this.isMute(b, a)) return;
    for (const wire of this.live) if (wire.joins(first, second)) return;
    this.connect(first, second);
    // Both dialled at once.
    if (this.random.chance(0.1)) this.connect(second, first);
  }

  private connect(dialler: Node, listener: Node): void {
    this.counts.connections++;
    this.live.add(new Wire(this, dialler, listener));
  }

  /** Of two connections to one peer one is kept, and both ends choose the same, as lib/sync/syncer.ts has it. */
  admit(node: Node, connection: Connection, hello: Hello): Refusal | null {
    const duplicate = { code: 'duplicate', reason: 'another connection is kept' } as const;
    const mine = this.wires.get(connection)!;
    for (const wire of this.live) {
      const older = wire.at(node);
      if (wire === mine || !older?.session.ready || older.peer.siteId !== hello.siteId || wire.over) continue;
      if (older.peer.instance !== hello.instance) {
        older.leave('same-site', 'its process started anew');
        continue;
      }
      const diallerKept = node.siteId < hello.siteId ? node : undefined;
      const isOurs = (each: Wire): boolean => each.dialler === node;
      if (isOurs(mine) !== isOurs(wire) && isOurs(mine) !== (diallerKept === node)) return duplicate;
      older.leave('duplicate', duplicate.reason);
    }
    return null;
  }

  closed(connection: Connection, _ending: Ending): void {
    this.wires.delete(connection);
  }

  /** Ready connections of a site. */
  static readyCount(exchange: SiteExchange): number {
    return exchange.connections().filter(({ session }) => session.ready).length;
  }
}
