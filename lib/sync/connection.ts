// connection.ts — runs one peer session: feeds it inputs one at a time and carries out its effects on the store and the transport.
// Invariant: effects happen in the order in which the session gave them, and no step runs inside another.

import { PeerSession } from './peer-session.js';
import type { Here, SessionEffect, SessionInput } from './peer-session.js';
import type { Holding } from './member-vectors.js';
import type { GoodbyeCode, Hello, Message } from './message.js';
import type { ShippedObject, SyncLog, SyncStore } from './ports.js';
import type { ObjectId } from '../crdt/ids.js';
import type { BaseOffer, BasePart } from '../journal/base-part.js';

/** Carries messages in order, or breaks. */
export interface Transport {
  /** What the message holds is not looked at afterwards. Whether it takes more; after a false, {@link Connection.drained} is called once it does. */
  send(message: Message): boolean;
  /** Closes after what was sent is through. */
  close(): void;
}

export interface Refusal {
  readonly code: GoodbyeCode;
  readonly reason: string;
}

/** How a connection ended; by 'transport' and without a code when nobody said goodbye. */
export interface Ending {
  readonly by: 'us' | 'peer' | 'transport';
  readonly code: GoodbyeCode | null;
  readonly reason: string;
}

/** What a connection asks of the site it belongs to: site-exchange.ts. */
export interface ConnectionOwner {
  readonly store: SyncStore;
  readonly log: SyncLog;
  here(): Here;
  /** null lets the peer in. */
  admit(connection: Connection, hello: Hello): Refusal | null;
  ready(connection: Connection): void;
  /** Something that a status display shows may have changed. */
  changed(): void;
  ended(connection: Connection, ending: Ending): void;
  /** Resolves when they are dealt with; rejects when the peer is to blame. */
  storeObjects(connection: Connection, objects: readonly ShippedObject[]): Promise<void>;
  noteChanges(connection: Connection): void;
  noteSent(connection: Connection, objects: readonly ShippedObject[]): void;
  noteAbsent(connection: Connection, ids: readonly ObjectId[]): void;
  noteAnnounced(connection: Connection, ids: readonly ObjectId[]): void;
  /** The peer misses nothing: what it has with all objects has grown. */
  noteComplete(connection: Connection): void;
  /** The peer offers its base; sent the part that was asked for. */
  takeOffer(connection: Connection, offer: BaseOffer): void;
  storeBase(connection: Connection, part: BasePart): void;
  /** The peer told what other sites hold. */
  noteHoldings(holdings: readonly Holding[]): void;
  /** The peer keeps these of what it was asked about. */
  noteKept(connection: Connection, ids: readonly ObjectId[]): void;
}

export class Connection {
  readonly session = new PeerSession();
  private readonly inputs: SessionInput[] = [];
  private stepping = false;
  private wasReady = false;
  private over = false;

  constructor(
    private readonly owner: ConnectionOwner,
    /** Tells the connections of a site apart; later ones have higher keys. */
    readonly key: number,
    private readonly transport: Transport,
  ) {}

  /** The peer's hello; only to be asked once it came. */
  get peer(): Hello {
    return this.session.hello!;
  }

  get ended(): boolean {
    return this.over;
  }

  receive(message: Message): void {
    this.step({ on: 'message', message });
  }

  /** The transport takes more. */
  drained(): void {
    this.step({ on: 'writable', writable: true });
  }

  /** Says goodbye and closes. */
  leave(code: GoodbyeCode, reason: string): void {
    this.step({ on: 'leave', code, reason });
  }

  /** The transport broke. */
  lost(reason: string): void {
    this.end({ by: 'transport', code: null, reason });
  }

  step(input: SessionInput): void {
    if (this.over) return;
    this.inputs.push(input);
    if (this.stepping) return;
    this.stepping = true;
    try {
      for (let next = this.inputs.shift(); next !== undefined && !this.over; next = this.inputs.shift()) {
        for (const effect of this.session.step(next, this.owner.here())) this.perform(effect);
        if (!this.wasReady && this.session.ready) {
          this.wasReady = true;
          this.owner.ready(this);
        }
      }
    } finally {
      this.stepping = false;
    }
    this.owner.changed();
  }

  private perform(effect: SessionEffect): void {
    const { owner } = this;
    switch (effect.do) {
      case 'send':
        if (!this.transport.send(effect.message)) this.inputs.push({ on: 'writable', writable: false });
        if (effect.message.type === 'objects') owner.noteSent(this, effect.message.objects);
        return;
      case 'admit': {
        const refusal = owner.admit(this, effect.hello);
        this.inputs.push(refusal ? { on: 'leave', ...refusal } : { on: 'admitted' });
        return;
      }
      case 'readChanges':
        this.inputs.push({ on: 'changesRead', ...owner.store.changesAfter(effect.known, effect.maxBytes) });
        return;
      case 'ingest': {
        owner.noteChanges(this);
        const { changes, costBytes } = effect;
        this.stepAfter(owner.store.ingest(changes, this.peer.siteId), { on: 'ingested', costBytes });
        return;
      }
      case 'readObject':
        void this.readObject(effect.id);
        return;
      case 'storeObjects':
        this.stepAfter(owner.storeObjects(this, effect.objects), { on: 'stored', costBytes: effect.costBytes });
        return;
      case 'noteAbsent':
        return owner.noteAbsent(this, effect.ids);
      case 'noteAnnounced':
        return owner.noteAnnounced(this, effect.ids);
      case 'noteComplete':
        return owner.noteComplete(this);
      case 'offerBase':
        this.inputs.push({ on: 'baseRead', offer: owner.store.baseOffer() });
        return;
      case 'readBase':
        this.inputs.push({ on: 'partRead', part: owner.store.readBase(effect.id, effect.after, effect.maxBytes) });
        return;
      case 'takeOffer':
        return owner.takeOffer(this, effect.offer);
      case 'storeBase':
        return owner.storeBase(this, effect.part);
      case 'noteHoldings':
        return owner.noteHoldings(effect.holdings);
      case 'checkKept':
        void this.checkKept(effect.ids);
        return;
      case 'noteKept':
        return owner.noteKept(this, effect.ids);
      case 'flush':
        this.stepAfter(owner.store.flush(), { on: 'flushed' });
        return;
      case 'barrierDone':
        return owner.changed();
      case 'goOn':
        this.inputs.push({ on: 'goOn' });
        return;
      case 'close':
        this.transport.close();
        return this.end({ by: effect.by, code: effect.code, reason: effect.reason });
    }
  }

  /** Steps with `done` when the work is; ends the connection when it fails. */
  private stepAfter(work: Promise<void>, done: SessionInput): void {
    work.then(
      () => this.step(done),
      (error: unknown) => this.reject(error),
    );
  }

  /** What the peer sent could not be taken. */
  reject(error: unknown): void {
    if (this.over) return;
    const { siteName } = this.owner.store;
    const reason = `site ${JSON.stringify(siteName)} could not take what site ${JSON.stringify(this.peer.site)} sent: ${textOf(error)}`;
    this.leave('rejected', reason);
  }

  private async readObject(id: ObjectId): Promise<void> {
    let object: Omit<ShippedObject, 'id'> | undefined;
    try {
      object = await this.owner.store.readObject(id);
    } catch (error) {
      this.owner.log.warn({ id, error: textOf(error) }, 'an object that a peer asked for cannot be read here');
    }
    this.step({ on: 'objectRead', id, object });
  }

  private async checkKept(ids: readonly ObjectId[]): Promise<void> {
    let kept: readonly ObjectId[] = [];
    try {
      kept = await this.owner.store.kept(ids);
    } catch (error) {
      this.owner.log.warn({ error: textOf(error) }, 'a peer was not told what is kept here');
    }
    this.step({ on: 'keptChecked', ids: kept });
  }

  private end(ending: Ending): void {
    if (this.over) return;
    this.over = true;
    this.inputs.length = 0;
    this.owner.ended(this, ending);
  }
}

export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
