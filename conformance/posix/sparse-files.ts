// sparse-files.ts — what is kept of holes, what is written into them by write(2), mmap(2), O_DIRECT and copy_file_range(2), sizes up to
// the most that the kernel counts, and RLIMIT_FSIZE (getrlimit(2)). All is aligned to blocks of 4 KiB, which ext4 has too.

import { spawnSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import {
  alignedBuffer,
  close,
  copyFileRange,
  fallocate,
  ftruncate,
  lseek,
  MAP_SHARED,
  mmap,
  MS_SYNC,
  pread,
  PROT_READ,
  PROT_WRITE,
  pwrite,
  SEEK_DATA,
  SEEK_HOLE,
} from './file-calls.js';
import { must, native, type Result } from './libc.js';
import { O_DIRECT, O_RDONLY, O_RDWR, open, truncate } from './path-calls.js';
import { fstat, lstat } from './stat.js';
import { make, makeFile } from './things.js';
import type { Part, Trial } from './trial.js';

const BLOCK = 4096;

export const sparseFiles: Part = {
  syscalls: ['lseek', 'stat', 'mmap', 'write', 'copy_file_range', 'truncate', 'fallocate', 'setrlimit'],
  run(trial) {
    for (const blocks of LAYOUTS) checkLayout(trial, blocks);
    for (const blocks of LAYOUTS) checkMapping(trial, blocks);
    for (const blocks of LAYOUTS) checkDirect(trial, blocks);
    for (const blocks of LAYOUTS) checkCopy(trial, blocks);
    for (const size of SIZES) checkSize(trial, size);
    for (const size of TOO_LARGE) checkTooLarge(trial, size);
    checkModes(trial);
    checkLimit(trial);
  },
};

/** Which blocks are written: of files that are small and large, with holes at the start, the end, and everywhere. */
const LAYOUTS: readonly string[] = [
  '.',
  '.x',
  'x.',
  'x.x.x.x',
  '..x..x..x',
  `${'.'.repeat(14)}x`,
  '..x'.repeat(7),
  `${'x.'.repeat(30)}x`,
  `${'.'.repeat(40)}xx${'.'.repeat(15)}x${'.'.repeat(16)}x`,
];

function bytesOf(blocks: string): Buffer {
  return Buffer.concat([...blocks].map((one, i) => Buffer.alloc(BLOCK, one === 'x' ? 1 + (i % 200) : 0)));
}

/** A file with these blocks written, and a hole for the others. */
function sparse(name: string, blocks: string): string {
  const path = make('file', name);
  const fd = must('open', open(path, O_RDWR));
  const bytes = bytesOf(blocks);
  for (let i = 0; i < blocks.length; i++) {
    if (blocks[i] === 'x') must('pwrite', pwrite(fd, bytes.subarray(i * BLOCK, (i + 1) * BLOCK), i * BLOCK));
  }
  must('ftruncate', ftruncate(fd, blocks.length * BLOCK));
  must('close', close(fd));
  return path;
}

/** The blocks of a file as SEEK_DATA and SEEK_HOLE tell them. */
function found(fd: number, count: number): string {
  let blocks = '';
  while (blocks.length < count) {
    const data = lseek(fd, blocks.length * BLOCK, SEEK_DATA);
    blocks = blocks.padEnd(data < 0 ? count : data / BLOCK, '.');
    if (data >= 0) blocks = blocks.padEnd(must('lseek', lseek(fd, data, SEEK_HOLE)) / BLOCK, 'x');
  }
  return blocks;
}

/** Blocks, bytes and st_blocks, through a descriptor and again through one that is opened for it. */
function checkFound(trial: Trial, what: string, path: string, blocks: string, expected: Buffer): void {
  const fd = must('open', open(path, O_RDONLY));
  trial.equal(`${what}: the blocks`, found(fd, blocks.length), blocks);
  const bytes = Buffer.alloc(expected.length + 1);
  trial.equal(`${what}: bytes read`, pread(fd, bytes, 0), expected.length);
  trial.holds(`${what}: the bytes`, bytes.subarray(0, expected.length).equals(expected));
  must('close', close(fd));
}

function checkLayout(trial: Trial, blocks: string): void {
  trial.about('lseek', `holes: ${blocks}`);
  const path = sparse(trial.name(), blocks);
  const expected = bytesOf(blocks);
  checkFound(trial, 'after it was closed', path, blocks, expected);
  const fd = must('open', open(path, O_RDWR));
  trial.answers('a store of no bytes', 'ok', pwrite(fd, '', 0));
  const middle = blocks.length >> 1;
  must('pwrite', pwrite(fd, 'in the middle', middle * BLOCK + 100));
  expected.write('in the middle', middle * BLOCK + 100, 'latin1');
  const written = `${blocks.slice(0, middle)}x${blocks.slice(middle + 1)}`;
  checkFound(trial, 'after a write', path, written, expected);
  must('close', close(fd));
  checkFound(trial, 'after a write and close', path, written, expected);
  trial.about('stat', `holes: ${blocks}`);
  const data = [...written].filter((one) => one === 'x').length * 8;
  const counted = Number(lstat(path).blocks);
  // ext4 counts a block of its own for more than four runs of data.
  trial.holds('st_blocks', counted >= data && counted <= data + 8, () => `${counted} instead of ${data}`);
}

function checkMapping(trial: Trial, blocks: string): void {
  trial.about('mmap', `holes: ${blocks}`);
  const path = sparse(trial.name(), blocks);
  const expected = bytesOf(blocks);
  const fd = must('open', open(path, O_RDWR));
  const mapping = mmap(fd, expected.length, PROT_READ | PROT_WRITE, MAP_SHARED);
  if (typeof mapping === 'number') {
    trial.answers('a sparse file', 'ok', mapping);
    return;
  }
  trial.holds('what is there', Buffer.from(mapping.bytes).equals(expected));
  const stored = new Set([0, blocks.length - 1, blocks.length >> 1]);
  for (const block of stored) expected[block * BLOCK + 7] = mapping.bytes[block * BLOCK + 7] = 250;
  trial.answers('msync', 'ok', mapping.sync(MS_SYNC));
  const now = [...blocks].map((one, i) => (stored.has(i) ? 'x' : one)).join('');
  checkFound(trial, 'after msync', path, now, expected);
  trial.answers('munmap', 'ok', mapping.unmap());
  must('close', close(fd));
  checkFound(trial, 'after close', path, now, expected);
}

function checkDirect(trial: Trial, blocks: string): void {
  trial.about('write', `O_DIRECT, holes: ${blocks}`);
  const path = sparse(trial.name(), blocks);
  const expected = bytesOf(blocks);
  const fd = open(path, O_RDWR | O_DIRECT);
  if (!trial.answers('open', 'ok', fd)) return;
  const whole = alignedBuffer(expected.length);
  trial.equal('bytes read', pread(fd, whole, 0), expected.length);
  trial.holds('the bytes', whole.equals(expected));
  const at = blocks.length >> 1;
  const block = alignedBuffer(BLOCK).fill(99);
  trial.equal('a block written', pwrite(fd, block, at * BLOCK), BLOCK);
  block.copy(expected, at * BLOCK);
  must('close', close(fd));
  checkFound(trial, 'after close', path, `${blocks.slice(0, at)}x${blocks.slice(at + 1)}`, expected);
}

function checkCopy(trial: Trial, blocks: string): void {
  trial.about('copy_file_range', `holes: ${blocks}`);
  const expected = bytesOf(blocks);
  for (const [what, target] of [
    ['to an empty file', Buffer.alloc(0)],
    ['over data', Buffer.alloc(expected.length + 10, 'o')],
  ] as const) {
    const reader = must('open', open(sparse(trial.name(), blocks), O_RDONLY));
    const path = makeFile(trial.name(), target);
    const writer = must('open', open(path, O_RDWR));
    let copied = 0;
    for (let n = 1; n > 0; copied += Math.max(n, 0))
      n = copyFileRange(reader, copied, writer, copied, expected.length - copied);
    trial.equal(`${what}: bytes copied`, copied, expected.length);
    for (const fd of [reader, writer]) must('close', close(fd));
    const wanted = Buffer.concat([expected, target.subarray(expected.length)]);
    const fd = must('open', open(path, O_RDONLY));
    const bytes = Buffer.alloc(wanted.length + 1);
    trial.equal(`${what}: bytes read`, pread(fd, bytes, 0), wanted.length);
    trial.holds(`${what}: the bytes`, bytes.subarray(0, wanted.length).equals(wanted));
    must('close', close(fd));
  }
}

/** Sizes that every filesystem of today has; the last is ext4's largest. */
const SIZES: readonly number[] = [
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 + 1,
  2 ** 40,
  2 ** 43 + 1,
  2 ** 44 - 2 * BLOCK,
  2 ** 44 - BLOCK,
];

function checkSize(trial: Trial, size: number): void {
  trial.about('truncate', `to ${size}`);
  const path = make('file', trial.name());
  trial.answers('truncate', 'ok', truncate(path, size));
  trial.equal('the size', lstat(path).size, BigInt(size));
  trial.equal('blocks', lstat(path).blocks, 0n);
  const fd = must('open', open(path, O_RDWR));
  trial.answers('SEEK_DATA', 'ENXIO', lseek(fd, 0, SEEK_DATA));
  const one = Buffer.alloc(1, 1);
  trial.equal('a byte read before the end', pread(fd, one, size - 1), 1);
  trial.equal('which', one[0]!, 0);
  trial.equal('bytes read at the end', pread(fd, one, size), 0);
  trial.about('write', `at ${size}`);
  trial.equal('the last byte', pwrite(fd, 'z', size - 1), 1);
  must('pread', pread(fd, one, size - 1));
  trial.equal('is read', one[0]!, 122);
  trial.equal('SEEK_DATA finds its block', lseek(fd, 0, SEEK_DATA), Math.floor((size - 1) / BLOCK) * BLOCK);
  must('close', close(fd));
  trial.equal('the size after closing', lstat(path).size, BigInt(size));
  trial.equal('blocks after closing', lstat(path).blocks, 8n);
  trial.answers('truncate to nothing', 'ok', truncate(path, 0));
}

/** From ext4's largest on, up to the largest offset: a filesystem has it, or says EFBIG, whichever way it is asked. */
const TOO_LARGE: readonly bigint[] = [
  2n ** 44n,
  2n ** 50n,
  2n ** 53n,
  2n ** 60n,
  2n ** 62n,
  2n ** 63n - 4096n,
  2n ** 63n - 1n,
];

function checkTooLarge(trial: Trial, size: bigint): void {
  const path = makeFile(trial.name(), 'content');
  const fd = must('open', open(path, O_RDWR));
  const ways: readonly [syscall: string, what: string, call: () => Result][] = [
    ['truncate', 'truncate', () => truncate(path, size)],
    ['truncate', 'ftruncate', () => ftruncate(fd, size)],
    ['write', 'pwrite of the last byte', () => pwrite(fd, 'z', size - 1n)],
    ['fallocate', 'fallocate of the last byte', () => fallocate(fd, 0, size - 1n, 1)],
  ];
  for (const [syscall, what, call] of ways) {
    trial.about(syscall, `to ${size}`);
    const result = call();
    if (!trial.answers(what, ['ok', 'EFBIG'], result)) continue;
    trial.equal(`${what}: the size`, lstat(path).size, result < 0 ? 7n : size);
    must('ftruncate', ftruncate(fd, 7));
  }
  const bytes = Buffer.alloc(8);
  trial.equal('bytes read afterwards', pread(fd, bytes, 0), 7);
  trial.equal('bytes read there', pread(fd, bytes.subarray(0, 1), size - 1n), 0);
  must('close', close(fd));
}

/** FALLOC_FL_NO_HIDE_STALE and FALLOC_FL_UNSHARE_RANGE of linux/falloc.h, and what does not go together. */
function checkModes(trial: Trial): void {
  trial.about('fallocate', 'modes');
  const path = makeFile(trial.name(), bytesOf('xxxx'));
  const fd = must('open', open(path, O_RDWR));
  for (const [what, mode] of [
    ['no hide stale', 0x04],
    ['unshare', 0x40],
    ['unshare, keep size', 0x41],
    ['collapse, keep size', 0x09],
    ['insert, keep size', 0x21],
    ['collapse and insert', 0x28],
    ['collapse and punch', 0x0b],
    ['insert and zero', 0x30],
    ['all', 0x7f],
  ] as const) {
    trial.refuses(what, ['EOPNOTSUPP', 'EINVAL'], [path], () => fallocate(fd, mode, 0, BLOCK));
  }
  must('close', close(fd));
}

const RLIMIT_FSIZE = 1;
const SIGXFSZ = 25;
const cSetrlimit = native('int setrlimit(int, const void *)');
const cGetrlimit = native('int getrlimit(int, void *)');

/** Node ignores SIGXFSZ, so here it is the errno that counts. */
function withFileSizeLimit<T>(bytes: number, work: () => T): T {
  const before = Buffer.alloc(16);
  must('getrlimit', cGetrlimit(RLIMIT_FSIZE, before));
  const limit = Buffer.from(before);
  limit.writeBigUInt64LE(BigInt(bytes), 0);
  must('setrlimit', cSetrlimit(RLIMIT_FSIZE, limit));
  try {
    return work();
  } finally {
    must('setrlimit', cSetrlimit(RLIMIT_FSIZE, before));
  }
}

function checkLimit(trial: Trial): void {
  trial.about('setrlimit', 'RLIMIT_FSIZE of 10000 bytes');
  for (const [what, size] of [
    ['a small file', 100],
    ['a file at the limit', 10_000],
    ['a file beyond it', 200_000],
  ] as const) {
    const path = makeFile(trial.name(), Buffer.alloc(size, 'a'));
    const fd = must('open', open(path, O_RDWR));
    const limited = (call: () => Result): Result => withFileSizeLimit(10_000, call);
    const refuses = (why: string, call: () => Result): void =>
      trial.refuses(`${what}: ${why}`, 'EFBIG', [path], () => limited(call));
    refuses('pwrite at the limit', () => pwrite(fd, 'xyz', 10_000));
    refuses('pwrite beyond it', () => pwrite(fd, 'xyz', 50_000));
    if (size <= 10_000) {
      refuses('truncate beyond it', () => truncate(path, 10_001));
      refuses('ftruncate beyond it', () => ftruncate(fd, 300_000));
      // ext4 has moved mtime and ctime by then.
      trial.answers(
        `${what}: fallocate beyond it`,
        'EFBIG',
        limited(() => fallocate(fd, 0, 0, 20_000)),
      );
      trial.equal(`${what}: the size after that`, fstat(fd).size, BigInt(size));
    }
    trial.answers(
      `${what}: truncate to it`,
      'ok',
      limited(() => ftruncate(fd, 10_000)),
    );
    trial.equal(
      `${what}: pwrite across it`,
      limited(() => pwrite(fd, Buffer.alloc(100), 9990)),
      10,
    );
    trial.equal(`${what}: the size`, fstat(fd).size, 10_000n);
    must('close', close(fd));
  }
  const path = make('file', trial.name());
  const absolute = join(realpathSync('/proc/self/cwd'), path);
  for (const [what, command] of [
    ['a write', 'echo text >> "$1"'],
    ['truncating', 'exec truncate -s 1M "$1"'],
  ] as const) {
    const { signal } = spawnSync('sh', ['-c', `ulimit -f 0; ulimit -c 0; ${command}`, 'sh', absolute], {
      stdio: 'ignore',
    });
    trial.equal(`${what} beyond it ends a program by signal ${SIGXFSZ}, it`, signal, 'SIGXFSZ');
    trial.equal(`${what}: the size`, lstat(path).size, 0n);
  }
}
