// site-job.ts — what the command line asks a daemon process to become, and what that reports back.
// Sent over the IPC channel between the two and not as arguments: an invite is a secret, and arguments are public (ps(1)).

import type { LogLevel } from './daemon-log.js';
import type { Progress, SiteConfig } from '../daemon/daemon-interface.js';

export type SiteJob = {
  /** Absolute path of the state directory. */
  directory: string;
  logLevel: LogLevel;
} & (
  | { kind: 'create'; config: SiteConfig }
  | { kind: 'join'; invite: string; draft: SiteDraft }
  | {
      kind: 'mount';
      changes: Partial<
        Pick<SiteConfig, 'mountpoint' | 'listen' | 'driver' | 'mountOptions' | 'content' | 'wantsDue' | 'metrics'>
      >;
    }
);

export type SiteDraft = Pick<
  SiteConfig,
  'site' | 'siteId' | 'mountpoint' | 'listen' | 'driver' | 'mountOptions' | 'content' | 'metrics'
>;

/** A site that is mounted and listens. */
export interface ReadySite {
  volume: string;
  site: string;
  mountpoint: string;
  /** HOST:PORT, with the port that was chosen. */
  listen: string;
  logPath: string;
  /** Content that is still to come. */
  toFetchBytes: number;
}

export type SiteReport =
  | { kind: 'progress'; progress: Progress }
  | { kind: 'ready'; site: ReadySite }
  /** The message names what is wrong and the remedy. The process ends. */
  | { kind: 'error'; message: string };
