// tapped-wire.ts — somebody on the path between two sites: passes bytes on and keeps them, or puts itself in between with a key of its own.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import type { SiteKey } from '../lib/sync/site-key.js';
import { tlsOptions } from '../lib/sync/secure-channel.js';

/** What went over one connection, each way. */
export interface Recording {
  readonly fromDialler: Buffer[];
  readonly fromListener: Buffer[];
}

export class TappedWire {
  readonly recordings: Recording[] = [];
  private readonly sockets = new Set<Socket>();

  private constructor(private readonly server: Server) {}

  /** Passes everything on to `target`, HOST:PORT, as it is. */
  static async observer(target: string): Promise<TappedWire> {
    const wire: TappedWire = new TappedWire(createServer((near) => wire.join(near, connect(addressOf(target)))));
    return wire.listening();
  }

  /** Speaks TLS with both ends, with this key, and passes on what they say. */
  static async impostor(target: string, key: SiteKey): Promise<TappedWire> {
    const options = tlsOptions(key);
    const wire: TappedWire = new TappedWire(
      createTlsServer(options, (near) => wire.join(near, connectTls({ ...addressOf(target), ...options }))),
    );
    return wire.listening();
  }

  /** HOST:PORT to dial. */
  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Everything that was said, in whatever direction. */
  get everything(): Buffer {
    return Buffer.concat(this.recordings.flatMap(({ fromDialler, fromListener }) => [...fromDialler, ...fromListener]));
  }

  /** How much was said, in both directions. */
  passedBytes = 0;

  /** Ends all connections at once, without a word. */
  cut(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    this.server.close();
    await once(this.server, 'close');
  }

  private async listening(): Promise<TappedWire> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return this;
  }

  private join(near: Socket, far: Socket): void {
    const recording: Recording = { fromDialler: [], fromListener: [] };
    this.recordings.push(recording);
    for (const [from, to, kept] of [
      [near, far, recording.fromDialler],
      [far, near, recording.fromListener],
    ] as const) {
      this.sockets.add(from);
      from.on('data', (bytes: Buffer) => {
        kept.push(bytes);
        this.passedBytes += bytes.length;
        to.write(bytes);
      });
      from.on('error', () => to.destroy());
      from.on('end', () => to.end());
      from.on('close', () => this.sockets.delete(from));
    }
  }
}

function addressOf(target: string): { host: string; port: number } {
  const [host, port] = target.split(':') as [string, string];
  return { host, port: Number(port) };
}
