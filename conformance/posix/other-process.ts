// other-process.ts — a second process for calls whose meaning is between processes: record locks, races for a name, appending.
// It is asked through two fifos and answers one line for each, synchronously at both ends, so that a test says in which order things
// happen; between `ask` and `answer` both processes run. Run as a program (two paths), this file is that other process.

import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readlinkSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  close,
  fcntl,
  fcntlLock,
  flock,
  lockOf,
  MAP_SHARED,
  mmap,
  PROT_READ,
  PROT_WRITE,
  write,
} from './file-calls.js';
import { must, type Result } from './libc.js';
import { chdir, mkfifo, O_APPEND, O_CREAT, O_EXCL, O_RDWR, O_WRONLY, open, rename } from './path-calls.js';

/** What it can be asked; the answer is a list of numbers. */
export type Request =
  | { readonly does: 'open'; readonly path: string; readonly flags: number }
  | { readonly does: 'close'; readonly fd: number }
  | { readonly does: 'chdir'; readonly path: string }
  | {
      readonly does: 'lock';
      readonly fd: number;
      readonly command: number;
      readonly lock: readonly [type: number, start: number, length: number];
    }
  | { readonly does: 'flock'; readonly fd: number; readonly operation: number }
  | { readonly does: 'fcntl'; readonly fd: number; readonly command: number; readonly argument: number }
  | { readonly does: 'append'; readonly path: string; readonly text: string; readonly times: number }
  | { readonly does: 'create'; readonly prefix: string; readonly count: number }
  | { readonly does: 'store'; readonly path: string; readonly at: number; readonly byte: number }
  | { readonly does: 'replace'; readonly path: string; readonly length: number; readonly times: number };

export class OtherProcess {
  private readonly directory = mkdtempSync(join(tmpdir(), 'posix-other-'));
  private readonly input: number;
  private readonly output: number;
  private rest = '';
  readonly pid: number;

  constructor() {
    const [input, output] = ['in', 'out'].map((name) => join(this.directory, name)) as [string, string];
    for (const path of [input, output]) must('mkfifo', mkfifo(path, 0o600));
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), input, output], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    child.unref();
    this.pid = child.pid!;
    this.input = openSync(input, 'w');
    this.output = openSync(output, 'r');
    // Node remembers a working directory that is not ours any more.
    this.tell({ does: 'chdir', path: readlinkSync('/proc/self/cwd') });
  }

  ask(request: Request): void {
    writeSync(this.input, `${JSON.stringify(request)}\n`);
  }

  answer(): number[] {
    const buffer = Buffer.alloc(65_536);
    for (let end = this.rest.indexOf('\n'); ; end = this.rest.indexOf('\n')) {
      if (end >= 0) {
        const line = this.rest.slice(0, end);
        this.rest = this.rest.slice(end + 1);
        return JSON.parse(line) as number[];
      }
      const length = readSync(this.output, buffer);
      if (length === 0) throw new Error('the other process ended');
      this.rest += buffer.toString('latin1', 0, length);
    }
  }

  /** Asks and waits; the first number of the answer. */
  tell(request: Request): number {
    this.ask(request);
    return this.answer()[0]!;
  }

  end(): void {
    closeSync(this.input);
    closeSync(this.output);
    rmSync(this.directory, { recursive: true });
  }
}

function answerTo(request: Request): number[] {
  switch (request.does) {
    case 'open':
      return [open(request.path, request.flags)];
    case 'close':
      return [close(request.fd)];
    case 'chdir':
      return [chdir(request.path)];
    case 'flock':
      return [flock(request.fd, request.operation)];
    case 'fcntl':
      return [fcntl(request.fd, request.command, request.argument)];
    case 'lock': {
      const lock = lockOf(...request.lock);
      const result = fcntlLock(request.fd, request.command, lock);
      return [
        result,
        lock.readInt16LE(0),
        Number(lock.readBigInt64LE(8)),
        Number(lock.readBigInt64LE(16)),
        lock.readInt32LE(24),
      ];
    }
    case 'append':
      return [append(request.path, request.text, request.times)];
    case 'create':
      return [createAll(request.prefix, request.count)];
    case 'store':
      return [store(request.path, request.at, request.byte)];
    case 'replace':
      return [replace(request.path, request.length, request.times)];
  }
}

/** Appends a text again and again, as one write(2) each. Returns how many were taken whole. */
export function append(path: string, text: string, times: number): Result {
  const fd = must('open', open(path, O_WRONLY | O_APPEND));
  let whole = 0;
  for (let i = 0; i < times; i++) if (write(fd, text) === text.length) whole++;
  must('close', close(fd));
  return whole;
}

/** Tries to be the one that makes `prefix0` … with O_EXCL. Returns how many it made. */
export function createAll(prefix: string, count: number): Result {
  let made = 0;
  for (let i = 0; i < count; i++) {
    const fd = open(`${prefix}${i}`, O_CREAT | O_EXCL | O_WRONLY, 0o644);
    if (fd < 0) continue;
    made++;
    must('close', close(fd));
  }
  return made;
}

/** Stores a byte through a shared mapping. Returns what was there. */
function store(path: string, at: number, byte: number): Result {
  const fd = must('open', open(path, O_RDWR));
  const mapping = mmap(fd, at + 1, PROT_READ | PROT_WRITE, MAP_SHARED);
  if (typeof mapping === 'number') return mapping;
  const before = mapping.bytes[at]!;
  mapping.bytes[at] = byte;
  must('munmap', mapping.unmap());
  must('close', close(fd));
  return before;
}

/** Puts file after file in the place of one, as editors save: each of one letter. Returns how many it put there. */
function replace(path: string, length: number, times: number): Result {
  let replaced = 0;
  for (let i = 0; i < times; i++) {
    const fd = must('open', open(`${path}.new`, O_CREAT | O_EXCL | O_WRONLY, 0o644));
    must('write', write(fd, String.fromCharCode(97 + (i % 26)).repeat(length)));
    must('close', close(fd));
    if (rename(`${path}.new`, path) === 0) replaced++;
  }
  return replaced;
}

function serve(input: number, output: number): void {
  const buffer = Buffer.alloc(65_536);
  for (let text = ''; ;) {
    const length = readSync(input, buffer);
    if (length === 0) return;
    text += buffer.toString('utf8', 0, length);
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      writeSync(output, `${JSON.stringify(answerTo(JSON.parse(text.slice(0, end)) as Request))}\n`);
      text = text.slice(end + 1);
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [input, output] = process.argv.slice(2);
  serve(openSync(input!, 'r'), openSync(output!, 'w'));
}
