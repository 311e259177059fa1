// path-errors.ts — resolving a path fails in the same way for every call: ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG, EFAULT, EEXIST.
// POSIX.1-2024 4.16, path_resolution(7). A failed call leaves the directory, and what the path leads to, as they were.

import { must, type Path, type Result } from './libc.js';
import { fchdir, mkdir, O_PATH, open, rmdir, symlink, unlink } from './path-calls.js';
import { PATH_CALLS, PATH_SYSCALLS, type PathCall } from './path-table.js';
import { KINDS, KINDS_BUT_DIRECTORY, make } from './things.js';
import type { Part, Trial } from './trial.js';

const NAME_MAX = 255;
const PATH_MAX = 4096;
/** MAXSYMLINKS of the kernel. */
const LINKS_FOLLOWED = 40;
const LONGEST = 'x'.repeat(NAME_MAX);
const TOO_LONG = 'x'.repeat(NAME_MAX + 1);

/** A path of exactly so many bytes that leads to where `path` leads. */
export function padded(path: string, bytes: number): string {
  const room = bytes - path.length;
  return `${'./'.repeat(room >> 1)}${room % 2 === 1 ? '/' : ''}${path}`;
}

export const pathErrors: Part = {
  syscalls: PATH_SYSCALLS,
  run(trial) {
    const here = must('open', open('.', O_PATH));
    makePrefixes();
    for (const entry of PATH_CALLS) {
      trial.about(entry.syscall, entry.how);
      checkPrefixes(trial, entry);
      checkLengths(trial, entry);
      if (entry.last === 'new') checkNewName(trial, entry);
      else checkOldName(trial, entry);
      must('fchdir', fchdir(here));
    }
  },
};

interface Prepared {
  readonly call: (path: Path) => Result;
  /** What a refused call must leave alone. */
  readonly watched: readonly string[];
}

/** The call, with its other name as it needs it. */
function prepare(trial: Trial, { call, other }: PathCall): Prepared {
  const name = trial.name();
  if (other === 'file') make('file', name);
  return { call: (path) => call(path, name), watched: ['.', 'real', name] };
}

function makePrefixes(): void {
  for (const kind of KINDS_BUT_DIRECTORY) if (kind !== 'symlink') make(kind, `a ${kind}`);
  must('mkdir', mkdir('real', 0o777));
  const links = {
    'to a file': 'a file',
    loop: 'loop',
    'ring 1': 'ring 2',
    'ring 2': 'ring 1',
    dangling: 'nowhere',
    'link 1': 'real',
  };
  for (const [path, target] of Object.entries(links)) must('symlink', symlink(target, path));
  for (let i = 2; i <= LINKS_FOLLOWED + 1; i++) must('symlink', symlink(`link ${i - 1}`, `link ${i}`));
}

function checkPrefixes(trial: Trial, entry: PathCall): void {
  const { call, watched } = prepare(trial, entry);
  const cases: readonly [what: string, path: Path, errno: string][] = [
    ['a missing directory in the path', 'missing/x', 'ENOENT'],
    ['a dangling symlink in the path', 'dangling/x', 'ENOENT'],
    ['a symlink to itself in the path', 'loop/x', 'ELOOP'],
    ['two symlinks to each other in the path', 'ring 1/x', 'ELOOP'],
    ['41 symlinks in the path', `link ${LINKS_FOLLOWED + 1}/x`, 'ELOOP'],
    ['a symlink to a file in the path', 'to a file/x', 'ENOTDIR'],
    ['an empty path', '', 'ENOENT'],
    ['a null pointer', null, entry.ofNull ?? 'EFAULT'],
  ];
  for (const [what, path, errno] of cases) trial.refuses(what, errno, watched, () => call(path));
  for (const kind of KINDS_BUT_DIRECTORY) {
    if (kind === 'symlink') continue;
    const at = `a ${kind}`;
    trial.refuses(`a ${kind} in the path`, 'ENOTDIR', [...watched, at], () => call(`${at}/x`));
    trial.refuses(`a ${kind} before ..`, 'ENOTDIR', [...watched, at], () => call(`${at}/../x`));
  }
}

function checkLengths(trial: Trial, entry: PathCall): void {
  const { call, watched } = prepare(trial, entry);
  trial.refuses('a name of 256 bytes', 'ENAMETOOLONG', watched, () => call(TOO_LONG));
  trial.refuses('a directory of 256 bytes', 'ENAMETOOLONG', watched, () => call(`${TOO_LONG}/x`));
  trial.refuses('a path of 4096 bytes', 'ENAMETOOLONG', watched, () => call(padded('real/x', PATH_MAX)));
  trial.refuses('a path of 5000 bytes', 'ENAMETOOLONG', watched, () => call(padded('real/x', 5000)));
  if (entry.last === 'old') {
    trial.refuses('a missing name of 255 bytes', 'ENOENT', watched, () => call(LONGEST));
    trial.refuses('a missing name of a path of 4095 bytes', 'ENOENT', watched, () =>
      call(padded('real/x', PATH_MAX - 1)),
    );
    return;
  }
  const made: readonly [what: string, path: string][] = [
    ['a new name of 255 bytes', `real/${LONGEST}`],
    ['a new name of a path of 4095 bytes', padded(`real/new`, PATH_MAX - 1)],
    ['a new name behind 40 symlinks', `link ${LINKS_FOLLOWED}/new`],
    ['a new name behind dots and slashes', './/real/.././real///new'],
  ];
  for (const [what, path] of made) {
    trial.answers(what, 'ok', prepare(trial, entry).call(path));
    if (unlink(path) < 0) rmdir(path);
  }
}

/** What a name that is to be made answers when it stands there with a slash behind it. */
const NEW_WITH_SLASH: Record<string, string> = { open: 'EISDIR', openat2: 'EISDIR', renameat2: 'ENOTDIR', mkdir: 'ok' };

function checkNewName(trial: Trial, entry: PathCall): void {
  const { call, watched } = prepare(trial, entry);
  for (const kind of KINDS) {
    const path = make(kind, trial.name());
    trial.refuses(`a ${kind} is there`, 'EEXIST', [...watched, path], () => call(path));
  }
  const full = make('directory', trial.name());
  make('file', `${full}/x`);
  trial.refuses('a directory that is not empty is there', 'EEXIST', [...watched, full], () => call(full));
  trial.refuses('a symlink to a directory is there', 'EEXIST', watched, () => call('link 1'));
  trial.refuses('a symlink to itself is there', 'EEXIST', watched, () => call('loop'));
  for (const path of ['.', '..', 'real/.', 'real/..']) {
    trial.refuses(`the new name is ${path}`, 'EEXIST', watched, () => call(path));
  }
  const path = trial.name();
  trial.decides('a slash behind the new name', NEW_WITH_SLASH[entry.syscall] ?? 'ENOENT', watched, () =>
    call(`${path}/`),
  );
}

function checkOldName(trial: Trial, entry: PathCall): void {
  const { call, watched } = prepare(trial, entry);
  const { last, follows, removes } = entry;
  if (last === 'old') {
    trial.refuses('no such name', 'ENOENT', watched, () => call('missing'));
    trial.refuses('no such name, with a slash', 'ENOENT', watched, () => call('missing/'));
    trial.refuses('no such name in a directory', 'ENOENT', watched, () => call('real/missing'));
    if (follows) trial.refuses('a dangling symlink', 'ENOENT', [...watched, 'dangling'], () => call('dangling'));
  }
  if (follows) {
    trial.refuses('a symlink to itself', 'ELOOP', [...watched, 'loop'], () => call('loop'));
    trial.refuses('a symlink to another and back', 'ELOOP', [...watched, 'ring 1'], () => call('ring 1'));
    trial.refuses('41 symlinks', 'ELOOP', watched, () => call(`link ${LINKS_FOLLOWED + 1}`));
  }
  if (last === 'any') return;
  for (const kind of KINDS_BUT_DIRECTORY) {
    const path = make(kind, trial.name());
    const errno = kind === 'symlink' && !removes ? 'ENOENT' : 'ENOTDIR';
    trial.refuses(`a slash behind a ${kind}`, errno, [...watched, path], () => call(`${path}/`));
    trial.refuses(
      `a slash and a dot behind a ${kind}`,
      kind === 'symlink' ? 'ENOENT' : 'ENOTDIR',
      [...watched, path],
      () => call(`${path}/.`),
    );
  }
}
