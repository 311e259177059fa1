// temporary-directory.ts — test support: a directory that is gone when the test is over, whatever happened.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

export function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'weft-journal-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
