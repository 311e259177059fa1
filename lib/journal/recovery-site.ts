// recovery-site.ts — test support: a process that lives to be killed.
// It recovers, then appends, applies, acknowledges and folds numbered operations as fast as it can, and writes a line for each
// when it is acknowledged: `<number> <inode number drawn for it>`. Not to be imported: it begins to work when it is loaded.

import { randomInt } from 'node:crypto';
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import type { ChangeOp } from '../crdt/change.js';
import { IntentLog } from './intent-log.js';
import { Journal } from './journal.js';
import { foldChange, predecessors } from './register-fold.js';

const [directory, actor, foldOpsText] = process.argv.slice(2) as [string, string, string];
const foldOps = Number(foldOpsText);
const journal = Journal.open(directory, { walTargetBytes: 2 ** 20 });
const log = IntentLog.open(join(directory, 'log'), journal.foldedLsn, { segmentBytes: 64 * 1024 });
const { store, actors } = journal;
let open: ChangeOp[] = [];
let number = Number(journal.meta('last number') ?? 0);
let nextFold = 1;

function apply(ino: number): void {
  number++;
  for (const [key, value] of [
    [`${ino}.mode`, number],
    ['1.times', `${number}`],
  ] as const) {
    const op = { key, value, pred: predecessors(key, store, actors) };
    open.push(op);
    foldChange({ actor, startOp: journal.maxOp + open.length, stamp: number, ops: [op] }, store, actors);
  }
  store.setDirent({ parent: 1, name: `file-${number}`, ino, link: 0, type: 8 });
}

function fold(): void {
  const { bytes, change } = journal.author(actor, open, number);
  journal.appendChange(bytes, change);
  open = [];
  journal.setMeta('last number', String(number));
  journal.commit(log.lastLsn);
  log.release(log.lastLsn);
  journal.relax();
}

for (const { payload } of log.recover(journal.foldedLsn)) apply(payload.readDoubleLE(8));
if (open.length > 0) fold();

const payload = Buffer.alloc(16);
for (;;) {
  const ino = 1_000 + journal.sequences.take();
  payload.writeDoubleLE(number + 1, 0);
  payload.writeDoubleLE(ino, 8);
  log.append(1, payload);
  writeSync(1, `${number + 1} ${ino}\n`);
  apply(ino);
  if (--nextFold <= 0) {
    fold();
    nextFold = randomInt(1, foldOps);
  }
}
