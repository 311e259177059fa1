// parts.ts — what the suite consists of, in the order in which it runs.

import { directoryPermission } from './directory-permission.js';
import { pathErrors } from './path-errors.js';
import { searchPermission } from './search-permission.js';
import type { Part } from './trial.js';

export const PARTS: Readonly<Record<string, Part>> = {
  'path-errors': pathErrors,
  'search-permission': searchPermission,
  'directory-permission': directoryPermission,
};
