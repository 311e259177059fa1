import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { ControlClient } from './control-client.js';
import { Failure } from './failure.js';

let directory: string;
let server: Server | null;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'weft-client-'));
  server = null;
});
afterEach(() => {
  server?.close();
  rmSync(directory, { recursive: true });
});

/** A daemon that does this to whoever connects. */
async function connectTo(serve: (socket: Socket) => void): Promise<ControlClient> {
  server = createServer(serve);
  await new Promise<void>((resolve) => server!.listen(join(directory, 'control.sock'), resolve));
  const client = await ControlClient.connect(directory);
  assert.ok(client);
  return client;
}

async function failureOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof Failure, String(error));
    return error.message;
  }
  throw new Error('it worked');
}

test('no daemon: no socket, or a socket that nobody serves', async () => {
  assert.equal(await ControlClient.connect(directory), null);
  writeFileSync(join(directory, 'control.sock'), '');
  assert.equal(await ControlClient.connect(directory), null);
});

test('a daemon that ends before it answers is named with its log', async () => {
  const client = await connectTo((socket) => socket.once('data', () => socket.destroy()));
  assert.match(await failureOf(client.request('status', {})), /ended before it answered: see .*daemon\.log/);
  client.close();
});

test('a daemon that says nothing is given up on', async () => {
  const client = await connectTo(() => {});
  assert.match(await failureOf(client.request('status', {}, { silenceMs: 50 })), /does not answer: see .*daemon\.log/);
  client.close();
});

test('progress comes before the result, and the error of the daemon is the error', async () => {
  const client = await connectTo((socket) => {
    socket.once('data', () => {
      socket.write('{"id":1,"progress":{"done":1}}\n{"id":1,"res');
      socket.write('ult":"an invite"}\n');
      socket.once('data', () => socket.write('{"id":2,"error":"no such peer"}\n'));
    });
  });
  const seen: unknown[] = [];
  const result = await client.request('invite', { ttlMs: 1 }, { onProgress: (progress) => seen.push(progress) });
  assert.equal(result, 'an invite');
  assert.deepEqual(seen, [{ done: 1 }]);
  assert.equal(await failureOf(client.request('removePeer', { peer: 'x' })), 'no such peer');
  client.close();
});
