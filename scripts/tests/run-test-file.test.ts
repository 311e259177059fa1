import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { isRunning } from '../sites/processes.js';
import { runTestFile } from './run-test-file.js';

/** mount(2) needs it. */
const notRoot = process.getuid?.() === 0 && process.platform === 'linux' ? false : 'needs root on Linux';

let scratch: string;
before(() => (scratch = mkdtempSync(join(tmpdir(), 'weft-run-tests-'))));
after(() => rmSync(scratch, { recursive: true }));

/** A test file with this body; `test` and `fs` are imported. */
function testFile(name: string, body: string): string {
  const path = join(scratch, `${name}.test.mjs`);
  writeFileSync(path, `import test from 'node:test'; import * as fs from 'node:fs';\n${body}\n`);
  return path;
}

/** Is aborted as soon as there is something in the file. */
function whenWritten(path: string): AbortSignal {
  const abort = new AbortController();
  const timer = setInterval(() => {
    if (!existsSync(path) || readFileSync(path).length === 0) return;
    clearInterval(timer);
    abort.abort();
  }, 20);
  timer.unref();
  return abort.signal;
}

test('tests are counted, suites and failures through subtests are not', async () => {
  const path = testFile(
    'counts',
    `test('a', () => {}); test('b', () => { throw new Error('broken on purpose'); });
     test.describe('suite', () => { test('c', () => {}); });
     test('d', async (t) => { await t.test('e', () => { throw new Error('x'); }); });
     test('f', { skip: true }, () => {});`,
  );
  const { passed, failed, skipped, troubles, output } = await runTestFile(path, 20_000);
  assert.deepEqual({ passed, failed, skipped, troubles }, { passed: 2, failed: 2, skipped: 1, troubles: [] });
  assert.match(output, /broken on purpose/);
});

test('a file that crashes, or holds no test, has failed', async () => {
  const crash = await runTestFile(testFile('crash', `test('a', () => {}); process.exit(3);`), 20_000);
  assert.equal(crash.failed, 1);
  assert.deepEqual(crash.troubles, ['exit code 3']);
  const broken = await runTestFile(testFile('syntax', 'this is no program'), 20_000);
  assert.equal(broken.failed, 1);
  const empty = await runTestFile(testFile('empty', ''), 20_000);
  assert.deepEqual(empty.troubles, ['no test ran']);
});

test('a file that hangs is killed when its time is up', async () => {
  const path = testFile('hang', `test('never', () => new Promise(() => setInterval(() => {}, 1000)));`);
  const { troubles } = await runTestFile(path, 1000);
  assert.deepEqual(troubles, ['not done after 1 s, killed']);
});

test('a file that is killed takes with it what it started', async () => {
  const pidPath = join(scratch, 'pid');
  const path = testFile(
    'starts',
    `import { spawn } from 'node:child_process';
     fs.writeFileSync(${JSON.stringify(pidPath)}, String(spawn('sleep', ['1000']).pid));
     test('never', () => new Promise(() => setInterval(() => {}, 1000)));`,
  );
  const { troubles } = await runTestFile(path, 20_000, whenWritten(pidPath));
  assert.deepEqual(troubles, ['died by SIGKILL']);
  assert.equal(isRunning(Number(readFileSync(pidPath, 'utf8'))), false);
});

test('a file that waits for a mount which it serves itself is ended all the same', { skip: notRoot }, async () => {
  const mountedPath = join(scratch, 'mounted');
  const path = testFile(
    'deadlock',
    `import { spawnSync } from 'node:child_process';
     import { tmpdir } from 'node:os';
     test('waits for itself', async () => {
       const fd = fs.openSync('/dev/fuse', 'r+');
       const options = 'fd=3,rootmode=40000,user_id=0,group_id=0';
       const args = ['-i', '-t', 'fuse', '-o', options, 'deadlock', tmpdir()];
       spawnSync('mount', args, { stdio: ['ignore', 'inherit', 'inherit', fd] });
       fs.writeFileSync(${JSON.stringify(mountedPath)}, '1');
       await fs.promises.readdir(tmpdir());
     });`,
  );
  const { troubles, seconds } = await runTestFile(path, 20_000, whenWritten(mountedPath));
  assert.deepEqual(troubles, ['died by SIGKILL']);
  assert.ok(seconds < 20, `${seconds} s`);
});

test('a daemon left behind is a failure, and is ended', async () => {
  const pidPath = join(scratch, 'daemon-pid');
  const path = testFile(
    'daemon',
    `import { spawn } from 'node:child_process';
     test('leaves one', () => {
       const child = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' });
       child.unref();
       fs.writeFileSync(${JSON.stringify(pidPath)}, String(child.pid));
     });`,
  );
  const result = await runTestFile(path, 20_000);
  assert.equal(result.passed, 1);
  assert.equal(result.failed, 1);
  assert.match(result.troubles[0]!, /processes left behind: \d+ \(sleep 1000\)/);
  assert.equal(isRunning(Number(readFileSync(pidPath, 'utf8'))), false);
});

test('temporary files go to a directory that does not outlive the file', async () => {
  const notePath = join(scratch, 'note');
  const path = testFile(
    'temporary',
    `import { tmpdir } from 'node:os';
     test('a', () => { fs.writeFileSync(tmpdir() + '/left', ''); fs.writeFileSync(${JSON.stringify(notePath)}, tmpdir()); });`,
  );
  assert.equal((await runTestFile(path, 20_000)).failed, 0);
  assert.equal(existsSync(readFileSync(notePath, 'utf8')), false);
});
