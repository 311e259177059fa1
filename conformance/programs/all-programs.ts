// all-programs.ts — the programs that are run, in this order: quick and telling ones first.

import { cBuild } from './c-build.js';
import { cp } from './cp.js';
import { dpkg } from './dpkg.js';
import { emacs, vim } from './editors.js';
import { fileExerciser } from './file-exerciser.js';
import { findDuDf } from './find-du-df.js';
import { flock } from './flock.js';
import { git } from './git.js';
import { inotify } from './inotify.js';
import { npm } from './npm.js';
import { postgresql } from './postgresql.js';
import type { Program } from './program.js';
import { python } from './python.js';
import { rsync } from './rsync.js';
import { search } from './search.js';
import { sqliteRollback, sqliteTruncate, sqliteWal } from './sqlite.js';
import { tar } from './tar.js';
import { treeExerciser } from './tree-exerciser.js';

export const PROGRAMS: readonly Program[] = [
  git,
  cBuild,
  tar,
  rsync,
  cp,
  findDuDf,
  flock,
  inotify,
  vim,
  emacs,
  search,
  fileExerciser,
  treeExerciser,
  sqliteRollback,
  sqliteTruncate,
  sqliteWal,
  dpkg,
  postgresql,
  python,
  npm,
];
