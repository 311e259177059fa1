// settlements.ts — what is in conflict at a running site, and settling it: lists come from the survey, changes go to the site thread.
// Invariant: whoever was told that something is settled, or undone, sees it at once, and it stays: it is on stable storage, with
// what takes it back (settled-file.ts).

import type { IngestPool } from '../chunks/ingest.js';
import { decodeManifest, sparseBlocksOf } from '../chunks/manifest.js';
import type { MergedContent } from '../volume/settlement.js';
import type { LocatedConflict } from './conflict-rows.js';
import type { ConflictRow, MergedFile, SettledRow } from './daemon-interface.js';
import { rowOf, SettledFile } from './settled-file.js';
import type { SiteRequests, SiteSyncStore } from './site-sync-store.js';
import type { TreeSurvey } from './tree-survey.js';

export class Settlements {
  private readonly file: SettledFile;

  constructor(
    stateDirectory: string,
    private readonly ingest: Pick<IngestPool, 'run'>,
    private readonly survey: Pick<TreeSurvey, 'conflictsAt'>,
    private readonly wallMs: () => number,
    /** Once it runs. */
    private readonly running: () => { site: SiteRequests; store: Pick<SiteSyncStore, 'flush' | 'adopt'> },
  ) {
    this.file = new SettledFile(stateDirectory);
  }

  /** What has to do with a path or what is below it; null: everything. */
  async conflicts(pathPrefix: string | null): Promise<ConflictRow[]> {
    const rows = (await this.list()).map(({ row }) => row);
    if (pathPrefix === null) return rows;
    const isBelow = (path: string | null): boolean =>
      path === pathPrefix || (path?.startsWith(`${pathPrefix}/`) ?? false);
    return rows.filter(({ path, shown, hidden }) => [path, shown.path, hidden.path].some((one) => isBelow(one)));
  }

  private async list(): Promise<readonly LocatedConflict[]> {
    const { commit } = await this.running().site.request('fold', null);
    return this.survey.conflictsAt(commit);
  }

  async resolve(id: string, keep: string, merged: MergedFile | null): Promise<SettledRow> {
    const { site, store } = this.running();
    this.file.all(); // a damaged file is complained of before anything is settled
    // What is being written is a version then, and no draft that knows nothing of the settlement.
    await store.flush();
    const found = (await this.list()).find(({ row }) => row.id === id);
    if (!found) throw new Error(`there is no conflict ${id}: weft conflicts lists them`);
    const content = merged && (await this.packFile(merged));
    const { done, undo } = await site.request('resolve', { id, directory: found.directory, keep, merged: content });
    const { path, kind } = found.row;
    const row = { id, path, kind, keep, time: new Date(this.wallMs()).toISOString(), done };
    if (undo.length > 0) this.file.add({ ...row, undo });
    await store.flush();
    return row;
  }

  /** Takes a file's bytes into the store, durably. A worker reads it: it may lie in the mount. */
  private async packFile({ path, size }: MergedFile): Promise<MergedContent> {
    const job = { jobId: 0, path, size, base: null, changed: [0, size] };
    const { manifestId, manifest, objects } = await this.ingest.run(job);
    await this.running().store.adopt(objects, false);
    return { manifest: manifestId, size, blocks: sparseBlocksOf(decodeManifest(Buffer.from(manifest))) };
  }

  /** What was settled here and can be undone, the latest first. */
  settled(): SettledRow[] {
    return this.file.all().map((settled) => rowOf(settled));
  }

  async undo(id: string): Promise<SettledRow> {
    const { site, store } = this.running();
    const found = this.file.all().find((conflict) => conflict.id === id);
    if (!found)
      throw new Error(`nothing that was settled here as ${id} can be undone: weft conflicts --settled lists that`);
    await store.flush();
    await site.request('undoResolve', { steps: found.undo });
    await store.flush();
    this.file.remove(id);
    return rowOf(found);
  }
}
