// control-server.ts — answers the command line on the unix socket of a running daemon.
// A thin layer over Daemon: check the line, call, answer. Whatever comes in, the daemon goes on: a bad line gets an
// `error` reply, a line without end closes its own connection. Requests of one connection are answered in their order;
// the next one is not read before, so that a client which does not read its replies holds up nobody but itself.

import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import type { Daemon, Log, SiteStatus, Transfer } from './daemon-interface.js';
import {
  isId,
  LineSplitter,
  LineTooLongError,
  MAX_REQUEST_BYTES,
  parseLine,
  type ControlReply,
} from './control-protocol.js';
import { controlRequest, type ControlRequest } from './control-request.js';
import { schemaIssues } from './schema-issues.js';

const MAX_CONNECTIONS = 64;
const PROGRESS_INTERVAL_MS = 2000;

export class ControlServer {
  private readonly connections = new Set<Socket>();
  /** Requests to stop whose answer is not out yet: the daemon's end must not cut these off. */
  private readonly stopping = new Set<Promise<void>>();
  private reportStopped!: () => void;
  /** Resolves when a `stop` request was carried out and answered. */
  readonly stopped = new Promise<void>((resolve) => (this.reportStopped = resolve));

  private constructor(
    private readonly daemon: Daemon,
    private readonly server: Server,
    private readonly log: Log,
  ) {}

  /** Listens at `path`, where a dead daemon's socket may lie. The caller holds the state lock. */
  static async listen(daemon: Daemon, path: string, log: Log): Promise<ControlServer> {
    rmSync(path, { force: true });
    const server = createServer({ allowHalfOpen: true });
    server.maxConnections = MAX_CONNECTIONS;
    const control = new ControlServer(daemon, server, log);
    server.on('connection', (socket) => void control.serve(socket));
    server.listen(path);
    await once(server, 'listening');
    chmodSync(path, 0o600);
    return control;
  }

  /** Ends all connections, after the answers to those that asked to stop, and removes the socket. */
  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    await Promise.all(this.stopping);
    for (const socket of this.connections) socket.destroy();
    await closed;
  }

  private async serve(socket: Socket): Promise<void> {
    this.connections.add(socket);
    socket.on('error', (error) => this.log.debug({ error: error.message }, 'control connection lost'));
    const lines = new LineSplitter(MAX_REQUEST_BYTES);
    try {
      for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
        for (const line of lines.push(chunk as Buffer)) await this.answer(socket, line);
      }
      for (const line of lines.end()) await this.answer(socket, line);
      socket.end();
    } catch (error) {
      if (error instanceof LineTooLongError) {
        this.log.warn({ error: error.message }, 'control request refused');
        socket.end(encode({ id: null, error: `${error.message}: the connection is closed` }), () => socket.destroy());
      } else {
        this.log.debug({ error: (error as Error).message }, 'control connection ended');
        socket.destroy();
      }
    } finally {
      this.connections.delete(socket);
    }
  }

  private async answer(socket: Socket, line: Buffer): Promise<void> {
    let id: number | null = null;
    try {
      const value = parseLine(line);
      id = idOf(value);
      const request = controlRequest.safeParse(value);
      if (!request.success) throw new Error(`no such request: ${schemaIssues(request.error)}`);
      if (request.data.verb === 'stop') return await this.stop(socket, request.data);
      const result = await this.carryOut(request.data, (progress) =>
        socket.write(encode({ id: request.data.id, progress })),
      );
      await send(socket, { id: request.data.id, result });
    } catch (error) {
      this.log.warn({ error: (error as Error).message }, 'control request failed');
      await send(socket, { id, error: (error as Error).message });
    }
  }

  private async stop(socket: Socket, { id, force }: Extract<ControlRequest, { verb: 'stop' }>): Promise<void> {
    const answered = this.daemon.stop(force).then(
      async (unshared) => {
        await send(socket, { id, result: unshared });
        this.reportStopped();
      },
      (error: Error) => {
        this.log.warn({ error: error.message }, 'not unmounted');
        return send(socket, { id, error: error.message });
      },
    );
    this.stopping.add(answered);
    await answered;
    this.stopping.delete(answered);
  }

  private async carryOut(
    request: Exclude<ControlRequest, { verb: 'stop' }>,
    report: (progress: Transfer) => void,
  ): Promise<unknown> {
    switch (request.verb) {
      case 'status':
        return this.daemon.status();
      case 'sync':
        return this.sync(request.timeoutMs, request.progress ? report : null);
      case 'pause':
        await this.daemon.pause(request.peer);
        return null;
      case 'resume':
        await this.daemon.resume(request.peer);
        return null;
      case 'addPeer':
        await this.daemon.addPeer(request.peer);
        return null;
      case 'removePeer':
        await this.daemon.removePeer(request.peer);
        return null;
      case 'peers':
        return this.daemon.peersKnown();
      case 'setRole':
        await this.daemon.setRole(request.site, request.kind);
        return null;
      case 'invite':
        return this.daemon.invite(request.ttlMs);
      case 'renameSite':
        await this.daemon.renameSite(request.name);
        return null;
      case 'rotateKey':
        return this.daemon.rotateKey();
      case 'backup':
        return this.daemon.backup(request.directory);
      case 'repair':
        return this.daemon.repair({ objects: request.objects, changes: request.changes });
      case 'conflicts':
        return this.daemon.conflicts(request.path);
      case 'history':
        return this.daemon.past.history(request.path, request.limit);
      case 'restore':
        return this.daemon.past.restore(request.path, request.version, request.to);
      case 'undelete':
        return this.daemon.past.undelete(request.path, request.since);
      case 'snapshots':
        return this.daemon.past.snapshots();
      case 'createSnapshot':
        await this.daemon.past.createSnapshot(request.name);
        return null;
      case 'deleteSnapshot':
        await this.daemon.past.deleteSnapshot(request.name);
        return null;
      case 'keep':
        await this.daemon.past.keep(request.where, request.retention);
        return null;
      case 'collect':
        return this.daemon.collect(request.carriesOut);
      case 'keepHistory':
        await this.daemon.keepHistory(request.durationMs);
        return null;
      case 'journal':
        return this.daemon.journal(request.awayMs);
      case 'limit':
        if (request.change !== null) this.daemon.bandwidth.change(request.change);
        return this.daemon.bandwidth.report();
      case 'content':
        await this.daemon.content.choose(request.change);
        return this.daemon.content.settings();
      case 'pin':
        await this.daemon.content.pin(request.paths);
        return null;
      case 'unpin':
        await this.daemon.content.unpin(request.paths);
        return null;
      case 'pins':
        return this.daemon.content.pins();
      case 'evict':
        return this.daemon.content.evict(request.path);
      case 'resolve':
        return this.daemon.resolveConflict(request.conflict, request.keep, request.merged);
      case 'settled':
        return this.daemon.settledConflicts();
      case 'undoResolve':
        return this.daemon.undoResolve(request.conflict);
    }
  }

  private async sync(
    timeoutMs: number,
    report: ((progress: Transfer) => void) | null,
  ): Promise<{ settled: boolean; status: SiteStatus }> {
    const waiting = report ? this.reportWhileWaiting(report) : null;
    try {
      const settled = await this.daemon.syncWait(timeoutMs);
      return { settled, status: await this.daemon.status() };
    } finally {
      waiting?.();
    }
  }

  /** Returns what ends the reports. The next one is only planned after the last: the site thread may be busy. */
  private reportWhileWaiting(report: (progress: Transfer) => void): () => void {
    let ended = false;
    let timer: NodeJS.Timeout;
    const plan = (): void => {
      timer = setTimeout(() => {
        this.daemon.transfer().then(
          (transfer) => {
            if (ended) return;
            report(transfer);
            plan();
          },
          (error: Error) => this.log.warn({ error: error.message }, 'nothing is known of what is on its way'),
        );
      }, PROGRESS_INTERVAL_MS);
    };
    plan();
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  }
}

function idOf(value: unknown): number | null {
  const id = (value as { id?: unknown } | null)?.id;
  return isId(id) ? id : null;
}

function encode(reply: ControlReply): string {
  return `${JSON.stringify(reply)}\n`;
}

/** Resolves when the reply is with the kernel; a client that went away is no error. */
async function send(socket: Socket, reply: ControlReply): Promise<void> {
  if (socket.destroyed || !socket.writable) return;
  await new Promise<void>((resolve) => socket.write(encode(reply), () => resolve()));
}
