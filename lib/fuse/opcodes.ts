// opcodes.ts — numbers of the FUSE kernel protocol that more than one file needs: opcodes and notification codes.
// Source: include/uapi/linux/fuse.h of Linux 6.18 (protocol 7.45). Numbers only; the structs are in requests.ts and replies.ts.

export const OPCODE = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36,
  DESTROY: 38,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  LSEEK: 46,
  COPY_FILE_RANGE: 47,
  SYNCFS: 50,
  TMPFILE: 51,
  STATX: 52,
  COPY_FILE_RANGE_64: 53,
} as const;

/** Opcodes are small: tables indexed by opcode have this many places. */
export const OPCODE_LIMIT = 64;

const NAMES = new Map<number, string>(Object.entries(OPCODE).map(([name, code]) => [code, name]));

/** For messages: `LOOKUP`, or `opcode 99` for one that this driver does not know. */
export function opcodeName(opcode: number): string {
  return NAMES.get(opcode) ?? `opcode ${opcode}`;
}

/** Codes of unsolicited notices; they travel in the error field of a reply header whose unique is 0. */
export const NOTICE = { INVAL_INODE: 2, INVAL_ENTRY: 3, DELETE: 6 } as const;
