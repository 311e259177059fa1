// content-merges.ts — merges concurrent versions of files whose policy is not to keep copies, in the background.
// Invariant: a merge is an ordinary write of this site that cites the versions it is made of, so sites need not agree on who merges:
// those that do write equal versions, which are no conflict. Until its bytes are here, and for ever when it has no result, the
// versions stay what they are: one at the name, copies beside it. Nothing is ever lost by not merging.

import { join } from 'node:path';
import { CorruptionError } from '../codec/bytes.js';
import { PosixError } from '../errno.js';
import { competingVersions } from '../crdt/copies.js';
import { compareTimes } from '../crdt/fields.js';
import { attributesOf, type HeadVersion, isDirectory } from '../crdt/inode-attributes.js';
import type { Ino, ObjectId } from '../crdt/ids.js';
import type { Inode, Timestamp } from '../crdt/inode.js';
import { mergeVersions, settleBeforeWrite } from '../crdt/local-writes.js';
import { mergePolicyOf } from '../crdt/merge-policy.js';
import { sameOp } from '../crdt/register.js';
import type { Version } from '../crdt/version-graph.js';
import type { VersionHistory } from '../journal/version-history.js';
import { AbsentObjects } from '../chunks/absent-objects.js';
import { Content, type Source, VersionSource } from '../chunks/content.js';
import type { IngestResult } from '../chunks/ingest.js';
import { decodeManifest, encodeManifest, INLINE_LIMIT, inlineManifest } from '../chunks/manifest.js';
import { type Manifest, sparseBlocksOf } from '../chunks/manifest.js';
import { ObjectKind } from '../chunks/object-kind.js';
import { SmallContent } from '../chunks/small-content.js';
import { WorkingCopy } from '../chunks/working-copy.js';
import { FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, type WritableContent } from '../chunks/writable-content.js';
import type { Core } from './core.js';
import type { IngestJobs } from './ingest-jobs.js';
import { mergeVersionContents } from './version-merge.js';

/** Written at once to the local file of a large result, in bytes. */
const COPY_BYTES = 1 << 20;

export class ContentMerges {
  /** Files to look at … */
  private readonly due = new Set<Ino>();
  /** … and all that are in conflict, when {@link work} begins. */
  private allDue = false;
  /** Files whose merge waits for an object. */
  private readonly waiting = new Map<ObjectId, Set<Ino>>();
  private current: { readonly ino: Ino; readonly steps: Generator<undefined, void> } | undefined;
  /** Files whose result is with an ingest worker. */
  private readonly withWorker = new Set<Ino>();
  private files = 0;

  constructor(
    private readonly core: Core,
    private readonly history: VersionHistory,
    private readonly jobs: IngestJobs,
    private readonly stateDirectory: string,
    /** Told of a file that got a merged version. */
    private readonly merged: (ino: Ino) => void,
    private readonly onCorrupt: (what: string) => void,
  ) {}

  /** A file got a version. */
  note(ino: Ino): void {
    if ((this.core.store.inode(ino)?.registers.get('head')?.length ?? 0) > 1) this.due.add(ino);
  }

  /** All files in conflict. */
  noteAll(): void {
    this.allDue = true;
  }

  /** The policy of a file or directory was set or removed, or may be another one where it is now. */
  policyChanged(ino: Ino): void {
    const inode = this.core.store.inode(ino);
    if (inode && isDirectory(inode)) this.noteAll();
    else this.note(ino);
  }

  /** These objects are held now. */
  arrived(ids: Iterable<ObjectId>): void {
    if (this.waiting.size === 0) return;
    for (const id of ids) {
      for (const ino of this.waiting.get(id) ?? []) this.due.add(ino);
      this.waiting.delete(id);
    }
  }

  /** Whether {@link work} has something to do. */
  get busy(): boolean {
    return this.current !== undefined || this.due.size > 0 || (this.allDue && this.core.store.copies().size > 0);
  }

  /** Whether an ingest worker has a result. */
  get ingesting(): boolean {
    return this.withWorker.size > 0;
  }

  /** Merges until nothing is left that could be merged now, or `isOver` says that the slice is used up. */
  work(isOver: () => boolean): void {
    if (this.allDue) for (const { source } of this.core.store.copies().values()) this.due.add(source);
    this.allDue = false;
    while (this.busy && !isOver()) {
      this.current ??= this.begin();
      this.step(this.current);
    }
  }

  private begin(): NonNullable<ContentMerges['current']> {
    const [ino] = this.due;
    this.due.delete(ino!);
    return { ino: ino!, steps: this.merge(ino!) };
  }

  private step({ ino, steps }: NonNullable<ContentMerges['current']>): void {
    try {
      if (!steps.next().done) return;
    } catch (error) {
      if (error instanceof AbsentObjects) this.await(ino, error.ids);
      else if (error instanceof CorruptionError) this.onCorrupt(`a version of inode ${ino}: ${error.message}`);
      // A full disk: the copies stay, until the file changes again or the site starts anew.
      else if (!(error instanceof PosixError)) throw error;
    }
    this.current = undefined;
  }

  private await(ino: Ino, ids: readonly ObjectId[]): void {
    for (const id of ids) {
      const inos = this.waiting.get(id);
      if (inos) inos.add(ino);
      else this.waiting.set(id, new Set([ino]));
    }
  }

  private *merge(ino: Ino): Generator<undefined, void> {
    const { store, actors, drafts, openFiles } = this.core;
    const inode = store.inode(ino);
    // What was written here and closed is about to become a version: then there is one more to merge.
    if (!inode || inode.nlink === 0 || this.withWorker.has(ino) || (drafts.get(ino) && !openFiles.isOpen(ino))) return;
    const heads = competingVersions(inode, store);
    const policy = heads.length < 2 ? 'copy' : mergePolicyOf(inode, store, actors);
    if (policy === 'copy') return;
    this.core.space.check();
    const known = this.history.versionsOf(ino);
    const versions = heads.map(known.version);
    if (!versions.every((one) => one !== undefined)) return;
    const { parseOp } = this.history;
    const content = (one: Version): Content => Content.of(this.source(one.head.manifest));
    const result = yield* mergeVersionContents(policy, versions, { actors, versions: known, parseOp, content });
    if (!result || !this.isCurrent(ino, heads)) return;
    if (result.size < INLINE_LIMIT) {
      const small = new SmallContent();
      yield* writeOnto(small, undefined, result);
      const manifest = inlineManifest(small.bytes(), small.holes());
      if (!this.isCurrent(ino, heads)) return;
      const id = this.core.objects.put(ObjectKind.manifest, encodeManifest(manifest));
      this.commit(ino, heads, id, manifest);
    } else yield* this.ingest(ino, heads, result);
  }

  /** AbsentObjects, after which the objects are wanted. */
  private source(id: ObjectId): VersionSource {
    const { objects } = this.core;
    objects.want(id, ObjectKind.manifest);
    const manifest = decodeManifest(objects.get(id));
    for (const { chunk, length } of manifest.extents) if (chunk !== null) objects.want(chunk, ObjectKind.chunk, length);
    return new VersionSource(id, manifest, objects);
  }

  /** Whether a file still has these versions and no other. One with another is looked at again anyway. */
  private isCurrent(ino: Ino, heads: readonly HeadVersion[]): boolean {
    const inode = this.core.store.inode(ino);
    if (!inode || inode.nlink === 0) return false;
    const now = competingVersions(inode, this.core.store);
    return now.length === heads.length && now.every((head, i) => sameOp(head, heads[i]!));
  }

  /** A large result goes the way of a large draft: to a local file, and from there to a worker. */
  private *ingest(ino: Ino, heads: readonly HeadVersion[], result: Content): Generator<undefined, void> {
    const onto = largestInPlace(result);
    const path = join(this.stateDirectory, 'work', `merge.${ino.toString(36)}.${(this.files++).toString(36)}`);
    const content = onto
      ? WorkingCopy.create(path, onto.id, onto.manifest, this.core.objects)
      : WorkingCopy.spill(path, new SmallContent(), this.core.objects);
    const discard = (): void => {
      content.close();
      this.core.drafts.discard(path);
    };
    try {
      yield* writeOnto(content, onto, result);
    } catch (error) {
      discard();
      throw error;
    }
    this.withWorker.add(ino);
    const ended = (): void => {
      discard();
      this.withWorker.delete(ino);
    };
    this.jobs.ask(content, {
      ingested: ({ manifestId, manifest, objects }: IngestResult) => {
        this.core.objects.adopt(objects);
        ended();
        if (this.isCurrent(ino, heads)) this.commit(ino, heads, manifestId, decodeManifest(Buffer.from(manifest)));
        else this.note(ino);
      },
      failed: (absent) => {
        ended();
        this.await(ino, absent);
      },
      outdated: () => {
        ended();
        this.note(ino);
      },
    });
  }

  private commit(ino: Ino, heads: readonly HeadVersion[], id: ObjectId, manifest: Manifest): void {
    const { core } = this;
    const version = { manifest: id, size: manifest.size, blocks: sparseBlocksOf(manifest) };
    const inode = core.inode(ino);
    const copyIno = core.allocate();
    const mtime = latestTime(inode, heads);
    const writes = mergeVersions(core.tree, inode, heads, { ...version, mtime, copyIno });
    const steps = [() => settleBeforeWrite(core.tree, ino), writes];
    core.perform(steps, core.clock.now(), [], [ino], { entries: [], inodes: [] });
    this.merged(ino);
  }
}

/** Of what the file shows and of its versions: each is the time of something that is in the result. */
function latestTime(inode: Inode, heads: readonly HeadVersion[]): Timestamp {
  let latest = attributesOf(inode).mtime;
  for (const { mtime } of heads) if (compareTimes(mtime, latest) > 0) latest = mtime;
  return latest;
}

/** The version in chunks that the result has most bytes of where they were; undefined when there is none. */
function largestInPlace(result: Content): VersionSource | undefined {
  const bytes = new Map<VersionSource, number>();
  let at = 0;
  for (const { source, from, length } of result.pieces) {
    if (source instanceof VersionSource && !source.manifest.inline && from === at)
      bytes.set(source, (bytes.get(source) ?? 0) + length);
    at += length;
  }
  let largest: VersionSource | undefined;
  for (const [source, count] of bytes) if (!largest || count > bytes.get(largest)!) largest = source;
  return largest;
}

/** Makes what is empty, or a working copy of a version, hold the result: writes what is not there already, and punches its holes. */
function* writeOnto(content: WritableContent, onto: Source | undefined, result: Content): Generator<undefined, void> {
  if (result.size !== content.size) content.truncate(result.size);
  let start = 0;
  for (const { source, from, length } of result.pieces) {
    const shift = start - from;
    start += length;
    if (source === onto && shift === 0) continue;
    for (let at = from, end = from + length; at < end;) {
      const data = Math.min(source.nextData(at), end);
      if (data > at) content.fallocate(FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, at + shift, data - at);
      at = Math.min(source.nextHole(data), end, data + COPY_BYTES);
      content.write(data + shift, result.read(data + shift, at + shift));
      yield undefined;
    }
  }
}
