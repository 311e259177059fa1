// peer-session.ts — one connection between two sites, as a state machine: (state, input) → effects. Pure: no clock, no I/O.
// Invariants: nothing but the hello is sent or accepted before both hellos are in and the peer is admitted; the peer is believed
// to hold only what it acknowledged as durable; what is under way either way is bounded by credit. Time (liveness, handshake limits)
// is the link's; which objects to ask of whom is object-fetch.ts's; site-exchange.ts carries out the effects.

import { CHANGE_WINDOW_BYTES, costOf, OBJECT_WINDOW_BYTES, ReceiveCredit, SendCredit } from './credit.js';
import { ChangeStream } from './change-stream.js';
import type { Holding } from './member-vectors.js';
import { goodbye, MAX_IDS, PROTOCOL_VERSION } from './message.js';
import type { GoodbyeCode, Hello, Message } from './message.js';
import { ObjectServer } from './object-server.js';
import type { ShippedChange, ShippedObject } from './ports.js';
import { ProtocolError } from './protocol-error.js';
import type { BaseOffer, BasePart } from '../journal/base-part.js';
import { covers, raise } from './version-vector.js';
import type { ActorId, Ino, ObjectId, SiteId } from '../crdt/ids.js';
import type { VersionVector } from '../crdt/change.js';

/** This site's side of things at the time of an input. */
export interface Here {
  /** Durable. Read at once, not kept. */
  readonly vector: VersionVector;
  /** What of that is not in the journal any more. */
  readonly floor: VersionVector;
  readonly missingCount: number;
  /** Whether objects may be sent now: the site's own limit (transfer-limits.ts). */
  readonly maySend: boolean;
}

export type SessionInput =
  /** The connection stands. `provedSiteId`: the site whose key the peer has, null when nobody looked. */
  | { readonly on: 'opened'; readonly self: Hello; readonly provedSiteId: SiteId | null }
  | { readonly on: 'message'; readonly message: Message }
  /** Answer to `admit`. A refusal is a `leave` instead. */
  | { readonly on: 'admitted' }
  /** `Here` changed. */
  | { readonly on: 'advanced' }
  /** Answer to `readChanges`. */
  | { readonly on: 'changesRead'; readonly changes: readonly ShippedChange[]; readonly done: boolean }
  /** Answers to `ingest` and `storeObjects`: dealt with. */
  | { readonly on: 'ingested'; readonly costBytes: number }
  | { readonly on: 'stored'; readonly costBytes: number }
  /** Answer to `readObject`. */
  | {
      readonly on: 'objectRead';
      readonly id: ObjectId;
      readonly object: Omit<ShippedObject, 'id'> | undefined;
    }
  /** Objects came to be held here, from wherever. */
  | { readonly on: 'objectsHeld'; readonly ids: readonly ObjectId[] }
  /** Ask the peer for these. At most {@link PeerSession.wantRoom} of them, none of them asked already. */
  | { readonly on: 'want'; readonly ids: readonly ObjectId[] }
  /** Ask the peer which of these it keeps; `noteKept` follows. Not before the last one was answered. */
  | { readonly on: 'askKept'; readonly ids: readonly ObjectId[] }
  /** Answer to `offerBase`: null when there is none. */
  | { readonly on: 'baseRead'; readonly offer: BaseOffer | null }
  /** Answer to `readBase`: null when the base is another one by now. */
  | { readonly on: 'partRead'; readonly part: BasePart | null }
  /** Ask the peer for the next part of its base. */
  | { readonly on: 'wantBase'; readonly id: string; readonly after: Ino }
  /** Tell the peer what other sites hold. */
  | { readonly on: 'tellHoldings'; readonly holdings: readonly Holding[] }
  /** Answer to `checkKept`. */
  | { readonly on: 'keptChecked'; readonly ids: readonly ObjectId[] }
  /** The connection takes more bytes, or has enough for now. */
  | { readonly on: 'writable'; readonly writable: boolean }
  /** Have the peer make durable what it has; `barrierDone` follows. */
  | { readonly on: 'barrier' }
  /** Answer to `flush`. */
  | { readonly on: 'flushed' }
  /** Answer to `goOn`. */
  | { readonly on: 'goOn' }
  /** End it, telling the peer why. */
  | { readonly on: 'leave'; readonly code: GoodbyeCode; readonly reason: string };

export type SessionEffect =
  | { readonly do: 'send'; readonly message: Message }
  /** The peer said hello: answer with `admitted` or `leave`. */
  | { readonly do: 'admit'; readonly hello: Hello }
  /** Answer at once with `changesRead`. `known` is live. */
  | { readonly do: 'readChanges'; readonly known: VersionVector; readonly maxBytes: number }
  | { readonly do: 'ingest'; readonly changes: readonly ShippedChange[]; readonly costBytes: number }
  | { readonly do: 'readObject'; readonly id: ObjectId }
  | { readonly do: 'storeObjects'; readonly objects: readonly ShippedObject[]; readonly costBytes: number }
  /** What the peer said of objects that it was asked for: not held; held now. */
  | { readonly do: 'noteAbsent'; readonly ids: readonly ObjectId[] }
  | { readonly do: 'noteAnnounced'; readonly ids: readonly ObjectId[] }
  /** It misses nothing: {@link PeerSession.whole} has grown. */
  | { readonly do: 'noteComplete' }
  /** The peer lacks what is in no journal here: answer at once with `baseRead`. */
  | { readonly do: 'offerBase' }
  /** Answer at once with `partRead`. */
  | { readonly do: 'readBase'; readonly id: string; readonly after: Ino; readonly maxBytes: number }
  /** What the peer offers; `wantBase` follows if it is wanted. */
  | { readonly do: 'takeOffer'; readonly offer: BaseOffer }
  /** The part that was asked for. */
  | { readonly do: 'storeBase'; readonly part: BasePart }
  /** What other sites hold, as the peer heard. */
  | { readonly do: 'noteHoldings'; readonly holdings: readonly Holding[] }
  /** The peer asks which of these are kept here; what it answered. */
  | { readonly do: 'checkKept'; readonly ids: readonly ObjectId[] }
  | { readonly do: 'noteKept'; readonly ids: readonly ObjectId[] }
  | { readonly do: 'flush' }
  | { readonly do: 'barrierDone' }
  /** There is more to send, unless the connection has enough for now: answer with `goOn` after what it had to say. */
  | { readonly do: 'goOn' }
  /** The last effect: close the connection. `by` tells whose goodbye it was. */
  | { readonly do: 'close'; readonly code: GoodbyeCode; readonly reason: string; readonly by: 'us' | 'peer' };

/** Changes per message: small enough that acknowledgements flow, large enough that frames do not matter. */
const CHANGE_BATCH_BYTES = 256 * 1024;
/** Of a base, one part at a time. */
const BASE_PART_BYTES = 256 * 1024;

/**
 * Bytes asked of one peer at a time, by the size that its objects have had so far: what it sends in a second, so that what is needed more,
 * and asked for later, soon has its turn.
 */
const FETCH_AHEAD_BYTES = 8 * 1024 * 1024;
const MIN_AHEAD_BYTES = 512 * 1024;
const MIN_ASKED = 2;
const FIRST_OBJECT_BYTES = 64 * 1024;

export class PeerSession {
  private phase: 'new' | 'greeting' | 'admitting' | 'ready' | 'closed' = 'new';
  private self: Hello | undefined;
  private provedSiteId: SiteId | null = null;
  private peerHello: Hello | undefined;
  private stream: ChangeStream | undefined;
  private peerMissingCount = 0;
  private toldMissingCount = 0;
  private writable = true;

  private readonly changeCredit = new SendCredit(CHANGE_WINDOW_BYTES);
  private readonly objectCredit = new SendCredit(OBJECT_WINDOW_BYTES);
  private readonly changesHeld = new ReceiveCredit(CHANGE_WINDOW_BYTES);
  private readonly objectsHeld = new ReceiveCredit(OBJECT_WINDOW_BYTES);

  /** A readChanges is unanswered. */
  private readingChanges = false;
  /** The store has no more changes for the peer until `advanced`. */
  private drained = false;
  /** The peer waits for an acknowledgement. */
  private ackDue = false;

  /** What the peer had, durably and with all objects, when it last said that it misses nothing. */
  readonly whole = new Map<ActorId, number>();
  /** Objects sent and received, in bytes. */
  sentBytes = 0;
  receivedBytes = 0;

  private readonly server = new ObjectServer();
  private readonly asked = new Set<ObjectId>();
  private objectBytes = FIRST_OBJECT_BYTES;
  private aheadBytes = FETCH_AHEAD_BYTES;
  private receivedAtTick = 0;

  /** The peer was offered the base that begins here, because it lacks what is below the floor. */
  private offeredFloor: VersionVector | null = null;
  /** A part of the peer's base was asked for. */
  private awaitsPart = false;

  /** An answer of the peer to `ask-kept`, and one that it is owed. */
  private awaitsKept = false;
  private owesKept = false;

  private barrier: 'none' | 'sent' | 'again' = 'none';
  private flush: 'none' | 'running' | 'done' = 'none';
  private effects: SessionEffect[] = [];

  /** The peer's hello; undefined until it came. */
  get hello(): Hello | undefined {
    return this.peerHello;
  }

  get ready(): boolean {
    return this.phase === 'ready';
  }

  /** What the peer acknowledged as durable. */
  get acknowledged(): VersionVector {
    return this.stream?.acknowledged ?? new Map();
  }

  get missingAtPeer(): number {
    return this.peerMissingCount;
  }

  get barrierPending(): boolean {
    return this.barrier !== 'none';
  }

  /** How many objects, of `limitBytes` in all, may be asked of the peer now; 0 while enough are under way, so that wants come in batches. */
  wantRoom(limitBytes: number): number {
    if (this.phase !== 'ready') return 0;
    const aheadBytes = Math.min(this.aheadBytes, limitBytes);
    const aim = Math.min(MAX_IDS, Math.max(MIN_ASKED, Math.ceil(aheadBytes / this.objectBytes)));
    return this.asked.size * 2 <= aim ? aim - this.asked.size : 0;
  }

  /** A second passed. */
  tick(): void {
    const cameBytes = this.receivedBytes - this.receivedAtTick;
    this.receivedAtTick = this.receivedBytes;
    // It may have been asked for little, or not for all of the second.
    const aheadBytes = this.asked.size > 0 ? Math.max(cameBytes, this.aheadBytes / 2) : this.aheadBytes;
    this.aheadBytes = Math.min(FETCH_AHEAD_BYTES, Math.max(MIN_AHEAD_BYTES, aheadBytes));
  }

  /** Takes one input. The effects are to be carried out in order. */
  step(input: SessionInput, here: Here): SessionEffect[] {
    if (this.phase === 'closed') return [];
    this.effects = [];
    try {
      this.take(input, here);
      if (this.ready) this.pump(here);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.leave('protocol', `site ${this.name()} ${error.message}`);
    }
    return this.effects;
  }

  private take(input: SessionInput, here: Here): void {
    switch (input.on) {
      case 'opened':
        this.self = input.self;
        this.provedSiteId = input.provedSiteId;
        this.phase = 'greeting';
        return this.send(input.self);
      case 'message':
        return this.receive(input.message, here);
      case 'admitted':
        this.phase = 'ready';
        this.stream = new ChangeStream(this.self!.vector, this.peerHello!.vector);
        this.toldMissingCount = this.self!.missingCount;
        return this.hear(this.peerHello!);
      case 'advanced':
        this.drained = false;
        return;
      case 'changesRead':
        this.readingChanges = false;
        this.drained = input.done || input.changes.length === 0;
        if (input.changes.length === 0) return;
        this.stream!.sent(input.changes);
        this.changeCredit.spend(costOf(input.changes));
        return this.send({ type: 'changes', changes: input.changes });
      case 'ingested':
        this.ackDue = true;
        return this.changesHeld.done(input.costBytes);
      case 'stored':
        return this.objectsHeld.done(input.costBytes);
      case 'objectRead':
        return this.server.read(input.id, input.object);
      case 'objectsHeld':
        return this.server.arrived(input.ids);
      case 'want':
        for (const id of input.ids) this.asked.add(id);
        return this.send({ type: 'want', ids: input.ids });
      case 'askKept':
        this.awaitsKept = true;
        return this.send({ type: 'ask-kept', ids: input.ids });
      case 'baseRead':
        if (input.offer) this.send({ type: 'base-offer', offer: input.offer });
        return;
      case 'partRead':
        if (input.part) return this.send({ type: 'base-part', part: input.part });
        this.offeredFloor = null;
        return;
      case 'wantBase':
        this.awaitsPart = true;
        return this.send({ type: 'base-want', id: input.id, after: input.after });
      case 'tellHoldings':
        if (this.phase === 'ready') this.send({ type: 'holdings', holdings: input.holdings });
        return;
      case 'keptChecked':
        this.owesKept = false;
        return this.send({ type: 'kept', ids: input.ids });
      case 'writable':
        this.writable = input.writable;
        return;
      case 'barrier':
        if (this.barrier === 'none') this.send({ type: 'barrier' });
        this.barrier = this.barrier === 'none' ? 'sent' : 'again';
        return;
      case 'flushed':
        this.flush = 'done';
        this.drained = false;
        return;
      case 'goOn':
        return;
      case 'leave':
        return this.leave(input.code, input.reason);
    }
  }

  private receive(message: Message, here: Here): void {
    if (message.type === 'goodbye') return this.closed(message.code, message.reason, 'peer');
    if (this.phase === 'greeting') return this.greet(message);
    if (this.phase !== 'ready') throw new ProtocolError(`sent ${message.type} before it was admitted`);
    switch (message.type) {
      case 'changes': {
        const costBytes = costOf(message.changes);
        this.changesHeld.take(costBytes);
        const fresh = this.stream!.receive(message.changes, here.vector);
        if (fresh.length > 0) return this.emit({ do: 'ingest', changes: fresh, costBytes });
        this.ackDue = true;
        return this.changesHeld.done(costBytes);
      }
      case 'have':
        this.stream!.acknowledge(message.vector);
        this.hear(message);
        if (message.arrived.length > 0) this.emit({ do: 'noteAnnounced', ids: message.arrived });
        return;
      case 'want':
        return this.server.want(message.ids);
      case 'objects':
        return this.receiveObjects(message.objects);
      case 'absent':
        for (const id of message.ids) this.answered(id);
        return this.emit({ do: 'noteAbsent', ids: message.ids });
      case 'base-offer':
        this.awaitsPart = false; // what was asked for is there no more
        return this.emit({ do: 'takeOffer', offer: message.offer });
      case 'base-want':
        return this.emit({ do: 'readBase', id: message.id, after: message.after, maxBytes: BASE_PART_BYTES });
      case 'base-part':
        if (!this.awaitsPart) throw new ProtocolError('sent a part of a base that was not asked for');
        this.awaitsPart = false;
        return this.emit({ do: 'storeBase', part: message.part });
      case 'holdings':
        return this.emit({ do: 'noteHoldings', holdings: message.holdings });
      case 'ask-kept':
        if (this.owesKept) throw new ProtocolError('asked what is kept before the last answer');
        this.owesKept = true;
        return this.emit({ do: 'checkKept', ids: message.ids });
      case 'kept':
        if (!this.awaitsKept) throw new ProtocolError('said what it keeps without being asked');
        this.awaitsKept = false;
        return this.emit({ do: 'noteKept', ids: message.ids });
      case 'credit':
        this.changeCredit.grant(message.changeBytes);
        return this.objectCredit.grant(message.objectBytes);
      case 'barrier':
        if (this.flush !== 'none') throw new ProtocolError('sent a second barrier before the first was done');
        this.flush = 'running';
        return this.emit({ do: 'flush' });
      case 'barrier-done': {
        if (this.barrier === 'none') throw new ProtocolError('answered a barrier that was not asked for');
        const again = this.barrier === 'again';
        this.barrier = again ? 'sent' : 'none';
        // It would have said so if it missed something by now.
        if (this.peerMissingCount === 0) raise(this.whole, this.acknowledged);
        return again ? this.send({ type: 'barrier' }) : this.emit({ do: 'barrierDone' });
      }
      default:
        throw new ProtocolError(`sent ${message.type} where it has no place`);
    }
  }

  private hear({ vector, missingCount }: Pick<Hello, 'vector' | 'missingCount'>): void {
    this.peerMissingCount = missingCount;
    if (missingCount > 0) return;
    raise(this.whole, vector);
    raise(this.whole, this.acknowledged);
    this.emit({ do: 'noteComplete' });
  }

  /** The first message decides whether the two may talk at all. Every refusal reads well at both ends. */
  private greet(message: Message): void {
    const self = this.self!;
    if (message.type === 'foreign-hello') {
      const older = message.version < PROTOCOL_VERSION ? 'the other site' : `site ${quoted(self.site)}`;
      const reason = `protocol versions differ: ${quoted(self.site)} speaks ${PROTOCOL_VERSION}, the other site ${message.version}; upgrade weft at ${older}`;
      return this.leave('version', reason);
    }
    if (message.type !== 'hello') throw new ProtocolError(`sent ${message.type} before its hello`);
    const hello = message;
    // First of all: whatever else it says would be taken for that of another site.
    if (this.provedSiteId !== null && this.provedSiteId !== hello.siteId) {
      throw new ProtocolError(`said hello as ${hello.siteId} on a connection of ${this.provedSiteId}`);
    }
    this.peerHello = hello;
    const both = `site ${quoted(self.site)} and site ${quoted(hello.site)}`;
    if (hello.volumeId !== self.volumeId) {
      const reason = `${both} hold different volumes (${self.volumeId}, ${hello.volumeId}); join with an invite of the volume that is meant`;
      return this.leave('volume', reason);
    }
    if (hello.siteId === self.siteId) {
      const reason =
        hello.instance === self.instance
          ? `site ${quoted(self.site)} dialled itself; remove that address with weft link remove`
          : `${both} run from copies of one state directory; delete one copy and join again with a new invite`;
      return this.leave('same-site', reason);
    }
    this.phase = 'admitting';
    this.emit({ do: 'admit', hello });
  }

  private receiveObjects(objects: readonly ShippedObject[]): void {
    const costBytes = costOf(objects);
    this.objectsHeld.take(costBytes);
    for (const { id, bytes } of objects) {
      this.answered(id);
      this.receivedBytes += bytes.length;
      this.objectBytes += (bytes.length + 1 - this.objectBytes) / 16;
    }
    this.emit({ do: 'storeObjects', objects, costBytes });
  }

  private answered(id: ObjectId): void {
    if (!this.asked.delete(id)) throw new ProtocolError(`answered for object ${id}, which was not asked for`);
  }

  /** Whatever can be sent now. Acknowledgements first, then changes, then objects. */
  private pump(here: Here): void {
    this.grantCredit();
    const lacksBase = !covers(this.stream!.inFlight, here.floor);
    // The floor may have risen while the peer took the base that it was offered: then that was not enough.
    const isOver = !this.offeredFloor || covers(this.stream!.inFlight, this.offeredFloor);
    if (!lacksBase) this.offeredFloor = null;
    else if (isOver) {
      this.offeredFloor = new Map(here.floor);
      this.emit({ do: 'offerBase' });
    }
    const more = !lacksBase && !this.drained && this.stream!.hasMore(here.vector);
    if (more && !this.readingChanges && this.writable && this.changeCredit.open) {
      this.readingChanges = true;
      this.emit({ do: 'readChanges', known: this.stream!.inFlight, maxBytes: CHANGE_BATCH_BYTES });
    }
    this.tell(here);
    this.serve(here);
  }

  private grantCredit(): void {
    const changeBytes = this.changesHeld.due();
    const objectBytes = this.objectsHeld.due();
    if (changeBytes + objectBytes > 0) this.send({ type: 'credit', changeBytes, objectBytes });
  }

  /** Changes that are about to be sent speak for themselves; the rest of what is durable here needs saying. */
  private tell(here: Here): void {
    const closing = this.flush === 'done' && !this.readingChanges;
    if (!closing && (!this.writable || (this.readingChanges && !this.ackDue))) return;
    const missingCount = here.missingCount;
    const emptied = (missingCount === 0) !== (this.toldMissingCount === 0);
    let vector = this.stream!.untold(here.vector);
    let arrived = this.server.takeArrived();
    if (emptied || vector.size > 0 || arrived.length > 0) {
      do {
        this.send({ type: 'have', vector, missingCount, arrived });
        vector = new Map();
        arrived = this.server.takeArrived();
      } while (arrived.length > 0);
      this.toldMissingCount = missingCount;
    }
    this.ackDue = false;
    if (closing) {
      this.flush = 'none';
      this.send({ type: 'barrier-done' });
    }
  }

  private serve({ maySend }: Here): void {
    if (this.writable && maySend && this.objectCredit.open) {
      for (const id of this.server.takeReads()) this.emit({ do: 'readObject', id });
      const objects = this.server.takeObjects();
      if (objects.length > 0) {
        this.objectCredit.spend(costOf(objects));
        for (const { bytes } of objects) this.sentBytes += bytes.length;
        this.send({ type: 'objects', objects });
        if (this.server.hasMore) this.emit({ do: 'goOn' });
      }
    }
    const absent = this.server.takeAbsent();
    if (absent.length > 0) this.send({ type: 'absent', ids: absent });
  }

  private leave(code: GoodbyeCode, reason: string): void {
    this.send(goodbye(code, reason));
    this.closed(code, reason, 'us');
  }

  private closed(code: GoodbyeCode, reason: string, by: 'us' | 'peer'): void {
    this.phase = 'closed';
    this.emit({ do: 'close', code, reason, by });
  }

  private send(message: Message): void {
    this.emit({ do: 'send', message });
  }

  private emit(effect: SessionEffect): void {
    this.effects.push(effect);
  }

  private name(): string {
    return quoted(this.peerHello?.site ?? this.provedSiteId ?? 'at the other end');
  }
}

function quoted(name: string): string {
  return JSON.stringify(name);
}
