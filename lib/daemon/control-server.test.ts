import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import fc from 'fast-check';
import { LineSplitter, LineTooLongError, MAX_REQUEST_BYTES } from './control-protocol.js';
import { ControlServer } from './control-server.js';
import type { Daemon, Log } from './daemon-interface.js';

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

let directory: string;
let path: string;
let server: ControlServer;
let calls: string[];
let stopError: Error | null;
let stopped: () => void;

async function record(...call: unknown[]): Promise<void> {
  calls.push(call.join(' '));
}

const TRANSFER = { behindCommits: 0, aheadCommits: 0, missingObjects: 7, missingBytes: 1 << 20, receivingBytesPerS: 0 };

/** Records what it is asked; enough of a daemon for the socket. */
function recordingDaemon(): Daemon {
  const status = {
    volume: 'team',
    site: 'paris',
    siteId: '2'.repeat(32),
    mountpoint: '/mnt/team',
    listen: '127.0.0.1:7420',
    digest: 'd1',
    peers: [],
    pid: 1,
    driver: 'kernel' as const,
    conflicts: 0,
    inodes: 1,
    journalBytes: 0,
    journalHeldBy: null,
    chunkBytes: 0,
    missingObjects: 7,
    missingBytes: 1 << 20,
    absentBytes: null,
    unsharedBytes: 0,
    content: 'everything' as const,
    rssBytes: 0,
  };
  return {
    status: async () => status,
    transfer: async () => TRANSFER,
    syncWait: async (timeoutMs) => {
      await new Promise((resolve) => setTimeout(resolve, Math.min(timeoutMs, 2500)));
      return true;
    },
    pause: (peer) => record('pause', peer),
    resume: (peer) => record('resume', peer),
    peersKnown: async () => [],
    setRole: (site, kind) => record('setRole', `${site} ${kind}`),
    addPeer: (peer) => record('addPeer', peer),
    removePeer: () => Promise.reject(new Error('no such peer')),
    invite: async (ttlMs) => `invite ${ttlMs}`,
    renameSite: async () => {},
    rotateKey: async () => 'ab'.repeat(32),
    backup: async (directory) => ({ directory, bytes: 1, unfinishedFiles: 0 }),
    repair: async (damaged) => damaged,
    conflicts: async () => [],
    bandwidth: {
      report: () => ({ rules: [], now: { upBytesPerS: null, downBytesPerS: null } }),
      change: (change) => void record('limit', JSON.stringify(change)),
    },
    content: {
      settings: () => ({ policy: 'everything', cacheBytes: null, keepFreeBytes: null }),
      choose: (change) => record('choose', JSON.stringify(change)),
      pin: (paths) => record('pin', ...paths),
      unpin: (paths) => record('unpin', ...paths),
      pins: async () => [],
      evict: async () => assert.fail('not asked for'),
    },
    past: {
      history: async () => [],
      restore: async (path, version) => ({ path, version }),
      undelete: async (path) => ({ path, names: 1 }),
      snapshots: async () => ({
        snapshots: [],
        keep: { volume: {}, site: {}, inForce: { age: 1, count: 1, bytes: 1 } },
        isHidden: false,
      }),
      createSnapshot: (name) => record('createSnapshot', name),
      deleteSnapshot: (name) => record('deleteSnapshot', name),
      keep: (where, retention) => record('keep', where, JSON.stringify(retention)),
    },
    collect: async () => Promise.reject(new Error('not asked for here')),
    keepHistory: async () => {},
    journal: async (awayMs) => ({ bytes: 0, since: null, heldBy: null, awayMs: awayMs ?? 1, sites: [] }),
    resolveConflict: async () => assert.fail('not asked for'),
    settledConflicts: async () => [],
    undoResolve: async () => assert.fail('not asked for'),
    stop: async (force) => {
      if (stopError && !force) throw stopError;
      stopped();
      return { changes: 2, bytes: 99, files: 0 };
    },
    ended: new Promise<void>((resolve) => (stopped = resolve)),
  };
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'weft-control-'));
  path = join(directory, 'control.sock');
  calls = [];
  stopError = null;
  writeFileSync(path, 'left behind by a daemon that was killed');
  server = await ControlServer.listen(recordingDaemon(), path, silent);
});
afterEach(async () => {
  await server.close();
  rmSync(directory, { recursive: true });
});

/** Everything the server answers to `input`, until it or we (at the end of the input) close. */
async function exchange(input: string | Buffer): Promise<unknown[]> {
  const socket = connect(path);
  const answer = textOf(socket);
  socket.on('error', () => {});
  socket.end(input);
  return (await answer)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown);
}

function textOf(socket: Socket): Promise<string> {
  let text = '';
  socket.setEncoding('utf8').on('data', (part: string) => (text += part));
  return new Promise((resolve) => socket.on('close', () => resolve(text)));
}

const stillAnswers = async (): Promise<void> => {
  assert.deepEqual(await exchange('{"id":9,"verb":"invite","ttlMs":1}\n'), [{ id: 9, result: 'invite 1' }]);
};

test('the socket replaces a stale one, is private, and goes with the server', async () => {
  assert.equal(statSync(path).mode & 0o777, 0o600);
  await server.close();
  assert.equal(existsSync(path), false);
  server = await ControlServer.listen(recordingDaemon(), path, silent);
});

test('requests are answered in their order, each with its id', async () => {
  const answers = await exchange(
    '{"id":1,"verb":"pause","peer":null}\n{"id":2,"verb":"addPeer","peer":"h:1"}\n{"id":3,"verb":"removePeer","peer":"x"}\n',
  );
  assert.deepEqual(answers, [
    { id: 1, result: null },
    { id: 2, result: null },
    { id: 3, error: 'no such peer' },
  ]);
  assert.deepEqual(calls, ['pause ', 'addPeer h:1']);
});

test('a last line without an end is a request too', async () => {
  assert.deepEqual(await exchange('{"id":1,"verb":"invite","ttlMs":5}'), [{ id: 1, result: 'invite 5' }]);
});

test('bad requests get an error that says what is wrong, and the connection goes on', async () => {
  const lines = [
    'hello',
    '[]',
    'null',
    '{"id":1}',
    '{"id":1,"verb":"explode"}',
    '{"id":1,"verb":"stop"}',
    '{"id":1,"verb":"stop","force":"yes"}',
    '{"id":1,"verb":"status","more":1}',
    '{"id":-1,"verb":"status"}',
    '{"id":1,"verb":"sync","timeoutMs":0,"progress":false}',
    '{"id":1,"verb":"conflicts","path":"relative"}',
    '{"id":4,"verb":"invite","ttlMs":1}',
  ];
  const answers = (await exchange(`${lines.join('\n')}\n`)) as { id: number | null; error?: string }[];
  assert.equal(answers.length, lines.length);
  for (const answer of answers.slice(0, -1)) assert.equal(typeof answer.error, 'string');
  assert.equal(answers[0]!.id, null);
  assert.match(answers[0]!.error!, /no.* JSON/);
  assert.match(answers[4]!.error!, /verb/);
  assert.deepEqual(answers.at(-1), { id: 4, result: 'invite 1' });
});

test('a line that never ends is cut off with a reason', async () => {
  const answers = (await exchange(Buffer.alloc(MAX_REQUEST_BYTES + 2, 'x'))) as { error: string }[];
  assert.match(answers[0]!.error, /longer than 65536 bytes/);
  await stillAnswers();
});

test('random bytes never end the daemon', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
      for (const answer of (await exchange(Buffer.from(bytes))) as object[]) assert.ok('error' in answer);
    }),
    { numRuns: 50 },
  );
  await stillAnswers();
});

test('a client that hangs up in the middle harms nobody', async () => {
  for (const input of ['{"id":1,"verb":"status"}\n', '{"id":1,"verb":"sync","timeoutMs":100,"progress":true}\n{']) {
    const socket = connect(path);
    await new Promise((resolve) => socket.write(input, resolve));
    socket.destroy();
  }
  await stillAnswers();
});

test('waiting for peers reports progress when asked to', async () => {
  const answers = (await exchange('{"id":1,"verb":"sync","timeoutMs":10000,"progress":true}\n')) as object[];
  assert.deepEqual(answers[0], { id: 1, progress: TRANSFER });
  assert.equal((answers.at(-1) as { result: { settled: boolean } }).result.settled, true);
});

test('a stop is answered before the server closes; a refused one changes nothing', async () => {
  stopError = new Error('busy: fuser -m /mnt/team');
  assert.deepEqual(await exchange('{"id":1,"verb":"stop","force":false}\n'), [{ id: 1, error: stopError.message }]);
  await stillAnswers();
  const answer = exchange('{"id":2,"verb":"stop","force":true}\n');
  await server.stopped;
  await server.close();
  assert.deepEqual(await answer, [{ id: 2, result: { changes: 2, bytes: 99, files: 0 } }]);
  server = await ControlServer.listen(recordingDaemon(), path, silent);
});

test('lines come out whole however the bytes are cut', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 20 })), fc.array(fc.nat({ max: 9 })), (texts, cuts) => {
      const lines = texts.map((text) => text.replaceAll('\n', ' '));
      const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
      const splitter = new LineSplitter(100);
      const seen: string[] = [];
      let start = 0;
      for (const cut of [...cuts, bytes.length]) {
        for (const line of splitter.push(bytes.subarray(start, start + cut))) seen.push(line.toString('utf8'));
        start += cut;
      }
      assert.deepEqual(seen, lines);
    }),
  );
  assert.throws(() => [...new LineSplitter(3).push(Buffer.from('abcd\n'))], LineTooLongError);
});
