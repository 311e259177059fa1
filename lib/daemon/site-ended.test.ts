// site-ended.test.ts — what nobody waits for, of a site that ends.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';

const MODULE = new URL('site-ended.js', import.meta.url).href;

/** Exit code of a process in which nobody waits for a request that fails so. */
function exitCodeAfter(error: string): number {
  const program = `import { SiteEnded, unlessEnded } from '${MODULE}'; unlessEnded(Promise.reject(${error}));`;
  try {
    execFileSync(process.execPath, ['--input-type=module', '-e', program], { stdio: 'ignore' });
    return 0;
  } catch (failure) {
    return (failure as { status: number }).status;
  }
}

test('an unmount ended with an error because of a request that nobody waited for', () => {
  assert.equal(exitCodeAfter("new SiteEnded('the site is no longer mounted')"), 0);
});

test('what fails for another reason is not passed over', () => {
  assert.equal(exitCodeAfter("new Error('a bug')"), 1);
});
