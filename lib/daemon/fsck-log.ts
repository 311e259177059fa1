// fsck-log.ts — checks the segments of an intent log that nobody writes to.

import { closeSync, existsSync, fsyncSync, openSync, readdirSync, writeSync } from 'node:fs';
import { basename, join } from 'node:path';
import { intentPath } from '../journal/intent-log.js';
import { readSegment, type SegmentContent } from '../journal/intent-segment.js';
import type { Fault } from './fsck-report.js';

interface Segment extends SegmentContent {
  readonly path: string;
}

/** The segments of a directory's intent log that can be read. */
export function segmentsOf(directory: string): Segment[] {
  return pathsOf(directory).flatMap((path) => {
    const content = readSegment(path);
    return content ? [{ ...content, path }] : [];
  });
}

/** What is wrong with the log. Single flipped bits are put right whenever it is read; with `repair` in the file, too. */
export function checkLog(directory: string, faults: Fault[], repair: boolean): void {
  const readable = segmentsOf(directory);
  const unreadable = pathsOf(directory).filter((path) => readable.every((segment) => segment.path !== path));
  const fault = (what: string, repaired: boolean, remedy: string): void =>
    void faults.push({ class: 'log', what, paths: [], repaired, remedy });
  for (const path of unreadable) {
    fault(
      `${basename(path)}: its header is damaged`,
      false,
      'what it held and state.db does not is lost; weft mount goes on',
    );
  }
  for (const { path, bytes, healed, damage } of readable) {
    if (repair && healed.length > 0) rewrite(path, bytes);
    for (const what of healed) {
      fault(
        `${basename(path)}: ${what}`,
        repair,
        repair ? '' : 'weft fsck --repair; what reads it puts it right as well',
      );
    }
    if (damage !== undefined) {
      fault(
        `${basename(path)}: ${damage}`,
        false,
        'weft mount carries out what is before it, and keeps the rest aside',
      );
    }
  }
}

/** In place: most of it is what it was, and its length is. */
function rewrite(path: string, bytes: Buffer): void {
  const fd = openSync(path, 'r+');
  try {
    for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at, bytes.length - at, at);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function pathsOf(directory: string): string[] {
  const folder = intentPath(directory);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => /^[0-9a-f]{14}\.seg$/.test(name))
    .toSorted()
    .map((name) => join(folder, name));
}
