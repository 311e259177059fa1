// write-whole.ts — writes all of it, as programs have to: the daemon may die after part of a write, and write(2) then says how much there is.

import { writeSync } from 'node:fs';

/** Throws what the write of the rest fails with. */
export function writeWhole(fd: number, bytes: Buffer, offset: number): void {
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
}
