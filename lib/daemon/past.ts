// past.ts — history, restoring and snapshots of a running site: questions go to the history thread, changes to the site thread.
// Invariant: an answer includes everything that was written and closed before it was asked for.

import { HistoryClient } from './history-client.js';
import type { HistoryRow, SiteHistory } from './history-interface.js';

export class Past implements SiteHistory {
  private readonly thread: HistoryClient;

  constructor(
    stateDirectory: string,
    /** Resolves when all that was written and closed is committed. */
    private readonly flush: () => Promise<unknown>,
  ) {
    this.thread = new HistoryClient(stateDirectory);
  }

  async history(path: string, limit: number): Promise<readonly HistoryRow[]> {
    await this.flush();
    return this.thread.request('history', { path, limit });
  }

  close(): Promise<void> {
    return this.thread.close();
  }
}
