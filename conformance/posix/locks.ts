// locks.ts — record locks of processes (fcntl(2)), of open file descriptions (F_OFD_SETLK), flock(2) and leases, in two processes; and
// what two processes do at once: appending (O_APPEND), racing for names (O_EXCL), storing in one mapping, replacing what the other opens.

import { readFileSync } from 'node:fs';
import {
  close,
  dup,
  F,
  F_RDLCK,
  F_UNLCK,
  F_WRLCK,
  fcntl,
  fcntlLock,
  flock,
  LOCK,
  lockOf,
  MAP_SHARED,
  mmap,
  MS_SYNC,
  pread,
  PROT_READ,
  PROT_WRITE,
} from './file-calls.js';
import { must } from './libc.js';
import { O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY, open } from './path-calls.js';
import { append, createAll, OtherProcess } from './other-process.js';
import { lstat } from './stat.js';
import { make, makeFile, SOMEBODY } from './things.js';
import type { Part, Trial } from './trial.js';

export const locks: Part = {
  syscalls: ['fcntl', 'flock', 'open', 'write', 'mmap', 'rename'],
  run(trial) {
    const other = new OtherProcess();
    try {
      checkRecords(trial, other);
      checkEnds(trial, other);
      checkDeadlock(trial, other);
      checkOfd(trial);
      checkOfdBetween(trial, other);
      checkFlock(trial, other);
      checkErrors(trial);
      checkLeases(trial, other);
      checkAppending(trial, other);
      checkRace(trial, other);
      checkMapping(trial, other);
      checkReplacing(trial, other);
    } finally {
      other.end();
    }
  },
};

type Range = readonly [start: number, length: number];

const RANGES: readonly (readonly [what: string, ours: Range, theirs: Range, meet: boolean])[] = [
  ['the same bytes', [10, 10], [10, 10], true],
  ['bytes before', [10, 10], [0, 10], false],
  ['bytes behind', [10, 10], [20, 10], false],
  ['one byte in common', [10, 10], [19, 5], true],
  ['bytes within', [10, 10], [12, 2], true],
  ['to the end', [10, 10], [5, 0], true],
  ['from behind to the end', [10, 10], [20, 0], false],
  ['the whole file', [0, 0], [1_000_000_000, 1], true],
];

function checkRecords(trial: Trial, other: OtherProcess): void {
  trial.about('fcntl', 'F_SETLK');
  const path = makeFile(trial.name(), 'content');
  const fd = must('open', open(path, O_RDWR));
  const there = must('open there', other.tell({ does: 'open', path, flags: O_RDWR }));
  for (const [what, ours, theirs, meet] of RANGES) {
    for (const mine of [F_RDLCK, F_WRLCK]) {
      for (const wanted of [F_RDLCK, F_WRLCK]) {
        const conflict = meet && (mine === F_WRLCK || wanted === F_WRLCK);
        const title = `${what}: ${mine === F_WRLCK ? 'write' : 'read'} here, ${wanted === F_WRLCK ? 'write' : 'read'} there`;
        must('lock', fcntlLock(fd, F.setlk, lockOf(mine, ...ours)));
        other.ask({ does: 'lock', fd: there, command: F.getlk, lock: [wanted, ...theirs] });
        const [, type, start, length, pid] = other.answer();
        trial.equal(`${title}: F_GETLK type`, type!, conflict ? mine : F_UNLCK);
        if (conflict)
          trial.equal(
            `${title}: F_GETLK range and process`,
            `${start} ${length} ${pid === process.pid}`,
            `${ours[0]} ${ours[1]} true`,
          );
        const result = other.tell({ does: 'lock', fd: there, command: F.setlk, lock: [wanted, ...theirs] });
        trial.answers(title, conflict ? ['EAGAIN', 'EACCES'] : 'ok', result);
        must('unlock', fcntlLock(fd, F.setlk, lockOf(F_UNLCK, 0, 0)));
        const again = other.tell({ does: 'lock', fd: there, command: F.setlk, lock: [wanted, ...theirs] });
        trial.answers(`${title}: after unlocking here`, 'ok', again);
        must('unlock there', other.tell({ does: 'lock', fd: there, command: F.setlk, lock: [F_UNLCK, 0, 0] }));
      }
    }
  }
  other.tell({ does: 'close', fd: there });
  must('close', close(fd));
}

/** A process's locks go with any of its descriptors of the file, and with the process. */
function checkEnds(trial: Trial, other: OtherProcess): void {
  trial.about('fcntl', 'F_SETLK');
  const path = makeFile(trial.name(), 'content');
  const [fd, second] = [must('open', open(path, O_RDWR)), must('open', open(path, O_RDONLY))];
  const there = must('open there', other.tell({ does: 'open', path, flags: O_RDWR }));
  const theirs = (): number => other.tell({ does: 'lock', fd: there, command: F.setlk, lock: [F_WRLCK, 0, 0] });
  must('lock', fcntlLock(fd, F.setlk, lockOf(F_WRLCK, 0, 0)));
  trial.answers('while we have it', ['EAGAIN', 'EACCES'], theirs());
  trial.answers('our own again', 'ok', fcntlLock(fd, F.setlk, lockOf(F_RDLCK, 0, 0)));
  trial.answers('while we read', ['EAGAIN', 'EACCES'], theirs());
  must('close', close(second));
  trial.answers('after another descriptor of ours was closed', 'ok', theirs());
  trial.answers('what they have is not ours', ['EAGAIN', 'EACCES'], fcntlLock(fd, F.setlk, lockOf(F_WRLCK, 0, 1)));
  other.tell({ does: 'close', fd: there });
  trial.answers('after they closed it', 'ok', fcntlLock(fd, F.setlk, lockOf(F_WRLCK, 0, 1)));
  must('close', close(fd));
  const ended = new OtherProcess();
  const last = must('open there', ended.tell({ does: 'open', path, flags: O_RDWR }));
  must('lock there', ended.tell({ does: 'lock', fd: last, command: F.setlk, lock: [F_WRLCK, 0, 0] }));
  const mine = must('open', open(path, O_RDWR));
  trial.answers('while another process has it', ['EAGAIN', 'EACCES'], fcntlLock(mine, F.setlk, lockOf(F_WRLCK, 0, 0)));
  ended.end();
  trial.answers('waiting until that process ended', 'ok', fcntlLock(mine, F.setlkw, lockOf(F_WRLCK, 0, 0)));
  must('close', close(mine));
}

/** Two that wait for each other: the one that closes the circle is told. */
function checkDeadlock(trial: Trial, other: OtherProcess): void {
  trial.about('fcntl', 'F_SETLKW');
  const path = makeFile(trial.name(), 'content');
  const fd = must('open', open(path, O_RDWR));
  const there = must('open there', other.tell({ does: 'open', path, flags: O_RDWR }));
  must('lock', fcntlLock(fd, F.setlk, lockOf(F_WRLCK, 0, 1)));
  must('lock there', other.tell({ does: 'lock', fd: there, command: F.setlk, lock: [F_WRLCK, 1, 1] }));
  other.ask({ does: 'lock', fd: there, command: F.setlkw, lock: [F_WRLCK, 0, 1] });
  if (trial.holds('another process waits for ours', isWaiting(other.pid))) {
    trial.answers('waiting for its', 'EDEADLK', fcntlLock(fd, F.setlkw, lockOf(F_WRLCK, 1, 1)));
  }
  must('unlock', fcntlLock(fd, F.setlk, lockOf(F_UNLCK, 0, 0)));
  trial.answers('who waited, once we gave ours up', 'ok', other.answer()[0]!);
  other.tell({ does: 'close', fd: there });
  must('close', close(fd));
}

/** Waits until a process waits for a record lock: proc_locks(5) shows that with an arrow. */
function isWaiting(pid: number): boolean {
  for (let i = 0; i < 500; i++) {
    const lines = readFileSync('/proc/locks', 'latin1').split('\n');
    if (lines.some((line) => line.includes('->') && line.includes(` ${pid} `))) return true;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
  }
  return false;
}

/** Open file descriptions in one process are strangers to each other. */
function checkOfd(trial: Trial): void {
  trial.about('fcntl', 'F_OFD_SETLK');
  const path = makeFile(trial.name(), 'content');
  const [a, b] = [must('open', open(path, O_RDWR)), must('open', open(path, O_RDWR))];
  for (const [what, ours, theirs, meet] of RANGES) {
    for (const mine of [F_RDLCK, F_WRLCK]) {
      for (const wanted of [F_RDLCK, F_WRLCK]) {
        const conflict = meet && (mine === F_WRLCK || wanted === F_WRLCK);
        const title = `${what}: ${mine === F_WRLCK ? 'write' : 'read'}, then ${wanted === F_WRLCK ? 'write' : 'read'}`;
        must('lock', fcntlLock(a, F.ofdSetlk, lockOf(mine, ...ours)));
        trial.answers(title, conflict ? 'EAGAIN' : 'ok', fcntlLock(b, F.ofdSetlk, lockOf(wanted, ...theirs)));
        const query = lockOf(wanted, ...theirs);
        trial.answers(`${title}: F_OFD_GETLK`, 'ok', fcntlLock(b, F.ofdGetlk, query));
        trial.equal(`${title}: F_OFD_GETLK type`, query.readInt16LE(0), conflict ? mine : F_UNLCK);
        for (const fd of [a, b]) must('unlock', fcntlLock(fd, F.ofdSetlk, lockOf(F_UNLCK, 0, 0)));
      }
    }
  }
  const copy = must('dup', dup(a));
  must('lock', fcntlLock(a, F.ofdSetlk, lockOf(F_WRLCK, 0, 0)));
  trial.answers('a duplicate is no stranger', 'ok', fcntlLock(copy, F.ofdSetlk, lockOf(F_WRLCK, 0, 0)));
  must('close', close(a));
  trial.answers('one of two duplicates closed', 'EAGAIN', fcntlLock(b, F.ofdSetlk, lockOf(F_WRLCK, 0, 0)));
  must('close', close(copy));
  trial.answers('both closed', 'ok', fcntlLock(b, F.ofdSetlk, lockOf(F_WRLCK, 0, 0)));
  must('close', close(b));
}

/** The same between processes: an open file description's lock is in the way of the others', and of record locks. */
function checkOfdBetween(trial: Trial, other: OtherProcess): void {
  trial.about('fcntl', 'F_OFD_SETLK of two processes');
  const path = makeFile(trial.name(), 'content');
  const fd = must('open', open(path, O_RDWR));
  const there = must('open there', other.tell({ does: 'open', path, flags: O_RDWR }));
  for (const [command, name] of [
    [F.ofdSetlk, 'F_OFD_SETLK'],
    [F.setlk, 'F_SETLK'],
  ] as const) {
    for (const [what, ours, theirs, meet] of RANGES) {
      for (const mine of [F_RDLCK, F_WRLCK]) {
        for (const wanted of [F_RDLCK, F_WRLCK]) {
          const conflict = meet && (mine === F_WRLCK || wanted === F_WRLCK);
          const title = `${what}: ${mine === F_WRLCK ? 'write' : 'read'} here, ${wanted === F_WRLCK ? 'write' : 'read'} by ${name} there`;
          must('lock', fcntlLock(fd, F.ofdSetlk, lockOf(mine, ...ours)));
          const result = other.tell({ does: 'lock', fd: there, command, lock: [wanted, ...theirs] });
          trial.answers(title, conflict ? 'EAGAIN' : 'ok', result);
          must('unlock', fcntlLock(fd, F.ofdSetlk, lockOf(F_UNLCK, 0, 0)));
          must('unlock there', other.tell({ does: 'lock', fd: there, command, lock: [F_UNLCK, 0, 0] }));
        }
      }
    }
  }
  other.tell({ does: 'close', fd: there });
  must('close', close(fd));
}

function checkFlock(trial: Trial, other: OtherProcess): void {
  trial.about('flock');
  for (const kind of ['file', 'directory'] as const) {
    const path = make(kind, trial.name());
    const [a, b] = [must('open', open(path, O_RDONLY)), must('open', open(path, O_RDONLY))];
    const there = must('open there', other.tell({ does: 'open', path, flags: O_RDONLY }));
    for (const mine of [LOCK.shared, LOCK.exclusive]) {
      for (const wanted of [LOCK.shared, LOCK.exclusive]) {
        const conflict = mine === LOCK.exclusive || wanted === LOCK.exclusive;
        const title = `${kind}: ${mine === LOCK.shared ? 'shared' : 'exclusive'}, then ${wanted === LOCK.shared ? 'shared' : 'exclusive'}`;
        must('flock', flock(a, mine));
        trial.answers(`${title}, here`, conflict ? 'EAGAIN' : 'ok', flock(b, wanted | LOCK.nonBlocking));
        trial.answers(
          `${title}, there`,
          conflict ? 'EAGAIN' : 'ok',
          other.tell({ does: 'flock', fd: there, operation: wanted | LOCK.nonBlocking }),
        );
        for (const fd of [a, b]) must('unlock', flock(fd, LOCK.unlock));
        must('unlock there', other.tell({ does: 'flock', fd: there, operation: LOCK.unlock }));
      }
    }
    must('flock', flock(a, LOCK.exclusive));
    const record = fcntlLock(b, F.setlk, lockOf(F_RDLCK, 0, 0));
    if (kind === 'file') trial.answers('record locks do not meet flock', 'ok', record);
    trial.answers(`${kind}: exclusive becomes shared`, 'ok', flock(a, LOCK.shared));
    trial.answers(`${kind}: then another is shared too`, 'ok', flock(b, LOCK.shared | LOCK.nonBlocking));
    must('close', close(a));
    trial.answers(`${kind}: alone after a close`, 'ok', flock(b, LOCK.exclusive | LOCK.nonBlocking));
    must('close', close(b));
    other.tell({ does: 'close', fd: there });
  }
}

function checkErrors(trial: Trial): void {
  trial.about('fcntl', 'errors');
  const path = makeFile(trial.name(), 'content');
  const reader = must('open', open(path, O_RDONLY));
  const writer = must('open', open(path, O_WRONLY));
  for (const [command, name] of [
    [F.setlk, 'F_SETLK'],
    [F.setlkw, 'F_SETLKW'],
    [F.ofdSetlk, 'F_OFD_SETLK'],
  ] as const) {
    trial.answers(
      `${name}: to write what is open for reading`,
      'EBADF',
      fcntlLock(reader, command, lockOf(F_WRLCK, 0, 0)),
    );
    trial.answers(
      `${name}: to read what is open for writing`,
      'EBADF',
      fcntlLock(writer, command, lockOf(F_RDLCK, 0, 0)),
    );
    trial.answers(`${name}: an unknown type`, 'EINVAL', fcntlLock(reader, command, lockOf(9, 0, 0)));
    trial.answers(`${name}: before the start`, 'EINVAL', fcntlLock(reader, command, lockOf(F_RDLCK, -5, 1)));
    trial.answers(
      `${name}: a negative length before the start`,
      'EINVAL',
      fcntlLock(reader, command, lockOf(F_RDLCK, 3, -5)),
    );
    trial.answers(`${name}: a negative length`, 'ok', fcntlLock(reader, command, lockOf(F_RDLCK, 5, -5)));
    trial.answers(`${name}: an unknown whence`, 'EINVAL', fcntlLock(reader, command, lockOf(F_RDLCK, 0, 0, 7)));
    trial.answers(`${name}: unlocking what is not locked`, 'ok', fcntlLock(reader, command, lockOf(F_UNLCK, 0, 0)));
  }
  trial.answers('an unknown command', 'EINVAL', fcntl(reader, 4711));
  must('close', close(reader));
  must('close', close(writer));
  trial.answers('a closed descriptor', 'EBADF', fcntlLock(reader, F.setlk, lockOf(F_RDLCK, 0, 0)));
  trial.about('flock', 'errors');
  trial.answers('a closed descriptor', 'EBADF', flock(reader, LOCK.shared));
  const fd = must('open', open(path, O_RDONLY));
  trial.answers('an unknown operation', 'EINVAL', flock(fd, 64));
  must('close', close(fd));
}

function checkLeases(trial: Trial, other: OtherProcess): void {
  trial.about('fcntl', 'leases');
  const path = makeFile(trial.name(), 'content', SOMEBODY);
  const fd = must('open', open(path, O_RDONLY));
  trial.answers('a read lease', 'ok', fcntl(fd, F.setlease, F_RDLCK));
  trial.equal('F_GETLEASE', fcntl(fd, F.getlease), F_RDLCK);
  trial.answers('no lease', 'ok', fcntl(fd, F.setlease, F_UNLCK));
  trial.equal('F_GETLEASE of none', fcntl(fd, F.getlease), F_UNLCK);
  trial.answers('a write lease on what is open once', 'ok', fcntl(fd, F.setlease, F_WRLCK));
  must('no lease', fcntl(fd, F.setlease, F_UNLCK));
  checkBreaks(trial, other, path, fd);
  const there = must('open there', other.tell({ does: 'open', path, flags: O_RDWR }));
  trial.answers('a read lease on what is open for writing', 'EAGAIN', fcntl(fd, F.setlease, F_RDLCK));
  trial.answers('a write lease on what is open elsewhere', 'EAGAIN', fcntl(fd, F.setlease, F_WRLCK));
  other.tell({ does: 'close', fd: there });
  must('close', close(fd));
}

/** Who opens a file against a lease waits, or not with O_NONBLOCK, until the holder was told and gave it up (fcntl(2), F_SETLEASE). */
function checkBreaks(trial: Trial, other: OtherProcess, path: string, fd: number): void {
  // Told by a signal that is otherwise ignored: SIGIO would end this process.
  const SIGCHLD = 17;
  for (const [lease, flags, what, becomes] of [
    [F_RDLCK, O_RDONLY, 'a read lease, opened for reading', null],
    [F_RDLCK, O_RDWR, 'a read lease, opened for writing', F_UNLCK],
    [F_WRLCK, O_RDONLY, 'a write lease, opened for reading', F_RDLCK],
    [F_WRLCK, O_RDWR, 'a write lease, opened for writing', F_UNLCK],
  ] as const) {
    must('F_SETSIG', fcntl(fd, F.setsig, SIGCHLD));
    must('lease', fcntl(fd, F.setlease, lease));
    const first = other.tell({ does: 'open', path, flags: flags | O_NONBLOCK });
    trial.answers(what, becomes === null ? 'ok' : 'EAGAIN', first);
    if (first >= 0) other.tell({ does: 'close', fd: first });
    if (becomes !== null) trial.equal(`${what}: it is to become`, fcntl(fd, F.getlease), becomes);
    other.ask({ does: 'open', path, flags });
    trial.answers(`${what}: giving it up`, 'ok', fcntl(fd, F.setlease, F_UNLCK));
    const second = other.answer()[0]!;
    trial.answers(`${what}: who waited`, 'ok', second);
    if (second >= 0) other.tell({ does: 'close', fd: second });
  }
}

function checkAppending(trial: Trial, other: OtherProcess): void {
  trial.about('write', 'O_APPEND of two processes');
  const TIMES = 400;
  for (const length of [10, 100, 5000]) {
    const path = makeFile(trial.name(), '');
    const [ours, theirs] = [`${'a'.repeat(length - 1)}\n`, `${'b'.repeat(length - 1)}\n`];
    other.ask({ does: 'append', path, text: theirs, times: TIMES });
    const here = append(path, ours, TIMES);
    const there = other.answer()[0]!;
    trial.equal(`${length} bytes: writes taken whole`, here + there, 2 * TIMES);
    trial.equal(`${length} bytes: the size`, lstat(path).size, BigInt(2 * TIMES * length));
  }
}

function checkRace(trial: Trial, other: OtherProcess): void {
  trial.about('open', 'O_EXCL of two processes');
  const COUNT = 300;
  const directory = make('directory', trial.name());
  other.ask({ does: 'create', prefix: `${directory}/`, count: COUNT });
  const here = createAll(`${directory}/`, COUNT);
  const there = other.answer()[0]!;
  trial.equal('names made, each by one', here + there, COUNT);
}

/** What is stored in one mapping is in the other's, and is read, at once. */
function checkMapping(trial: Trial, other: OtherProcess): void {
  trial.about('mmap', 'shared with another process');
  for (const length of [100, 5000, 300_000]) {
    const path = makeFile(trial.name(), Buffer.alloc(length, 'a'));
    const fd = must('open', open(path, O_RDWR));
    const mapping = mmap(fd, length, PROT_READ | PROT_WRITE, MAP_SHARED);
    if (typeof mapping === 'number') {
      trial.answers(`${length} bytes`, 'ok', mapping);
      continue;
    }
    const at = length - 1;
    mapping.bytes[at] = 98;
    trial.equal(`${length} bytes: what we stored, there`, other.tell({ does: 'store', path, at, byte: 99 }), 98);
    trial.equal(`${length} bytes: what they stored, here`, mapping.bytes[at], 99);
    const one = Buffer.alloc(1);
    must('pread', pread(fd, one, at));
    trial.equal(`${length} bytes: what they stored, read`, one[0]!, 99);
    trial.answers(`${length} bytes: msync`, 'ok', mapping.sync(MS_SYNC));
    must('munmap', mapping.unmap());
    must('close', close(fd));
  }
}

/** rename(2): at no moment is there no file, and each is whole. */
function checkReplacing(trial: Trial, other: OtherProcess): void {
  trial.about('rename', 'over what another process opens');
  const TIMES = 500;
  for (const length of [10, 20_000]) {
    const path = makeFile(trial.name(), 'z'.repeat(length));
    other.ask({ does: 'replace', path, length, times: TIMES });
    let opened = 0;
    let whole = 0;
    const bytes = Buffer.alloc(length + 1);
    for (let i = 0; i < TIMES; i++) {
      const fd = open(path, O_RDONLY);
      if (fd < 0) continue;
      opened++;
      if (pread(fd, bytes, 0) === length && bytes.subarray(0, length).every((byte) => byte === bytes[0])) whole++;
      must('close', close(fd));
    }
    trial.equal(`${length} bytes: replaced`, other.answer()[0]!, TIMES);
    trial.equal(`${length} bytes: times that it was there`, opened, TIMES);
    trial.equal(`${length} bytes: times that it was whole`, whole, TIMES);
  }
}
