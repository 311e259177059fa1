import assert from 'node:assert/strict';
import { test } from 'node:test';
import { journalReport } from './journal-report.js';

const ROME = { siteId: '0b'.repeat(16), site: 'rome', lacks: 12, seenMs: 1_700_000_000_000, isFenced: false };

test('what keeps the journal is said in words', () => {
  const stored = { journalBytes: 10, journalSinceUs: 0, journalHeldBy: null };
  const says = (hold: Parameters<typeof journalReport>[0]['journalHeldBy'], standings = [ROME], isUnsettled = false) =>
    journalReport({ ...stored, journalHeldBy: hold }, { standings, isUnsettled }, 0).heldBy;
  assert.equal(says(null), null);
  assert.equal(says(null, [{ ...ROME, seenMs: 0 }]), 'rome, not heard of yet');
  assert.equal(says({ by: 'sites' }), 'what rome may lack');
  assert.equal(says({ by: 'sites' }, [{ ...ROME, isFenced: true }]), null);
  assert.equal(says({ by: 'sites' }, [{ ...ROME, lacks: 0 }], true), 'what other sites have and this one does not yet');
  assert.equal(says(null, [ROME], true), 'what other sites have and this one does not yet');
  assert.equal(says({ by: 'history' }), 'history');
  assert.equal(says({ by: 'snapshot', name: 'before' }), 'snapshot before');
  assert.equal(says({ by: 'conflict', path: '/notes' }), 'the conflict at /notes');
});

test('moments are of the world, not of the machine', () => {
  const stored = { journalBytes: 10, journalSinceUs: 1_700_000_000_000_000, journalHeldBy: null };
  const report = journalReport(stored, { standings: [{ ...ROME, isFenced: true }], isUnsettled: false }, 5);
  assert.equal(report.since, '2023-11-14T22:13:20.000Z');
  assert.deepEqual(report.sites, [{ site: 'rome', lacks: 12, seen: '2023-11-14T22:13:20.000Z', fenced: true }]);
});
