// control-client.ts — asks the daemon of a state directory, over its control socket.
// One request at a time per connection. A daemon that ends in the middle of an answer is an error that says so.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { LineSplitter, MAX_REPLY_BYTES, parseReply, type ControlResults } from '../daemon/control-protocol.js';
import type { ControlRequest, ControlVerb } from '../daemon/control-request.js';
import { readSocketPath } from '../daemon/control-socket-path.js';
import { logPathOf } from '../daemon/state-directory.js';
import { StateLock } from '../daemon/state-lock.js';
import { Failure } from './failure.js';

type ArgumentsOf<V extends ControlVerb> = Omit<Extract<ControlRequest, { verb: V }>, 'id' | 'verb'>;

export class ControlClient {
  private nextId = 1;
  private readonly lines: AsyncGenerator<Buffer>;

  private constructor(
    private readonly socket: Socket,
    private readonly directory: string,
  ) {
    this.lines = readLines(socket);
    socket.on('timeout', () => socket.destroy(this.silent()));
  }

  /** Null when no daemon listens. Throws a {@link Failure} when the socket is another user's. */
  static async connect(directory: string): Promise<ControlClient | null> {
    if (StateLock.isHolderDead(directory)) return null;
    const socket = connect(readSocketPath(directory));
    try {
      await once(socket, 'connect');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ECONNREFUSED') return null;
      if (code === 'EACCES') {
        throw new Failure(`the daemon of ${directory} belongs to another user: run weft as that user`);
      }
      throw error;
    }
    return new ControlClient(socket, directory);
  }

  /**
   * The result of a request. Throws a {@link Failure} with the daemon's own message, or when it says nothing for
   * `silenceMs`.
   */
  async request<V extends ControlVerb>(
    verb: V,
    args: ArgumentsOf<V>,
    options: { onProgress?: (progress: unknown) => void; silenceMs?: number } = {},
  ): Promise<ControlResults[V]> {
    const id = this.nextId++;
    this.socket.setTimeout(options.silenceMs ?? 0);
    this.socket.write(`${JSON.stringify({ id, verb, ...args })}\n`);
    for (;;) {
      const { value: line, done } = await this.nextLine();
      if (done) throw this.ended();
      const reply = parseReply(line);
      if ('error' in reply) throw new Failure(reply.error);
      if ('progress' in reply) options.onProgress?.(reply.progress);
      else return reply.result as ControlResults[V];
    }
  }

  close(): void {
    this.socket.destroy();
  }

  private async nextLine(): Promise<IteratorResult<Buffer, undefined>> {
    try {
      return await this.lines.next();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ECONNRESET' || code === 'EPIPE') throw this.ended();
      throw error;
    }
  }

  private silent(): Failure {
    const pid = StateLock.holder(this.directory);
    const log = logPathOf(this.directory);
    return new Failure(
      `the daemon of ${this.directory} (process ${pid}) does not answer: see ${log}; kill -9 ${pid} and weft mount start anew`,
    );
  }

  private ended(): Failure {
    return new Failure(`the daemon ended before it answered: see ${logPathOf(this.directory)}`);
  }
}

async function* readLines(socket: Socket): AsyncGenerator<Buffer, undefined> {
  const splitter = new LineSplitter(MAX_REPLY_BYTES);
  for await (const chunk of socket) yield* splitter.push(chunk as Buffer);
  return undefined;
}
