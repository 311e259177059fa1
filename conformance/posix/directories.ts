// directories.ts — getdents(2), seekdir(3) by lseek(2) while entries come and go; names of any bytes; deep and wide directories.

import { close, type Entry, entriesIn, getdents, lseek, SEEK_SET } from './file-calls.js';
import { must } from './libc.js';
import {
  chdir,
  fchdir,
  mkdir,
  O_CREAT,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  open,
  openat,
  rename,
  rmdir,
  unlink,
  unlinkat,
} from './path-calls.js';
import { exists, lstat, lstatResult, stat } from './stat.js';
import { entryType, KINDS, make, makeFile, SOMEBODY } from './things.js';
import type { Part, Trial } from './trial.js';

export const directories: Part = {
  syscalls: ['getdents', 'open', 'mkdir'],
  run(trial) {
    checkKinds(trial);
    for (const count of [0, 1, 100, 2000]) checkAll(trial, count);
    checkSeeking(trial);
    checkChanging(trial);
    checkErrors(trial);
    checkNames(trial);
    checkDeep(trial);
  },
};

/** All entries from where the descriptor stands, by reads of so many bytes. */
function list(fd: number, room = 32_768): Entry[] {
  const entries: Entry[] = [];
  const buffer = Buffer.alloc(room);
  for (;;) {
    const length = must('getdents', getdents(fd, buffer));
    if (length === 0) return entries;
    entries.push(...entriesIn(buffer, length));
  }
}

function opened(path: string): number {
  return must('open', open(path, O_RDONLY | O_DIRECTORY));
}

function listed(path: string): string[] {
  const fd = opened(path);
  const names = list(fd).map(({ name }) => name);
  must('close', close(fd));
  return names.toSorted();
}

function checkKinds(trial: Trial): void {
  trial.about('getdents', 'kinds');
  const directory = make('directory', trial.name());
  for (const kind of KINDS) make(kind, `${directory}/a ${kind}`);
  const fd = opened(directory);
  const entries = new Map(list(fd).map((entry) => [entry.name, entry]));
  must('close', close(fd));
  trial.equal('entries', entries.size, KINDS.length + 2);
  for (const kind of KINDS) {
    const entry = entries.get(`a ${kind}`);
    trial.equal(`type of a ${kind}`, entry?.type ?? -1, entryType(kind));
    trial.equal(`inode of a ${kind}`, entry?.ino ?? -1n, lstat(`${directory}/a ${kind}`).ino);
  }
  trial.equal('inode of .', entries.get('.')?.ino ?? -1n, lstat(directory).ino);
  trial.equal('inode of ..', entries.get('..')?.ino ?? -1n, lstat('.').ino);
}

function fill(trial: Trial, count: number): string {
  const directory = make('directory', trial.name());
  for (let i = 0; i < count; i++) make('file', `${directory}/${i}`, SOMEBODY);
  return directory;
}

function checkAll(trial: Trial, count: number): void {
  trial.about('getdents', `${count} entries`);
  const directory = fill(trial, count);
  const expected = ['.', '..', ...Array.from({ length: count }, (_, i) => `${i}`)].toSorted().join();
  for (const room of [280, 1024, 32_768, 1 << 20]) {
    const fd = opened(directory);
    trial.holds(
      `by ${room} bytes: each once`,
      list(fd, room)
        .map(({ name }) => name)
        .toSorted()
        .join() === expected,
    );
    trial.equal(`by ${room} bytes: then nothing`, getdents(fd, Buffer.alloc(room)), 0);
    must('lseek', lseek(fd, 0, SEEK_SET));
    trial.equal(`by ${room} bytes: from the start again`, list(fd, room).length, count + 2);
    must('close', close(fd));
  }
}

function checkSeeking(trial: Trial): void {
  trial.about('getdents', 'seekdir');
  const directory = fill(trial, 200);
  const fd = opened(directory);
  const all = list(fd, 1024);
  for (let i = 0; i < all.length; i += 10) {
    must('lseek', lseek(fd, all[i]!.next, SEEK_SET));
    const rest = list(fd, 4096).map(({ name }) => name);
    const expected = all.slice(i + 1).map(({ name }) => name);
    trial.equal(`after entry ${i}: how many`, rest.length, expected.length);
    trial.holds(`after entry ${i}: the same`, rest.join() === expected.join());
  }
  must('close', close(fd));
}

/** POSIX readdir(): what is neither added nor removed meanwhile comes exactly once. */
function checkChanging(trial: Trial): void {
  trial.about('getdents', 'while entries come and go');
  for (const [what, change] of [
    ['come', (directory: string, i: number) => void make('file', `${directory}/new ${i}`)],
    ['go', (directory: string, i: number) => void unlink(`${directory}/${i * 2 + 1}`)],
    [
      'come and go',
      (directory: string, i: number) =>
        void [make('file', `${directory}/new ${i}`), unlink(`${directory}/${i * 2 + 1}`)],
    ],
    [
      'get other names',
      (directory: string, i: number) => void rename(`${directory}/${i * 2 + 1}`, `${directory}/new ${i}`),
    ],
  ] as const) {
    const directory = fill(trial, 600);
    const fd = opened(directory);
    const buffer = Buffer.alloc(512);
    const seen: string[] = [];
    for (let i = 0; ; i++) {
      const length = must('getdents', getdents(fd, buffer));
      if (length === 0) break;
      seen.push(...entriesIn(buffer, length).map(({ name }) => name));
      for (let k = 0; k < 5; k++) change(directory, (i * 5 + k) % 300);
    }
    must('close', close(fd));
    const even = seen.filter((name) => /^\d*[02468]$/.test(name));
    trial.equal(`${what}: what stays, seen`, even.length, 300);
    trial.equal(`${what}: what stays, seen once`, new Set(even).size, 300);
    const others = seen.filter((name) => /^\d*[13579]$/.test(name));
    trial.equal(`${what}: what goes, at most once`, new Set(others).size, others.length);
  }
  trial.about('getdents', 'emptying while reading');
  const directory = fill(trial, 500);
  const fd = opened(directory);
  const buffer = Buffer.alloc(1024);
  for (
    let length = must('getdents', getdents(fd, buffer));
    length > 0;
    length = must('getdents', getdents(fd, buffer))
  ) {
    for (const { name } of entriesIn(buffer, length))
      if (name !== '.' && name !== '..') must('unlink', unlinkat(fd, name, 0));
  }
  must('close', close(fd));
  trial.answers('rmdir afterwards', 'ok', rmdir(directory));
}

function checkErrors(trial: Trial): void {
  trial.about('getdents', 'errors');
  const buffer = Buffer.alloc(1024);
  const file = must('open', open(makeFile(trial.name(), 'x'), O_RDONLY));
  trial.answers('a file', 'ENOTDIR', getdents(file, buffer));
  must('close', close(file));
  const pathOnly = must('open', open('.', O_PATH));
  trial.answers('an O_PATH descriptor', 'EBADF', getdents(pathOnly, buffer));
  must('close', close(pathOnly));
  trial.answers('a closed descriptor', 'EBADF', getdents(pathOnly, buffer));
  const fd = opened(make('directory', trial.name()));
  trial.answers('no room for one entry', 'EINVAL', getdents(fd, Buffer.alloc(10)));
  must('close', close(fd));
  const gone = make('directory', trial.name());
  const removed = opened(gone);
  must('rmdir', rmdir(gone));
  const result = getdents(removed, buffer);
  trial.answers('a directory that was removed', ['ok', 'ENOENT'], result);
  trial.equal('a directory that was removed: bytes', Math.max(result, 0), 0);
  must('close', close(removed));
}

/** Any byte but NUL and '/'. */
function checkNames(trial: Trial): void {
  const directory = make('directory', trial.name());
  trial.about('open', 'names');
  const names: string[] = [];
  for (let byte = 1; byte < 256; byte++) if (byte !== 0x2f && byte !== 0x2e) names.push(String.fromCharCode(byte));
  for (let byte = 128; byte < 256; byte += 16) names.push(String.fromCharCode(byte).repeat(255));
  for (const length of [1, 2, 100, 254, 255]) names.push('n'.repeat(length).padStart(length, 'm'));
  names.push(
    '...',
    '.hidden',
    ' ',
    '-',
    '~',
    '*',
    'a\nb',
    'A',
    'a',
    '\xc3\xa9',
    'e\xcc\x81',
    '\xff\xfe',
    'CON',
    'x ',
    ' x',
  );
  const unique = [...new Set(names)];
  for (const name of unique) {
    const fd = open(`${directory}/${name}`, O_CREAT | O_WRONLY, 0o644);
    const what =
      Buffer.from(name.slice(0, 8), 'latin1').toString('hex') + (name.length > 8 ? `… (${name.length})` : '');
    if (!trial.answers(what, 'ok', fd)) continue;
    must('close', close(fd));
    trial.answers(`${what}: found`, 'ok', lstatResult(`${directory}/${name}`));
  }
  trial.about('getdents', 'names');
  trial.holds('all of them are listed', listed(directory).join('/') === ['.', '..', ...unique].toSorted().join('/'));
  for (const name of unique) must('unlink', unlink(`${directory}/${name}`));
  trial.equal('entries after all were removed', listed(directory).length, 2);
}

function checkDeep(trial: Trial): void {
  trial.about('mkdir', 'deep');
  const here = must('open', open('.', O_PATH));
  const DEPTH = 60;
  const name = 'd'.repeat(200);
  const top = make('directory', trial.name());
  must('chdir', chdir(top));
  // 12,000 bytes below: further than any one path reaches.
  let made = 0;
  for (let i = 0; i < DEPTH; i++) if (mkdir(name, 0o755) === 0 && chdir(name) === 0) made++;
  trial.equal('directories in each other', made, DEPTH);
  const fd = openat(-100, 'file', O_CREAT | O_WRONLY, 0o644);
  trial.answers('a file in the deepest', 'ok', fd);
  if (fd >= 0) must('close', close(fd));
  trial.equal('it is there', exists('file'), true);
  trial.answers('a path longer than PATH_MAX to it', 'ENAMETOOLONG', lstatResult(`${`${name}/`.repeat(21)}x`));
  unlink('file');
  let back = 0;
  for (let i = 0; i < DEPTH; i++) if (chdir('..') === 0 && rmdir(name) === 0) back++;
  trial.equal('directories removed again', back, DEPTH);
  trial.equal('back at the top', stat('.').ino, (must('fchdir', fchdir(here)), lstat(top).ino));
  must('fchdir', fchdir(here));
  must('close', close(here));
}
