// known-limits.ts — assertions that a filesystem is known to fail, each with the reason. They are counted apart, and shown with it.
// Invariant: a limit that no assertion fails any more is itself a failure: strike it out.

export interface KnownLimit {
  /** As /proc/self/mountinfo names the filesystem. */
  readonly filesystem: RegExp;
  readonly syscall: string;
  /** Of the assertion's own words. */
  readonly what: RegExp;
  readonly why: string;
}

export const KNOWN_LIMITS: readonly KnownLimit[] = [
  {
    filesystem: /^fuse\.(?!weft$)/,
    syscall: 'read',
    what: /^times: of bytes in the page cache: atime of d\/x is now$/,
    why:
      'the kernel marks every FUSE inode S_NOATIME (fs/fuse/inode.c), so reading moves no atime there, whatever the mount options say, and ' +
      'no request tells the server, which keeps atime, of a read that the page cache answered; ' +
      'Weft has an open begin without it where a read is to move atime',
  },
];

/** Why an assertion may fail on a filesystem; undefined: it may not. */
export function limitOf(filesystem: string, syscall: string, what: string): string | undefined {
  return KNOWN_LIMITS.find((one) => one.filesystem.test(filesystem) && one.syscall === syscall && one.what.test(what))
    ?.why;
}
