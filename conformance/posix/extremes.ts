// extremes.ts — how much there may be: entries of a directory, names of a file, bytes of a name and of a path.
// Sizes that keep the suite quick; with `--full` those that POSIX filesystems are known for: a million entries, 65,000 links.

import { type Entry, close, entriesIn, getdents, lseek, SEEK_SET } from './file-calls.js';
import { must } from './libc.js';
import {
  chdir,
  fchdir,
  link,
  mkdir,
  mknod,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  open,
  rename,
  rmdir,
  unlink,
  unlinkat,
} from './path-calls.js';
import { exists, lstat, stat } from './stat.js';
import { make, makeFile, TYPE_BITS } from './things.js';
import type { Part, Trial } from './trial.js';

/** ext4's EXT4_LINK_MAX. */
const MOST_LINKS = 65_000;
const NAME_MAX = 255;
const PATH_MAX = 4096;

export const extremes: Part = {
  syscalls: ['getdents', 'link', 'open', 'rename', 'unlink', 'mkdir'],
  run(trial) {
    checkEntries(trial, trial.full ? 1_000_000 : 5_000);
    checkLinks(trial, trial.full ? MOST_LINKS : 2_000);
    checkNames(trial);
    checkPath(trial);
  },
};

function entries(fd: number, buffer: Buffer): Entry[] {
  return entriesIn(buffer, must('getdents', getdents(fd, buffer)));
}

function isDot({ name }: Entry): boolean {
  return name === '.' || name === '..';
}

function checkEntries(trial: Trial, count: number): void {
  const prefix = 'a large directory';
  const directory = make('directory', trial.name(), { mode: 0o755 });
  trial.about('open', prefix);
  let made = 0;
  for (let i = 0; i < count; i++) if (mknod(`${directory}/${i}`, TYPE_BITS.file | 0o644) === 0) made++;
  trial.equal('entries made', made, count);
  trial.answers('one that is there', 'EEXIST', open(`${directory}/${count - 1}`, O_CREAT | O_EXCL, 0o644));
  trial.answers('one that is not', 'ENOENT', open(`${directory}/${count}`, O_RDONLY));

  trial.about('getdents', prefix);
  const fd = must('open', open(directory, O_RDONLY | O_DIRECTORY));
  const buffer = Buffer.alloc(32_768);
  const seen = new Uint8Array(count);
  /** Where to read on after some entries, and what comes there. */
  const places: { readonly next: bigint; readonly name: string }[] = [];
  let listed = 0;
  let last: Entry | undefined;
  for (let batch = entries(fd, buffer); batch.length > 0; batch = entries(fd, buffer)) {
    for (const entry of batch) {
      if (last !== undefined && listed % 997 === 0) places.push({ next: last.next, name: entry.name });
      if (!isDot(entry)) seen[Number(entry.name)]!++;
      listed++;
      last = entry;
    }
  }
  trial.equal('entries listed', listed, count + 2);
  trial.holds(
    'each once',
    seen.every((times) => times === 1),
  );
  // There and back: places from both ends in turn.
  const order = places.map((_, i) => places[i % 2 === 0 ? i / 2 : places.length - (i + 1) / 2]!);
  let right = 0;
  for (const { next, name } of order) {
    must('lseek', lseek(fd, next, SEEK_SET));
    if (entries(fd, buffer)[0]?.name === name) right++;
  }
  trial.equal('places found again by seekdir', right, places.length);
  const few = Buffer.alloc(1024);
  must('lseek', lseek(fd, places.at(-1)!.next, SEEK_SET));
  for (const entry of entries(fd, few)) if (!isDot(entry)) must('unlink', unlinkat(fd, entry.name, 0));
  must('lseek', lseek(fd, places[0]!.next, SEEK_SET));
  trial.equal('a place after others were removed', entries(fd, few)[0]?.name ?? '', places[0]!.name);

  trial.about('unlink', prefix);
  must('lseek', lseek(fd, 0, SEEK_SET));
  for (let batch = entries(fd, buffer); batch.length > 0; batch = entries(fd, buffer)) {
    for (const entry of batch) if (!isDot(entry)) must('unlink', unlinkat(fd, entry.name, 0));
  }
  must('close', close(fd));
  trial.answers('nothing is left: rmdir', 'ok', rmdir(directory));
}

function checkLinks(trial: Trial, count: number): void {
  trial.about('link', 'as many as ext4 allows');
  const directory = make('directory', trial.name(), { mode: 0o755 });
  const path = makeFile(`${directory}/0`, 'content');
  const { ino } = lstat(path);
  let made = 1;
  for (let i = 1; i < count; i++) if (link(path, `${directory}/${i}`) === 0) made++;
  trial.equal('names', made, count);
  trial.equal('links by the last name', lstat(`${directory}/${count - 1}`).nlink, count);
  trial.equal('inode of the last name', lstat(`${directory}/${count - 1}`).ino, ino);
  // POSIX: EMLINK at a limit of the filesystem's own.
  if (count === MOST_LINKS) trial.answers('one more', ['ok', 'EMLINK'], link(path, `${directory}/more`));
  unlink(`${directory}/more`);
  trial.about('unlink', 'as many as ext4 allows');
  let removed = 0;
  for (let i = 0; i < count - 1; i++) if (unlink(`${directory}/${i}`) === 0) removed++;
  trial.equal('names removed', removed, count - 1);
  trial.equal('links of the last', lstat(`${directory}/${count - 1}`).nlink, 1);
  trial.equal('its size', lstat(`${directory}/${count - 1}`).size, 7n);
}

/** Every byte but NUL and '/', as often as a name can hold it. */
function checkNames(trial: Trial): void {
  const directory = make('directory', trial.name(), { mode: 0o755 });
  for (let byte = 1; byte < 256; byte++) {
    if (byte === 0x2f) continue;
    const name = `${directory}/${String.fromCharCode(byte).repeat(NAME_MAX)}`;
    const what = `255 times ${byte}`;
    trial.about('open', 'names');
    const fd = open(name, O_CREAT | O_EXCL | O_RDWR, 0o644);
    if (!trial.answers(what, 'ok', fd)) continue;
    must('close', close(fd));
    trial.answers(`${what}: one byte more`, 'ENAMETOOLONG', open(`${name}x`, O_CREAT, 0o644));
    trial.about('rename', 'names');
    trial.answers(what, 'ok', rename(name, `${directory}/x`));
    trial.answers(`${what}: back`, 'ok', rename(`${directory}/x`, name));
    trial.about('unlink', 'names');
    trial.answers(what, 'ok', unlink(name));
    trial.equal(`${what}: it is there`, exists(name), false);
  }
}

/** 15 directories of 255 bytes and a name of 255: with the NUL, PATH_MAX. */
function checkPath(trial: Trial): void {
  const here = must('open', open('.', O_PATH));
  const top = make('directory', trial.name(), { mode: 0o755 });
  must('chdir', chdir(top));
  const component = 'p'.repeat(NAME_MAX);
  trial.about('mkdir', 'paths');
  let path = component;
  for (; path.length + NAME_MAX + 1 <= PATH_MAX - 1; path = `${path}/${component}`) {
    trial.answers(`of ${path.length} bytes`, 'ok', mkdir(path, 0o755));
  }
  trial.equal('the longest path', path.length, PATH_MAX - 1);
  trial.about('open', 'paths');
  const fd = open(path, O_CREAT | O_EXCL | O_RDWR, 0o644);
  if (trial.answers(`of ${path.length} bytes`, 'ok', fd)) must('close', close(fd));
  trial.equal(`of ${path.length} bytes: its type`, stat(path).type, TYPE_BITS.file);
  trial.answers('one byte more', 'ENAMETOOLONG', open(`${path}p`, O_RDONLY));
  trial.about('rename', 'paths');
  const other = `${path.slice(0, -1)}q`;
  trial.answers('to one as long', 'ok', rename(path, other));
  trial.about('unlink', 'paths');
  trial.answers(`of ${path.length} bytes`, 'ok', unlink(other));
  must('fchdir', fchdir(here));
  must('close', close(here));
}
