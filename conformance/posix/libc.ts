// libc.ts — declares a C function so that it answers as the kernel does: what it returns, or the negated errno.
// Paths are latin1 strings of their bytes; null is a null pointer, for EFAULT. Everything here runs in the calling thread, in
// order and to its end: an assertion is about one call. Linux, 64 bits. Sources: the man pages of sections 2 and 3.

import { constants } from 'node:os';
import koffi from 'koffi';

const library = koffi.load(null);

/** A path as its bytes; null for the null pointer. */
export type Path = string | null;

/** What a call returned; below 0 the negated errno. */
export type Result = number;

/** A C function by its prototype, as koffi spells them: negative results become the negated errno. */
export function native(prototype: string): (...args: unknown[]) => Result {
  const call = library.func(prototype);
  return (...args) => {
    const result = call(...args) as number | bigint;
    return result < 0 ? -koffi.errno() : Number(result);
  };
}

/** The bytes of a path with the NUL that ends it. */
export function cString(path: Path): Buffer | null {
  return path === null ? null : Buffer.from(`${path}\0`, 'latin1');
}

const NAMES = new Map<number, string>();
// The first name of a number is the usual one (EAGAIN before EWOULDBLOCK), but for these two.
for (const [name, errno] of Object.entries(constants.errno)) if (!NAMES.has(errno)) NAMES.set(errno, name);
NAMES.set(constants.errno.EOPNOTSUPP, 'EOPNOTSUPP');
NAMES.set(constants.errno.EAGAIN, 'EAGAIN');

/** 'ok', or the errno's name. */
export function outcome(result: Result): string {
  return result >= 0 ? 'ok' : (NAMES.get(-result) ?? `errno ${-result}`);
}

/** A preparation that only root can make. */
export class NeedsRoot extends Error {
  constructor(what: string) {
    super(`${what} needs root`);
  }
}

/** For what an assertion needs before it can be made: a failure here is none of the call under test. */
export function must(what: string, result: Result): number {
  if (process.getuid!() !== 0 && ['EPERM', 'EACCES'].includes(outcome(result))) throw new NeedsRoot(what);
  if (result < 0) throw new Error(`cannot prepare: ${what}: ${outcome(result)}`);
  return result;
}
