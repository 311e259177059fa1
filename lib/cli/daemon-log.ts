// daemon-log.ts — the daemon's log as a file: JSON lines in the state directory, and the same lines as text for people.
// At a start a log of over 16 MiB moves aside, so that one site keeps at most about twice that and what one run writes.

import { closeSync, fstatSync, openSync, readSync, renameSync, statSync } from 'node:fs';

/** From the most to the least that is written. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const ROTATE_BYTES = 16 * 1024 * 1024;
const TAIL_BYTES = 16 * 1024;

/** Moves a large log aside. Only before the file is opened for this run. */
export function rotateLog(path: string): void {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size > ROTATE_BYTES) renameSync(path, `${path}.1`);
}

/** The last `count` lines of a log as text. */
export function logTail(path: string, count: number): string[] {
  return lastLines(path).slice(-count).map(logLineText);
}

/** What a log's last line says, if that is an error: a daemon that ends by itself says last why. */
export function endingError(path: string): string | undefined {
  const line = lastLines(path).at(-1);
  const entry = line === undefined ? undefined : entryOf(line);
  return Number(entry?.level) >= ERROR ? String(entry!.msg) : undefined;
}

/** Those of its end. */
function lastLines(path: string): string[] {
  const fd = openSync(path, 'r');
  try {
    const { size } = fstatSync(fd);
    const buffer = Buffer.alloc(Math.min(size, TAIL_BYTES));
    const length = readSync(fd, buffer, 0, buffer.length, size - buffer.length);
    return buffer
      .toString('utf8', 0, length)
      .split('\n')
      .filter((line) => line.trim() !== '');
  } finally {
    closeSync(fd);
  }
}

const ERROR = 50;
const LEVELS: Record<number, string> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warn',
  [ERROR]: 'error',
  60: 'fatal',
};

/** `2026-01-02T03:04:05.678Z info  mounted mountpoint=/mnt/team`; a line that is not ours comes back as it is. */
export function logLineText(line: string): string {
  const entry = entryOf(line);
  if (!entry) return line;
  const { level, time, msg, ...details } = entry;
  const rest = Object.entries(details).map(
    ([name, value]) => ` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  return `${String(time)} ${(LEVELS[Number(level)] ?? String(level)).padEnd(5)} ${String(msg)}${rest.join('')}`;
}

/** Undefined for a line that is not ours. */
function entryOf(line: string): Record<string, unknown> | undefined {
  let entry: unknown;
  try {
    entry = JSON.parse(line);
  } catch {
    return undefined;
  }
  return typeof entry === 'object' && entry !== null && 'msg' in entry ? (entry as Record<string, unknown>) : undefined;
}
