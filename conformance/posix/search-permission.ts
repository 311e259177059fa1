// search-permission.ts — who may not search a directory reaches nothing through it: EACCES from every call that takes a path.
// POSIX.1-2024 4.7, path_resolution(7). The mode gives the caller's class one thing and the other classes the opposite.

import { as, CALLERS, EXECUTE, modeFor, permits, PLAIN_CALLERS, ROOT, UID, GID } from './callers.js';
import { must, outcome } from './libc.js';
import { chmod, fchdir, O_PATH, open } from './path-calls.js';
import { PATH_CALLS, PATH_SYSCALLS } from './path-table.js';
import { make, SOMEBODY } from './things.js';
import type { Part } from './trial.js';

export const searchPermission: Part = {
  syscalls: PATH_SYSCALLS,
  run(trial) {
    const here = must('open', open('.', O_PATH));
    for (const { syscall, how, last, other, call } of PATH_CALLS) {
      trial.about(syscall, how);
      for (const caller of CALLERS) {
        for (const bits of [7, 6, 5, 4, 1, 0]) {
          const mode = modeFor(caller, bits);
          const directory = make('directory', trial.name(), { mode: 0o777 });
          const path = `${directory}/x`;
          if (last !== 'new') make('file', path, { mode: 0o666 });
          const otherName = trial.name();
          if (other === 'file') make('file', otherName, { uid: caller.uid, mode: 0o666 });
          must('chmod', chmod(directory, mode));
          const what = `the caller has ${bits} on a directory of mode ${mode.toString(8)}`;
          if (permits(caller, { uid: UID, gid: GID, mode, directory: true }, EXECUTE)) {
            // Whatever else it needs is another part's matter; searching must not be what stops it.
            if (bits !== 7 && caller !== ROOT) continue;
            const result = as(caller, () => call(path, otherName));
            trial.holds(`${what}, by ${caller.name}: not EACCES`, outcome(result) !== 'EACCES', () => 'EACCES');
          } else {
            trial.refuses(what, 'EACCES', [path, directory, otherName, '.'], () => call(path, otherName), caller);
          }
          must('fchdir', fchdir(here));
        }
      }
      const denied = make('directory', trial.name());
      make('directory', `${denied}/inner`, { ...SOMEBODY, mode: 0o777 });
      must('chmod', chmod(denied, 0));
      for (const caller of PLAIN_CALLERS) {
        const name = trial.name();
        if (other === 'file') make('file', name, { uid: caller.uid, mode: 0o666 });
        trial.refuses('no search above', 'EACCES', [denied, name], () => call(`${denied}/inner/x`, name), caller);
        trial.refuses(
          'no search above ..',
          'EACCES',
          [denied, name],
          () => call(`${denied}/inner/../../x`, name),
          caller,
        );
      }
    }
  },
};
