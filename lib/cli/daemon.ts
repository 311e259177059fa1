// daemon.ts — `weft daemon`, what background-site.ts starts; not a command for people, and not listed.

import type { CommandModule } from 'yargs';

export const daemonCommand: CommandModule = {
  command: 'daemon',
  describe: false,
  handler: async () => {
    const { loadDaemon, serveJob } = await import('./daemon-process.js');
    await serveJob(loadDaemon);
  },
};
