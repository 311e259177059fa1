// truncate.ts — truncate(2) and ftruncate(2): permission, kinds, sizes, and what the file holds afterwards.

import {
  as,
  type Caller,
  CALLERS,
  GID,
  modeFor,
  OTHER,
  permits,
  PLAIN_CALLERS,
  possible,
  ROOT,
  UID,
  WRITE,
} from './callers.js';
import { close, ftruncate, pread } from './file-calls.js';
import { must } from './libc.js';
import { chmod, O_PATH, O_RDONLY, O_RDWR, O_WRONLY, open, truncate } from './path-calls.js';
import { lstat } from './stat.js';
import { KINDS_WITH_MODE, make, makeFile } from './things.js';
import type { Part, Trial } from './trial.js';

export const truncatePart: Part = {
  syscalls: ['truncate', 'ftruncate'],
  run(trial) {
    trial.about('truncate');
    for (const caller of CALLERS) for (let bits = 0; bits < 8; bits++) checkPermission(trial, caller, bits);
    checkKinds(trial);
    for (const size of [0, 1, 10, 4095, 4096, 4097, 65536, 70_001, 200_000]) {
      for (const to of [0, 1, 9, 4096, 5000, 65536, 131_072, 300_000]) checkSize(trial, size, to);
    }
    checkLimits(trial);
    checkDescriptors(trial);
    checkSetId(trial);
  },
};

function checkPermission(trial: Trial, caller: Caller, bits: number): void {
  const mode = modeFor(caller, bits);
  const path = makeFile(trial.name(), 'content', { mode });
  const expected = permits(caller, { uid: UID, gid: GID, mode, directory: false }, WRITE) ? 'ok' : 'EACCES';
  const what = `the caller has ${bits}`;
  trial.decides(what, expected, [path], () => truncate(path, 3), caller);
  trial.equal(`${what}, by ${caller.name}: the size`, lstat(path).size, expected === 'ok' ? 3n : 7n);
  trial.equal(`${what}, by ${caller.name}: the mode`, lstat(path).mode, mode);
}

function checkKinds(trial: Trial): void {
  for (const kind of KINDS_WITH_MODE) {
    if (kind === 'file') continue;
    for (const caller of CALLERS) {
      const path = make(kind, trial.name(), { mode: 0o777 });
      const errno = kind === 'directory' ? 'EISDIR' : 'EINVAL';
      trial.refuses(`a ${kind}`, errno, [path], () => truncate(path, 0), caller);
      trial.refuses(`a ${kind} to a negative length`, 'EINVAL', [path], () => truncate(path, -1), caller);
    }
  }
}

/** What a file made by {@link checkSize} holds: no byte 0, no two blocks alike. */
function pattern(size: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: size }, (_, i) => 1 + ((i * 7 + (i >> 8)) % 255)));
}

function checkSize(trial: Trial, size: number, to: number): void {
  const content = pattern(size);
  const path = makeFile(trial.name(), content);
  const what = `from ${size} to ${to} bytes`;
  trial.answers(what, 'ok', truncate(path, to));
  trial.equal(`${what}: the size`, lstat(path).size, BigInt(to));
  const expected = Buffer.alloc(to);
  content.copy(expected);
  const fd = must('open', open(path, O_RDONLY));
  const got = Buffer.alloc(to + 10);
  const length = pread(fd, got, 0);
  trial.equal(`${what}: bytes read`, length, to);
  trial.holds(`${what}: the rest of the content, then zeros`, got.subarray(0, to).equals(expected));
  must('close', close(fd));
  // What was cut off must not come back.
  must('truncate', truncate(path, 0));
  must('truncate', truncate(path, 5000));
  const again = must('open', open(path, O_RDONLY));
  const zeros = Buffer.alloc(5000, 1);
  trial.equal(`${what}, to 0, to 5000: bytes read`, pread(again, zeros, 0), 5000);
  trial.holds(`${what}, to 0, to 5000: zeros`, zeros.equals(Buffer.alloc(5000)));
  must('close', close(again));
}

function checkLimits(trial: Trial): void {
  const path = makeFile(trial.name(), 'content');
  trial.refuses('to a negative length', 'EINVAL', [path], () => truncate(path, -1));
  trial.refuses('to the most negative length', 'EINVAL', [path], () => truncate(path, -(2n ** 63n)));
  for (const size of [2n ** 31n, 2n ** 32n + 1n, 2n ** 40n, 2n ** 43n]) {
    trial.answers(`to ${size} bytes`, 'ok', truncate(path, size));
    trial.equal(`to ${size} bytes: the size`, lstat(path).size, size);
    trial.holds(`to ${size} bytes: no blocks for the hole`, lstat(path).blocks <= 16n, () => `${lstat(path).blocks}`);
    const fd = must('open', open(path, O_RDONLY));
    const last = Buffer.alloc(4, 1);
    trial.equal(`to ${size} bytes: bytes read at its end`, pread(fd, last, size - 2n), 2);
    trial.equal(`to ${size} bytes: they are`, last.toString('hex', 0, 2), '0000');
    must('close', close(fd));
  }
  trial.answers('back to 7 bytes', 'ok', truncate(path, 7));
  const fd = must('open', open(path, O_RDONLY));
  const bytes = Buffer.alloc(8);
  trial.equal('back to 7 bytes: bytes read', pread(fd, bytes, 0), 7);
  trial.equal('back to 7 bytes: they are', bytes.toString('latin1', 0, 7), 'content');
  must('close', close(fd));
}

function checkDescriptors(trial: Trial): void {
  trial.about('ftruncate');
  const path = makeFile(trial.name(), 'content', { mode: 0o777 });
  const cases: readonly [what: string, flags: number, errno: string][] = [
    ['open for reading', O_RDONLY, 'EINVAL'],
    ['open for writing', O_WRONLY, 'ok'],
    ['open for both', O_RDWR, 'ok'],
    ['an O_PATH descriptor', O_PATH, 'EBADF'],
  ];
  for (const caller of CALLERS) {
    for (const [what, flags, errno] of cases) {
      const fd = must('open', open(path, flags));
      trial.decides(what, errno, [path], () => ftruncate(fd, 5), caller);
      if (errno === 'ok') trial.equal(`${what}, by ${caller.name}: the size`, lstat(path).size, 5n);
      if (errno === 'ok') trial.refuses(`${what}, negative`, 'EINVAL', [path], () => ftruncate(fd, -1), caller);
      must('close', close(fd));
      trial.refuses(`${what}, closed`, 'EBADF', [path], () => ftruncate(fd, 5), caller);
    }
  }
  const directory = make('directory', trial.name());
  const fd = must('open', open(directory, O_RDONLY));
  trial.refuses('a directory', 'EINVAL', [directory], () => ftruncate(fd, 0));
  must('close', close(fd));
  // The descriptor's permission is that of its opening.
  const writable = must('open', open(path, O_RDWR));
  must('chmod', chmod(path, 0));
  trial.answers(
    'after the mode became 0',
    'ok',
    as(PLAIN_CALLERS.at(-1)!, () => ftruncate(writable, 2)),
  );
  trial.equal('after the mode became 0: the size', lstat(path).size, 2n);
  must('close', close(writable));
}

function checkSetId(trial: Trial): void {
  trial.about('truncate', 'set-id bits');
  for (const [mode, after] of [
    [0o6777, 0o0777],
    [0o4777, 0o0777],
    [0o2777, 0o0777],
    [0o2767, 0o0767],
  ] as const) {
    for (const caller of possible([ROOT, OTHER])) {
      const path = makeFile(trial.name(), 'content', { mode });
      trial.answers(
        `${mode.toString(8)}, by ${caller.name}`,
        'ok',
        as(caller, () => truncate(path, 2)),
      );
      const expected = caller === ROOT ? mode : after;
      trial.equal(
        `${mode.toString(8)}, by ${caller.name}: the mode`,
        lstat(path).mode.toString(8),
        expected.toString(8),
      );
    }
  }
}
