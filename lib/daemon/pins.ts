// pins.ts — files and trees whose content is fetched and kept whatever else this site does not keep. Main thread.
// Invariant: a pin is an inode, so that it goes where its file or directory goes. What is below a pinned directory is looked at again
// after every change, a moment later: whatever came there, by whichever way, is wanted then.

import { Worker } from 'node:worker_threads';
import type { Ino } from '../crdt/ids.js';
import type { SyncClock } from '../sync/ports.js';
import type { PinnedTree, PinSurvey } from '../volume/pin-survey.js';
import type { PinnedPath } from './content-interface.js';
import type { Log, SiteState } from './daemon-interface.js';
import { pathText } from './path-text.js';
import type { SiteRequests } from './site-sync-store.js';

export interface PinSurveyData {
  readonly stateDirectory: string;
  readonly pins: readonly Ino[];
}

export interface PinsOptions {
  readonly state: SiteState;
  readonly clock: SyncClock;
  readonly log: Log;
  readonly site: () => SiteRequests;
}

const SURVEY_DELAY_MS = 500;
/** Looking takes no more than this part of the time. */
const MAX_SHARE = 0.02;

export class Pins {
  private cancel: (() => void) | null = null;
  private surveying: Promise<void> = Promise.resolve();
  private restUntilMs = 0;
  private closed = false;

  constructor(private readonly options: PinsOptions) {}

  get inos(): readonly Ino[] {
    return this.options.state.config().pins ?? [];
  }

  /** Also in the site thread, which wants what is written to a pinned file from now on. */
  async add(paths: readonly string[]): Promise<void> {
    const inos = await this.resolve(paths);
    await this.save([...new Set([...this.inos, ...inos])]);
    await this.survey();
  }

  async remove(paths: readonly string[]): Promise<void> {
    const inos = new Set(await this.resolve(paths));
    const pinned = new Set(this.inos);
    for (const [i, ino] of [...inos].entries())
      if (!pinned.has(ino)) throw new Error(`${pathText(paths[i]!)} is not pinned: weft pin lists what is`);
    await this.save(this.inos.filter((ino) => !inos.has(ino)));
    await this.survey(); // what is pinned still is wanted still
  }

  /** What has no name any more is pinned no longer. */
  async list(): Promise<PinnedPath[]> {
    const { trees } = await this.look();
    const named = trees.filter((tree): tree is PinnedTree & { path: string } => tree.path !== null);
    if (named.length < trees.length) await this.save(named.map(({ ino }) => ino));
    return named.map(({ path, files, bytes, missingBytes }) => ({ path, files, bytes, missingBytes }));
  }

  async resolve(paths: readonly string[]): Promise<Ino[]> {
    const { inos } = await this.options.site().request('resolvePaths', { paths: [...paths] });
    return inos.map((ino, i) => {
      if (ino === null) throw new Error(`${pathText(paths[i]!)}: no such file or directory`);
      return ino;
    });
  }

  private async save(inos: readonly Ino[]): Promise<void> {
    const { state, site } = this.options;
    const { pins: _, ...config } = state.config();
    state.saveConfig(inos.length === 0 ? config : { ...config, pins: [...inos] });
    await site().request('pin', { inos: [...inos] });
  }

  /** The tree changed. */
  changed(): void {
    if (this.cancel || this.closed || this.inos.length === 0) return;
    const { clock, log } = this.options;
    const delayMs = Math.max(SURVEY_DELAY_MS, this.restUntilMs - clock.now());
    this.cancel = clock.setTimer(delayMs, () => {
      this.cancel = null;
      this.survey().catch((error: Error) =>
        log.warn({ err: error }, 'what is pinned could not be looked at; it is tried again with the next change'),
      );
    });
  }

  /** Has what is pinned and neither here nor wanted wanted. */
  private survey(): Promise<void> {
    this.surveying = this.surveying
      .catch(() => {})
      .then(async () => {
        if (this.closed || this.inos.length === 0) return;
        const { clock, site } = this.options;
        const startMs = clock.now();
        const { needed } = await this.look();
        this.restUntilMs = clock.now() + (clock.now() - startMs) / MAX_SHARE;
        if (needed.length > 0) await site().request('correctWants', { needed: [...needed], unneeded: [] });
      });
    return this.surveying;
  }

  private look(): Promise<PinSurvey> {
    const workerData: PinSurveyData = { stateDirectory: this.options.state.directory, pins: this.inos };
    return new Promise((resolve, reject) => {
      const worker = new Worker(new URL('pin-survey-thread.js', import.meta.url), { workerData });
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', (code) => reject(new Error(`the survey of what is pinned ended with code ${code}`)));
    });
  }

  async close(): Promise<void> {
    this.closed = true;
    this.cancel?.();
    await this.surveying.catch(() => {});
  }
}
