// session.ts — serves one kernel mount from one thread, synchronously: read a request, handle it, reply.
// Invariant: a request that waits is answered before background work goes on; background work gets slices of at most SLICE_MS, when
// nothing waits (and then only until a request comes) or when it was put off for LONGEST_WAIT_MS. The session starts no timers and
// needs no event loop.
// The thread that runs it must not touch the mount, nor unmount it: the kernel would wait for the answer of the one who asks.

import { constants } from 'node:os';

import type { Ino, ObjectId } from '../crdt/ids.js';
import { ERRNO, type ErrnoCode } from '../errno.js';
import { CorruptionError } from '../codec/bytes.js';
import type { FileSystem } from '../volume/file-system.js';
import type { KernelCache } from '../volume/ports.js';
import { atimePolicy } from './atime-policy.js';
import { BackingFiles } from './backing-files.js';
import { Channel, ENDED, NOTHING } from './channel.js';
import { Dispatcher } from './dispatcher.js';
import type { DriverLog } from './driver-log.js';
import { IdleLatency } from './idle-latency.js';
import { type Agreement, agree, decodeInit, PROTOCOL_MAJOR, putInit, putVersion } from './init.js';
import { abandonMount, type Mounted, mountKernel } from './mount.js';
import { parseMountOptions } from './mount-options.js';
import { Notifier } from './notifier.js';
import { OPCODE, opcodeName } from './opcodes.js';
import { ParkedRequests } from './parked-requests.js';
import { putHeader, REPLY_HEADER_LENGTH } from './replies.js';
import { decodeInterrupt, decodeRequest, type Request } from './requests.js';
import { close } from './system-calls.js';
import { Wake } from './wake.js';

const { ENOENT, ENODEV } = constants.errno;

/** Longest slice of background work, ms. */
const SLICE_MS = 2;
/** Under a stream of requests, background work and wake-ups wait no longer than this, ms. */
const LONGEST_WAIT_MS = 20;
const HANDSHAKE_TIMEOUT_MS = 10_000;
const NOTIFIER_END_TIMEOUT_MS = 5_000;
const MAX_PARKED = 4096;
const MAX_PARKED_BYTES = 64 * 1024 * 1024;

export interface SessionOptions {
  readonly fileSystem: FileSystem;
  /** A directory; need not be empty. */
  readonly mountpoint: string;
  /** As given with `-o`. */
  readonly options: readonly string[];
  /** What df(1) shows as the source, e.g. the volume's name. */
  readonly source: string;
  readonly log: DriverLog;
}

/** What the serving thread does besides requests. Called from {@link Session.run} only. */
export interface SessionHooks {
  /**
   * The wake descriptor was signalled since the last call. Until `isOver` says that there is no more time: returns true when more waits,
   * and is called again as {@link background} is.
   */
  onWake(isOver: () => boolean): boolean;
  /**
   * Time for other work, until `isOver` says that the slice is used up: 2 ms have passed, or a request came. To be asked wherever the
   * work can be left. Returns true while more waits: it is called again as soon as no request waits, and every 20 ms even while requests
   * keep coming.
   */
  background(isOver: () => boolean): boolean;
  /**
   * Some microseconds of work that will have to be done anyhow, while the next request is likely to come soon: the caller is awake
   * on another processor by then. False when there is none.
   */
  workMeanwhile(): boolean;
  /**
   * How long the thread is to sleep between two slices of background work, ms, unless a request comes: so that others have the processor,
   * first of all who got a reply and is about to ask for more. 0: not at all.
   */
  restMs(): number;
  /** How long the thread may sleep when nothing waits, ms; -1: until a request or a wake-up. */
  nextTimeoutMs(): number;
  /** A request on a node waits for these objects: call {@link Session.resume} or {@link Session.fail} with them, in bounded time. */
  onAbsent(ids: readonly ObjectId[], node: Ino): void;
  /** Set to true to make run() return (after a wake-up, if the thread may be sleeping). */
  readonly stop: boolean;
}

export class Session {
  /** /dev/fuse. */
  readonly fd: number;
  /** Absolute path. */
  readonly mountpoint: string;
  /** What the kernel and the driver agreed on. */
  readonly agreement: Agreement;
  /** The kernel's caches, for the volume. Use it in the thread of run() only. */
  readonly kernelCache: KernelCache;
  private readonly wake: Wake;
  private readonly channel: Channel;
  private readonly dispatcher: Dispatcher;
  private readonly notifier: Notifier;
  private readonly backings: BackingFiles;
  private readonly fileSystem: FileSystem;
  private readonly log: DriverLog;
  private readonly parked = new ParkedRequests(MAX_PARKED, MAX_PARKED_BYTES);
  /** Inodes whose pages are to be dropped once no request on them waits for objects. */
  private readonly staleContents = new Set<Ino>();
  private hooks: SessionHooks | undefined;
  private readonly workMeanwhile = (): boolean => this.hooks!.workMeanwhile();
  private servedAny = false;
  private wakeTaken = false;

  /** Use {@link openSession}. */
  constructor(mounted: Mounted, wake: Wake, channel: Channel, agreement: Agreement, options: SessionOptions) {
    this.fd = mounted.fd;
    this.mountpoint = mounted.mountpoint;
    this.wake = wake;
    this.channel = channel;
    this.agreement = agreement;
    this.log = options.log;
    this.fileSystem = options.fileSystem;
    this.fileSystem.replyFirst();
    this.fileSystem.awaitForget();
    this.notifier = new Notifier(mounted.fd, options.log);
    this.kernelCache = {
      invalidateEntry: (parent, name) => this.notifier.invalidateEntry(parent, name),
      entryDeleted: (parent, name, child) => this.notifier.entryDeleted(parent, name, child),
      invalidateInode: (ino, content) => this.invalidateInode(ino, content),
    };
    this.backings = new BackingFiles(mounted.fd, options.log);
    const atime = atimePolicy(parseMountOptions(options.options));
    const { fileSystem, log } = options;
    const isAwaited = (ino: Ino): boolean => this.parked.waitsOn(ino);
    this.dispatcher = new Dispatcher(fileSystem, agreement, this.kernelCache, this.backings, log, atime, isAwaited);
  }

  /**
   * signalWake() of it ends the sleep of run(), from any thread. Whoever asks for it closes it (closeWake), when nobody can signal any
   * more: a signal after that would go to whatever file has the number by then.
   */
  takeWakeFd(): number {
    this.wakeTaken = true;
    return this.wake.fd;
  }

  /** True when the kernel has taken all invalidations given so far. */
  get cachesSettled(): boolean {
    return this.staleContents.size === 0 && this.notifier.settled;
  }

  /** Whether `Opened.backing` may be given from now on. `fd`: some file, open for reading and writing, where backings would be. */
  supportsPassthrough(fd: number): boolean {
    return this.agreement.passthrough && this.backings.probe(fd);
  }

  /** Requests handled so far, by name of the opcode. */
  requestCounts(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const [opcode, count] of this.dispatcher.counts.entries()) {
      if (count > 0) counts.set(opcodeName(opcode), count);
    }
    return counts;
  }

  /** Requests that wait for objects. */
  get parkedCount(): number {
    return this.parked.count;
  }

  /** Serves until the mount ends ('unmounted') or `hooks.stop` is set ('stopped'). Call {@link close} afterwards. */
  run(hooks: SessionHooks): 'unmounted' | 'stopped' {
    this.hooks = hooks;
    let backgroundDue = performance.now() + LONGEST_WAIT_MS;
    let more = true;
    let isWoken = false;
    let isRested = false;
    while (!hooks.stop) {
      const length = this.receive();
      if (length === ENDED) return 'unmounted';
      const now = performance.now();
      if (length !== NOTHING) {
        this.serve(length, now);
        isRested = false;
        if (now < backgroundDue) continue;
      } else if ((more || isWoken) && !isRested) {
        isRested = true;
        const restMs = hooks.restMs();
        if (restMs > 0) {
          this.channel.sleep(restMs);
          continue;
        }
      }
      if (this.channel.takeWake()) isWoken = true;
      if (isWoken) isWoken = hooks.onWake(this.slice(length === NOTHING));
      more = hooks.background(this.slice(length === NOTHING));
      if (performance.now() >= this.backings.nextCheckMs) this.dispatcher.releaseUnmapped();
      this.notifier.flush();
      backgroundDue = performance.now() + LONGEST_WAIT_MS;
      isRested = false;
      if (length === NOTHING && !more && !isWoken && !hooks.stop) this.channel.sleep(this.sleepMs(hooks));
    }
    return 'stopped';
  }

  /** Tells when a slice that begins now is over. One that was put off because requests keep coming does not give way to them. */
  private slice(givesWay: boolean): () => boolean {
    const endMs = performance.now() + SLICE_MS;
    return givesWay ? () => performance.now() >= endMs || this.channel.hasRequest() : () => performance.now() >= endMs;
  }

  /** Handles all requests that wait now, so that what was closed before is seen. Call it from within a hook. */
  drain(): void {
    for (let length = this.channel.receive(); length > 0; length = this.channel.receive()) {
      this.serve(length, performance.now());
    }
    this.dispatcher.releaseUnmapped();
  }

  /** These objects came: requests that waited for nothing else are handled again. */
  resume(ids: Iterable<ObjectId>): void {
    for (const request of this.parked.arrived(ids)) this.answer(request);
    this.dropStaleContents();
  }

  /** These objects will not come: requests that wait for any of them fail. */
  fail(ids: Iterable<ObjectId>, code: ErrnoCode): void {
    for (const request of this.parked.abandon(ids)) this.send(request, this.dispatcher.fail(request, ERRNO[code]));
    this.dropStaleContents();
  }

  /** Gives back descriptors and threads. A mount that is not unmounted yet becomes a dead one. */
  close(): void {
    if (this.notifier.close(NOTIFIER_END_TIMEOUT_MS)) close(this.fd);
    else this.log.warn({ mountpoint: this.mountpoint }, 'a notice to the kernel is stuck: its descriptor stays open');
    if (!this.wakeTaken) this.wake.close();
    this.channel.close();
  }

  private sleepMs(hooks: SessionHooks): number {
    const asked = hooks.nextTimeoutMs();
    if (this.backings.nextCheckMs === Infinity) return asked;
    const check = Math.max(0, this.backings.nextCheckMs - performance.now());
    return asked < 0 ? check : Math.min(asked, check);
  }

  private receive(): number {
    const length = this.channel.receive();
    if (length !== NOTHING || !this.servedAny) return length;
    this.servedAny = false;
    return this.channel.receiveSoon(this.workMeanwhile);
  }

  private serve(length: number, nowMs: number): void {
    this.servedAny = true;
    this.channel.noteArrival(nowMs);
    let request: Request;
    try {
      request = decodeRequest(this.channel.request, length);
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      this.log.error({ err: error, length }, 'a request without a valid header was dropped');
      return;
    }
    if (request.opcode === OPCODE.INTERRUPT) this.interrupt(request);
    else this.answer(request);
  }

  private answer(request: Request): void {
    const result = this.dispatcher.handle(request);
    if (typeof result === 'number') this.send(request, result);
    else if (this.parked.park(request, result.ids)) this.hooks?.onAbsent(result.ids, request.node);
    else {
      this.log.warn(
        { parked: this.parked.count },
        `${opcodeName(request.opcode)} failed: too many requests wait for objects`,
      );
      this.send(request, this.dispatcher.fail(request, ERRNO.EIO));
    }
  }

  private send(request: Request, length: number): void {
    const errno = length === 0 ? 0 : this.channel.send(this.dispatcher.reply, length);
    // While the caller wakes up on another processor.
    this.fileSystem.settle();
    if (errno === 0) return;
    this.dispatcher.undo(request, length);
    const opcode = opcodeName(request.opcode);
    if (errno === ENOENT || errno === ENODEV) {
      this.log.debug({ opcode }, 'nobody waits for this reply any more');
      return;
    }
    this.log.error({ opcode, node: request.node, length, errno }, 'the kernel refused a reply: its caller gets EIO');
    this.channel.send(this.dispatcher.reply, this.dispatcher.fail(request, ERRNO.EIO));
  }

  /** The caller got a signal. What is not parked has been answered already. */
  private interrupt(request: Request): void {
    const parked = this.parked.take(decodeInterrupt(request.body));
    if (parked === undefined) return;
    this.send(parked, this.dispatcher.fail(parked, ERRNO.EINTR));
    this.dropStaleContents();
  }

  /** A read that waits holds locks on its pages: a notice to drop them would be stuck until it ends, and all later ones behind it. */
  private invalidateInode(ino: Ino, content: boolean): void {
    const stuck = content && this.parked.waitsOn(ino);
    if (stuck) this.staleContents.add(ino);
    this.notifier.invalidateInode(ino, content && !stuck);
  }

  private dropStaleContents(): void {
    for (const ino of this.staleContents) {
      if (this.parked.waitsOn(ino)) continue;
      this.staleContents.delete(ino);
      this.notifier.invalidateInode(ino, true);
    }
  }
}

/** Waits for the kernel's INIT and answers it. */
function handshake(channel: Channel): Agreement {
  const reply = Buffer.alloc(128);
  for (;;) {
    channel.sleep(HANDSHAKE_TIMEOUT_MS);
    const length = channel.receive();
    if (length === NOTHING || length === ENDED) throw new Error('the kernel did not open the FUSE connection in time');
    const request = decodeRequest(channel.request, length);
    if (request.opcode !== OPCODE.INIT)
      throw new Error(`the kernel began with ${opcodeName(request.opcode)} instead of INIT`);
    const init = decodeInit(request.body);
    if (init.major > PROTOCOL_MAJOR) {
      const end = putVersion(reply, REPLY_HEADER_LENGTH);
      putHeader(reply, end, 0, request.unique);
      channel.send(reply, end);
      continue;
    }
    const agreement = agree(init);
    const end = putInit(reply, init, agreement, REPLY_HEADER_LENGTH);
    putHeader(reply, end, 0, request.unique);
    channel.send(reply, end);
    return agreement;
  }
}

/**
 * Mounts and agrees on the protocol; requests wait until {@link Session.run}. Throws a MountError, or an Error for a bad option, whose
 * message names the remedy.
 */
export function openSession(options: SessionOptions): Session {
  const mountOptions = parseMountOptions(options.options);
  const mounted = mountKernel(options.mountpoint, mountOptions, options.source);
  const wake = new Wake();
  let latency: IdleLatency | null = null;
  try {
    latency = mountOptions.powerSave ? null : IdleLatency.open();
    const channel = new Channel(mounted.fd, wake, latency);
    return new Session(mounted, wake, channel, handshake(channel), options);
  } catch (error) {
    latency?.close();
    wake.close();
    abandonMount(mounted);
    throw error;
  }
}
