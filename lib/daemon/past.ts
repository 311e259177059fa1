// past.ts — history, restoring and snapshots of a running site: questions go to the history thread, changes to the site thread.
// Invariant: an answer includes everything that was written and closed before it was asked for.

import { type PastAnswer, pastQuestion } from '../volume/past-files.js';
import { HistoryClient } from './history-client.js';
import type { HistoryRow, Restored, Retention, SiteHistory, SnapshotList, Undeleted } from './history-interface.js';
import { parseMoment } from './moment.js';
import { pathText } from './path-text.js';
import type { SiteClient } from './site-client.js';
import type { Name } from '../crdt/ids.js';
import { retentionInForce } from '../journal/retention.js';
import { namesIn } from '../journal/path-history.js';
import type { LostLink, RemovedTree } from '../journal/removed-trees.js';

/** A millisecond or two of the site thread's work. */
const PLACES_PER_REQUEST = 100;

export class Past implements SiteHistory {
  private readonly thread: HistoryClient;

  constructor(
    stateDirectory: string,
    /** The site thread, once it runs. */
    private readonly site: () => SiteClient,
    /** How long this site keeps old versions, milliseconds; undefined: as the volume says. */
    private readonly siteAge: { get(): number | undefined; set(ageMs: number | undefined): void },
  ) {
    this.thread = new HistoryClient(stateDirectory);
  }

  async history(path: string, limit: number): Promise<readonly HistoryRow[]> {
    await this.flush();
    return this.thread.request('history', { path, limit });
  }

  async restore(path: string, version: string, to: string | null): Promise<Restored> {
    await this.flush();
    const found = await this.thread.request('version', { path, version });
    const { manifest, size, mtime, blocks } = found;
    const old = { manifest, size, mtime, blocks };
    try {
      if (to !== null) {
        await this.site().request('restore', { ino: found.ino, version: old, to: namesIn(to) });
        await this.flush();
        return { version: found.id, path: to };
      }
      let at = path;
      if (found.present === null) {
        if (!found.removed) throw new Error('its file never had a place: restore the version elsewhere with --to PATH');
        const [name] = await this.placeAgain(found.removed);
        if (name) at = `${path.slice(0, path.lastIndexOf('/'))}/${name}`;
      }
      await this.site().request('restore', { ino: found.present ?? found.ino, version: old, to: null });
      await this.flush();
      return { version: found.id, path: at };
    } catch (error) {
      throw new Error(`${pathText(to ?? path)}: ${(error as Error).message}`, { cause: error });
    }
  }

  async undelete(path: string, since: string | null): Promise<Undeleted> {
    await this.flush();
    const removed = await this.thread.request('removed', { path, since });
    const names = await this.placeAgain(removed);
    await this.flush();
    const came = names.filter((placed) => placed !== null).length;
    if (removed.directory === null) return { path, names: came };
    return { path: `${removed.directory}/${names[0] ?? removed.links[0]!.name}`, names: came };
  }

  /** In slices, so that no local call waits long. What was cut off goes on when it is asked for again. */
  private async placeAgain({ above, links, times }: RemovedTree): Promise<(Name | null)[]> {
    const names: (Name | null)[] = [];
    const place = async (lost: readonly LostLink[], touch: boolean): Promise<void> => {
      if (lost.length === 0) return;
      names.push(...(await this.site().request('placeAgain', { lost: [...lost], touch })).names);
    };
    await place(above, true);
    names.length = 0;
    // The first comes back to a directory that went on living; the others to directories that are to be as they were.
    await place(links.slice(0, 1), true);
    for (const slice of slicesOf(links.slice(1))) await place(slice, false);
    for (const slice of slicesOf(times)) await this.site().request('setTimes', { times: slice });
    return names;
  }

  /** Afterwards what was written and closed is committed, and the kernel knows what changed. */
  private async flush(): Promise<void> {
    await this.site().request('flush', null);
  }

  async snapshots(): Promise<SnapshotList> {
    await this.site().request('fold', null);
    const { volume, site: counted, ...list } = await this.thread.request('snapshots', null);
    const ageMs = this.siteAge.get();
    const site = ageMs === undefined ? counted : { ...counted, age: ageMs / 1000 };
    return { ...list, keep: { volume, site, inForce: retentionInForce(volume, site) } };
  }

  async createSnapshot(name: string): Promise<void> {
    if (parseMoment(name, Date.now()) !== undefined)
      throw new Error(`${name} is a moment, and can be entered without a snapshot: choose another name`);
    await this.flush();
    await this.site().request('createSnapshot', { name });
    await this.flush();
  }

  async deleteSnapshot(name: string): Promise<void> {
    await this.site().request('deleteSnapshot', { name });
    await this.flush();
  }

  async keep(where: 'volume' | 'site', retention: Retention): Promise<void> {
    if (where === 'volume') return void (await this.site().request('keep', { where, retention }));
    const { age, ...counted } = retention;
    this.siteAge.set(age === undefined ? undefined : age * 1000);
    await this.site().request('keep', { where, retention: counted });
  }

  /** The answer to a question of somebody who looks at the tree as it was on the mount. */
  look(id: string): Promise<PastAnswer> {
    return this.thread.request('look', { question: pastQuestion(id)! });
  }

  close(): Promise<void> {
    return this.thread.close();
  }
}

function* slicesOf<T>(list: readonly T[]): Generator<T[]> {
  for (let from = 0; from < list.length; from += PLACES_PER_REQUEST) yield list.slice(from, from + PLACES_PER_REQUEST);
}
