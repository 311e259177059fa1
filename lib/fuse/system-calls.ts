// system-calls.ts — the few system calls that Node lacks and the driver needs, through koffi (libc by its symbols).
// Each either returns a plain value or throws a SystemCallError with the errno; hot calls (device read and write) return the negated
// errno instead, because EAGAIN is their normal answer. Linux only. Sources: the man pages of section 2.

import { constants } from 'node:os';

import koffi from 'koffi';

const ERRNO_NAMES = new Map(Object.entries(constants.errno).map(([name, errno]) => [errno, name]));

/** A system call failed; `code` is the errno's name as in Node's own errors, e.g. 'EBUSY'. */
export class SystemCallError extends Error {
  readonly code: string;
  readonly errno: number;
  constructor(call: string, errno: number) {
    const code = ERRNO_NAMES.get(errno) ?? `errno ${errno}`;
    super(`${call}: ${code}`);
    this.name = 'SystemCallError';
    this.code = code;
    this.errno = errno;
  }
}

const libc = koffi.load(null);
const cOpen = libc.func('int open(const char *, int)');
const cClose = libc.func('int close(int)');
const cRead = libc.func('long read(int, void *, size_t)');
const cWrite = libc.func('long write(int, const void *, size_t)');
const cPoll = libc.func('int poll(void *, unsigned long, int)');
const cEventfd = libc.func('int eventfd(unsigned int, int)');
const cSchedSetscheduler = libc.func('int sched_setscheduler(int, int, const void *)');
const cSchedYield = libc.func('int sched_yield()');
const cMount = libc.func('int mount(const char *, const char *, const char *, unsigned long, const char *)');
const cUmount2 = libc.func('int umount2(const char *, int)');
/** What is younger than many a libc. */
const cSyscall = libc.func('long syscall(long, ...)');
const cSocketpair = libc.func('int socketpair(int, int, int, _Out_ int *)');
const cRecvmsg = libc.func('long recvmsg(int, void *, int)');
const cFcntl = libc.func('int fcntl(int, int, ...)');
const cIoctl = libc.func('int ioctl(int, unsigned long, ...)');

function checked(call: string, result: number): number {
  if (result < 0) throw new SystemCallError(call, koffi.errno());
  return result;
}

const O_RDWR = 2;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;

/** open(2) for reading and writing, non-blocking, closed on exec. Not Node's: a worker thread would close its own at its end. */
export function openNonBlocking(path: string): number {
  return checked('open', cOpen(path, O_RDWR | O_NONBLOCK | O_CLOEXEC) as number);
}

/** close(2). */
export function close(fd: number): void {
  checked('close', cClose(fd) as number);
}

/** read(2): bytes read, or the negated errno. */
export function read(fd: number, buffer: Buffer): number {
  const result = cRead(fd, buffer, buffer.length) as number;
  return result < 0 ? -koffi.errno() : result;
}

/** write(2) of the first `length` bytes: bytes written, or the negated errno. */
export function write(fd: number, buffer: Buffer, length: number): number {
  const result = cWrite(fd, buffer, length) as number;
  return result < 0 ? -koffi.errno() : result;
}

/** sched_yield(2). */
export function yieldProcessor(): void {
  cSchedYield();
}

const SCHED_OTHER = 0;
const SCHED_RR = 2;
const SCHED_RESET_ON_FORK = 0x4000_0000;
const LOWEST_REAL_TIME = Buffer.from([1, 0, 0, 0]); // struct sched_param
const NO_REAL_TIME = Buffer.alloc(4);

/**
 * sched_setscheduler(2) of the calling thread: it goes before every thread that is not a real-time one (SCHED_RR, with the lowest priority of
 * these), or as others do. Threads that it makes go as others do. EPERM without CAP_SYS_NICE, or in a control group without real time.
 */
export function setRealTime(wanted: boolean): void {
  const policy = (wanted ? SCHED_RR : SCHED_OTHER) | SCHED_RESET_ON_FORK;
  checked('sched_setscheduler', cSchedSetscheduler(0, policy, wanted ? LOWEST_REAL_TIME : NO_REAL_TIME) as number);
}

const POLLIN = 1;
const POLLFD_LENGTH = 8;

/** poll(2) for readability of a fixed set of descriptors. */
export class Poll {
  private readonly set: Buffer;
  private readonly count: number;

  constructor(descriptors: readonly number[]) {
    this.count = descriptors.length;
    this.set = Buffer.alloc(this.count * POLLFD_LENGTH);
    for (const [i, fd] of descriptors.entries()) {
      this.set.writeInt32LE(fd, i * POLLFD_LENGTH);
      this.set.writeInt16LE(POLLIN, i * POLLFD_LENGTH + 4);
    }
  }

  /** Whether this one of the descriptors is readable now, by its place in the set. Does not wait. */
  isReadable(index: number): boolean {
    return this.wait(0) > 0 && this.set.readInt16LE(index * POLLFD_LENGTH + 6) !== 0;
  }

  /** Waits up to `timeoutMs` (-1: for ever) and returns how many are ready; a signal ends the wait with 0. */
  wait(timeoutMs: number): number {
    const ready = cPoll(this.set, this.count, Math.min(Math.ceil(timeoutMs), 0x7fff_ffff)) as number;
    if (ready >= 0) return ready;
    if (koffi.errno() !== constants.errno.EINTR) throw new SystemCallError('poll', koffi.errno());
    return 0;
  }
}

const EFD_CLOEXEC = 0o2000000;
const EFD_NONBLOCK = 0o4000;

/** eventfd(2), non-blocking, closed on exec. */
export function eventDescriptor(): number {
  return checked('eventfd', cEventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) as number);
}

/** mount(2). `flags`: MS_*. */
export function mount(source: string, target: string, type: string, flags: number, data: string): void {
  checked('mount', cMount(source, target, type, flags, data) as number);
}

const AT_FDCWD = -100;
/** Of linux/mount.h and asm-generic/unistd.h, which all newer architectures have in common. */
const SYS_OPEN_TREE = 428;
const SYS_MOVE_MOUNT = 429;
const OPEN_TREE_CLONE = 1;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const MOVE_MOUNT_BENEATH = 0x200;

/**
 * Puts what is mounted at `source` beneath what is mounted at `target`, there as well: it is seen from when that is gone. move_mount(2),
 * Linux 6.5; ENOSYS or EINVAL before.
 */
export function mountBeneath(source: string, target: string): void {
  const flags = OPEN_TREE_CLONE | O_CLOEXEC;
  // The mount at `source` itself cannot be moved where mounts are shared with other namespaces.
  const tree = checked('open_tree', Number(cSyscall(SYS_OPEN_TREE, 'int', AT_FDCWD, 'str', source, 'uint', flags)));
  try {
    const how = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_BENEATH;
    const moved = cSyscall(SYS_MOVE_MOUNT, 'int', tree, 'str', '', 'int', AT_FDCWD, 'str', target, 'uint', how);
    checked('move_mount', Number(moved));
  } finally {
    close(tree);
  }
}

/** For {@link unmountNow}: whoever waits for the server gets an error. */
export const MNT_FORCE = 1;

/** For {@link unmountNow}: detach from the tree at once, end when the last user is gone. */
export const MNT_DETACH = 2;

/** umount2(2), in the calling thread: not for the thread that serves the mount. */
export function unmountNow(target: string, flags: number): void {
  checked('umount2', cUmount2(target, flags) as number);
}

/** umount2(2) in another thread. Resolves to false when it failed; why is not known then. */
export function unmountInBackground(target: string, flags: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    cUmount2.async(target, flags, (error: Error | null, result: number) => {
      if (error) reject(error);
      else resolve(result === 0);
    });
  });
}

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;

/** socketpair(2): two connected stream sockets, closed on exec. */
export function socketPair(): [number, number] {
  const pair: [number, number] = [-1, -1];
  checked('socketpair', cSocketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) as number);
  return pair;
}

const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_DONTWAIT = 0x40;
const MSG_CMSG_CLOEXEC = 0x4000_0000;
const F_SETFL = 4;

/** Receives one descriptor by SCM_RIGHTS (recvmsg(2), cmsg(3)) without waiting; undefined when the message carries none. */
export function receiveDescriptor(socket: number): number | undefined {
  const data = Buffer.alloc(8);
  const control = Buffer.alloc(32);
  const vector = Buffer.alloc(16);
  vector.writeBigUInt64LE(koffi.address(data), 0);
  vector.writeBigUInt64LE(BigInt(data.length), 8);
  const message = Buffer.alloc(56); // struct msghdr of 64-bit Linux
  message.writeBigUInt64LE(koffi.address(vector), 16);
  message.writeBigUInt64LE(1n, 24);
  message.writeBigUInt64LE(koffi.address(control), 32);
  message.writeBigUInt64LE(BigInt(control.length), 40);
  checked('recvmsg', cRecvmsg(socket, message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) as number);
  if (Number(message.readBigUInt64LE(40)) < 20) return undefined;
  if (control.readInt32LE(8) !== SOL_SOCKET || control.readInt32LE(12) !== SCM_RIGHTS) return undefined;
  return control.readInt32LE(16);
}

/** fcntl(2): makes the reads of a device descriptor non-blocking. */
export function setNonBlocking(fd: number): void {
  checked('fcntl', cFcntl(fd, F_SETFL, 'long', O_RDWR | O_NONBLOCK) as number);
}

/** ioctl(2) with a struct: what it returns. */
export function ioctl(fd: number, request: number, argument: Buffer): number {
  return checked('ioctl', cIoctl(fd, request, 'void *', argument) as number);
}

const F_SETSIG = 10;
const F_SETLEASE = 1024;
const F_WRLCK = 1;
const F_UNLCK = 2;

/**
 * Whether nothing else has the descriptor's file open or mapped, in any process: the kernel grants a write lease (fcntl(2), F_SETLEASE)
 * to an only opener and to no other. The lease is given back at once. Duplicates of the descriptor do not count. Throws where the
 * filesystem has no leases.
 */
export function isOnlyOpener(fd: number): boolean {
  // Somebody who opens the file in between waits for those microseconds, and we get a signal: by default one that kills, SIGIO.
  checked('fcntl', cFcntl(fd, F_SETSIG, 'long', constants.signals.SIGURG) as number);
  if ((cFcntl(fd, F_SETLEASE, 'long', F_WRLCK) as number) < 0) {
    if (koffi.errno() === constants.errno.EAGAIN) return false;
    throw new SystemCallError('fcntl', koffi.errno());
  }
  checked('fcntl', cFcntl(fd, F_SETLEASE, 'long', F_UNLCK) as number);
  return true;
}
