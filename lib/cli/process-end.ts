// process-end.ts — how the process of a daemon ends: at once, without what libraries registered with atexit(3).
// koffi (3.3.4) calls fsync(2) on stdout and stderr there, and where the disk with the log cannot write it waits for ever for a lock that
// it holds itself, to say so on stderr. The process would keep /dev/fuse open meanwhile, and with it every program in the mount.

import koffi from 'koffi';

const libc = koffi.load(null);
const exitAtOnce = libc.func('void _exit(int status)') as (status: number) => void;

/** From now on process.exit(), and the end of all that is to be done, end this process without further handlers: _exit(2). */
export function endWithoutHandlers(): void {
  process.on('exit', exitAtOnce);
}
