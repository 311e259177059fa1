import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Progress, SiteConfig } from '../daemon/daemon-interface.js';
import { someSiteConfig } from '../daemon/site-config.test-support.js';
import { StateDirectory } from '../daemon/state-directory.js';
import { StateLock } from '../daemon/state-lock.js';
import { startInBackground } from './background-site.js';
import { Failure } from './failure.js';
import type { ReadySite, SiteJob } from './site-job.js';
import { Scratch } from './spawn-weft.test-support.js';

const FAKE = [fileURLToPath(new URL('./fake-daemon.test-support.js', import.meta.url)), 'daemon'];

let scratch: Scratch;
let earlierHome: string | undefined;
before(() => (earlierHome = process.env['WEFT_HOME']));
beforeEach(() => {
  scratch = new Scratch();
  process.env['WEFT_HOME'] = scratch.home;
});
afterEach(async () => {
  for (const name of existsSync(scratch.home) ? readdirSync(scratch.home) : []) {
    const directory = join(scratch.home, name);
    if (await StateLock.isHeld(directory)) process.kill(StateLock.holder(directory)!, 'SIGKILL');
  }
  scratch.remove();
});
after(() => {
  if (earlierHome === undefined) delete process.env['WEFT_HOME'];
  else process.env['WEFT_HOME'] = earlierHome;
});

function createJob(volume: string): SiteJob & { config: SiteConfig } {
  const directory = join(scratch.home, volume);
  const config = { ...someSiteConfig(scratch.folder(`${volume}-mount`)), volume };
  StateDirectory.reserve(directory);
  return { kind: 'create', directory, logLevel: 'info', config };
}

async function start(job: SiteJob, onProgress: (progress: Progress) => void = () => {}): Promise<ReadySite> {
  return startInBackground(FAKE, job, onProgress);
}

test('a created site answers the whole command line until it is unmounted', async () => {
  const job = createJob('team');
  const ready = await start(job);
  const { mountpoint } = job.config;
  assert.deepEqual(ready, {
    volume: 'team',
    site: 'paris',
    mountpoint,
    listen: '127.0.0.1:7420',
    logPath: join(job.directory, 'daemon.log'),
    toFetchBytes: 0,
  });

  const [
    one,
    all,
    table,
    below,
    synced,
    syncedHere,
    conflicts,
    none,
    asJson,
    history,
    restored,
    refused,
    undeleted,
    taken,
    listed,
    kept,
  ] = await Promise.all([
    scratch.weft(['status', mountpoint, '--json']),
    scratch.weft(['status', '--json']),
    scratch.weft(['status']),
    scratch.weft(['invite', join(mountpoint, 'not/there/yet'), '--expires', '2h']),
    scratch.weft(['sync', '--wait', mountpoint]),
    scratch.weft(['sync', '--wait'], { cwd: mountpoint }),
    scratch.weft(['conflicts', mountpoint]),
    scratch.weft(['conflicts', join(mountpoint, 'other')]),
    scratch.weft(['conflicts', join(mountpoint, 'plän'), '--json']),
    scratch.weft(['history', join(mountpoint, 'plän.md')]),
    scratch.weft(['restore', `${join(mountpoint, 'plän@home.md')}@2h`, '--to', join(mountpoint, 'old.md')]),
    scratch.weft(['restore', `${join(mountpoint, 'plän.md')}@never`]),
    scratch.weft(['undelete', join(mountpoint, 'plän')]),
    scratch.weft(['snapshot', 'create', 'before'], { cwd: mountpoint }),
    scratch.weft(['snapshot', 'list', mountpoint, '--json']),
    scratch.weft(['snapshot', 'keep', mountpoint, '--age', '30d', '--space', 'all', '--here']),
  ]);
  const report = JSON.parse(one.stdout) as Record<string, unknown>;
  assert.equal(report['volume'], 'team');
  assert.equal(report['mounted'], true);
  assert.equal(report['pid'], StateLock.holder(job.directory));
  assert.deepEqual(JSON.parse(all.stdout), [report]);
  assert.match(table.stdout, /^team +oslo +connected +0 +0$/m);
  assert.equal(below.stdout, 'weft://127.0.0.1:7420/team#for-7200000-ms\n');
  assert.match(synced.stdout, /in sync with oslo/);
  assert.match(syncedHere.stdout, /in sync with oslo/);
  assert.match(conflicts.stdout, /plän\\x1b\.md/);
  assert.equal(none.stdout, 'no conflicts\n');
  assert.match(asJson.stdout, /both wrote/);
  assert.match(history.stdout, /^1042-9fe3a1 \* +2026-11-\d\dT\d\d:00:00 +paris +\w+ +2\.0 KiB +written +\/plän\.md$/m);

  assert.equal(restored.stdout, 'version 1042-9fe3a1 is at /old.md\n');
  assert.match(refused.stderr, /has no version never: weft history/);
  assert.equal(undeleted.stdout, '/plän.undeleted is back (3 names)\n');
  assert.match(asJson.stdout, /"user": "root"/);
  assert.match(conflicts.stdout, /hidden +\/plän.* at oslo +root +2026-01-02T03:04:05 +5 B/);

  const here = { cwd: mountpoint };
  const unknown = await scratch.weft(['resolve', '2', '--keep', 'oslo'], here);
  assert.match(unknown.stderr, /no conflict is 2/);
  assert.match(
    (await scratch.weft(['resolve', '1', '--keep', 'oslo'], here)).stdout,
    /kept oslo.*--undo takes it back/,
  );
  assert.match((await scratch.weft(['conflicts', '--settled'], here)).stdout, /^1 +copy +oslo +2026-01-02/m);
  assert.match((await scratch.weft(['resolve', '1', '--undo'], here)).stdout, /^undone: /);
  assert.equal((await scratch.weft(['resolve', '1', '--undo'], here)).code, 1);

  assert.match(taken.stderr, /a snapshot before of oslo: choose another name/);
  assert.deepEqual(JSON.parse(listed.stdout), [
    {
      name: 'before',
      site: 'oslo',
      time: '2026-11-21T06:00:00.000Z',
      path: join(mountpoint, '.weft/snapshots/before'),
    },
  ]);
  assert.match(kept.stdout, /^in force here +30d +all +1\.0 KiB$/m);

  assert.equal((await scratch.weft(['link', 'pause', mountpoint])).code, 0);
  assert.equal((await scratch.weft(['link', 'add', mountpoint, '127.0.0.1:7421'])).code, 0);
  const removal = await scratch.weft(['link', 'remove', mountpoint, 'rome']);
  assert.equal(removal.code, 1);
  assert.equal(removal.stderr, 'weft: no peer is called rome: weft status lists them\n');

  const again = await scratch.weft(['mount', mountpoint]);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /mounted already/);

  assert.equal((await scratch.weft(['umount', mountpoint])).code, 0);
  assert.equal(await StateLock.isHeld(job.directory), false);
  assert.match((await scratch.weft(['status'])).stdout, /^team +paris +not mounted/m);
  const unmounted = await scratch.weft(['invite', mountpoint]);
  assert.equal(unmounted.code, 1);
  assert.match(unmounted.stderr, /weft mount/);
  assert.equal((await scratch.weft(['umount', mountpoint])).code, 1);
});

test('the state directory is private, and its log holds JSON lines', async () => {
  const job = createJob('team');
  await start(job);
  assert.equal(statSync(job.directory).mode & 0o777, 0o700);
  for (const name of ['site.json', 'control.sock', 'daemon.log', 'lock']) {
    assert.equal(statSync(join(job.directory, name)).mode & 0o077, 0, name);
  }
  for (const line of readFileSync(join(job.directory, 'daemon.log'), 'utf8').trim().split('\n')) JSON.parse(line);
});

test('an error of the daemon reaches the command, and leaves no state directory behind', async () => {
  const job = createJob('refused');
  await assert.rejects(start(job), new Failure('port 7420 is in use: choose another with --listen'));
  assert.equal(existsSync(job.directory), false);
});

test('an error of several lines is one line', async () => {
  await assert.rejects(start(createJob('broken')), new Failure('first line; second line'));
});

test('a daemon that is killed while it starts is an error with the end of its log', async () => {
  const job = createJob('killed');
  await assert.rejects(start(job), (error: Failure) => {
    assert.match(error.message, /ended by SIGKILL before the volume was mounted/);
    return true;
  });
  assert.equal(await StateLock.isHeld(job.directory), false);
});

test('a command that is interrupted while it waits ends the daemon and removes its state', async () => {
  const job = createJob('slow');
  const waiting = start(job);
  const outcome = assert.rejects(waiting, /interrupted before the volume was mounted/);
  while (!StateDirectory.isSite(job.directory)) await new Promise((resolve) => setTimeout(resolve, 10));
  process.emit('SIGINT', 'SIGINT');
  await outcome;
  assert.equal(existsSync(job.directory), false);
});

test('a failed create never removes a site that is already there', async () => {
  const job = createJob('team');
  await start(job);
  await assert.rejects(start(job), /in use by a running daemon \(process \d+\)/);
  assert.equal((await scratch.weft(['umount', job.config.mountpoint])).code, 0);
  await assert.rejects(start(job), /already holds site paris of volume team/);
  assert.equal(StateDirectory.open(job.directory).config().volume, 'team');
});

test('joining reports progress, and keeps what the inviter told', async () => {
  const directory = join(scratch.home, 'joined');
  StateDirectory.reserve(directory);
  const draft = {
    siteId: '3'.repeat(32),
    site: 'oslo',
    mountpoint: scratch.folder('oslo-mount'),
    listen: '127.0.0.1:0',
    driver: 'kernel' as const,
    mountOptions: ['noatime'],
  };
  const progress: Progress[] = [];
  const invite = 'weft://127.0.0.1:7420/joined#a.b';
  await start({ kind: 'join', directory, logLevel: 'debug', invite, draft }, (step) => progress.push(step));
  assert.equal(progress.length, 5);
  assert.deepEqual(progress[1], { what: 'changes', done: 1204, total: 5000 });
  const config = StateDirectory.open(directory).config();
  assert.deepEqual(config.peers, ['127.0.0.1:7420']);
  assert.deepEqual(config.mountOptions, ['noatime']);
  assert.equal((await scratch.weft(['umount', draft.mountpoint])).code, 0);
});

test('a site mounts again elsewhere with new options, which it keeps', async () => {
  const job = createJob('team');
  await start(job);
  assert.equal((await scratch.weft(['umount', job.config.mountpoint])).code, 0);
  const mountpoint = scratch.folder('elsewhere');
  const changes = { mountpoint, mountOptions: ['ro'] };
  const ready = await start({ kind: 'mount', directory: job.directory, logLevel: 'info', changes });
  assert.equal(ready.mountpoint, mountpoint);
  assert.deepEqual(StateDirectory.open(job.directory).config().mountOptions, ['ro']);
  assert.equal((await scratch.weft(['umount', mountpoint])).code, 0);
});

test('a busy mount is refused with the remedy, and --force unmounts it', async () => {
  const job = createJob('busy');
  await start(job);
  const refused = await scratch.weft(['umount', job.config.mountpoint]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /busy: fuser -m/);
  assert.equal((await scratch.weft(['umount', job.config.mountpoint, '--force'])).code, 0);
});

test('SIGTERM unmounts, detaching a mount that is in use', async () => {
  const job = createJob('busy');
  await start(job);
  process.kill(StateLock.holder(job.directory)!, 'SIGTERM');
  while (await StateLock.isHeld(job.directory)) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.match(readFileSync(join(job.directory, 'daemon.log'), 'utf8'), /"msg":"unmounted"/);
});

test('weft sync --wait --timeout names who is behind and exits 1', async () => {
  const job = createJob('lagging');
  await start(job);
  const outcome = await scratch.weft(['sync', '--wait', job.config.mountpoint, '--timeout', '200ms']);
  assert.equal(outcome.code, 1);
  assert.match(outcome.stderr, /not in sync after 0\.2 s: oslo lacks 3 changes/);
  assert.equal((await scratch.weft(['umount', job.config.mountpoint])).code, 0);
});

test('a state directory with a path longer than a socket may have', async () => {
  const job = createJob('team');
  job.directory = join(scratch.home, 'deep'.repeat(20), 'state'.repeat(10));
  StateDirectory.reserve(job.directory);
  await start(job);
  assert.equal((await scratch.weft(['status', job.config.mountpoint])).code, 0);
  assert.equal((await scratch.weft(['umount', job.config.mountpoint])).code, 0);
});
