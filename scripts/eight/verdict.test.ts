// verdict.test.ts — the checks at the end of a run notice what they are for.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TreeEntry, TreeSnapshot } from '../sites/tree-snapshot.js';
import { Ledger } from './ledger.js';
import { keptAreas } from './verdict.js';

function treeOf(files: Readonly<Record<string, string>>): TreeSnapshot {
  return new Map(Object.entries(files).map(([path, content]) => [path, { type: 'file', content } as TreeEntry]));
}

test('a file of one site alone that is lost, changed or came back is named', () => {
  const ledger = new Ledger();
  ledger.note('oslo', {
    report: 'stored',
    files: [
      ['kept', 'aa'],
      ['changed', 'bb'],
      ['lost', 'cc'],
      ['removed', 'dd'],
    ],
  });
  ledger.note('oslo', { report: 'stored', files: [['removed', null]] });
  const tree = treeOf({
    'home/oslo/kept': 'aa',
    'home/oslo/changed': 'xx',
    'home/oslo/removed': 'dd',
    'home/oslo/repository/.git/HEAD': 'ee',
    'shared/file': 'ff',
  });
  assert.deepEqual(keptAreas(ledger, tree), [
    'home/oslo/changed is not what was written',
    'home/oslo/lost is lost',
    'home/oslo/removed was removed, or never written',
  ]);
});
