// project-root.ts — finds the repository that a compiled script belongs to.
// Scripts run from a build directory, while what they read (scenario files, C sources) stays in the source tree.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The nearest directory above this file that holds Weft's package.json. */
export function projectRoot(): string {
  for (let directory = import.meta.dirname; ; directory = dirname(directory)) {
    const manifest = join(directory, 'package.json');
    if (existsSync(manifest) && (JSON.parse(readFileSync(manifest, 'utf8')) as { name?: string }).name === 'weftfs') {
      return directory;
    }
    if (directory === dirname(directory)) {
      throw new Error(`no package.json of weftfs above ${import.meta.dirname}: run this script from a built clone`);
    }
  }
}
