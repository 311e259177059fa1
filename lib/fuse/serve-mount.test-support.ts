// serve-mount.test-support.ts — a process that serves a MemoryFileSystem until its standard input ends: `MOUNTPOINT [OPTION…]`.
// Prints `mounted`, or why not.

import { MemoryMount } from './memory-mount.test-support.js';

const [mountpoint, ...options] = process.argv.slice(2);
try {
  await MemoryMount.start(options, mountpoint);
  process.stdout.write('mounted\n');
} catch (error) {
  process.stdout.write(`${(error as Error).message}\n`);
  process.exit(1);
}
process.stdin.on('end', () => process.exit(0)).resume();
