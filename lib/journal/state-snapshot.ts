// state-snapshot.ts — the state as one commit left it, for reading on other threads while the site goes on.
// Invariant: everything read through it belongs to one commit; nothing can be written. It holds a read transaction, which keeps
// SQLite's log from starting over: close it soon.

import type { ActorId } from '../crdt/ids.js';
import { ActorTable } from '../crdt/ids.js';
import type { VersionVector } from '../crdt/change.js';
import type { TreeStore } from '../crdt/tree-store.js';
import { checkedRows } from './conflict-tables.js';
import { type FloorChange, readFloor } from './floor.js';
import { NAME_HASH_KEY, nameHash } from './name-hash.js';
import type { Connection } from './schema.js';
import { openStateReader, statePath } from './schema.js';
import { SqliteTreeStore } from './sqlite-tree-store.js';

/** Everything is read about once: no more than what neighbours share. */
const CACHED_INODES = 2_000;
const CACHED_DIRENTS = 2_000;

export class StateSnapshot {
  readonly store: TreeStore;
  readonly actors = new ActorTable();
  private lastSeqs: VersionVector | undefined;
  private floor: ReadonlyMap<number, FloorChange> | undefined;

  private constructor(
    /** For what layers above keep in tables of their own. */
    readonly db: Connection,
  ) {
    db.exec('begin');
    type ActorRow = [id: number, name: ActorId, lastSeq: number, lastHash: Buffer | null];
    const actors = checkedRows<ActorRow>(db, 'actor', 'id, name, last_seq, last_hash', 'id');
    for (const [, name] of actors) this.actors.intern(name);
    const meta = new Map(checkedRows<[string, string]>(db, 'meta', 'key, value', 'key'));
    const key = meta.get(NAME_HASH_KEY)!;
    const options = { cachedInodes: CACHED_INODES, cachedDirents: CACHED_DIRENTS };
    this.store = new SqliteTreeStore(db, nameHash(Buffer.from(key, 'hex')), options);
  }

  /** The last commit of the state in a directory where a Journal was opened before. */
  static open(directory: string): StateSnapshot {
    const db = openStateReader(statePath(directory));
    try {
      return new StateSnapshot(db);
    } catch (error) {
      db.close();
      throw error;
    }
  }

  /** A text of the layers above; see Journal. */
  meta(key: string): string | undefined {
    return this.db.prepare('select value from meta where key = ?').pluck().get(key) as string | undefined;
  }

  /** Highest seq held of each actor. */
  vector(): VersionVector {
    return (this.lastSeqs ??= new Map(
      this.db.prepare('select name, last_seq from actor where last_seq > 0').raw().all() as [ActorId, number][],
    ));
  }

  /** The changes that are not in the journal any more: the last of each actor, by its index. */
  floorChanges(): ReadonlyMap<number, FloorChange> {
    return (this.floor ??= readFloor(this.db));
  }

  close(): void {
    this.db.close();
  }
}
