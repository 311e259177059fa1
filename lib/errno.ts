// errno.ts — the errors that POSIX callers expect, as values.
// A PosixError is an answer, not an accident: it carries no stack trace, and one instance per code is shared, because
// ENOENT is thrown on the hot path. Numbers are Linux's (asm-generic/errno*.h).

export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  ESPIPE: 29,
  EROFS: 30,
  EMLINK: 31,
  ERANGE: 34,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ENODATA: 61,
  EPROTO: 71,
  EOVERFLOW: 75,
  EOPNOTSUPP: 95,
  ETIMEDOUT: 110,
  ESTALE: 116,
  EDQUOT: 122,
} as const;

export type ErrnoCode = keyof typeof ERRNO;

/** An error that POSIX tells a caller to expect, e.g. ENOENT. Obtain it from {@link posixError}; compare by `code`. */
export class PosixError extends Error {
  readonly code: ErrnoCode;
  /** The positive Linux errno. */
  readonly errno: number;
  constructor(code: ErrnoCode) {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    super(code);
    Error.stackTraceLimit = limit;
    this.name = 'PosixError';
    this.code = code;
    this.errno = ERRNO[code];
  }
}

const shared = new Map<ErrnoCode, PosixError>();

/** The shared PosixError of a code. */
export function posixError(code: ErrnoCode): PosixError {
  let error = shared.get(code);
  if (!error) shared.set(code, (error = new PosixError(code)));
  return error;
}

const CODES = new Map(Object.entries(ERRNO).map(([code, errno]) => [errno as number, code as ErrnoCode]));

/** The code of a positive Linux errno, or EIO when it is none that we know. */
export function codeOf(errno: number): ErrnoCode {
  return CODES.get(errno) ?? 'EIO';
}

/** The codes of Node system errors for which libuv has no name, as for EDQUOT and ESTALE. */
const UNNAMED = /^(UNKNOWN|Unknown system error -\d+)$/;

/** The errno code of a Node system error (`err.code`, or else `err.errno`, which is negative), or EIO when it is none that we know. */
export function errnoOf(error: unknown): ErrnoCode {
  const { code, errno } = (error ?? {}) as { code?: unknown; errno?: unknown };
  if (typeof code !== 'string') return 'EIO';
  if (code in ERRNO) return code as ErrnoCode;
  return UNNAMED.test(code) ? codeOf(-Number(errno)) : 'EIO';
}

/** Whether a file operation failed because the disk is full, or a quota of it used up. Of system errors and PosixErrors. */
export function isNoRoom(error: unknown): boolean {
  const code = errnoOf(error);
  return code === 'ENOSPC' || code === 'EDQUOT';
}
