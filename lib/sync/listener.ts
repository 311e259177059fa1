// listener.ts — where other sites and guests come in: a TLS server that asks for a key and then speaks nothing but WebSockets.
// Whoever is no member gets little room: at most MAX_STRANGERS connections, the oldest gives way to the next, and each has
// STRANGER_MS to say in one small message that it was invited. Whatever strangers send, the listener goes on.

import { createServer as createHttpServer } from 'node:http';
import type { IncomingMessage, Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer } from 'node:tls';
import type { Server, TLSSocket } from 'node:tls';
import { WebSocketServer } from 'ws';
import { formatAddress, parseAddress } from './address.js';
import { MAX_FRAME_BYTES } from './frame.js';
import { Link } from './link.js';
import type { SyncClock, SyncLog } from './ports.js';
import { SecureChannel, tlsOptions } from './secure-channel.js';
import type { SiteKey } from './site-key.js';

const MAX_STRANGERS = 64;
const STRANGER_MS = 5000;
const STRANGER_FRAME_BYTES = 4096;

/** Somebody whose key is known, and what it wants. */
export interface Arrival {
  readonly link: Link;
  readonly channel: SecureChannel;
  readonly wants: 'link' | 'join';
  /** HOST:PORT that it comes from. */
  readonly from: string;
  /** It is no stranger, or is one no more: it may stay. */
  welcome(): void;
}

export interface ListenerOptions {
  readonly clock: SyncClock;
  readonly log: SyncLog;
  readonly key: SiteKey;
  isMember(channel: SecureChannel): boolean;
  /** The link must be listened to at once. */
  accept(arrival: Arrival): void;
}

export class Listener {
  private key: SiteKey;
  private readonly server: Server;
  private readonly http: HttpServer;
  private readonly members = webSocketServer(MAX_FRAME_BYTES);
  private readonly others = webSocketServer(STRANGER_FRAME_BYTES);
  private readonly channels = new WeakMap<Duplex, SecureChannel>();
  /** Connections that are no link yet, oldest first, by remote address. */
  private readonly strangers = new Map<string, { socket: Socket; cancel: () => void }>();

  constructor(private readonly options: ListenerOptions) {
    const { log } = options;
    this.key = options.key;
    this.server = createServer(tlsOptions(this.key), (socket) => this.greet(socket));
    this.server.on('connection', (socket: Socket) => this.meet(socket));
    this.server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      log.info({ from: remote(socket), error: error.message.trim() }, handshakeProblem(error));
    });
    this.http = createHttpServer({ maxHeaderSize: 4096 });
    this.http.on('request', (_request, response) => response.writeHead(426).end());
    this.http.on('upgrade', (request, socket, head) => this.upgrade(request, socket, head));
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

  /** Whoever comes from now on is shown this key. */
  useKey(key: SiteKey): void {
    this.key = key;
    this.server.setSecureContext(tlsOptions(key));
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
    const oldest = this.strangers.entries().next().value;
    if (oldest && this.strangers.size >= MAX_STRANGERS) {
      oldest[1].socket.destroy();
      this.forget(oldest[0]);
    }
    const cancel = this.options.clock.setTimer(STRANGER_MS, () => {
      this.options.log.info({ from }, `a connection that did not become a link within ${STRANGER_MS} ms was cut off`);
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

  /** The handshake is through, and nothing was read yet. */
  private greet(socket: TLSSocket): void {
    const channel = SecureChannel.over(socket, this.key, false);
    if (channel === null) {
      this.options.log.info({ from: remote(socket) }, 'a connection that showed no key was refused');
      socket.destroy();
      return;
    }
    socket.on('error', (error) =>
      this.options.log.debug({ from: remote(socket), error: error.message }, 'a connection broke'),
    );
    this.channels.set(socket, channel);
    this.http.emit('connection', socket);
  }

  private upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const channel = this.channels.get(socket)!;
    const tlsSocket = socket as TLSSocket;
    const wants = request.url === '/join' ? 'join' : 'link';
    const isMember = wants === 'link' && this.options.isMember(channel);
    (isMember ? this.members : this.others).handleUpgrade(request, socket, head, (webSocket) => {
      const from = remote(tlsSocket);
      const link = new Link(webSocket, tlsSocket, this.options.clock);
      this.options.accept({ link, channel, wants, from, welcome: () => this.forget(from) });
    });
  }
}

function webSocketServer(maxPayload: number): WebSocketServer {
  return new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    skipUTF8Validation: true,
    maxPayload,
  });
}

function remote(socket: Socket): string {
  return `${socket.remoteAddress}:${socket.remotePort}`;
}

function handshakeProblem({ code }: NodeJS.ErrnoException): string {
  return code === 'ERR_SSL_UNSUPPORTED_PROTOCOL'
    ? 'a connection was refused: it does not speak TLS 1.3; is it an earlier version of weft?'
    : 'a connection was refused: its handshake failed';
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
