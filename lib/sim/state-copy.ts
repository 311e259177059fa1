// state-copy.ts — a copy of a site's state directory, as a crash leaves it.
// Holes stay holes: packs are made longer megabytes at a time, and a crash must cost what is in them. Times stay, by which the kernel's
// writes to a local file are told. What only processes share (SQLite's -shm) does not outlive them.

import { closeSync, fstatSync, ftruncateSync, mkdirSync, openSync, readdirSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { seekData, seekHole } from '../file-calls.js';
import { fileTimeNs, setFileTime } from './file-times.js';

const scratch = Buffer.allocUnsafeSlow(1 << 20);

export function copyState(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) copyState(source, target);
    else if (!entry.name.endsWith('-shm')) copyFile(source, target);
  }
}

function copyFile(from: string, to: string): void {
  const source = openSync(from, 'r');
  const target = openSync(to, 'wx');
  try {
    const { size } = fstatSync(source);
    if (size > 0) ftruncateSync(target, size);
    for (let at = seekData(source, 0); at >= 0; at = seekData(source, at)) {
      const end = seekHole(source, at);
      while (at < end) {
        const count = readSync(source, scratch, 0, Math.min(scratch.length, end - at), at);
        writeSync(target, scratch, 0, count, at);
        at += count;
      }
    }
    setFileTime(target, fileTimeNs(source));
  } finally {
    closeSync(source);
    closeSync(target);
  }
}
