// private-work.test.ts — what one site alone works on is known exactly, on any directory: here a local one.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Random } from '../../lib/sim/random.js';
import { writeSourceTree } from './copied-tree.js';
import { Ledger } from './ledger.js';
import { PrivateWork } from './private-work.js';

const STEPS = 80;
const AREA = 'oslo';

interface Worked {
  readonly root: string;
  readonly source: string;
  readonly work: PrivateWork;
  readonly ledger: Ledger;
}

function worked(t: TestContext): Worked {
  const directory = mkdtempSync(join(tmpdir(), 'weft-private-work-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const [root, source] = [join(directory, AREA), join(directory, 'source')];
  writeSourceTree(source);
  const ledger = new Ledger();
  const work = new PrivateWork(root, source, new Random('private work'), (report) => ledger.note(AREA, report));
  for (let i = 0; i < STEPS; i++) work.step();
  return { root, source, work, ledger };
}

test('every step leaves what it says that it leaves', (t) => {
  const { work, ledger } = worked(t);
  work.recover();
  assert.deepEqual(ledger.wrong, []);
  const steps = [...ledger.steps.keys()].toSorted();
  assert.deepEqual(steps, ['append', 'cp', 'git', 'mv', 'rm', 'save', 'write']);
  assert.match(ledger.area(AREA).head!, /^[0-9a-f]{40}$/);
});

test('what is lost, changed or not of this work is noticed', (t) => {
  const { root, work, ledger } = worked(t);
  const [lost, changed] = [...ledger.area(AREA).files.keys()];
  rmSync(join(root, lost!));
  writeFileSync(join(root, changed!), 'something else');
  mkdirSync(join(root, 'd0'), { recursive: true });
  writeFileSync(join(root, 'strange'), '');
  work.recover();
  assert.deepEqual(
    ledger.wrong.toSorted(),
    [
      `${AREA}: ${join(root, changed!)} is not what was written`,
      `${AREA}: ${join(root, lost!)} is gone`,
      `${AREA}: ${join(root, 'strange')} was not written`,
    ].toSorted(),
  );
});

test('what a step that failed may have touched is cleared away', (t) => {
  const { source, work, ledger } = worked(t);
  rmSync(source, { recursive: true });
  assert.throws(() => {
    for (let i = 0; i < STEPS; i++) work.step();
  });
  work.recover();
  assert.deepEqual(ledger.wrong, []);
});
