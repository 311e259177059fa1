// process-end.ts — how the process of a daemon ends: at once, without what libraries registered with atexit(3).
// koffi (3.3.4) calls fsync(2) on stdout and stderr there, and where the disk with the log cannot write it waits for ever for a lock that
// it holds itself, to say so on stderr. The process would keep /dev/fuse open meanwhile, and with it every program in the mount.

import type { Log } from '../daemon/daemon-interface.js';
import { messageOf } from './failure.js';

/** From when it resolves on, process.exit(), and the end of all that is to be done, end this process without further handlers: _exit(2). */
export async function endWithoutHandlers(): Promise<void> {
  // Loaded on demand: `weft status` does without.
  const { default: koffi } = await import('koffi');
  process.on('exit', koffi.load(null).func('void _exit(int status)') as (status: number) => void);
}

/**
 * An exception that nobody catches is logged, and ends this process: by itself Node would say it only after the handlers of
 * {@link endWithoutHandlers}.
 * @returns what does the same with an exception that was caught
 */
export function endByUncaught(log: Log): (error: unknown) => never {
  const die = (error: unknown): never => {
    try {
      log.error({ stack: error instanceof Error ? error.stack : undefined }, messageOf(error));
    } finally {
      process.exit(1);
    }
  };
  process.on('uncaughtException', die);
  return die;
}
