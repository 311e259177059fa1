// durable-file.ts — replaces a small file so that a crash leaves the old bytes or the new ones, never a mixture.
// The order is the one that rename(2) and fsync(2) ask for: write a temporary file, fsync it, rename it over the target,
// fsync the directory. Not for bulk data: it holds the whole file in memory and waits for the disk twice.

import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { syncPath } from '../file-sync.js';

/** Atomically and durably replaces `path`; `mode` is the new file's permission bits. Throws Node's system errors. */
export function replaceFile(path: string, content: string, mode: number): void {
  const directory = dirname(path);
  const temporary = join(directory, `.${basename(path)}.${process.pid}.tmp`);
  rmSync(temporary, { force: true });
  const fd = openSync(temporary, 'wx', mode);
  try {
    try {
      writeFileSync(fd, content);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncPath(directory);
}
