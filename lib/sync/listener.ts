// listener.ts — where other sites and guests come in: an HTTPS server that knows nothing but TLS-PSK and WebSockets.
// Whoever has not proved an identity gets no answer and little room: at most MAX_STRANGERS connections, the oldest gives way to the
// next, and each has STRANGER_MS to become a WebSocket. Whatever strangers send, the listener goes on.

import { createServer } from 'node:https';
import type { Server } from 'node:https';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { WebSocketServer } from 'ws';
import { formatAddress, parseAddress } from './address.js';
import { MAX_FRAME_BYTES } from './frame.js';
import { Link } from './link.js';
import type { SyncClock, SyncLog } from './ports.js';
import { IdentityCheck, PSK_TLS_OPTIONS } from './tls-psk.js';
import type { Identity } from './tls-psk.js';

const MAX_STRANGERS = 64;
const STRANGER_MS = 5000;

export interface ListenerOptions {
  readonly clock: SyncClock;
  readonly log: SyncLog;
  /** The key that proves an identity; null: not known here. */
  keyOf(identity: Identity): Uint8Array | null;
  /** A peer or guest that proved its identity. The link must be listened to at once. */
  accept(link: Link, identity: Identity, from: string): void;
}

export class Listener {
  private readonly identities: IdentityCheck;
  private readonly server: Server;
  private readonly sockets: WebSocketServer;
  /** Connections that are no WebSocket yet, oldest first, by remote address. */
  private readonly strangers = new Map<string, { socket: Socket; cancel: () => void }>();

  constructor(private readonly options: ListenerOptions) {
    this.identities = new IdentityCheck((identity) => options.keyOf(identity));
    this.server = createServer({
      ...PSK_TLS_OPTIONS,
      pskCallback: this.identities.pskCallback,
      pskIdentityHint: 'weft',
      maxHeaderSize: 4096,
    });
    this.sockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      skipUTF8Validation: true,
      maxPayload: MAX_FRAME_BYTES,
    });
    this.server.on('connection', (socket: Socket) => this.meet(socket));
    this.server.on('tlsClientError', (error, socket) => {
      options.log.info({ from: remote(socket), error: error.message }, 'a connection without a valid key was refused');
    });
    this.server.on('request', (_request, response) => response.writeHead(426).end());
    this.server.on('upgrade', (request, socket, head) => this.upgrade(request, socket, head));
  }

  /** Resolves to the HOST:PORT listened on. Rejects with an Error that names the remedy. */
  listen(address: string): Promise<string> {
    const { host, port } = parseAddress(address);
    return new Promise((resolve, reject) => {
      this.server.once('error', (error: NodeJS.ErrnoException) => reject(new Error(listenProblem(error, address))));
      this.server.listen({ host, port }, () => {
        this.server.on('error', (error) =>
          this.options.log.warn({ error: error.message }, 'the listener had an error'),
        );
        const bound = this.server.address();
        if (bound === null || typeof bound === 'string') throw new Error('a TCP server has no port');
        resolve(formatAddress({ host, port: bound.port }));
      });
    });
  }

  /** Takes no further connections; links live on. */
  close(): Promise<void> {
    for (const { socket } of this.strangers.values()) socket.destroy();
    return new Promise((resolve) => {
      this.server.close(() => resolve());
    });
  }

  private meet(socket: Socket): void {
    const from = remote(socket);
    const oldest = this.strangers.values().next().value;
    if (this.strangers.size >= MAX_STRANGERS) oldest?.socket.destroy();
    const cancel = this.options.clock.setTimer(STRANGER_MS, () => {
      this.options.log.info(
        { from },
        `a connection that did not prove an identity within ${STRANGER_MS} ms was cut off`,
      );
      socket.destroy();
    });
    this.strangers.set(from, { socket, cancel });
    socket.once('close', () => this.forget(from, socket));
  }

  /** With `socket`: unless the address belongs to another connection by now. */
  private forget(from: string, socket?: Socket): void {
    const stranger = this.strangers.get(from);
    if (stranger === undefined || (socket !== undefined && stranger.socket !== socket)) return;
    stranger.cancel();
    this.strangers.delete(from);
  }

  private upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const tlsSocket = socket as TLSSocket;
    const identity = this.identities.proved(tlsSocket);
    if (identity === undefined) {
      socket.destroy();
      return;
    }
    this.sockets.handleUpgrade(request, socket, head, (webSocket) => {
      const from = remote(tlsSocket);
      this.forget(from);
      this.options.accept(new Link(webSocket, tlsSocket, this.options.clock), identity, from);
    });
  }
}

function remote(socket: Socket): string {
  return `${socket.remoteAddress}:${socket.remotePort}`;
}

function listenProblem(error: NodeJS.ErrnoException, address: string): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return `${address} is in use by another program; choose another port with --listen HOST:PORT (port 0: any free one)`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${address} is no address of this machine; choose one with --listen HOST:PORT`;
    case 'EACCES':
      return `${address} needs privileges to listen on; choose a port above 1023 with --listen HOST:PORT`;
    default:
      return `cannot listen on ${address}: ${error.message}; choose another address with --listen HOST:PORT`;
  }
}
