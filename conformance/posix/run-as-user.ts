// run-as-user.ts — the whole of posix.ts by a user who is not root: its daemon mounts through fusermount3, and it makes the calls.

import { join } from 'node:path';
import { PlainUser } from '../../scripts/sites/plain-user.js';
import type { DirectoryResult } from './run-suite.js';

/** On a fresh volume, then in a local directory; both as the same user, nosuid and nodev. Needs root. */
export async function runAsUser(only: readonly string[], driver: string): Promise<DirectoryResult[]> {
  const user = await PlainUser.create();
  try {
    const args = ['--json', '--driver', driver, ...only.flatMap((syscall) => ['--only', syscall])];
    const { stdout, code } = await user.script(join(import.meta.dirname, '../posix.js'), args);
    if (stdout === '') throw new Error(`the suite as a plain user ended early (exit code ${code})`);
    return JSON.parse(stdout) as DirectoryResult[];
  } finally {
    await user.close();
  }
}
