// parts.ts — what the suite consists of, in the order in which it runs.

import { accessPart } from './access.js';
import { chmodPart } from './chmod.js';
import { chownPart } from './chown.js';
import { directoryPermission } from './directory-permission.js';
import { openPermission } from './open-permission.js';
import { pathErrors } from './path-errors.js';
import { searchPermission } from './search-permission.js';
import { times } from './times.js';
import { truncatePart } from './truncate.js';
import { utimensatPart } from './utimensat.js';
import type { Part } from './trial.js';

export const PARTS: Readonly<Record<string, Part>> = {
  'path-errors': pathErrors,
  'search-permission': searchPermission,
  'directory-permission': directoryPermission,
  'open-permission': openPermission,
  times,
  access: accessPart,
  chmod: chmodPart,
  chown: chownPart,
  truncate: truncatePart,
  utimensat: utimensatPart,
};
