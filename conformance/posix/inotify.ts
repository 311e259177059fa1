// inotify.ts — inotify(7) of what is done here: which events a watched directory and a watched file get from each call, in order.

import { as, CALLERS } from './callers.js';
import { close, dup, ftruncate, pread, pwrite, read } from './file-calls.js';
import { cString, must, native, type Path, type Result } from './libc.js';
import {
  chmod,
  link,
  mkdir,
  mkfifo,
  O_CREAT,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  open,
  rename,
  RENAME_EXCHANGE,
  renameat2,
  rmdir,
  setxattr,
  symlink,
  truncate,
  unlink,
  utimensat,
} from './path-calls.js';
import { makeFile, make } from './things.js';
import type { Part, Trial } from './trial.js';

const cInit = native('int inotify_init1(int)');
const cAddWatch = native('int inotify_add_watch(int, const void *, uint32_t)');
const cRemoveWatch = native('int inotify_rm_watch(int, int)');

const ALL_EVENTS = 0xfff;
const NAMES: readonly (readonly [bit: number, name: string])[] = [
  [0x1, 'ACCESS'],
  [0x2, 'MODIFY'],
  [0x4, 'ATTRIB'],
  [0x8, 'CLOSE_WRITE'],
  [0x10, 'CLOSE_NOWRITE'],
  [0x20, 'OPEN'],
  [0x40, 'MOVED_FROM'],
  [0x80, 'MOVED_TO'],
  [0x100, 'CREATE'],
  [0x200, 'DELETE'],
  [0x400, 'DELETE_SELF'],
  [0x800, 'MOVE_SELF'],
  [0x2000, 'UNMOUNT'],
  [0x4000, 'OVERFLOW'],
  [0x8000, 'IGNORED'],
];
const IS_DIRECTORY = 0x4000_0000;

/** A watch of one path; 'EVENT name' per event, 'EVENT/ name' where it is about a directory. */
export class Watch {
  private readonly fd: number;

  constructor(path: Path) {
    this.fd = must('inotify_init1', cInit(O_NONBLOCK));
    must('inotify_add_watch', cAddWatch(this.fd, cString(path), ALL_EVENTS));
  }

  /** What came since it was asked last. */
  events(): string[] {
    const buffer = Buffer.alloc(65_536);
    const length = Math.max(0, read(this.fd, buffer));
    const events: string[] = [];
    for (let at = 0; at < length;) {
      const mask = buffer.readUInt32LE(at + 4);
      const room = buffer.readUInt32LE(at + 12);
      const name = buffer.toString('latin1', at + 16, at + 16 + room).replace(/\0+$/, '');
      const what = NAMES.filter(([bit]) => (mask & bit) !== 0).map(([, event]) => event);
      events.push(`${what.join('|')}${(mask & IS_DIRECTORY) === 0 ? '' : '/'} ${name}`.trim());
      at += 16 + room;
    }
    return events;
  }

  close(): void {
    must('close', close(this.fd));
  }
}

interface Act {
  readonly what: string;
  /** In a directory `d` that holds `file` and the directory `sub`; beside it lies `e`. */
  readonly call: () => Result;
  readonly directory: readonly string[];
  readonly file: readonly string[];
}

function through(path: string, flags: number, work: (fd: number) => Result): Result {
  const fd = must('open', open(path, flags, 0o644));
  const result = work(fd);
  must('close', close(fd));
  return result;
}

const ACTS: readonly Act[] = [
  { what: 'mkdir', call: () => mkdir('d/new', 0o755), directory: ['CREATE/ new'], file: [] },
  { what: 'mkfifo', call: () => mkfifo('d/pipe', 0o644), directory: ['CREATE pipe'], file: [] },
  { what: 'symlink', call: () => symlink('nowhere', 'd/soft'), directory: ['CREATE soft'], file: [] },
  {
    what: 'open with O_CREAT',
    call: () => through('d/made', O_CREAT | O_RDWR, (fd) => fd),
    directory: ['CREATE made', 'OPEN made', 'CLOSE_WRITE made'],
    file: [],
  },
  { what: 'link', call: () => link('d/file', 'd/hard'), directory: ['CREATE hard'], file: ['ATTRIB'] },
  {
    what: 'reading',
    call: () => through('d/file', O_RDONLY, (fd) => pread(fd, Buffer.alloc(3), 0)),
    directory: ['OPEN file', 'ACCESS file', 'CLOSE_NOWRITE file'],
    file: ['OPEN', 'ACCESS', 'CLOSE_NOWRITE'],
  },
  {
    what: 'writing',
    call: () => through('d/file', O_RDWR, (fd) => pwrite(fd, 'abc', 0)),
    directory: ['OPEN file', 'MODIFY file', 'CLOSE_WRITE file'],
    file: ['OPEN', 'MODIFY', 'CLOSE_WRITE'],
  },
  {
    what: 'ftruncate, and closing one of two descriptors',
    call: () => through('d/file', O_RDWR, (fd) => must('close', close(must('dup', dup(fd)))) || ftruncate(fd, 2)),
    directory: ['OPEN file', 'MODIFY file', 'CLOSE_WRITE file'],
    file: ['OPEN', 'MODIFY', 'CLOSE_WRITE'],
  },
  { what: 'truncate', call: () => truncate('d/file', 1), directory: ['MODIFY file'], file: ['MODIFY'] },
  { what: 'chmod', call: () => chmod('d/file', 0o600), directory: ['ATTRIB file'], file: ['ATTRIB'] },
  { what: 'utimensat', call: () => utimensat('d/file', null), directory: ['ATTRIB file'], file: ['ATTRIB'] },
  {
    what: 'setxattr',
    call: () => setxattr('d/file', 'user.a', Buffer.from('v')),
    directory: ['ATTRIB file'],
    file: ['ATTRIB'],
  },
  { what: 'chmod of the directory itself', call: () => chmod('d', 0o750), directory: ['ATTRIB/'], file: [] },
  {
    what: 'rename within it',
    call: () => rename('d/hard', 'd/harder'),
    directory: ['MOVED_FROM hard', 'MOVED_TO harder'],
    file: ['MOVE_SELF'],
  },
  { what: 'rename out of it', call: () => rename('d/soft', 'e/soft'), directory: ['MOVED_FROM soft'], file: [] },
  { what: 'rename into it', call: () => rename('e/soft', 'd/soft'), directory: ['MOVED_TO soft'], file: [] },
  {
    what: 'rename over another',
    call: () => rename('d/pipe', 'd/made'),
    directory: ['MOVED_FROM pipe', 'MOVED_TO made'],
    file: [],
  },
  {
    what: 'RENAME_EXCHANGE',
    call: () => renameat2('d/made', 'd/sub', RENAME_EXCHANGE),
    directory: ['MOVED_FROM made', 'MOVED_TO sub', 'MOVED_FROM/ sub', 'MOVED_TO/ made'],
    file: [],
  },
  { what: 'rmdir', call: () => rmdir('d/new'), directory: ['DELETE/ new'], file: [] },
  {
    what: 'unlink of one of two names',
    call: () => unlink('d/harder'),
    directory: ['DELETE harder'],
    file: ['ATTRIB'],
  },
  {
    what: 'unlink of the last name',
    call: () => unlink('d/file'),
    directory: ['DELETE file'],
    file: ['ATTRIB', 'DELETE_SELF', 'IGNORED'],
  },
];

export const inotify: Part = {
  syscalls: ['inotify_add_watch'],
  run(trial) {
    trial.about('inotify_add_watch', 'events');
    make('directory', 'd');
    make('directory', 'd/sub');
    make('directory', 'e');
    makeFile('d/file', 'content');
    const [directory, file] = [new Watch('d'), new Watch('d/file')];
    for (const { what, call, directory: ofDirectory, file: ofFile } of ACTS) {
      trial.answers(what, 'ok', call());
      trial.equal(`${what}: at the directory`, directory.events().join(', '), ofDirectory.join(', '));
      trial.equal(`${what}: at the file`, file.events().join(', '), ofFile.join(', '));
    }
    file.close();
    directory.close();
    checkEnd(trial);
    checkErrors(trial);
  },
};

function checkEnd(trial: Trial): void {
  trial.about('inotify_add_watch', 'the watched directory');
  const path = make('directory', trial.name());
  const watch = new Watch(path);
  trial.answers('is moved', 'ok', rename(path, `${path}-moved`));
  trial.equal('is moved: events', watch.events().join(', '), 'MOVE_SELF');
  trial.answers('is removed', 'ok', rmdir(`${path}-moved`));
  trial.equal('is removed: events', watch.events().join(', '), 'DELETE_SELF, IGNORED');
  watch.close();
}

function checkErrors(trial: Trial): void {
  trial.about('inotify_add_watch', 'errors');
  const fd = must('inotify_init1', cInit(O_NONBLOCK));
  const add = (path: Path, mask = ALL_EVENTS): Result => cAddWatch(fd, cString(path), mask);
  trial.answers('what is not there', 'ENOENT', add('missing'));
  trial.answers('no events', 'EINVAL', add('.', 0));
  trial.answers('a null pointer', 'EFAULT', add(null));
  trial.answers('only a directory, of a file', 'ENOTDIR', add(makeFile(trial.name(), 'x'), ALL_EVENTS | 0x0100_0000));
  for (const caller of CALLERS.filter(({ uid }) => uid !== 0)) {
    const path = make('directory', trial.name(), { mode: 0 });
    trial.answers(
      `what may not be read, by ${caller.name}`,
      'EACCES',
      as(caller, () => add(path)),
    );
  }
  trial.answers('a watch that there is not', 'EINVAL', cRemoveWatch(fd, 4711));
  must('close', close(fd));
}
