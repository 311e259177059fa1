// daemon-process.ts — the background process of a site, as started by background-site.ts: one job, one site, then the end.

import type { DaemonModule } from '../daemon/daemon-interface.js';
import { logPathOf } from '../daemon/state-directory.js';
import { openLog } from './daemon-logger.js';
import { messageOf, oneLine, UsageError } from './failure.js';
import { endByUncaught, endWithoutHandlers } from './process-end.js';
import type { SiteJob, SiteReport } from './site-job.js';
import { runSite } from './site-process.js';

/** The daemon proper. Loaded on demand: a `weft status` must not pay for the document library. */
export function loadDaemon(): Promise<DaemonModule> {
  return import('../daemon/daemon.js');
}

/** Takes one job from the parent process, lives it, and ends this process. */
export async function serveJob(load: () => Promise<DaemonModule>): Promise<never> {
  if (!process.send) throw new UsageError('weft daemon is started by weft create, join and mount: use these');
  process.umask(0o077);
  let ready = false;
  process.once('disconnect', () => {
    // The command that waits for us was killed: nobody would learn that this site started.
    if (!ready) process.kill(process.pid, 'SIGTERM');
  });
  const job = await new Promise<SiteJob>((resolve) =>
    process.once('message', (message) => resolve(message as SiteJob)),
  );
  await endWithoutHandlers();
  const log = openLog(logPathOf(job.directory), { level: job.logLevel, foreground: false });
  const die = endByUncaught(log);
  try {
    await runSite(job, await load(), log, (report) => {
      if (report.kind === 'ready') {
        ready = true;
        process.title = `weft ${report.site.volume} ${report.site.mountpoint}`;
      }
      void send(report);
    });
  } catch (error) {
    if (!ready) await send({ kind: 'error', message: oneLine(messageOf(error)) });
    return die(error);
  }
  process.exit(0);
}

/** Resolves when the parent has the report, or is gone. */
async function send(report: SiteReport): Promise<void> {
  if (!process.connected) return;
  await new Promise<void>((resolve) => process.send!(report, undefined, undefined, () => resolve()));
}
