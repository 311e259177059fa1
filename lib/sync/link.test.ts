import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import type { WebSocket } from 'ws';
import { Link } from './link.js';
import { systemClock } from './system-clock.js';

/** A connection that takes what it is given when the test says so. */
class SlowWebSocket extends EventEmitter {
  readonly OPEN = 1;
  readonly readyState = 1;
  bufferedAmount = 0;
  private readonly queue: { bytes: number; sent: () => void }[] = [];

  send(data: Uint8Array, _options: object, sent: () => void): void {
    this.bufferedAmount += data.length;
    this.queue.push({ bytes: data.length, sent });
  }

  /** Lets so many frames through. */
  take(frames: number): void {
    for (const { bytes, sent } of this.queue.splice(0, frames)) {
      this.bufferedAmount -= bytes;
      sent();
    }
  }

  ping(): void {}

  terminate(): void {
    this.emit('close');
  }

  end(): void {
    this.emit('close');
  }
}

test('a full link that has one more thing to say never has room again: the peer seems connected and gets nothing', () => {
  const webSocket = new SlowWebSocket();
  const socket = Object.assign(new EventEmitter(), { setNoDelay: () => {}, bytesRead: 0 });
  const link = new Link(webSocket as unknown as WebSocket, socket as unknown as Socket, systemClock);
  let drained = 0;
  link.listen({ message: () => {}, drained: () => drained++, corrupt: () => {}, closed: () => {} });
  const large = { type: 'objects', objects: [{ id: 'a'.repeat(64), kind: 1, bytes: Buffer.alloc(700_000) }] } as const;
  assert.equal(link.send(large), true);
  assert.equal(link.send(large), false, '1.4 MB wait');
  webSocket.take(1);
  assert.equal(link.send({ type: 'barrier' }), false, 'told to wait until it drained, which is at 0.5 MB');
  assert.equal(drained, 0);
  webSocket.take(1);
  assert.equal(drained, 1);
  assert.equal(link.send(large), true);
  webSocket.end();
});

test('a peer that asks on and on, and reads nothing of the answers, has them all kept for it', () => {
  const webSocket = new SlowWebSocket();
  const socket = Object.assign(new EventEmitter(), { setNoDelay: () => {}, bytesRead: 0 });
  const link = new Link(webSocket as unknown as WebSocket, socket as unknown as Socket, systemClock);
  const endings: string[] = [];
  const closed = (reason: string): unknown => endings.push(reason);
  link.listen({ message: () => {}, drained: () => {}, corrupt: () => {}, closed });
  const absent = { type: 'absent', ids: Array.from({ length: 1024 }, () => 'a'.repeat(64)) } as const;
  for (let sent = 0; endings.length === 0 && sent < 10_000; sent++) link.send(absent);
  assert.match(endings[0]!, /asks and does not read: 96 MiB wait/);
  assert.ok(webSocket.bufferedAmount < 97 * 2 ** 20);
});
