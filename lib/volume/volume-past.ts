// volume-past.ts — the volume's own registers about its past: makes and deletes snapshots, sets how much is kept.
// Invariant: ordinary local operations on the volume's registers, which need nobody and merge. A snapshot is of everything that was
// committed here before it: one register with a version vector, whatever the size of the tree.

import { VOLUME_INO } from '../crdt/ids.js';
import { findSnapshot, snapshotsOf } from '../crdt/snapshots.js';
import type { Snapshot } from '../crdt/snapshots.js';
import type { WriteDraft } from '../crdt/local-writes.js';
import { SUFFIX_MARK } from '../crdt/names.js';
import {
  formatDeletedSnapshot,
  formatRetention,
  formatSnapshot,
  RETENTION_FIELD,
  snapshotField,
  snapshotNameError,
} from '../crdt/volume-fields.js';
import type { Retention } from '../crdt/volume-fields.js';
import { SITE_RETENTION_KEY } from '../journal/retention.js';
import type { Core } from './core.js';
import type { Folding } from './folding.js';
import type { PastFiles } from './past-files.js';

export class VolumePast {
  constructor(
    private readonly core: Core,
    private readonly files: PastFiles,
    private readonly folding: Folding,
  ) {}

  private snapshots(): Snapshot[] {
    return snapshotsOf(this.core.store.inode(VOLUME_INO), this.core.actors);
  }

  /**
   * A snapshot of everything up to now.
   * @throws Error with the remedy when the name is taken or none
   */
  create(name: string): void {
    this.folding.fold();
    const wrong = snapshotNameError(name);
    if (wrong !== undefined) throw new Error(`${JSON.stringify(name)} is no name for a snapshot: ${wrong}`);
    if (name.includes(SUFFIX_MARK))
      throw new Error(`${name} is no name for a snapshot: "${SUFFIX_MARK}" tells those of one name apart`);
    const taken = this.snapshots().find((snapshot) => snapshot.base === name);
    if (taken) throw new Error(`there is a snapshot ${name} of ${taken.site}: choose another name, or delete it first`);
    this.write(name, {
      ino: VOLUME_INO,
      field: snapshotField(name),
      value: formatSnapshot(this.core.journal.vector()),
    });
  }

  /** @throws Error with the remedy when there is none of that name */
  delete(name: string): void {
    const snapshot = findSnapshot(this.snapshots(), name);
    if (!snapshot) throw new Error(`there is no snapshot ${name}: weft snapshot list lists them`);
    // Another of that name stays.
    const bases = [snapshot.op];
    this.write(name, { ino: VOLUME_INO, field: snapshotField(snapshot.base), value: formatDeletedSnapshot(), bases });
  }

  /** @param where whose limits: those of all sites, or of this one alone */
  keep(where: 'volume' | 'site', retention: Retention): void {
    const value = formatRetention(retention);
    if (where === 'site') this.core.journal.setMeta(SITE_RETENTION_KEY, value === '' ? undefined : value);
    else this.core.commits.write([[{ ino: VOLUME_INO, field: RETENTION_FIELD, value }]], this.core.clock.now(), []);
    this.folding.commit();
  }

  private write(name: string, draft: WriteDraft): void {
    this.core.commits.write([[draft]], this.core.clock.now(), []);
    this.files.snapshotsChanged(name);
    this.folding.fold();
  }
}
