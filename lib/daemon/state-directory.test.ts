import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { chooseSocketPath, MAX_SOCKET_PATH_BYTES, readSocketPath } from './control-socket-path.js';
import type { SiteConfig } from './daemon-interface.js';
import { InviteFile } from './invite-file.js';
import { siteKey } from './site-key-file.js';
import { dataHome, StateDirectory } from './state-directory.js';

const CONFIG: SiteConfig = {
  volumeId: '1'.repeat(32),
  volume: 'team',
  siteId: '2'.repeat(32),
  site: 'paris',
  mountpoint: '/mnt/team',
  listen: '127.0.0.1:0',
  driver: 'kernel',
  mountOptions: ['noatime'],
  peers: ['192.0.2.1:7420'],
  slot: null,
};

let scratch: string;
let directory: string;
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'weft-state-'));
  directory = join(scratch, 'deep', 'team');
});
afterEach(() => rmSync(scratch, { recursive: true }));

test('a site is read back as it was written, by another instance too', () => {
  const made = StateDirectory.create(directory, CONFIG);
  made.saveConfig({ ...made.config(), listen: '127.0.0.1:7420', slot: 3 });
  const read = StateDirectory.open(directory);
  assert.deepEqual(read.config(), { ...CONFIG, listen: '127.0.0.1:7420', slot: 3 });
});

test('what config() returns is a copy', () => {
  const state = StateDirectory.create(directory, CONFIG);
  state.config().peers.push('h:1');
  assert.deepEqual(state.config(), CONFIG);
});

test('all files are for the owner alone, and no temporary one stays', async () => {
  StateDirectory.create(directory, CONFIG);
  await siteKey(directory);
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  assert.deepEqual(readdirSync(directory).toSorted(), ['site.json', 'site.key']);
  for (const name of readdirSync(directory)) assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600, name);
});

test('a directory with a site, or with anything foreign, is not taken', () => {
  StateDirectory.create(directory, CONFIG);
  assert.throws(() => StateDirectory.create(directory, CONFIG), /already holds site paris of volume team: weft mount/);
  const foreign = join(scratch, 'foreign');
  mkdirSync(foreign);
  writeFileSync(join(foreign, 'thesis.tex'), '');
  assert.throws(() => StateDirectory.reserve(foreign), /holds thesis\.tex.*--state/);
  assert.equal(existsSync(join(foreign, 'thesis.tex')), true);
});

test(
  'a state directory that cannot be made is named, and creating it does not go on for ever',
  { timeout: 5000 },
  () => {
    const file = join(scratch, 'file');
    writeFileSync(file, '');
    assert.throws(
      () => StateDirectory.reserve(join(file, 'state')),
      /file\/state cannot be made \(ENOTDIR\): .*--state/,
    );
    if (process.platform === 'linux') {
      assert.throws(
        () => StateDirectory.reserve('/proc/weft/team'),
        /\/proc\/weft cannot be made \(ENOENT\): .*--state/,
      );
    }
  },
);

test('what an attempt that failed early left behind is no obstacle', () => {
  mkdirSync(directory, { recursive: true });
  for (const name of ['lock', 'daemon.log']) writeFileSync(join(directory, name), '');
  StateDirectory.create(directory, CONFIG);
});

test('damaged files are errors that name the file and the remedy', () => {
  assert.throws(() => StateDirectory.open(directory), /site\.json does not exist.*weft status/);
  StateDirectory.create(directory, CONFIG);
  const good = readFileSync(join(directory, 'site.json'), 'utf8');
  for (const bad of [
    '',
    '{',
    good.replace('"paris"', '7'),
    good.replace('kernel', 'nfs'),
    good.replace('peers', 'pears'),
  ]) {
    writeFileSync(join(directory, 'site.json'), bad);
    assert.throws(() => StateDirectory.open(directory), /site\.json is damaged.*restore it/);
  }
});

test('a config that could not be read again is never written', () => {
  const state = StateDirectory.create(directory, CONFIG);
  assert.throws(() => state.saveConfig({ ...CONFIG, siteId: 'x' }));
  assert.deepEqual(StateDirectory.open(directory).config(), CONFIG);
});

test('the data home: WEFT_HOME, root, XDG, home directory', () => {
  assert.equal(dataHome({ WEFT_HOME: '/srv/weft', XDG_DATA_HOME: '/x' }, 0), '/srv/weft');
  assert.equal(dataHome({ XDG_DATA_HOME: '/x' }, 0), '/var/lib/weft');
  assert.equal(dataHome({ XDG_DATA_HOME: '/x' }, 1000), '/x/weft');
  assert.equal(dataHome({ XDG_DATA_HOME: 'relative' }, 1000), join(homedir(), '.local/share/weft'));
});

test('the control socket lies in the state directory, or where a short path leads', () => {
  mkdirSync(directory, { recursive: true });
  assert.equal(readSocketPath(directory), join(directory, 'control.sock'));
  assert.equal(chooseSocketPath(directory), join(directory, 'control.sock'));
  const long = join(scratch, 'x'.repeat(60), 'y'.repeat(60));
  mkdirSync(long, { recursive: true });
  const path = chooseSocketPath(long);
  assert.ok(Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES, path);
  assert.equal(readSocketPath(long), path);
  assert.equal(chooseSocketPath(long), path, 'the same after a restart');
});

test('an invite is used once, also across restarts, and forgotten long after it expired', () => {
  mkdirSync(directory, { recursive: true });
  let nowMs = 1_000_000;
  const invite = { id: 'abcdefgh', secret: Buffer.alloc(16, 9), expiresAtMs: nowMs + 1000, used: false };
  const first = new InviteFile(directory, () => nowMs);
  first.create(invite);
  const second = new InviteFile(directory, () => nowMs);
  assert.deepEqual(second.find('abcdefgh'), invite);
  assert.equal(second.consume('abcdefgh'), true);
  assert.equal(second.consume('abcdefgh'), false);
  assert.equal(second.consume('unknown'), false);
  const third = new InviteFile(directory, () => nowMs);
  assert.equal(third.consume('abcdefgh'), false);
  assert.equal(third.find('abcdefgh')?.used, true);
  nowMs += 31 * 86_400_000;
  third.create({ ...invite, id: 'later', expiresAtMs: nowMs });
  assert.equal(new InviteFile(directory, () => nowMs).find('abcdefgh'), undefined);
  assert.equal(statSync(join(directory, 'invites.json')).mode & 0o777, 0o600);
  writeFileSync(join(directory, 'invites.json'), '[{}]');
  assert.throws(() => new InviteFile(directory, () => nowMs), /invites\.json is damaged/);
});

test('a site keeps its key, and one that is damaged is named with the remedy', async () => {
  StateDirectory.create(directory, CONFIG);
  const key = await siteKey(directory);
  assert.deepEqual(await siteKey(directory), key);
  assert.match(key.identity, /^[0-9a-f]{64}$/);
  const other = join(scratch, 'other');
  StateDirectory.create(other, CONFIG);
  const theirs = await siteKey(other);
  assert.notEqual(theirs.identity, key.identity);
  for (const damaged of ['short', key.privateKey, key.privateKey + theirs.certificate]) {
    writeFileSync(join(directory, 'site.key'), damaged);
    await assert.rejects(siteKey(directory), /site\.key is damaged .*weft link add/);
  }
});

test('a site that is given up leaves nothing behind, though a thread of it still makes files', async () => {
  mkdirSync(join(directory, 'intent'), { recursive: true });
  const program = `
    const { writeFileSync } = require('node:fs');
    const { workerData, parentPort } = require('node:worker_threads');
    try {
      for (let n = 0; ; n++) {
        writeFileSync(workerData + '/' + n, '');
        if (n === 100) parentPort.postMessage('at work');
      }
    } catch {}
  `;
  const worker = new Worker(program, { eval: true, workerData: join(directory, 'intent') });
  await new Promise((resolve) => worker.once('message', resolve));
  StateDirectory.discard(directory);
  await worker.terminate();
  assert.deepEqual(readdirSync(join(scratch, 'deep')), []);
});
