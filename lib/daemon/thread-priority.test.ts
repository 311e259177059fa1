import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';

const MODULE = JSON.stringify(new URL('thread-priority.js', import.meta.url).href);
/** proc_pid_stat(5), field 41, of the calling thread: 0 SCHED_OTHER, 2 SCHED_RR. */
const POLICY = `
  const { readFileSync } = require('node:fs');
  const policy = () => Number(readFileSync('/proc/thread-self/stat', 'latin1').split(') ').at(-1).split(' ')[38]);
`;
/**
 * A thread is told of what waits, when, how many threads run then and how long it waited for a processor in all; it says how it goes and
 * rests after each.
 */
const PROGRAM = `
  ${POLICY}
  const { Worker } = require('node:worker_threads');
  const [steps, uid] = JSON.parse(process.argv[1]);
  if (uid !== null) process.setuid(uid);
  const thread = new Worker(
    ${JSON.stringify(`${POLICY}
      const { parentPort, workerData } = require('node:worker_threads');
      import(${MODULE}).then(({ ThreadPriority }) => {
        let now;
        const priority = new ThreadPriority({ running: () => now[2], waitedMs: () => now[3] ?? 0 });
        const seen = workerData.map((step) => {
          now = step;
          priority.merges(step[0], step[1]);
          return [policy(), priority.restMs];
        });
        priority.end();
        parentPort.postMessage([...seen, [policy(), priority.restMs]]);
      });`)},
    { eval: true, workerData: steps },
  );
  thread.once('message', (seen) => console.log(JSON.stringify([seen, policy()])));
`;
const skip = process.getuid?.() === 0 && process.platform === 'linux' ? false : 'needs root on Linux';
const MANY = 10_000;
const FIRST = [2, 2];
const AS_ALL = [0, 0];

function play(
  steps: readonly (readonly [boolean, number, number, number?])[],
  uid: number | null = null,
): [unknown, number] {
  const argument = JSON.stringify([steps, uid]);
  return JSON.parse(execFileSync(process.execPath, ['-e', PROGRAM, argument], { encoding: 'utf8' }));
}

test(
  'the thread that merges on a busy machine goes first and rests, and the others of its process stay where they are',
  { skip },
  () => {
    const [seen, main] = play([
      [false, 0, MANY],
      [true, 1, MANY],
      [false, 500, MANY],
      [false, 2000, MANY],
    ]);
    assert.deepEqual(seen, [AS_ALL, FIRST, FIRST, AS_ALL, AS_ALL]);
    assert.equal(main, 0);
  },
);

test('where no thread waits for a processor it goes as all do, without a rest', { skip }, () => {
  const [seen] = play([
    [true, 0, 1],
    [true, 10, MANY],
    [true, 50, 1],
    [true, 200, 1],
    [true, 300, MANY],
  ]);
  assert.deepEqual(seen, [AS_ALL, FIRST, FIRST, AS_ALL, FIRST, AS_ALL]);
});

test('where it has to wait for a processor itself, it leaves more to others', { skip }, () => {
  const [seen] = play([
    [true, 0, MANY, 1000],
    [true, 10, MANY, 1000],
    [true, 20, MANY, 1003],
    [true, 30, MANY, 1003],
    [true, 40, MANY, 2000],
  ]);
  assert.deepEqual(seen, [FIRST, FIRST, [2, 14], FIRST, [2, 50], AS_ALL]);
});

test('for a plain user it goes as all others do', { skip }, () => {
  const [seen] = play([[true, 0, MANY]], 65534);
  assert.deepEqual(seen, [AS_ALL, AS_ALL]);
});

test('how busy the processors are', { skip: process.platform === 'linux' ? false : 'needs Linux' }, async () => {
  const { Load } = await import('./thread-priority.js');
  const load = new Load();
  const [running, waitedMs] = [load.running(), load.waitedMs()];
  load.close();
  assert.ok(running >= 1 && running < MANY, `${running} threads`);
  assert.ok(waitedMs >= 0 && waitedMs < 3_600_000, `${waitedMs} ms`);
});
