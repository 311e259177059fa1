// start-site.ts — what create, join and mount end with: start the site here or in the background, and say what happened.

import { fileURLToPath } from 'node:url';
import { startInBackground } from './background-site.js';
import { shellWord } from './failure.js';
import { ProgressLine, progressText } from './progress-line.js';
import { sizeText } from './text-table.js';
import type { ReadySite, SiteJob } from './site-job.js';

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));

/** `done` begins the announcement: created, joined, mounted. */
export async function startSite(
  job: SiteJob,
  options: { foreground: boolean; progress: boolean },
  done: string,
): Promise<void> {
  const line = ProgressLine.onStderr(options.progress);
  const onReady = (site: ReadySite): void => {
    line.clear();
    process.stdout.write(announcement(site, done));
  };
  const onProgress: Parameters<typeof startInBackground>[2] = (progress) =>
    line.show(progressText(progress.what, progress.done, progress.total));
  try {
    if (options.foreground) {
      // Loaded on demand: the daemon's own modules, which a process that only starts one need not have.
      const { runInForeground } = await import('./foreground-site.js');
      await runInForeground(job, onProgress, onReady);
      // Whatever the daemon's threads still hold must not keep a site's process alive after its end.
      process.exit(0);
    }
    onReady(await startInBackground([MAIN, 'daemon'], job, onProgress));
  } finally {
    line.clear();
  }
}

function announcement(site: ReadySite, done: string): string {
  const mountpoint = shellWord(site.mountpoint);
  return [
    `volume ${site.volume} ${done} at ${site.mountpoint} (site ${site.site}, listening on ${site.listen})`,
    ...(site.toFetchBytes === 0
      ? []
      : [`  ${sizeText(site.toFetchBytes)} of content to come: weft sync --wait ${mountpoint} shows how far it is`]),
    `  weft invite ${mountpoint}    an invite for another site`,
    `  weft status ${mountpoint}    links, what is behind and ahead, conflicts`,
    `  weft umount ${mountpoint}    flush, unmount, end the daemon`,
    `  log: ${site.logPath}`,
    '',
  ].join('\n');
}
