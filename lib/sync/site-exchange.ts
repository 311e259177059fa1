// site-exchange.ts — all connections of one site over its store, and the fetching of objects spread over them.
// Every change that becomes durable here goes on to every peer that lacks it, whichever link it came by, since each session
// compares the store's vector with its own peer's. It knows neither sockets nor time; simulations run it as it is.

import { Connection, textOf } from './connection.js';
import type { ConnectionOwner, Ending, Refusal, Transport } from './connection.js';
import type { Here } from './peer-session.js';
import { type Holding, MemberVectors } from './member-vectors.js';
import { BaseTransfers } from './base-transfers.js';
import { ObjectFetch } from './object-fetch.js';
import { PROTOCOL_VERSION } from './message.js';
import type { Hello, Introduction } from './message.js';
import type { ShippedObject, SyncLog, SyncStore } from './ports.js';
import type { Settling } from './settling.js';
import { type Pace, UNPACED } from './transfer-limits.js';
import { covers } from './version-vector.js';
import { isNoRoom } from '../errno.js';
import type { VersionVector } from '../crdt/change.js';
import type { ObjectId, SiteId } from '../crdt/ids.js';
import type { BaseOffer, BasePart } from '../journal/base-part.js';

/** Told to whoever opens the connections. */
export interface ExchangeListener {
  /** The peer said hello; null lets it in. */
  admit(connection: Connection, hello: Hello): Refusal | null;
  ready(connection: Connection): void;
  /** What is told of others is of no use. */
  isMember(siteId: SiteId): boolean;
  closed(connection: Connection, ending: Ending): void;
  /** What the peers hold, or whether all is settled, may have changed. */
  changed(): void;
}

/** What a site says of itself besides what its store says. */
export interface SelfDescription {
  readonly instance: string;
  /** HOST:PORT; '' when it does not listen. */
  readonly address: string;
  readonly introductions: readonly Introduction[];
}

/** Seconds. Whoever asks cannot go on before; what is asked is looked up in an index and takes a sync of the disk. */
const KEPT_WITHIN_TICKS = 30;
const KEPT_UNANSWERED = `it was not answered within ${KEPT_WITHIN_TICKS} s what is kept there`;

export class SiteExchange implements ConnectionOwner {
  private readonly open = new Map<number, Connection>();
  private readonly fetch = new ObjectFetch();
  /** When each connection last delivered changes, as a count. */
  private readonly deliveries = new Map<number, number>();
  private deliveryCount = 0;
  /** Who waits to hear what the peer of a connection keeps. */
  private readonly keptAsked = new Map<number, { answer: (ids: readonly ObjectId[]) => void; waitedTicks: number }>();
  /** What the sites of the volume hold, and what of that each connection was told. */
  readonly members = new MemberVectors();
  private readonly told = new Map<number, MemberVectors>();
  private readonly bases: BaseTransfers;
  private lastKey = 0;
  /** What this site had, durably, when it last missed nothing. */
  private whole: VersionVector = new Map();
  /** The connection that objects were sent on last. */
  private lastSender = 0;
  private fetchDue = false;

  constructor(
    readonly store: SyncStore,
    readonly log: SyncLog,
    private readonly listener: ExchangeListener,
    private readonly pace: Pace = UNPACED,
  ) {
    this.bases = new BaseTransfers(store);
  }

  /**
   * Takes over a transport that stands and says hello on it. `provedSiteId`: the site whose key the peer has; null when nobody looked. Whatever
   * `before` does with the connection happens before anything else does.
   */
  connect(
    transport: Transport,
    describe: SelfDescription,
    provedSiteId: SiteId | null,
    before: (connection: Connection) => void,
  ): Connection {
    const connection = new Connection(this, ++this.lastKey, transport);
    this.open.set(connection.key, connection);
    before(connection);
    connection.step({ on: 'opened', self: this.hello(describe), provedSiteId });
    return connection;
  }

  connections(): Connection[] {
    return [...this.open.values()];
  }

  /** The store's vector() or missing() changed. */
  advanced(): void {
    this.noteWhole();
    for (const connection of this.connections()) {
      connection.step({ on: 'advanced' });
      // What this site packed meanwhile the peer may have had before.
      if (connection.session.ready) this.noteComplete(connection);
    }
    this.fetchMore();
    this.changed();
  }

  /**
   * A second passed: links that do not deliver what they were asked for are passed over, and what sites hold is told on.
   * @param wallMs milliseconds since 1970
   */
  tick(wallMs: number): void {
    this.fetch.tick();
    for (const { session } of this.connections()) session.tick();
    this.fetchMore();
    for (const [key, asked] of this.keptAsked) {
      if (++asked.waitedTicks > KEPT_WITHIN_TICKS) this.open.get(key)?.leave('protocol', KEPT_UNANSWERED);
    }
    this.bases.tick();
    this.tellHoldings(wallMs);
  }

  /** Whether all that a wait for settlement is about is durable at both ends of every link. */
  isDone(settling: Settling): boolean {
    this.noteWhole();
    return settling.isDone(this.connections(), this.whole);
  }

  private noteWhole(): void {
    if (this.store.missingCount() === 0) this.whole = new Map(this.store.vector());
  }

  takeOffer(connection: Connection, offer: BaseOffer): void {
    this.bases.offered(connection, offer);
  }

  storeBase(connection: Connection, part: BasePart): void {
    this.bases.took(connection, part);
  }

  /** See {@link BaseTransfers}. */
  get baseParts(): number {
    return this.bases.parts;
  }

  get isTakingBase(): boolean {
    return this.bases.isTaking;
  }

  private tellHoldings(wallMs: number): void {
    const ready = this.connections().filter(({ session }) => session.ready);
    for (const connection of ready) this.noteLinked(connection, wallMs);
    for (const connection of ready) {
      let told = this.told.get(connection.key);
      if (!told) this.told.set(connection.key, (told = new MemberVectors()));
      const holdings = this.members.untold(told, new Set([this.store.siteId, connection.peer.siteId]));
      if (holdings.length > 0) connection.step({ on: 'tellHoldings', holdings });
    }
  }

  /** What a linked site acknowledged. */
  private noteLinked({ peer, session }: Connection, seenMs: number): void {
    this.members.note({ siteId: peer.siteId, vector: session.acknowledged, seenMs });
  }

  noteHoldings(holdings: readonly Holding[]): void {
    const { siteId } = this.store;
    for (const holding of holdings)
      if (holding.siteId !== siteId && this.listener.isMember(holding.siteId)) this.members.note(holding);
  }

  here(): Here {
    const { store } = this;
    return {
      vector: store.vector(),
      floor: store.floor(),
      missingCount: store.missingCount(),
      maySend: this.pace.maySend,
    };
  }

  admit(connection: Connection, hello: Hello): Refusal | null {
    return this.listener.admit(connection, hello);
  }

  ready(connection: Connection): void {
    this.listener.ready(connection);
    this.fetchSoon();
  }

  changed(): void {
    this.listener.changed();
  }

  ended(connection: Connection, ending: Ending): void {
    this.open.delete(connection.key);
    this.deliveries.delete(connection.key);
    this.told.delete(connection.key);
    this.bases.ended(connection);
    this.noteKept(connection, []);
    this.fetch.linkGone(connection.key);
    this.fetchSoon();
    this.listener.closed(connection, ending);
    this.listener.changed();
  }

  async storeObjects(connection: Connection, objects: readonly ShippedObject[]): Promise<void> {
    const ids = objects.map((object) => object.id);
    this.pace.received(bytesOf(objects));
    this.fetch.answered(connection.key, ids.length);
    // Storing takes a while; what the link has room for now is asked meanwhile.
    this.fetchSoon();
    try {
      await this.store.storeObjects(objects, connection.peer.keepsAll);
    } catch (error) {
      if (!isNoRoom(error)) throw error;
      this.log.warn({ objects: ids.length, error: textOf(error) }, 'no room for objects of peers; fetching rests');
      return this.fetch.noRoom(ids);
    }
    this.fetch.stored(ids);
    for (const other of this.connections()) other.step({ on: 'objectsHeld', ids });
    this.fetchSoon();
  }

  noteChanges(connection: Connection): void {
    this.deliveries.set(connection.key, ++this.deliveryCount);
  }

  noteSent(connection: Connection, objects: readonly ShippedObject[]): void {
    this.lastSender = connection.key;
    this.pace.sent(bytesOf(objects));
    for (const { release } of objects) release?.();
  }

  /** The pace lets more through. The links take turns. */
  goOn(): void {
    const before = this.connections().filter(({ key }) => key <= this.lastSender);
    const behind = this.connections().filter(({ key }) => key > this.lastSender);
    for (const connection of [...behind, ...before]) connection.step({ on: 'goOn' });
    this.fetchMore();
  }

  noteAbsent(connection: Connection, ids: readonly ObjectId[]): void {
    this.fetch.reportedAbsent(connection.key, ids);
    const ready = this.connections().filter(({ session }) => session.ready);
    const nowhere = this.fetch.absentOnAll(
      ready.map(({ key }) => key),
      ids,
    );
    if (nowhere.length > 0) this.store.absentEverywhere(nowhere);
    this.fetchSoon();
  }

  /** Whether a linked site that keeps everything acknowledged all of `vector`: it can be asked what it keeps. */
  hasKeeper(vector: VersionVector): boolean {
    return this.keepers(vector).length > 0;
  }

  /** Those of the objects, MAX_IDS at most, that a linked site keeps which acknowledged all of `vector`. */
  async keptElsewhere(ids: readonly ObjectId[], vector: VersionVector): Promise<ObjectId[]> {
    const left = new Set(ids);
    for (const connection of this.keepers(vector)) {
      if (left.size === 0) break;
      for (const id of await this.askKept(connection, [...left])) left.delete(id);
    }
    return ids.filter((id) => !left.has(id));
  }

  private keepers(vector: VersionVector): Connection[] {
    return this.connections().filter(
      ({ session }) => session.ready && session.hello!.keepsAll && covers(session.acknowledged, vector),
    );
  }

  /** Which of these objects the peer keeps; none when the connection ends first. One question at a time. */
  askKept(connection: Connection, ids: readonly ObjectId[]): Promise<readonly ObjectId[]> {
    return new Promise((resolve) => {
      this.keptAsked.set(connection.key, { answer: resolve, waitedTicks: 0 });
      connection.step({ on: 'askKept', ids });
      if (connection.ended) this.noteKept(connection, []);
    });
  }

  noteKept(connection: Connection, ids: readonly ObjectId[]): void {
    this.keptAsked.get(connection.key)?.answer(ids);
    this.keptAsked.delete(connection.key);
  }

  noteAnnounced(connection: Connection, ids: readonly ObjectId[]): void {
    this.fetch.announced(connection.key, ids);
    this.fetchSoon();
  }

  noteComplete(connection: Connection): void {
    if (connection.peer.keepsAll) this.store.keptElsewhere(connection.session.whole);
  }

  /** Once for all that happens before the event loop goes on. */
  private fetchSoon(): void {
    if (this.fetchDue) return;
    this.fetchDue = true;
    queueMicrotask(() => {
      this.fetchDue = false;
      this.fetchMore();
    });
  }

  /**
   * Asks for what is missing, most needed first. The link that delivered changes last comes first: it surely has their objects. A site
   * that holds what was read there is asked for what those that keep everything do not have.
   */
  private fetchMore(): void {
    if (this.fetch.resting || !this.pace.mayAsk) return;
    const links = this.connections()
      .filter(({ session }) => session.ready)
      .map(({ key, peer, session }) => ({
        link: key,
        room: session.wantRoom(this.pace.aheadBytes),
        lastResort: !peer.keepsAll && this.deliveries.get(key) !== this.deliveryCount,
      }))
      .toSorted((a, b) => (this.deliveries.get(b.link) ?? 0) - (this.deliveries.get(a.link) ?? 0) || a.link - b.link);
    if (links.every(({ room }) => room === 0)) return;
    const room = links.reduce((sum, link) => sum + link.room, 0);
    const wants = this.fetch.assign(this.store.missing(room + this.fetch.passedOver), links);
    for (const [link, ids] of wants) this.open.get(link)?.step({ on: 'want', ids });
  }

  private hello(describe: SelfDescription): Hello {
    const { store } = this;
    return {
      type: 'hello',
      version: PROTOCOL_VERSION,
      volumeId: store.volumeId,
      siteId: store.siteId,
      instance: describe.instance,
      site: store.siteName,
      slot: store.slot() ?? 0,
      address: describe.address,
      vector: new Map(store.vector()),
      missingCount: store.missingCount(),
      keepsAll: store.keepsAll(),
      introductions: describe.introductions,
    };
  }
}

function bytesOf(objects: readonly ShippedObject[]): number {
  return objects.reduce((sum, { bytes }) => sum + bytes.length, 0);
}
