import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IngestJob, IngestResult } from '../chunks/ingest.js';
import type { WorkingCopy } from '../chunks/working-copy.js';
import { type HeldObjects, IngestJobs } from './ingest-jobs.js';

/** What becomes of the answer of a worker. */
function answered(objects: Partial<HeldObjects>): string {
  const asked: IngestJob[] = [];
  const held = { discardCount: 0, canAdopt: () => true, holdsVersion: () => false, ...objects };
  const jobs = new IngestJobs({ ingest: (job) => void asked.push(job) }, held);
  let became = '';
  const content = { job: (jobId: number) => ({ jobId }) } as unknown as WorkingCopy;
  jobs.ask(content, {
    ingested: () => (became = 'version'),
    failed: () => (became = 'failure'),
    outdated: () => (became = 'asked again'),
  });
  const result: IngestResult = { jobId: asked[0]!.jobId, manifestId: '', manifest: Buffer.alloc(0), objects: [] };
  jobs.ingested(result);
  return became;
}

test('a version was made of what nobody has, because the pack that it lies in was given up meanwhile', () => {
  assert.equal(answered({}), 'version');
  assert.equal(answered({ canAdopt: () => false }), 'asked again');
  // Nor where not everything is kept, and what is not here is thought to be elsewhere.
  assert.equal(answered({ canAdopt: () => false, holdsVersion: () => true }), 'asked again');
});
