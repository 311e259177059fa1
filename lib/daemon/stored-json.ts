// stored-json.ts — reads a small JSON file of a state directory and checks what is in it. Written are such files by durable-file.ts.
// Invariant: what comes back has the shape that was asked for; a file that is not there is undefined, and one that holds anything else is
// for the caller to answer, who knows what losing it means. It does not load zod: what every call of `weft` reads is checked by hand.

import { readFileSync } from 'node:fs';

/** A zod schema, or anything else that gives what it was handed as a T, or throws. */
export interface Shape<T> {
  parse(value: unknown): T;
}

/**
 * @param damaged says what to go on with, or throws an Error that names the remedy
 * @returns undefined when there is no such file
 */
export function readStored<T>(path: string, shape: Shape<T>, damaged: (cause: unknown) => T): T | undefined {
  let text;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return shape.parse(JSON.parse(text));
  } catch (error) {
    return damaged(error);
  }
}
