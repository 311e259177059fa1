// syncer.ts — this site's links: listens, dials, lets peers in or turns them away, and keeps one connection per peer alive.
// Which links there are is the users' choice, and any graph will do: changes and objects find their way through it. What is said
// on a link is site-exchange.ts's business; who is who is roster.ts's.

import { EventEmitter } from 'node:events';
import { announcedAddresses, formatAddress, parseAddress } from './address.js';
import { isRetired, judgeMember, memberWith, RETIRED, turnAway } from './admission.js';
import type { Connection, Ending, Refusal } from './connection.js';
import { DialTarget, PAUSED_RETRY_MS } from './dial-target.js';
import { dial } from './dialer.js';
import { formatInvite } from './invite.js';
import { answerGuest, newInvite, redeemInvite } from './join.js';
import type { Link } from './link.js';
import { Listener } from './listener.js';
import type { Holding } from './member-vectors.js';
import type { Arrival } from './listener.js';
import type { Hello } from './message.js';
import { Peer } from './peer.js';
import type { KnownPeer } from './peer.js';
import type { SyncClock, SyncStore } from './ports.js';
import { Roster } from './roster.js';
import type { PeerStatus } from './roster.js';
import { type ExchangeListener, SiteExchange } from './site-exchange.js';
import type { SiteKey } from './site-key.js';
import { Settling } from './settling.js';
import { checkOptions } from './syncer-options.js';
import type { SyncerOptions } from './syncer-options.js';
import { LimitedPace, NO_LIMITS } from './transfer-limits.js';
import type { VersionVector } from '../crdt/change.js';
import type { ObjectId, SiteId } from '../crdt/ids.js';

/** What a connection runs over. */
interface Route {
  readonly link: Link;
  /** null: the peer dialled. */
  readonly target: DialTarget | null;
  /** Whose key the other end has. */
  readonly provedSiteId: SiteId;
  cancelDeadline: () => void;
  readySinceMs: number | null;
}

const HELLO_WITHIN_MS = 5000;
/** One that paused the link says hello before it says goodbye: a link to it counts when the goodbye has not come for so long. */
const GOODBYE_WITHIN_MS = 500;
const RETIRED_HEARS_MS = 1000;
const TICK_MS = 1000;
/** Connections on which one site has not said hello yet: it needs one, and a second when both ends dial. */
const MAX_GREETING = 4;
/** An address whose link lasted this long is dialled again at once; one whose link broke sooner has to wait, like one that failed. */
const LASTING_LINK_MS = 5000;

/** Emits 'changed' (at most once per turn of the event loop) when peers() may answer otherwise than before. */
export class Syncer extends EventEmitter<{ changed: [] }> {
  private readonly store: SyncStore;
  private readonly clock: SyncClock;
  private readonly exchange: SiteExchange;
  private readonly pace: LimitedPace;
  private readonly listener: Listener;
  private readonly roster: Roster;
  private readonly instance: string;
  private readonly routes = new Map<Connection, Route>();
  /** Sites that were removed while not linked, and are to be told so. */
  private readonly removed = new Set<SiteId>();
  private readonly waiters = new Set<() => void>();
  /** The identity that was turned away last. */
  private lastStranger = '';
  private key: SiteKey;
  private address = '';
  private running = false;
  private changeDue = false;
  private cancelTick: () => void = () => {};

  constructor(private readonly options: SyncerOptions) {
    super();
    const { store, clock, random, log } = options;
    checkOptions(options);
    this.store = store;
    this.key = options.key;
    this.clock = clock;
    this.instance = Buffer.from(random.bytes(8)).toString('hex');
    this.roster = new Roster(store);
    this.pace = new LimitedPace(clock, () => this.exchange.goOn());
    const listener: ExchangeListener = {
      admit: (connection, hello) => this.admit(connection, hello),
      ready: (connection) => this.ready(connection),
      isMember: (siteId) => options.members.all().some((member) => member.siteId === siteId),
      closed: (connection, ending) => this.closed(connection, ending),
      changed: () => this.changed(),
    };
    this.exchange = new SiteExchange(store, log, listener, this.pace);
    this.listener = new Listener({
      clock,
      log,
      key: options.key,
      isMember: (channel) => memberWith(options.members, channel) !== undefined,
      accept: (arrival) => this.accept(arrival),
    });
    for (const holding of options.holdings ?? []) this.exchange.members.note(holding);
    for (const known of options.known ?? []) this.roster.peers.set(known.siteId, Peer.from(known));
    for (const address of options.dial) this.targetAt(formatAddress(parseAddress(address)), true);
  }

  /** Listens and starts to dial. Resolves to the HOST:PORT listened on; rejects, naming the remedy, when the port is in use. */
  async start(): Promise<string> {
    this.address = await this.listener.listen(this.options.listen);
    this.running = true;
    this.tick();
    this.pursueAll();
    return this.address;
  }

  /** Tells peers that this site goes, and closes all links. Resolves, within about a second, when all sockets are gone. */
  async stop(): Promise<void> {
    this.running = false;
    this.cancelTick();
    this.pace.stop();
    for (const target of this.roster.targets) target.rest();
    const links = [...this.routes.values()].map(({ link }) => link);
    for (const connection of this.exchange.connections()) {
      connection.leave('stopping', `site ${this.quotedName()} was shut down`);
    }
    await Promise.all([this.listener.close(), ...links.map((link) => link.gone)]);
  }

  /** The store's vector() or missing() changed. Cheap; call it at once. */
  advanced(): void {
    this.exchange.advanced();
  }

  /** The members of the volume, or what they may do, may have changed. Links to sites that were retired end, and these are forgotten. */
  membersChanged(): void {
    for (const { siteId, role } of this.options.members.all()) {
      if (role.kind !== 'retired' || !this.roster.peers.has(siteId)) continue;
      // A moment later, so that the site hears of it with the changes that it is sent.
      this.clock.setTimer(RETIRED_HEARS_MS, () => this.forgetRetired(siteId));
    }
  }

  private forgetRetired(siteId: SiteId): void {
    const peer = this.roster.peers.get(siteId);
    if (peer === undefined) return;
    this.dropTargets((target) => target.siteId === siteId);
    this.roster.peers.delete(siteId);
    peer.connection?.leave('retired', RETIRED);
    this.changed();
  }

  /** Whether any peer is connected. */
  get linked(): boolean {
    for (const peer of this.roster.peers.values()) if (peer.isConnected) return true;
    return false;
  }

  peers(): PeerStatus[] {
    return this.roster.statuses(({ connection }) => (connection && this.routes.get(connection)?.link.rttMs) ?? null);
  }

  /**
   * Has this site and every connected peer commit what they hold, then waits until every one of them has durably what this site has now, and
   * the reverse. What came later is not waited for, but a moment at each at which no object is on its way. False when `timeoutMs` passed first. A first attempt to connect is waited for.
   */
  async waitSettled(timeoutMs: number): Promise<boolean> {
    const deadlineMs = this.clock.now() + timeoutMs;
    await this.store.flush();
    const settling = new Settling(new Map(this.store.vector()));
    return new Promise((resolve) => {
      const end = (settled: boolean): void => {
        cancelTimer();
        this.waiters.delete(check);
        resolve(settled);
      };
      const check = (): void => {
        if (this.roster.targets.some((target) => target.undecided)) return;
        if (this.exchange.isDone(settling)) end(true);
      };
      const cancelTimer = this.clock.setTimer(deadlineMs - this.clock.now(), () => end(false));
      this.waiters.add(check);
      for (const connection of this.exchange.connections()) {
        if (connection.session.ready) connection.step({ on: 'barrier' });
      }
      check();
    });
  }

  limitsChanged(): void {
    this.pace.limit(this.options.limits?.() ?? NO_LIMITS);
  }

  /** This site shows another key from now on, which took the place of the one before: links begin anew. */
  useKey(key: SiteKey): void {
    this.key = key;
    this.listener.useKey(key);
    this.reconnect();
  }

  /** Cuts every link for a moment: what this site holds is said when a link begins, and it has become less. */
  reconnect(): void {
    for (const connection of this.routes.keys()) connection.leave('renewed', 'the link begins anew');
  }

  /** Cuts the link to a peer (site name, site id or address), or with null every link, and refuses it until resume. Throws on an unknown peer. */
  pause(peer: string | null): void {
    if (peer === null) this.roster.allPaused = true;
    else this.roster.find(peer).paused = true;
    for (const target of this.roster.targets) if (!this.roster.mayDial(target)) target.rest();
    for (const paused of this.roster.peers.values()) {
      if (this.roster.isPaused(paused)) paused.connection?.leave('paused', this.pausedReason());
    }
    this.changed();
  }

  resume(peer: string | null): void {
    const { roster } = this;
    const everyone = [...roster.peers.values(), ...roster.targets];
    const resumed = peer === null ? everyone : [roster.find(peer)];
    // Resuming one when all are paused leaves the others paused.
    if (roster.allPaused) for (const entry of everyone) entry.paused = true;
    roster.allPaused = false;
    for (const entry of resumed) {
      entry.paused = false;
      if (entry instanceof Peer) for (const target of roster.targetsOf(entry)) target.paused = false;
    }
    this.pursueAll();
    this.changed();
  }

  /** Dials a further peer, now and until removed: HOST:PORT, or the name of a site that was met or that a peer told of. */
  add(peer: string): void {
    const address = formatAddress(parseAddress(this.addressMeant(peer)));
    if (address === this.address) throw new Error(`${address} is this site itself; name another one`);
    const target = this.roster.targets.find((other) => other.address === address && other.lasting);
    this.pursue(target ?? this.targetAt(address, true));
    this.changed();
  }

  /** What a site says of itself in the volume's registers comes first. */
  private addressMeant(peer: string): string {
    const member = this.options.members.all().find(({ name, siteId }) => name === peer || siteId === peer);
    return member?.addresses[0] ?? this.roster.addressMeant(peer);
  }

  /** Cuts the link to a peer and forgets it; the peer stops dialling this site as well. To keep a peer out, pause it. */
  remove(peer: string): void {
    const found = this.roster.find(peer);
    this.dropTargets((target) => target === found || (target.siteId !== null && target.siteId === found.siteId));
    if (found instanceof Peer) {
      this.roster.peers.delete(found.siteId);
      if (found.connection) found.connection.leave('removed', this.removedReason());
      else this.removed.add(found.siteId);
    }
    this.changed();
  }

  /** The addresses dialled: what SyncerOptions.dial should be at the next start. */
  dialled(): string[] {
    return this.roster.targets.filter((target) => target.lasting).map((target) => target.address);
  }

  /** What SyncerOptions.known should be at the next start. */
  known(): KnownPeer[] {
    return [...this.roster.peers.values()].map((peer) => ({ ...peer.known(), paused: this.roster.isPaused(peer) }));
  }

  /** What each site of the volume holds, as far as this one heard: what SyncerOptions.holdings should be at the next start. */
  holdings(): Holding[] {
    return this.exchange.members.all();
  }

  /** Parts of other sites' bases that were taken so far: see lib/volume/base-transfer.ts. */
  get baseParts(): number {
    return this.exchange.baseParts;
  }

  /** Whether this site is at work on one. */
  get isTakingBase(): boolean {
    return this.exchange.isTakingBase;
  }

  /** Every site that was met, linked or not, with what it acknowledged as durable and how many objects it waits for. */
  peersMet(): Pick<Peer, 'siteId' | 'site' | 'vector' | 'missingCount'>[] {
    return [...this.roster.peers.values()];
  }

  /** See {@link SiteExchange.hasKeeper}. */
  hasKeeper(vector: VersionVector): boolean {
    return this.exchange.hasKeeper(vector);
  }

  /** See {@link SiteExchange.keptElsewhere}. */
  keptElsewhere(ids: readonly ObjectId[], vector: VersionVector): Promise<ObjectId[]> {
    return this.exchange.keptElsewhere(ids, vector);
  }

  /** A one-time invite: see invite.ts. */
  invite(ttlMs: number): string {
    const { random, invites, volumeName: volume } = this.options;
    const { key } = this;
    const { id, secret, ...rest } = newInvite(random, this.clock.wallMs() + ttlMs);
    invites.create({ id, secret, ...rest });
    return formatInvite({ addresses: this.addresses(), volume, id, identity: key.identity, secret });
  }

  /** Makes this site and one that gave it an invite known to each other, and links them. Rejects with the reason and the remedy. */
  async introduce(invite: string): Promise<void> {
    const { members } = this.options;
    const { key } = this;
    const { siteId, siteName: site, volumeId } = this.store;
    const grant = await redeemInvite(invite, { key, siteId, site, volumeId }, this.clock);
    const [host] = grant.peers;
    await members.admit({ siteId: host.siteId, name: host.site, identity: grant.identity });
    this.add(grant.address);
  }

  /** HOST:PORT that others may dial, the best first. */
  addresses(): string[] {
    return this.options.advertise === undefined
      ? announcedAddresses(parseAddress(this.address))
      : [this.options.advertise];
  }

  // Connections, from where they start to where they end.

  private accept({ link, channel, wants, from, welcome }: Arrival): void {
    const { volumeName, members, invites, log } = this.options;
    const { volumeId, siteId, siteName: site } = this.store;
    if (wants === 'link') {
      const member = memberWith(members, channel);
      if (member === undefined) {
        const reason = turnAway(members, link, channel);
        // Who is turned away comes again and again; it is news once.
        const isNews = this.lastStranger !== channel.peer;
        this.lastStranger = channel.peer;
        log[isNews ? 'info' : 'debug'](
          { from, identity: channel.peer, reason },
          'a site that is no member was refused',
        );
        return;
      }
      welcome();
      this.makeRoomFor(member.siteId);
      return this.open(link, null, member.siteId);
    }
    answerGuest(link, channel, {
      clock: this.clock,
      invites,
      siteName: site,
      volumeId,
      proved: welcome,
      admit: (guest) => members.admit({ siteId: guest.siteId, name: guest.site, identity: guest.identity }),
      grant: () => {
        const peers = [{ siteId, site, address: this.announced() }, ...this.roster.introductions()];
        return { type: 'join-grant', volumeId, volumeName, peers };
      },
      answered: (guest, refusal) =>
        log.info({ guest, from, refusal }, refusal ? 'a guest was refused' : 'a guest joined'),
    });
  }

  /** A member may come as often as it likes; its oldest connections that say nothing give way. */
  private makeRoomFor(siteId: SiteId): void {
    const greeting = [...this.routes].filter(
      ([connection, route]) => route.provedSiteId === siteId && !connection.session.ready,
    );
    for (const [connection] of greeting.slice(0, Math.max(0, greeting.length + 1 - MAX_GREETING))) {
      connection.leave('duplicate', `site ${this.quotedName()} has newer connections of this site`);
    }
  }

  /** Starts an attempt to link to the target; gives what cancels the dialling. */
  private attempt(target: DialTarget): () => void {
    const { members } = this.options;
    const { key } = this;
    const { address } = target;
    return dial(
      { clock: this.clock, address, key, path: '/', judge: (channel) => judgeMember(members, address, channel) },
      {
        opened: (link, channel) => {
          const member = memberWith(members, channel);
          if (member) this.open(link, target, member.siteId);
          else this.notReached(target, turnAway(members, link, channel));
        },
        failed: (reason) => this.notReached(target, reason),
      },
    );
  }

  private notReached(target: DialTarget, reason: string): void {
    this.options.log.debug({ address: target.address, reason }, 'dialling failed');
    const peer = this.roster.peerAt(target);
    if (peer) {
      peer.lastError = reason;
      peer.pausedByPeer = false;
    }
    this.failed(target, reason);
    this.changed();
  }

  private open(link: Link, target: DialTarget | null, provedSiteId: SiteId): void {
    const describe = { instance: this.instance, address: this.announced(), introductions: this.roster.introductions() };
    const prepare = (connection: Connection): void => {
      const cancelDeadline = this.clock.setTimer(HELLO_WITHIN_MS, () => {
        connection.leave('protocol', `the other end of the link to site ${this.quotedName()} said no hello`);
      });
      this.routes.set(connection, { link, target, provedSiteId, cancelDeadline, readySinceMs: null });
      link.listen({
        message: (message) => connection.receive(message),
        drained: () => connection.drained(),
        corrupt: (reason) =>
          connection.leave('protocol', `site ${this.quotedName()} got bytes that are no message: ${reason}`),
        closed: (reason) => connection.lost(reason),
      });
    };
    const connection = this.exchange.connect(link, describe, provedSiteId, prepare);
    if (!this.running) connection.leave('stopping', `site ${this.quotedName()} was shut down`);
  }

  private admit(connection: Connection, hello: Hello): Refusal | null {
    const target = this.routes.get(connection)!.target;
    // When its key was looked at it may still have been a member.
    if (isRetired(this.options.members, hello.siteId)) return { code: 'retired', reason: RETIRED };
    if (this.removed.delete(hello.siteId) && target === null) return { code: 'removed', reason: this.removedReason() };
    const peer = this.roster.meet(hello);
    if (target) target.siteId = hello.siteId;
    if (this.roster.isPaused(peer)) return { code: 'paused', reason: this.pausedReason() };
    return peer.connection ? this.collapse(peer, peer.connection, connection, hello) : null;
  }

  /** Of two connections to one peer one is kept, and both ends choose the same: the later one, or the one that the lower site id dialled. */
  private collapse(peer: Peer, older: Connection, newer: Connection, hello: Hello): Refusal | null {
    const reason = `site ${this.quotedName()} and site ${JSON.stringify(peer.site)} are linked by another connection`;
    if (older.peer.instance !== hello.instance) {
      // Its process started anew, or there are two of them; should the older one still run, it is told.
      older.leave(
        'same-site',
        `another site with the identity of site ${JSON.stringify(peer.site)} linked itself to site ${this.quotedName()}; if its state directory was copied, delete the copy and join again with a new invite`,
      );
      return null;
    }
    const newerIsOurs = this.routes.get(newer)!.target !== null;
    const olderIsOurs = this.routes.get(older)!.target !== null;
    const oursIsKept = this.store.siteId < peer.siteId;
    if (newerIsOurs !== olderIsOurs && newerIsOurs !== oursIsKept) return { code: 'duplicate', reason };
    older.leave('duplicate', reason);
    return null;
  }

  private ready(connection: Connection): void {
    const route = this.routes.get(connection)!;
    route.cancelDeadline();
    route.readySinceMs = this.clock.now();
    const peer = this.roster.peers.get(connection.peer.siteId)!;
    peer.linked(connection);
    for (const target of this.roster.targetsOf(peer)) target.connected();
    this.dropTargets((target) => target.siteId === peer.siteId && !target.lasting);
    if (peer.pausedByPeer && route.target) {
      route.cancelDeadline = this.clock.setTimer(GOODBYE_WITHIN_MS, () => this.confirm(peer));
    } else this.confirm(peer);
    if (this.waiters.size > 0) connection.step({ on: 'barrier' });
    this.changed();
  }

  private confirm(peer: Peer): void {
    peer.confirmed();
    this.options.log.info({ site: peer.site, address: peer.address }, 'linked');
    this.changed();
  }

  private closed(connection: Connection, ending: Ending): void {
    const route = this.routes.get(connection)!;
    route.cancelDeadline();
    this.routes.delete(connection);
    const { hello } = connection.session;
    const isPeer = hello?.volumeId === this.store.volumeId && hello.siteId !== this.store.siteId;
    const isForgotten = ending.by === 'us' && (ending.code === 'removed' || ending.code === 'retired');
    const peer = isPeer && !isForgotten ? this.roster.meet(hello) : undefined;
    // Who is turned away comes again and again; it is news once.
    const wasLinked = peer?.connection === connection && peer.isConnected;
    const isNews = wasLinked || peer?.lastError !== ending.reason;
    const details = { site: hello?.site, code: ending.code, by: ending.by, reason: ending.reason };
    this.options.log[isNews ? 'info' : 'debug'](details, 'link closed');
    peer?.unlinked(connection, ending, this.clock.wallMs());
    // Turned away before it said who it is: whoever answers at that address said so.
    const answering =
      hello === undefined && ending.by === 'peer' && route.target ? this.roster.peerAt(route.target) : null;
    if (answering) answering.lastError = ending.reason;
    if (peer && ending.by === 'peer' && ending.code === 'removed') {
      this.dropTargets((target) => target === route.target || target.siteId === peer.siteId);
      return;
    }
    this.follow(route, peer, ending);
  }

  /** A link ended: what is to be dialled now? */
  private follow({ target, readySinceMs }: Route, peer: Peer | undefined, ending: Ending): void {
    const pausedThere = ending.by === 'peer' && ending.code === 'paused';
    const lasted = readySinceMs !== null && this.clock.now() - readySinceMs >= LASTING_LINK_MS;
    const again = (dialled: DialTarget): void => {
      if (ending.code === 'renewed') dialled.forgive();
      if (lasted && !pausedThere) this.pursue(dialled);
      else this.failed(dialled, ending.reason, pausedThere ? PAUSED_RETRY_MS : undefined);
    };
    if (target && this.roster.targets.includes(target)) again(target);
    else if (peer) for (const other of this.roster.targetsOf(peer)) again(other);
  }

  // What is dialled.

  private targetAt(address: string, lasting: boolean): DialTarget {
    const target = new DialTarget(address, lasting, this.clock, this.options.random, () => this.attempt(target));
    target.siteId = this.roster.siteListeningAt(address);
    this.roster.targets.push(target);
    return target;
  }

  private dropTargets(drop: (target: DialTarget) => boolean): void {
    for (const target of this.roster.targets.filter(drop)) target.rest();
    this.roster.targets = this.roster.targets.filter((target) => !drop(target));
  }

  private pursue(target: DialTarget): void {
    if (this.running && this.roster.mayDial(target)) target.pursue();
  }

  private pursueAll(): void {
    for (const target of this.roster.targets) this.pursue(target);
    for (const peer of this.roster.peers.values()) this.knock(peer);
  }

  /** Dials a peer once that is not dialled otherwise: it would come by itself, but maybe only after a long pause. */
  private knock(peer: Peer): void {
    if (!this.running || peer.address === null || peer.connection || this.roster.isPaused(peer)) return;
    const dialled = (target: DialTarget): boolean => target.siteId === peer.siteId || target.address === peer.address;
    if (this.roster.targets.some(dialled)) return;
    this.pursue(this.targetAt(peer.address, false));
  }

  private failed(target: DialTarget, reason: string, longestPauseMs?: number): void {
    if (!target.lasting) this.dropTargets((other) => other === target);
    else if (this.running && this.roster.mayDial(target)) target.failed(reason, longestPauseMs);
    else target.rest();
  }

  private tick(): void {
    this.limitsChanged();
    for (const peer of this.roster.peers.values()) peer.measure(this.clock.now());
    this.exchange.tick(this.clock.wallMs());
    this.cancelTick = this.clock.setTimer(TICK_MS, () => this.tick());
  }

  private changed(): void {
    if (this.changeDue) return;
    this.changeDue = true;
    setImmediate(() => {
      this.changeDue = false;
      for (const check of this.waiters) check();
      this.emit('changed');
    });
  }

  // What this site says of itself.

  private announced(): string {
    return this.addresses()[0]!;
  }

  private quotedName(): string {
    return JSON.stringify(this.store.siteName);
  }

  private pausedReason(): string {
    return `the link was paused at site ${this.quotedName()}; resume it there (weft link resume)`;
  }

  private removedReason(): string {
    return `the link was removed at site ${this.quotedName()}; either site can restore it (weft link add)`;
  }
}
