// link.ts — one WebSocket as a transport of messages: frames, back-pressure, liveness, round-trip time.
// A peer that sends nothing at all, not even the answer to a ping, is cut off within DEAD_AFTER_MS; one that is slow is not, since
// any byte counts. Nothing here knows what the messages mean.

import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { BufferPool } from '../codec/buffer-pool.js';
import { CorruptionError } from '../codec/bytes.js';
import { encodeFrames, FrameAssembler, frameBytes } from './frame.js';
import type { Message } from './message.js';
import type { SyncClock } from './ports.js';

/** Bytes handed over and not yet taken by the kernel: above this the link has enough for now, and has room again below half of it. */
const HIGH_WATER_BYTES = 1024 * 1024;
/**
 * What a peer can make this site keep for it that does not read: all that one who reads may be owed (a window of changes, one of objects,
 * and a message), and answers to what it asks. One who asks on and on without reading is cut off.
 */
const MAX_UNREAD_BYTES = 96 * 1024 * 1024;
/** Of buffers for objects: as much as waits in a full link, with the message that filled it. */
const SPARE_BYTES = 4 * HIGH_WATER_BYTES;
const PING_EVERY_MS = 2500;
/** Silence is counted in whole ping intervals, so that a pause of this process is not held against the peer. */
const SILENT_PINGS = 3;
const CLOSE_WITHIN_MS = 1000;

export interface LinkEvents {
  message(message: Message): void;
  /** The link has room again. */
  drained(): void;
  /** Bytes that are no message came; nothing further is delivered. */
  corrupt(reason: string): void;
  /** The end; called once. */
  closed(reason: string): void;
}

export class Link {
  rttMs: number | null = null;
  /** Settles when the socket is gone. */
  readonly gone: Promise<void>;
  private events: LinkEvents | undefined;
  private readonly assembler = new FrameAssembler();
  private readonly buffers = new BufferPool(SPARE_BYTES);
  private full = false;
  private deaf = false;
  private reason = 'the connection broke off without a goodbye';
  private bytesReadBefore = -1;
  private silentPings = 0;
  private pingSentMs: number | null = null;
  private cancelTimer: () => void = () => {};

  /** `socket` is what carries the WebSocket. Nothing is delivered before {@link listen}, which must be called in the same turn. */
  constructor(
    private readonly webSocket: WebSocket,
    private readonly socket: Socket,
    private readonly clock: SyncClock,
  ) {
    socket.setNoDelay(true);
    this.gone = new Promise((resolve) => socket.once('close', () => resolve()));
  }

  listen(events: LinkEvents): void {
    this.events = events;
    this.webSocket.on('message', (data, isBinary) => this.receive(data as Buffer, isBinary));
    this.webSocket.on('pong', () => this.pong());
    // It was answered already.
    this.webSocket.on('ping', () => this.checkUnread());
    this.webSocket.on('error', (error) => {
      this.reason = `the connection broke: ${error.message}`;
    });
    this.webSocket.on('close', () => {
      this.cancelTimer();
      events.closed(this.reason);
    });
    this.watch();
  }

  /** Whether the link has room for more. */
  send(message: Message): boolean {
    const lent = message.type === 'objects' ? this.buffers.take(frameBytes(message)) : undefined;
    const frames = encodeFrames(message, lent);
    for (const frame of frames) {
      this.webSocket.send(frame, { binary: true }, () => {
        if (lent && frame === frames.at(-1)) this.buffers.give(lent);
        this.sent();
      });
    }
    // Once full it stays so until sent() says that it drained: whoever was told the one waits for the other.
    if (this.webSocket.bufferedAmount > HIGH_WATER_BYTES) this.full = true;
    this.checkUnread();
    return !this.full;
  }

  private checkUnread(): void {
    if (this.deaf || this.webSocket.bufferedAmount <= MAX_UNREAD_BYTES) return;
    this.deaf = true;
    this.reason = `it asks and does not read: ${MAX_UNREAD_BYTES / 2 ** 20} MiB wait for it`;
    this.webSocket.terminate();
  }

  /** Closes once what was sent is through, or a moment later all the same. */
  close(): void {
    this.deaf = true;
    this.cancelTimer();
    this.webSocket.close(1000);
    this.cancelTimer = this.clock.setTimer(CLOSE_WITHIN_MS, () => this.webSocket.terminate());
  }

  private receive(data: Buffer, isBinary: boolean): void {
    if (this.deaf) return;
    let message: Message | undefined;
    try {
      if (!isBinary) throw new CorruptionError('text where bytes belong');
      message = this.assembler.push(data);
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      this.deaf = true;
      this.events!.corrupt(error.message);
      return;
    }
    if (message) this.events!.message(message);
  }

  private sent(): void {
    if (!this.full || this.webSocket.bufferedAmount > HIGH_WATER_BYTES / 2) return;
    this.full = false;
    if (this.webSocket.readyState === this.webSocket.OPEN) this.events!.drained();
  }

  private watch(): void {
    const { bytesRead } = this.socket;
    this.silentPings = bytesRead === this.bytesReadBefore ? this.silentPings + 1 : 0;
    this.bytesReadBefore = bytesRead;
    if (this.silentPings >= SILENT_PINGS) {
      this.reason = `nothing was heard for ${(SILENT_PINGS * PING_EVERY_MS) / 1000} s`;
      this.webSocket.terminate();
      return;
    }
    this.pingSentMs ??= this.clock.now();
    this.webSocket.ping();
    this.cancelTimer = this.clock.setTimer(PING_EVERY_MS, () => this.watch());
  }

  private pong(): void {
    if (this.pingSentMs === null) return;
    this.rttMs = this.clock.now() - this.pingSentMs;
    this.pingSentMs = null;
  }
}

/** The last word on a link where nothing else was said; nothing is taken from it. */
export function bidFarewell(link: Link, goodbye: Message): void {
  link.listen({ message: () => {}, drained: () => {}, corrupt: () => {}, closed: () => {} });
  link.send(goodbye);
  link.close();
}
