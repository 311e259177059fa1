// content.ts — read(2) and write(2) with their flags: O_APPEND, O_DIRECT, O_SYNC, O_DSYNC, offsets, limits; mmap(2), shared and private.

import {
  alignedBuffer,
  close,
  F,
  fcntl,
  fdatasync,
  fsync,
  lseek,
  MAP_PRIVATE,
  MAP_SHARED,
  mmap,
  type Mapping,
  MS_ASYNC,
  MS_SYNC,
  pread,
  PROT_READ,
  PROT_WRITE,
  pwrite,
  read,
  SEEK_CUR,
  SEEK_SET,
  write,
} from './file-calls.js';
import { must } from './libc.js';
import {
  O_APPEND,
  O_CREAT,
  O_DIRECT,
  O_DIRECTORY,
  O_DSYNC,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_SYNC,
  O_WRONLY,
  open,
  truncate,
} from './path-calls.js';
import { fstat, lstat } from './stat.js';
import { make, makeFile } from './things.js';
import type { Part, Trial } from './trial.js';

export const content: Part = {
  syscalls: ['read', 'write', 'fsync', 'mmap', 'fcntl', 'open'],
  run(trial) {
    checkErrors(trial);
    checkAppend(trial);
    checkOffsets(trial);
    for (const [name, flags] of [
      ['no flag', 0],
      ['O_SYNC', O_SYNC],
      ['O_DSYNC', O_DSYNC],
      ['O_DIRECT', O_DIRECT],
      ['O_DIRECT|O_SYNC', O_DIRECT | O_SYNC],
    ] as const)
      checkBlocks(trial, name, flags);
    checkSync(trial);
    checkMapping(trial);
    checkMapErrors(trial);
  },
};

/** The bytes of a file, read anew. */
function contentOf(path: string): string {
  const fd = must('open', open(path, O_RDONLY));
  const bytes = Buffer.alloc(Number(lstat(path).size) + 10);
  const length = must('pread', pread(fd, bytes, 0));
  must('close', close(fd));
  return bytes.toString('latin1', 0, length);
}

function checkErrors(trial: Trial): void {
  const path = makeFile(trial.name(), 'content');
  const bytes = Buffer.alloc(10);
  const descriptors: readonly [what: string, flags: number, reading: string, writing: string][] = [
    ['open for reading', O_RDONLY, 'ok', 'EBADF'],
    ['open for writing', O_WRONLY, 'EBADF', 'ok'],
    ['open for both', O_RDWR, 'ok', 'ok'],
    ['open with O_PATH', O_PATH, 'EBADF', 'EBADF'],
  ];
  for (const [what, flags, reading, writing] of descriptors) {
    const fd = must('open', open(path, flags));
    trial.about('read', what);
    trial.answers('read', reading, read(fd, bytes));
    trial.answers('pread', reading, pread(fd, bytes, 0));
    trial.answers('pread at a negative offset', 'EINVAL', pread(fd, bytes, -1));
    if (reading === 'ok') {
      trial.equal('at the end', pread(fd, bytes, 7), 0);
      trial.equal('behind the end', pread(fd, bytes, 10_000), 0);
      trial.equal('of no bytes', pread(fd, Buffer.alloc(0), 0), 0);
      trial.equal('across the end', pread(fd, bytes, 4), 3);
    }
    trial.about('write', what);
    trial.answers('write', writing, write(fd, 'content'));
    trial.answers('pwrite', writing, pwrite(fd, 'content', 0));
    trial.answers('pwrite at a negative offset', 'EINVAL', pwrite(fd, 'x', -1));
    if (writing === 'ok') {
      trial.answers('beyond 2^63', ['EFBIG', 'EINVAL'], pwrite(fd, 'xyz', 2n ** 63n - 2n));
      trial.equal('of no bytes', pwrite(fd, '', 100_000), 0);
      must('truncate', truncate(path, 7));
    }
    trial.equal('the size', lstat(path).size, 7n);
    must('close', close(fd));
    trial.answers('after close', 'EBADF', pwrite(fd, 'x', 0));
  }
  trial.about('read', 'a directory');
  const fd = must('open', open('.', O_RDONLY | O_DIRECTORY));
  trial.answers('read', 'EISDIR', read(fd, bytes));
  trial.answers('pread', 'EISDIR', pread(fd, bytes, 0));
  trial.about('write', 'a directory');
  trial.answers('write', 'EBADF', write(fd, 'x'));
  must('close', close(fd));
}

function checkAppend(trial: Trial): void {
  trial.about('write', 'O_APPEND');
  const path = makeFile(trial.name(), 'start ');
  const fd = must('open', open(path, O_RDWR | O_APPEND));
  const other = must('open', open(path, O_WRONLY | O_APPEND));
  let expected = 'start ';
  for (let i = 0; i < 50; i++) {
    const text = `line ${i};`;
    must('lseek', lseek(fd, 2, SEEK_SET));
    expected += text;
    trial.equal(`${i}: bytes written`, write(i % 2 === 0 ? fd : other, text), text.length);
    if (i % 2 === 0) trial.equal(`${i}: the offset`, lseek(fd, 0, SEEK_CUR), expected.length);
  }
  trial.equal('all of it', contentOf(path), expected);
  trial.equal('pwrite appends too (Linux)', pwrite(fd, 'end', 0), 3);
  trial.equal('after pwrite', contentOf(path), `${expected}end`);
  must('truncate', truncate(path, 5));
  must('write', write(fd, '!'));
  trial.equal('after truncate', contentOf(path), 'start!');
  trial.about('fcntl', 'O_APPEND');
  const plain = must('open', open(path, O_WRONLY));
  trial.equal('F_GETFL shows it', fcntl(fd, F.getfl) & O_APPEND, O_APPEND);
  trial.answers('F_SETFL sets it', 'ok', fcntl(plain, F.setfl, O_APPEND));
  must('write', write(plain, '?'));
  trial.equal('after F_SETFL', contentOf(path), 'start!?');
  trial.answers('F_SETFL clears it', 'ok', fcntl(plain, F.setfl, 0));
  must('pwrite', pwrite(plain, 'S', 0));
  trial.equal('after it was cleared', contentOf(path), 'Start!?');
  for (const descriptor of [fd, other, plain]) must('close', close(descriptor));
}

function checkOffsets(trial: Trial): void {
  trial.about('write', 'offsets');
  for (const at of [0, 1, 4095, 4096, 65_535, 100_000, 2 ** 31, 2 ** 32 + 5, 2 ** 43]) {
    const path = make('file', trial.name());
    const fd = must('open', open(path, O_RDWR));
    trial.equal(`at ${at}: bytes written`, pwrite(fd, 'island', at), 6);
    trial.equal(`at ${at}: the size`, fstat(fd).size, BigInt(at) + 6n);
    const bytes = Buffer.alloc(20, 1);
    const before = Math.min(10, at);
    trial.equal(`at ${at}: bytes read from before`, pread(fd, bytes, at - before), before + 6);
    trial.equal(`at ${at}: what they are`, bytes.toString('latin1', 0, before + 6), `${'\0'.repeat(before)}island`);
    must('close', close(fd));
  }
}

function checkBlocks(trial: Trial, name: string, flags: number): void {
  trial.about('write', name);
  const path = trial.name();
  const fd = open(path, O_CREAT | O_RDWR | flags, 0o644);
  if (!trial.answers('open', 'ok', fd)) return;
  const block = alignedBuffer(65_536);
  for (let i = 0; i < block.length; i++) block[i] = 1 + (i % 250);
  for (const [at, length] of [
    [0, 4096],
    [4096, 8192],
    [65_536, 65_536],
    [0, 65_536],
    [1_048_576, 4096],
  ] as const) {
    trial.equal(`${length} bytes at ${at}`, pwrite(fd, block.subarray(0, length), at), length);
    const back = alignedBuffer(length);
    trial.equal(`${length} bytes at ${at}: read`, pread(fd, back, at), length);
    trial.holds(`${length} bytes at ${at}: the same`, back.equals(block.subarray(0, length)));
    const other = must('open', open(path, O_RDONLY));
    back.fill(0);
    trial.equal(`${length} bytes at ${at}: read through the page cache`, pread(other, back, at), length);
    trial.holds(`${length} bytes at ${at}: the same through the page cache`, back.equals(block.subarray(0, length)));
    must('close', close(other));
  }
  trial.equal('the size', fstat(fd).size, 1_052_672n);
  must('close', close(fd));
}

function checkSync(trial: Trial): void {
  trial.about('fsync');
  for (const kind of ['file', 'directory'] as const) {
    const path = make(kind, trial.name());
    const fd = must('open', open(path, O_RDONLY));
    trial.answers(`a ${kind}`, 'ok', fsync(fd));
    trial.answers(`fdatasync of a ${kind}`, 'ok', fdatasync(fd));
    must('close', close(fd));
    trial.answers(`a closed ${kind}`, 'EBADF', fsync(fd));
    const pathOnly = must('open', open(path, O_PATH));
    trial.answers(`an O_PATH descriptor of a ${kind}`, 'EBADF', fsync(pathOnly));
    must('close', close(pathOnly));
  }
  const pipe = must('open', open(make('fifo', trial.name()), O_RDWR));
  trial.answers('a fifo', 'EINVAL', fsync(pipe));
  must('close', close(pipe));
}

function mapped(mapping: Mapping | number): Mapping {
  if (typeof mapping === 'number') must('mmap', mapping);
  return mapping as Mapping;
}

function checkMapping(trial: Trial): void {
  trial.about('mmap');
  const size = 3 * 4096;
  const path = makeFile(trial.name(), Buffer.alloc(size, 'a'));
  const fd = must('open', open(path, O_RDWR));
  const shared = mapped(mmap(fd, size, PROT_READ | PROT_WRITE, MAP_SHARED));
  const own = mapped(mmap(fd, size, PROT_READ | PROT_WRITE, MAP_PRIVATE));
  trial.equal('shared: what is there', shared.bytes[5000]!, 97);
  trial.equal('private: what is there', own.bytes[5000]!, 97);
  const one = Buffer.alloc(1);
  const readAt = (at: number): number => (must('pread', pread(fd, one, at)), one[0]!);
  shared.bytes[10] = 98;
  trial.equal('a store is read', readAt(10), 98);
  must('pwrite', pwrite(fd, 'c', 20));
  trial.equal('a write is seen', shared.bytes[20]!, 99);
  own.bytes[4096] = 100;
  trial.equal('a private store is not read', readAt(4096), 97);
  trial.equal('nor seen in the shared mapping', shared.bytes[4096]!, 97);
  trial.answers('msync MS_SYNC', 'ok', shared.sync(MS_SYNC));
  trial.answers('msync MS_ASYNC', 'ok', shared.sync(MS_ASYNC));
  trial.answers('msync of both', 'EINVAL', shared.sync(MS_SYNC | MS_ASYNC));
  const other = must('open', open(path, O_RDONLY));
  must('pread', pread(other, one, 10));
  trial.equal('another descriptor reads a store', one[0]!, 98);
  must('close', close(other));
  shared.bytes[size - 1] = 101;
  trial.answers('munmap', 'ok', shared.unmap());
  trial.answers('munmap of the private one', 'ok', own.unmap());
  must('close', close(fd));
  const text = contentOf(path);
  trial.equal('after all is closed', `${text[10]}${text[20]}${text[4096]}${text[size - 1]}`, 'bcae');
  trial.equal('the size', lstat(path).size, BigInt(size));
  const late = must('open', open(path, O_RDWR));
  const outlives = mapped(mmap(late, 4096, PROT_READ | PROT_WRITE, MAP_SHARED));
  must('close', close(late));
  outlives.bytes[0] = 122;
  trial.answers('msync after close', 'ok', outlives.sync(MS_SYNC));
  trial.equal('a store after close is read', contentOf(path)[0]!, 'z');
  must('munmap', outlives.unmap());
}

function checkMapErrors(trial: Trial): void {
  trial.about('mmap', 'errors');
  const path = makeFile(trial.name(), Buffer.alloc(4096, 'a'));
  const map = (flags: number, protection: number, kind: number): number => {
    const fd = must('open', open(path, flags));
    const result = mmap(fd, 4096, protection, kind);
    must('close', close(fd));
    return typeof result === 'number' ? result : result.unmap();
  };
  trial.answers('shared and writable of what is open for reading', 'EACCES', map(O_RDONLY, PROT_WRITE, MAP_SHARED));
  trial.answers(
    'private and writable of what is open for reading',
    'ok',
    map(O_RDONLY, PROT_READ | PROT_WRITE, MAP_PRIVATE),
  );
  trial.answers('readable of what is open for writing', 'EACCES', map(O_WRONLY, PROT_READ, MAP_SHARED));
  trial.answers('neither shared nor private', 'EINVAL', map(O_RDWR, PROT_READ, 0));
  trial.answers('an O_PATH descriptor', 'EBADF', map(O_PATH, PROT_READ, MAP_SHARED));
  const fd = must('open', open('.', O_RDONLY | O_DIRECTORY));
  const directory = mmap(fd, 4096, PROT_READ, MAP_SHARED);
  trial.answers('a directory', 'ENODEV', typeof directory === 'number' ? directory : directory.unmap());
  must('close', close(fd));
}
