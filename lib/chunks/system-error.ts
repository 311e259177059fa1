// system-error.ts — an error of node:fs as the errno that the caller of a file system expects.

import { errnoOf, posixError } from '../errno.js';

/** Runs a file operation; its system error (`error.code`) is thrown as the PosixError of that code, anything else as it is. */
export function withErrno<T>(operation: () => T): T {
  try {
    return operation();
  } catch (error) {
    throw asErrno(error);
  }
}

/** A system error as the PosixError of its code, anything else as it is. */
export function asErrno(error: unknown): unknown {
  return error instanceof Error && 'syscall' in error ? posixError(errnoOf(error)) : error;
}
