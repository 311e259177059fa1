// parts.ts — what the suite consists of, in the order in which it runs.

import { accessPart } from './access.js';
import { aclPart } from './acl.js';
import { chmodPart } from './chmod.js';
import { chownPart } from './chown.js';
import { content } from './content.js';
import { descriptorsOfPaths } from './descriptors-of-paths.js';
import { directories } from './directories.js';
import { directoryPermission } from './directory-permission.js';
import { execution } from './execution.js';
import { extremes } from './extremes.js';
import { holes } from './holes.js';
import { inotify } from './inotify.js';
import { links } from './links.js';
import { locks } from './locks.js';
import { newInodes } from './new-inodes.js';
import { openPermission } from './open-permission.js';
import { pathErrors } from './path-errors.js';
import { privileges } from './privileges.js';
import { renamePart } from './rename.js';
import { searchPermission } from './search-permission.js';
import { sparseFiles } from './sparse-files.js';
import { statxPart } from './statx.js';
import { sticky } from './sticky.js';
import { times } from './times.js';
import { truncatePart } from './truncate.js';
import { utimensatPart } from './utimensat.js';
import { xattrPart } from './xattr.js';
import type { Part } from './trial.js';

export const PARTS: Readonly<Record<string, Part>> = {
  'path-errors': pathErrors,
  'search-permission': searchPermission,
  'directory-permission': directoryPermission,
  'open-permission': openPermission,
  times,
  'new-inodes': newInodes,
  sticky,
  rename: renamePart,
  access: accessPart,
  chmod: chmodPart,
  chown: chownPart,
  truncate: truncatePart,
  statx: statxPart,
  utimensat: utimensatPart,
  xattr: xattrPart,
  acl: aclPart,
  links,
  privileges,
  content,
  holes,
  'sparse-files': sparseFiles,
  directories,
  'descriptors-of-paths': descriptorsOfPaths,
  locks,
  inotify,
  extremes,
  execution,
};

/** All system calls that the suite makes assertions about. */
export const SYSCALLS: readonly string[] = [
  ...new Set(Object.values(PARTS).flatMap(({ syscalls }) => syscalls)),
].toSorted();
