import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';

const MODULE = JSON.stringify(new URL('thread-priority.js', import.meta.url).href);
/** proc_pid_stat(5), field 41, of the calling thread: 0 SCHED_OTHER, 2 SCHED_RR. */
const POLICY = `
  const { readFileSync } = require('node:fs');
  const policy = () => Number(readFileSync('/proc/thread-self/stat', 'latin1').split(') ').at(-1).split(' ')[38]);
`;
/** A thread is told of what waits, when, and how many threads run then; it says how it goes and rests after each. */
const PROGRAM = `
  ${POLICY}
  const { Worker } = require('node:worker_threads');
  const [steps, uid] = JSON.parse(process.argv[1]);
  if (uid !== null) process.setuid(uid);
  const thread = new Worker(
    ${JSON.stringify(`${POLICY}
      const { parentPort, workerData } = require('node:worker_threads');
      import(${MODULE}).then(({ ThreadPriority }) => {
        let running = 0;
        const priority = new ThreadPriority(() => running);
        const seen = workerData.map(([waiting, nowMs, threads]) => {
          running = threads;
          priority.merges(waiting, nowMs);
          return [policy(), priority.restMs > 0];
        });
        priority.end();
        parentPort.postMessage([...seen, [policy(), priority.restMs > 0]]);
      });`)},
    { eval: true, workerData: steps },
  );
  thread.once('message', (seen) => console.log(JSON.stringify([seen, policy()])));
`;
const skip = process.getuid?.() === 0 && process.platform === 'linux' ? false : 'needs root on Linux';
const MANY = 10_000;
const FIRST = [2, true];
const AS_ALL = [0, false];

function play(steps: readonly (readonly [boolean, number, number])[], uid: number | null = null): [unknown, number] {
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

test('for a plain user it goes as all others do', { skip }, () => {
  const [seen] = play([[true, 0, MANY]], 65534);
  assert.deepEqual(seen, [AS_ALL, AS_ALL]);
});

test(
  'the running threads of the machine are counted',
  { skip: process.platform === 'linux' ? false : 'needs Linux' },
  async () => {
    const { RunningThreads } = await import('./thread-priority.js');
    const running = new RunningThreads();
    const count = running.count();
    running.close();
    assert.ok(count >= 1 && count < MANY, `${count}`);
  },
);
