// holes.ts — fallocate(2) in all its modes, lseek(2) with SEEK_DATA and SEEK_HOLE, copy_file_range(2), and st_blocks of sparse files.
// What a mode does to the bytes is compared with the same done to a buffer. Collapse and insert may be EOPNOTSUPP.

import {
  close,
  copyFileRange,
  FALLOC,
  fallocate,
  lseek,
  pread,
  pwrite,
  SEEK_CUR,
  SEEK_DATA,
  SEEK_END,
  SEEK_HOLE,
  SEEK_SET,
} from './file-calls.js';
import { must } from './libc.js';
import { O_APPEND, O_PATH, O_RDONLY, O_RDWR, O_WRONLY, open } from './path-calls.js';
import { fstat, lstat } from './stat.js';
import { make, makeFile } from './things.js';
import type { Part, Trial } from './trial.js';

const BLOCK = 4096;

export const holes: Part = {
  syscalls: ['fallocate', 'lseek', 'copy_file_range', 'stat'],
  run(trial) {
    for (const size of [100, 3 * BLOCK, 60_000, 300_000]) {
      for (const mode of Object.keys(MODES)) {
        for (const [offset, length] of RANGES) checkMode(trial, mode, size, offset * BLOCK, length * BLOCK);
        checkMode(trial, mode, size, 10, 50);
        checkMode(trial, mode, size, BLOCK - 1, 2);
        checkMode(trial, mode, size, size - 1, 10);
      }
    }
    checkFallocateErrors(trial);
    for (const size of [0, 10, BLOCK, 50_000, 400_000]) checkSeek(trial, size);
    checkSparse(trial);
    checkSeekErrors(trial);
    checkCopy(trial);
    checkCopyErrors(trial);
  },
};

/** In blocks. */
const RANGES = [
  [0, 1],
  [1, 1],
  [1, 5],
  [0, 100],
  [90, 2],
] as const;

const MODES: Record<string, number> = {
  allocate: 0,
  'keep size': FALLOC.keepSize,
  'punch hole': FALLOC.punchHole | FALLOC.keepSize,
  'zero range': FALLOC.zeroRange,
  'zero range, keep size': FALLOC.zeroRange | FALLOC.keepSize,
  'collapse range': FALLOC.collapseRange,
  'insert range': FALLOC.insertRange,
};

function pattern(size: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: size }, (_, i) => 1 + ((i * 13 + (i >> 7)) % 255)));
}

/** What a mode makes of a file, or the errno; fallocate(2). */
function afterwards(mode: string, content: Buffer, offset: number, length: number): Buffer | 'EINVAL' {
  const { length: size } = content;
  const grown = Buffer.alloc(Math.max(size, offset + length));
  content.copy(grown);
  switch (mode) {
    case 'allocate':
      return grown;
    case 'keep size':
      return content;
    case 'zero range':
      return grown.fill(0, offset, offset + length);
    case 'collapse range':
      if (offset % BLOCK !== 0 || length % BLOCK !== 0 || offset + length >= size) return 'EINVAL';
      return Buffer.concat([content.subarray(0, offset), content.subarray(offset + length)]);
    case 'insert range':
      if (offset % BLOCK !== 0 || length % BLOCK !== 0 || offset >= size) return 'EINVAL';
      return Buffer.concat([content.subarray(0, offset), Buffer.alloc(length), content.subarray(offset)]);
    default:
      return Buffer.from(content).fill(0, Math.min(offset, size), Math.min(offset + length, size));
  }
}

function checkMode(trial: Trial, mode: string, size: number, offset: number, length: number): void {
  trial.about('fallocate', mode);
  const content = pattern(size);
  const path = makeFile(trial.name(), content);
  const expected = afterwards(mode, content, offset, length);
  const what = `${length} bytes at ${offset} of ${size}`;
  const fd = must('open', open(path, O_RDWR));
  const optional = mode.startsWith('collapse') || mode.startsWith('insert');
  const result = fallocate(fd, MODES[mode]!, offset, length);
  const right = expected === 'EINVAL' ? 'EINVAL' : 'ok';
  trial.answers(what, optional ? [right, 'EOPNOTSUPP'] : right, result);
  const now = result < 0 || expected === 'EINVAL' ? content : expected;
  trial.equal(`${what}: the size`, fstat(fd).size, BigInt(now.length));
  const got = Buffer.alloc(now.length + 10);
  trial.equal(`${what}: bytes read`, pread(fd, got, 0), now.length);
  trial.holds(`${what}: the content`, got.subarray(0, now.length).equals(now), () => firstDifference(got, now));
  must('close', close(fd));
}

function firstDifference(got: Buffer, wanted: Buffer): string {
  const at = wanted.findIndex((byte, i) => got[i] !== byte);
  return `differs at ${at}: ${got[at]} instead of ${wanted[at]}`;
}

function checkFallocateErrors(trial: Trial): void {
  trial.about('fallocate');
  const path = makeFile(trial.name(), 'content');
  const fd = must('open', open(path, O_RDWR));
  for (const [name, mode] of Object.entries(MODES)) {
    trial.refuses(`${name}: no length`, 'EINVAL', [path], () => fallocate(fd, mode, 0, 0));
    trial.refuses(`${name}: a negative length`, 'EINVAL', [path], () => fallocate(fd, mode, 0, -1));
    trial.refuses(`${name}: a negative offset`, 'EINVAL', [path], () => fallocate(fd, mode, -1, 1));
    trial.refuses(`${name}: beyond 2^63`, 'EFBIG', [path], () => fallocate(fd, mode, 2n ** 63n - 10n, 100));
    const reader = must('open', open(path, O_RDONLY));
    trial.refuses(`${name}: open for reading`, 'EBADF', [path], () => fallocate(reader, mode, 0, BLOCK));
    must('close', close(reader));
    const pathOnly = must('open', open(path, O_PATH));
    trial.refuses(`${name}: an O_PATH descriptor`, 'EBADF', [path], () => fallocate(pathOnly, mode, 0, BLOCK));
    must('close', close(pathOnly));
    trial.refuses(`${name}: a closed descriptor`, 'EBADF', [path], () => fallocate(pathOnly, mode, 0, BLOCK));
  }
  trial.refuses('a hole without keeping the size', 'EOPNOTSUPP', [path], () =>
    fallocate(fd, FALLOC.punchHole, 0, BLOCK),
  );
  const both = FALLOC.punchHole | FALLOC.zeroRange | FALLOC.keepSize;
  trial.refuses('a hole and zeros', 'EOPNOTSUPP', [path], () => fallocate(fd, both, 0, BLOCK));
  trial.refuses('an unknown mode', 'EOPNOTSUPP', [path], () => fallocate(fd, 0x8000, 0, BLOCK));
  must('close', close(fd));
  const fifo = make('fifo', trial.name());
  const pipe = must('open', open(fifo, O_RDWR));
  trial.refuses('a fifo', 'ESPIPE', [fifo], () => fallocate(pipe, 0, 0, BLOCK));
  must('close', close(pipe));
  const append = must('open', open(path, O_WRONLY | O_APPEND));
  trial.answers('open for appending', 'ok', fallocate(append, 0, 0, 2 * BLOCK));
  must('close', close(append));
}

function checkSeek(trial: Trial, size: number): void {
  trial.about('lseek', `a file of ${size} bytes`);
  const fd = must('open', open(makeFile(trial.name(), pattern(size)), O_RDWR));
  trial.equal('SEEK_END', lseek(fd, 0, SEEK_END), size);
  trial.equal('SEEK_END and beyond', lseek(fd, 100, SEEK_END), size + 100);
  trial.equal('SEEK_SET', lseek(fd, 5, SEEK_SET), 5);
  trial.equal('SEEK_CUR', lseek(fd, 3, SEEK_CUR), 8);
  trial.answers('SEEK_CUR before the start', 'EINVAL', lseek(fd, -9, SEEK_CUR));
  trial.equal('the offset stays, it', lseek(fd, 0, SEEK_CUR), 8);
  trial.answers('SEEK_SET before the start', 'EINVAL', lseek(fd, -1, SEEK_SET));
  trial.answers('an unknown whence', 'EINVAL', lseek(fd, 0, 9));
  for (const whence of [SEEK_DATA, SEEK_HOLE]) {
    const name = whence === SEEK_DATA ? 'SEEK_DATA' : 'SEEK_HOLE';
    trial.answers(`${name} at the end`, 'ENXIO', lseek(fd, size, whence));
    trial.answers(`${name} behind the end`, 'ENXIO', lseek(fd, size + 1000, whence));
    trial.answers(`${name} before the start`, 'ENXIO', lseek(fd, -1, whence));
    trial.equal(`${name} that failed: the offset stays, it`, lseek(fd, 0, SEEK_CUR), 8);
  }
  if (size > 0) {
    for (const at of [0, 1, size - 1]) {
      trial.equal(`SEEK_DATA at ${at}`, lseek(fd, at, SEEK_DATA), at);
      trial.equal(`SEEK_HOLE at ${at}: the end`, lseek(fd, at, SEEK_HOLE), size);
      trial.equal(`SEEK_HOLE at ${at}: the offset is there`, lseek(fd, 0, SEEK_CUR), size);
    }
  }
  must('close', close(fd));
}

/** Data of some blocks at some places: what is seen of holes, in bytes and in blocks. Nothing demands exact holes, but all is aligned here. */
function checkSparse(trial: Trial): void {
  const MIB = 1 << 20;
  for (const [what, islands, size] of [
    ['one island', [[4 * MIB, 64 * 1024]], 8 * MIB],
    [
      'three islands',
      [
        [0, 4096],
        [2 * MIB, 65_536],
        [6 * MIB, 4096],
      ],
      9 * MIB,
    ],
    ['an island far away', [[2 ** 40, 65_536]], 2 ** 40 + 65_536],
  ] as const) {
    const path = make('file', trial.name());
    const fd = must('open', open(path, O_RDWR));
    for (const [at, length] of islands) must('pwrite', pwrite(fd, pattern(length), at));
    const end = islands.at(-1)![0] + islands.at(-1)![1];
    if (size > end) must('fallocate', fallocate(fd, 0, size - 1, 1));
    trial.about('lseek', what);
    for (const [at, length] of islands) {
      const before = at === 0 ? 0 : at - 4096;
      trial.equal(`SEEK_DATA before ${at}`, lseek(fd, before, SEEK_DATA), at);
      trial.equal(`SEEK_DATA in ${at}`, lseek(fd, at + 100, SEEK_DATA), at + 100);
      trial.equal(`SEEK_HOLE in ${at}`, lseek(fd, at + 100, SEEK_HOLE), at + length);
      if (at !== 0) trial.equal(`SEEK_HOLE before ${at}`, lseek(fd, before, SEEK_HOLE), before);
    }
    trial.about('stat', what);
    const data = islands.reduce((sum, [, length]) => sum + length, 0);
    const blocks = Number(fstat(fd).blocks) * 512;
    trial.holds('blocks are those of the data', blocks >= data && blocks <= data + 200_000, () => `${blocks} bytes`);
    trial.equal('the size', fstat(fd).size, BigInt(size));
    must('close', close(fd));
    trial.equal('the size after closing', lstat(path).size, BigInt(size));
    const later = Number(lstat(path).blocks) * 512;
    trial.holds('blocks after closing', later >= data && later <= data + 200_000, () => `${later} bytes`);
  }
}

function checkSeekErrors(trial: Trial): void {
  trial.about('lseek', 'kinds');
  const fifo = make('fifo', trial.name());
  const pipe = must('open', open(fifo, O_RDWR));
  for (const whence of [SEEK_SET, SEEK_CUR, SEEK_END])
    trial.answers(`whence ${whence} of a fifo`, 'ESPIPE', lseek(pipe, 0, whence));
  must('close', close(pipe));
  trial.answers('a closed descriptor', 'EBADF', lseek(pipe, 0, SEEK_SET));
  const pathOnly = must('open', open(makeFile(trial.name(), 'x'), O_PATH));
  trial.answers('an O_PATH descriptor', 'EBADF', lseek(pathOnly, 0, SEEK_SET));
  must('close', close(pathOnly));
}

function checkCopy(trial: Trial): void {
  for (const [from, to, at, into, length] of [
    [100, 0, 0, 0, 100],
    [100, 0, 10, 0, 50],
    [100, 200, 0, 50, 100],
    [100, 10, 0, 10, 1000],
    [100, 0, 100, 0, 10],
    [100, 0, 500, 0, 10],
    [200_000, 0, 0, 0, 200_000],
    [200_000, 300_000, 4096, 8192, 131_072],
    [200_000, 10, 1, 100_001, 99_999],
  ] as const) {
    trial.about('copy_file_range');
    const [source, target] = [pattern(from), Buffer.from(pattern(to).toReversed())];
    const reader = must('open', open(makeFile(trial.name(), source), O_RDONLY));
    const path = makeFile(trial.name(), target);
    const writer = must('open', open(path, O_RDWR));
    const what = `${length} bytes from ${at} of ${from} to ${into} of ${to}`;
    const expected = source.subarray(at, at + length);
    let copied = 0;
    for (;;) {
      const n = copyFileRange(reader, at + copied, writer, into + copied, length - copied);
      if (n <= 0) break;
      copied += n;
    }
    trial.equal(`${what}: bytes copied`, copied, expected.length);
    const wanted = Buffer.alloc(Math.max(to, expected.length > 0 ? into + expected.length : 0));
    target.copy(wanted);
    expected.copy(wanted, into);
    const got = Buffer.alloc(wanted.length + 1);
    trial.equal(`${what}: bytes read`, pread(writer, got, 0), wanted.length);
    trial.holds(`${what}: the content`, got.subarray(0, wanted.length).equals(wanted));
    trial.equal(
      `${what}: own offsets stay, they`,
      `${lseek(reader, 0, SEEK_CUR)} ${lseek(writer, 0, SEEK_CUR)}`,
      '0 0',
    );
    trial.equal(`${what}, from the descriptors' offsets`, copyFileRange(reader, null, writer, null, 10), 10);
    trial.equal(
      `${what}: own offsets move, they`,
      `${lseek(reader, 0, SEEK_CUR)} ${lseek(writer, 0, SEEK_CUR)}`,
      '10 10',
    );
    must('close', close(reader));
    must('close', close(writer));
  }
}

function checkCopyErrors(trial: Trial): void {
  trial.about('copy_file_range', 'errors');
  const source = makeFile(trial.name(), pattern(1000));
  const target = makeFile(trial.name(), 'target');
  const descriptors = new Map(
    [
      ['reading', source, O_RDONLY],
      ['writing', target, O_WRONLY],
      ['appending', target, O_WRONLY | O_APPEND],
      ['both', source, O_RDWR],
      ['path', source, O_PATH],
      ['directory', '.', O_RDONLY],
      ['fifo', make('fifo', trial.name()), O_RDWR],
    ].map(([name, path, flags]) => [name as string, must('open', open(path as string, flags as number))]),
  );
  const cases: readonly [from: string, to: string, errno: string][] = [
    ['writing', 'writing', 'EBADF'],
    ['reading', 'reading', 'EBADF'],
    ['reading', 'appending', 'EBADF'],
    ['path', 'writing', 'EBADF'],
    ['reading', 'path', 'EBADF'],
    ['directory', 'writing', 'EISDIR'],
    ['fifo', 'writing', 'EINVAL'],
    ['reading', 'fifo', 'EINVAL'],
  ];
  for (const [from, to, errno] of cases) {
    const call = (): number => copyFileRange(descriptors.get(from)!, 0, descriptors.get(to)!, 0, 100);
    trial.refuses(`from ${from} to ${to}`, errno, [source, target], call);
  }
  const [reading, writing, both] = ['reading', 'writing', 'both'].map((name) => descriptors.get(name)!) as [
    number,
    number,
    number,
  ];
  trial.refuses('a flag', 'EINVAL', [source, target], () => copyFileRange(reading, 0, writing, 0, 100, 1));
  trial.refuses('overlapping ranges of one file', 'EINVAL', [source], () => copyFileRange(both, 0, both, 50, 100));
  trial.answers('ranges of one file that do not overlap', 'ok', copyFileRange(both, 0, both, 500, 100));
  trial.refuses('nothing', 'ok', [source, target], () => copyFileRange(reading, 0, writing, 0, 0));
  for (const fd of descriptors.values()) must('close', close(fd));
  trial.refuses('a closed source', 'EBADF', [source, target], () => copyFileRange(reading, 0, writing, 0, 1));
}
