import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';

const MODULE = JSON.stringify(new URL('thread-priority.js', import.meta.url).href);
/** proc_pid_stat(5), field 19, of the calling thread. */
const NICE = `
  const { readFileSync } = require('node:fs');
  const nice = () => Number(readFileSync('/proc/thread-self/stat', 'latin1').split(') ').at(-1).split(' ')[16]);
`;
/** A thread raises itself; printed: whether it could, its nice value and that of the main thread before and after. */
const PROGRAM = `
  ${NICE}
  const { Worker } = require('node:worker_threads');
  if (process.argv[1] !== undefined) process.setuid(Number(process.argv[1]));
  const before = nice();
  const thread = new Worker(
    ${JSON.stringify(`${NICE}
      import(${MODULE}).then(({ raiseThread }) => {
        require('node:worker_threads').parentPort.postMessage([raiseThread(), nice()]);
      });`)},
    { eval: true },
  );
  thread.once('message', ([raised, own]) => console.log(JSON.stringify({ raised, own, before, after: nice() })));
`;
const skip = process.getuid?.() === 0 && process.platform === 'linux' ? false : 'needs root on Linux';

function raiseAs(uid?: number): { raised: boolean; own: number; before: number; after: number } {
  const user = uid === undefined ? [] : [String(uid)];
  return JSON.parse(execFileSync(process.execPath, ['-e', PROGRAM, ...user], { encoding: 'utf8' }));
}

test(
  'the thread that answers the kernel goes first, and the others of its process stay where they are',
  { skip },
  () => {
    const { raised, own, before, after } = raiseAs();
    assert.deepEqual({ raised, own }, { raised: true, own: -5 });
    assert.equal(after, before);
  },
);

test('for a plain user it goes as all others do', { skip }, () => {
  const { raised, own, before } = raiseAs(65534);
  assert.deepEqual({ raised, own }, { raised: false, own: before });
});
