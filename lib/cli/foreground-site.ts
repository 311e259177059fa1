// foreground-site.ts — runs a site in this process, with its log on stderr and in the state directory's daemon.log.

import { logPathOf } from '../daemon/state-directory.js';
import { loadDaemon } from './daemon-process.js';
import { rotateLog } from './daemon-log.js';
import { openLog } from './daemon-logger.js';
import type { Progress } from '../daemon/daemon-interface.js';
import { endByUncaught, endWithoutHandlers } from './process-end.js';
import type { ReadySite, SiteJob } from './site-job.js';
import { runSite } from './site-process.js';

/** Returns when the site was unmounted. */
export async function runInForeground(
  job: SiteJob,
  onProgress: (progress: Progress) => void,
  onReady: (site: ReadySite) => void,
): Promise<void> {
  process.umask(0o077);
  await endWithoutHandlers();
  const logPath = logPathOf(job.directory);
  rotateLog(logPath);
  const log = openLog(logPath, { level: job.logLevel, foreground: true });
  endByUncaught(log);
  await runSite(job, await loadDaemon(), log, (report) => {
    if (report.kind === 'progress') onProgress(report.progress);
    else if (report.kind === 'ready') onReady(report.site);
  });
}
