import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';

const MODULE = JSON.stringify(new URL('thread-priority.js', import.meta.url).href);
/** proc_pid_stat(5), field 19, of the calling thread. */
const NICE = `
  const { readFileSync } = require('node:fs');
  const nice = () => Number(readFileSync('/proc/thread-self/stat', 'latin1').split(') ').at(-1).split(' ')[16]);
`;
/** A thread raises itself, and stops to: printed are its nice value meanwhile and then, and that of the main thread before and after. */
const PROGRAM = `
  ${NICE}
  const { Worker } = require('node:worker_threads');
  if (process.argv[1] !== undefined) process.setuid(Number(process.argv[1]));
  const before = nice();
  const thread = new Worker(
    ${JSON.stringify(`${NICE}
      import(${MODULE}).then(({ ThreadPriority }) => {
        const priority = new ThreadPriority();
        priority.raise(true);
        const raised = nice();
        priority.raise(false);
        require('node:worker_threads').parentPort.postMessage([raised, nice()]);
      });`)},
    { eval: true },
  );
  thread.once('message', ([raised, then]) => console.log(JSON.stringify({ raised, then, before, after: nice() })));
`;
const skip = process.getuid?.() === 0 && process.platform === 'linux' ? false : 'needs root on Linux';

function raiseAs(uid?: number): { raised: number; then: number; before: number; after: number } {
  const user = uid === undefined ? [] : [String(uid)];
  return JSON.parse(execFileSync(process.execPath, ['-e', PROGRAM, ...user], { encoding: 'utf8' }));
}

test('the thread that merges goes first meanwhile, and the others of its process stay where they are', { skip }, () => {
  const { raised, then, before, after } = raiseAs();
  assert.deepEqual([raised, then, after], [before - 5, before, before]);
});

test('for a plain user it goes as all others do', { skip }, () => {
  const { raised, then, before } = raiseAs(65534);
  assert.deepEqual([raised, then], [before, before]);
});
