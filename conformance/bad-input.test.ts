// bad-input.test.ts — what people, other programs and failing disks do wrong gets one clear line, ends no daemon without saying why,
// and never yields wrong bytes (promise P8).

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  cpSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Cluster } from '../scripts/sites/cluster.js';
import type { CommandResult } from '../scripts/sites/command.js';

/** One line on standard error, nothing on standard output, the given exit code. */
function assertRefused(result: CommandResult, code: number, ...words: readonly RegExp[]): void {
  const shown = JSON.stringify(result);
  assert.equal(result.code, code, shown);
  assert.equal(result.stdout, '', shown);
  if (code === 1) assert.equal(result.stderr.trimEnd().split('\n').length, 1, `one line belongs on stderr: ${shown}`);
  for (const word of words) assert.match(result.stderr, word);
}

/** Flips one bit in the middle of every `everyBytes` of a file. */
function damage(path: string, everyBytes: number): void {
  const file = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  for (let at = everyBytes >> 1; at < fstatSync(file).size; at += everyBytes) {
    readSync(file, byte, 0, 1, at);
    byte[0]! ^= 0x10;
    writeSync(file, byte, 0, 1, at);
  }
  closeSync(file);
}

/** 'right', 'wrong', or the code of the error. */
function outcomeOf(isRight: () => boolean): string {
  try {
    return isRight() ? 'right' : 'wrong';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

/** What a person can do about a damaged database. */
const REMEDY = /weft join.* backup/;

/** SQLite's page size, as the database was made. */
const PAGE_BYTES = 4096;

function writeAt(path: string, offset: number, bytes: Buffer): void {
  const file = openSync(path, 'r+');
  writeSync(file, bytes, 0, bytes.length, offset);
  closeSync(file);
}

function databaseOf(state: string): string {
  const databases = filesBelow(state).filter(
    (path) => readFileSync(path).subarray(0, 15).toString() === 'SQLite format 3',
  );
  assert.equal(databases.length, 1, `databases in the state directory: ${databases.join(', ')}`);
  return databases[0]!;
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => join(directory, name))
    .filter((path) => statSync(path).isFile());
}

describe('bad input', () => {
  const cluster = new Cluster('weft-bad-input');
  const paris = cluster.addSite('paris');

  before(() => paris.create('team'));
  after(() => cluster.close());

  test('an unknown option or verb is wrong usage', async () => {
    assertRefused(await paris.weft(['status', '--wibble']), 2, /wibble/);
    assertRefused(await paris.weft(['wibble']), 2, /wibble/);
    assertRefused(await paris.weft(['create']), 2, /volume|mountpoint/i);
  });

  test('a mountpoint that does not exist is named, with the remedy', async () => {
    const missing = join(cluster.directory, 'missing');
    assertRefused(await paris.weft(['create', 'other', missing, '--state', `${missing}.state`]), 1, /missing/, /mkdir/);
  });

  test('a mountpoint that is in use is named', async () => {
    const state = join(cluster.directory, 'second.state');
    assertRefused(await paris.weft(['create', 'other', paris.mountpoint, '--state', state]), 1, /paris/);
    assertRefused(await paris.weft(['mount', paris.mountpoint]), 1, /mounted/);
    const full = cluster.scratch('full');
    writeFileSync(join(full, 'file'), 'in the way');
    assertRefused(await paris.weft(['create', 'other', full, '--state', state]), 1, /full/, /empty/);
  });

  test('a port in use is named', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    try {
      const mountpoint = cluster.scratch('port-in-use');
      const options = ['--listen', `127.0.0.1:${port}`, '--state', `${mountpoint}.state`];
      assertRefused(
        await paris.weft(['create', 'other', mountpoint, ...options]),
        1,
        new RegExp(String(port)),
        /in use/,
      );
      assert.deepEqual(readdirSync(mountpoint), []);
    } finally {
      server.close();
    }
  });

  test('an invite that is none, or that was used, is refused', async () => {
    const mountpoint = cluster.scratch('uninvited');
    const joinWith = (invite: string): Promise<CommandResult> =>
      paris.weft(['join', invite, mountpoint, '--state', `${mountpoint}.state`, '--site', 'uninvited']);
    const nonsense = await joinWith('wibble');
    assert.ok(nonsense.code === 1 || nonsense.code === 2, JSON.stringify(nonsense));
    assert.match(nonsense.stderr, /invite/);
    const invite = await paris.invite();
    const oslo = cluster.addSite('oslo');
    await oslo.join(invite);
    assertRefused(await joinWith(invite), 1, /invite/);
    await oslo.umount();
  });

  test('garbage on the port neither ends the daemon nor gets an answer of worth', async () => {
    const { listen, pid } = await paris.status();
    const port = Number(listen.slice(listen.lastIndexOf(':') + 1));
    const attacks = [
      Buffer.from('GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'),
      randomBytes(100_000),
      Buffer.from([0x16, 0x03, 0x01, 0xff, 0xff, ...randomBytes(2000)]),
      Buffer.alloc(3_000_000, 0x81),
    ];
    for (const bytes of attacks) {
      const socket = connect(port, '127.0.0.1');
      await once(socket, 'connect');
      socket.on('error', () => {}); // the daemon may cut it off
      socket.resume();
      socket.end(bytes);
      await new Promise((resolve) => socket.on('close', resolve));
    }
    assert.equal((await paris.status()).pid, pid);
    writeFileSync(join(paris.mountpoint, 'after-garbage'), 'fine');
    assert.equal(readFileSync(join(paris.mountpoint, 'after-garbage'), 'utf8'), 'fine');
  });

  test('a corrupt chunk is an I/O error for its file alone, never wrong bytes', async () => {
    const bytes = randomBytes(4 << 20);
    writeFileSync(join(paris.mountpoint, 'large'), bytes);
    writeFileSync(join(paris.mountpoint, 'small'), 'small');
    await paris.umount();
    const packs = filesBelow(paris.state).filter((path) => /pack/.test(path));
    assert.ok(packs.length > 0, 'no pack file in the state directory');
    for (const pack of packs) damage(pack, 1 << 20);
    await paris.mount();
    assert.equal(
      outcomeOf(() => readFileSync(join(paris.mountpoint, 'large')).equals(bytes)),
      'EIO',
    );
    assert.equal(readFileSync(join(paris.mountpoint, 'small'), 'utf8'), 'small');
    assert.match(paris.logTroubles(50).join('\n'), /corrupt|damaged|hash|checksum/i);
    writeFileSync(join(paris.mountpoint, 'large'), 'a new version\n');
    assert.equal(readFileSync(join(paris.mountpoint, 'large'), 'utf8'), 'a new version\n');
  });

  test('a database of garbage is named, and the daemon does not start on it', async () => {
    await paris.umount();
    await withDamage(async (database) => {
      const bytes = readFileSync(database);
      writeFileSync(database, Buffer.concat([bytes.subarray(0, PAGE_BYTES), randomBytes(bytes.length - PAGE_BYTES)]));
      assertRefused(await paris.weft(['mount', paris.mountpoint]), 1, /^weft: \S+state\.db is damaged: /, REMEDY);
      assert.deepEqual(readdirSync(paris.mountpoint), []);
    });
    await paris.mount();
  });

  test('a corrupt page of the database never yields wrong bytes', async () => {
    const files = Array.from({ length: 500 }, (_, index) => join(paris.mountpoint, 'many', `${index}`));
    mkdirSync(join(paris.mountpoint, 'many'));
    for (const file of files) writeFileSync(file, file);
    await paris.umount();
    for (let sixth = 0; sixth < 6; sixth++) {
      await withDamage(async (database) => {
        const pages = statSync(database).size / PAGE_BYTES;
        const page = 5 + Math.floor(((pages - 5) * sixth) / 6);
        writeAt(database, page * PAGE_BYTES, randomBytes(PAGE_BYTES));
        const mounted = await paris.weft(['mount', paris.mountpoint]);
        if (mounted.code !== 0) return assertRefused(mounted, 1, /state\.db is damaged: /, REMEDY);
        const outcomes = files.map((file) => outcomeOf(() => readFileSync(file, 'utf8') === file));
        const wrong = outcomes.filter((outcome) => outcome !== 'right' && outcome !== 'EIO');
        assert.deepEqual(wrong, [], `page ${page} of ${pages}`);
        assert.equal((await paris.weft(['umount', paris.mountpoint])).code, 0);
      });
    }
    await paris.mount();
    for (const file of files) assert.equal(readFileSync(file, 'utf8'), file);
  });

  /** Runs `work` on the database of the unmounted site, and restores the whole state afterwards. */
  async function withDamage(work: (database: string) => Promise<void>): Promise<void> {
    const sound = `${paris.state}.sound`;
    cpSync(paris.state, sound, { recursive: true, preserveTimestamps: true });
    try {
      await work(databaseOf(paris.state));
    } finally {
      rmSync(paris.state, { recursive: true });
      renameSync(sound, paris.state);
    }
  }
});
