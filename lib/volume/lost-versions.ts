// lost-versions.ts — gives up versions of this site whose bytes power loss took, though it left the commits that name them.
// Invariant: only versions that no other site knows of: what others know of was durable here, bytes and all. Giving up is an ordinary
// write, as if somebody had restored what was there before: the versions that the lost one overwrote, each with its bytes, or the empty
// file. Nothing else of the commits is undone. See object-store.ts, recover, for how it is known what was lost: that is found only once, so
// it stands in the state until the commit that gives it up. A start may be killed before.

import type { ObjectId } from '../crdt/ids.js';
import { type Ino, type OpId, VOLUME_INO } from '../crdt/ids.js';
import { formatHead, formatTombstone, isTombstone, LINK_PREFIX, parseHead, parseLink } from '../crdt/fields.js';
import { citedHeads } from '../crdt/inode-attributes.js';
import type { Entry, Inode } from '../crdt/inode.js';
import type { WriteDraft } from '../crdt/local-writes.js';
import { DirectoryTree } from '../crdt/directory-tree.js';
import { fileClaims } from '../crdt/placement.js';
import { sameOp } from '../crdt/register.js';
import type { Version } from '../crdt/version-graph.js';
import type { Journal } from '../journal/journal.js';
import type { VersionHistory } from '../journal/version-history.js';
import { encodeManifest, inlineManifest } from '../chunks/manifest.js';
import { ObjectKind } from '../chunks/object-kind.js';
import type { Core } from './core.js';

/** Key of the journal's texts: the ids of objects that are still to be given up. */
const LOST_META = 'lost objects';

/** Notes what the packs do not hold, though the index said so; it is wanted since. Returns it with what an earlier start noted. */
export function noteLost(found: readonly ObjectId[], journal: Journal): readonly ObjectId[] {
  const noted = journal.meta(LOST_META)?.split(' ') ?? [];
  const lost = [...new Set([...noted, ...found])];
  if (found.length > 0) journal.setMeta(LOST_META, lost.join(' '));
  return lost;
}

export class LostVersions {
  constructor(
    private readonly core: Core,
    private readonly history: VersionHistory,
    private readonly siteId: string,
    private readonly told: (what: string) => void,
  ) {}

  /** @param lost see {@link noteLost} */
  giveUp(lost: readonly ObjectId[]): void {
    if (lost.length === 0) return;
    this.giveUpAll(new Set(lost.filter((id) => !this.core.objects.has(id))));
    this.core.journal.setMeta(LOST_META, undefined);
  }

  private giveUpAll(gone: Set<ObjectId>): void {
    const { core } = this;
    if (gone.size === 0) return;
    const named = this.inodesThatName(gone);
    // What another site's version names, that site has.
    for (const inode of named)
      for (const { actor, value } of headsOf(inode)) if (!this.isOwn(actor)) gone.delete(manifestOf(value));
    // In the index before anything in the log names it.
    const nothing = core.objects.put(ObjectKind.manifest, encodeManifest(inlineManifest(Buffer.alloc(0))));
    // The journal is asked for what was overwritten, and recovery has brought back operations that it does not have yet.
    core.objects.flush();
    // Should power fail again, what was given up would be what is before this.
    core.objects.sync();
    core.drafts.note();
    core.commits.fold();
    // In time behind all that this site has seen, and no more: it is no news that competes with that of others.
    core.commits.recoverAs(core.journal.lastStamp());
    for (const inode of named) this.replaceLost(inode, gone, nothing);
    core.objects.forgetWanted(gone);
  }

  private inodesThatName(gone: ReadonlySet<ObjectId>): Inode[] {
    const { store } = this.core;
    const named: Inode[] = [];
    for (const ino of store.inodes()) {
      const inode = store.inode(ino);
      if (inode && headsOf(inode).some(({ value }) => gone.has(manifestOf(value)))) named.push(inode);
    }
    return named;
  }

  private isOwn(actor: number): boolean {
    const registers = this.core.store.inode(VOLUME_INO)?.registers;
    return registers?.get(`actor:${this.core.actors.id(actor)}`)?.[0]?.value === this.siteId;
  }

  private replaceLost(inode: Inode, gone: ReadonlySet<ObjectId>, nothing: ObjectId): void {
    const { core } = this;
    const { ino } = inode;
    const draft = core.drafts.get(ino);
    // What the log has of a file is about to be its next version.
    const isRewritten = (head: OpId): boolean =>
      draft?.dirty === true && draft.bases.some((base) => sameOp(base, head));
    const heads = headsOf(inode);
    const lost = heads.filter((head) => gone.has(manifestOf(head.value)) && !isRewritten(head));
    if (lost.length === 0) return;
    const values = this.valuesBefore(ino, lost, gone, nothing);
    const writes = values.map((value): WriteDraft => {
      const bases = [...lost, ...heads.filter((head) => head.value === value)];
      return { ino, field: 'head', value, bases: bases.map(({ counter, actor }) => ({ counter, actor })) };
    });
    const isRemoved = inode.nlink === 0 && fileClaims(inode, core.actors).length === 0;
    const steps = isRemoved ? [writes, () => this.removals(ino)] : [writes];
    core.perform(steps, core.clock.now(), [], [ino], { entries: [], inodes: [] });
    if (!isRemoved)
      this.told(`${this.pathOf(inode)} shows what it held before: power failed before its last version was synced`);
  }

  /**
   * What the lost versions of a file overwrote, as values of its register: the earlier first.
   * @param nothing the empty file's manifest
   */
  private valuesBefore(ino: Ino, lost: readonly Entry[], gone: ReadonlySet<ObjectId>, nothing: ObjectId): string[] {
    const before = new Map<string, Version>();
    const seen = new Set<string>();
    // Of one whose change was dropped nobody needs to know what it overwrote: its bytes are at other sites too.
    const { version: versionOf } = this.history.versionsOf(ino);
    const collect = (op: OpId): void => {
      const key = `${op.counter}@${op.actor}`;
      if (seen.has(key)) return;
      seen.add(key);
      const version = versionOf(op);
      if (!version) return;
      if (gone.has(version.head.manifest)) version.preds.forEach(collect);
      else if (!before.has(contentKey(version))) before.set(contentKey(version), version);
    };
    lost.forEach(collect);
    if (before.size === 0) {
      const { mtime, copyIno } = parseHead(lost[0]!.value);
      return [formatHead({ manifest: nothing, size: 0, mtime, copyIno })];
    }
    const inOrder = [...before.values()].toSorted((a, b) => a.stamp - b.stamp || a.counter - b.counter);
    return inOrder.map(({ head }) => formatHead(head));
  }

  /** A removed file stays so: its removals have seen this, too. */
  private removals(ino: Ino): WriteDraft[] {
    const { actors } = this.core;
    const inode = this.core.inode(ino);
    const removals: WriteDraft[] = [];
    for (const [field, entries] of inode.registers) {
      const tombstone = field.startsWith(LINK_PREFIX) ? entries.find(({ value }) => isTombstone(value)) : undefined;
      const place = tombstone && parseLink(tombstone.value);
      if (place?.kind !== 'tombstone') continue;
      const cites = [...new Set([...place.cites, ...citedHeads(inode, actors)])];
      removals.push({ ino, field, value: formatTombstone(place.parent, place.name, cites) });
    }
    return removals;
  }

  private pathOf(inode: Inode): string {
    const tree = new DirectoryTree(this.core.store, this.core.actors);
    const names: string[] = [];
    const seen = new Set<Ino>();
    let at: { parent: Ino; name: string } | undefined = fileClaims(inode, this.core.actors)[0];
    while (at && at.name !== '' && !seen.has(at.parent)) {
      names.unshift(at.name);
      const directory = tree.home(at.parent);
      seen.add(directory);
      at = tree.edge(directory);
    }
    return `/${Buffer.from(names.join('/'), 'latin1').toString()}`;
  }
}

/** Equal for versions that hold the same and are made of the same: one of them is enough. */
function contentKey({ head: { manifest, merged = [] } }: Version): string {
  return `${manifest} ${merged.join()}`;
}

function headsOf(inode: Inode): readonly Entry[] {
  return inode.registers.get('head') ?? [];
}

function manifestOf(value: Entry['value']): ObjectId {
  return parseHead(value).manifest;
}
