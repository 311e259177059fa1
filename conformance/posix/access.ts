// access.ts — access(2) tells what the mode allows, for each kind of file, class, mode and question.

import { as, CALLERS, GID, modeFor, permits, UID } from './callers.js';
import { access, AT_EACCESS, AT_SYMLINK_NOFOLLOW, faccessat } from './path-calls.js';
import { KINDS_WITH_MODE, make } from './things.js';
import type { Part } from './trial.js';

export const accessPart: Part = {
  syscalls: ['access'],
  run(trial) {
    trial.about('access');
    for (const kind of KINDS_WITH_MODE) {
      const directory = kind === 'directory';
      for (const caller of CALLERS) {
        for (let bits = 0; bits < 8; bits++) {
          const mode = modeFor(caller, bits);
          const path = make(kind, trial.name(), { mode });
          for (let wanted = 0; wanted < 8; wanted++) {
            const expected = permits(caller, { uid: UID, gid: GID, mode, directory }, wanted) ? 'ok' : 'EACCES';
            const what = `${wanted} of a ${kind} of mode ${mode.toString(8)}, by ${caller.name}`;
            const [plain, effective] = as(caller, () => [access(path, wanted), faccessat(path, wanted, AT_EACCESS)]);
            trial.answers(what, expected, plain);
            if (kind === 'file') trial.answers(`AT_EACCESS: ${what}`, expected, effective);
          }
        }
      }
      // Root executes what nobody may only if it is a directory.
      const path = make(kind, trial.name(), { mode: 0 });
      trial.rootStep(() => {
        trial.answers(`execution of a ${kind} of mode 0, by root`, directory ? 'ok' : 'EACCES', access(path, 1));
        trial.answers(`reading and writing of a ${kind} of mode 0, by root`, 'ok', access(path, 6));
      });
      trial.refuses(`8 of a ${kind}`, 'EINVAL', [path], () => access(path, 8));
      trial.refuses(`an unknown flag for a ${kind}`, 'EINVAL', [path], () => faccessat(path, 0, 0x4000));
    }
    const link = make('symlink', trial.name());
    trial.answers('a dangling symlink', 'ENOENT', access(link, 0));
    trial.answers('a dangling symlink, AT_SYMLINK_NOFOLLOW', 'ok', faccessat(link, 0, AT_SYMLINK_NOFOLLOW));
  },
};
