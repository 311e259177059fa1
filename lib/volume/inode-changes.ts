// inode-changes.ts — stat(2) and the calls that change attributes: chmod, chown, utimensat, truncate by path.
// Permissions were checked by the kernel. What POSIX couples is coupled here: chown and writes drop privileges, the mode and the
// access list follow each other, ctime moves with every change. A change of a conflict copy makes it an ordinary file first.

import { posixError } from '../errno.js';
import { isContested } from '../crdt/attribute-conflicts.js';
import type { Ino } from '../crdt/ids.js';
import {
  formatMode,
  formatModeWithoutSetId,
  formatTimestamp,
  formatXattr,
  typeBits,
  wholeBlocks,
  xattrField,
} from '../crdt/fields.js';
import { attributesOf, type InodeAttributes, xattrOf } from '../crdt/inode-attributes.js';
import type { Inode, Timestamp } from '../crdt/inode.js';
import { heldTime } from '../crdt/register-schema.js';
import { type Creation, settleCopy, settleBeforeWrite, type WriteDraft } from '../crdt/local-writes.js';
import { AccessTimes } from './access-times.js';
import type { AttributeChanges, Attributes, Caller } from './file-system.js';
import type { Core } from './core.js';
import type { Draft } from './draft.js';

const S_ISUID = 0o4000;
const S_ISGID = 0o2000;
const S_IXGRP = 0o010;
const BLOCK_BYTES = 4096;
const SECTORS_PER_BLOCK = 8;

const CAPABILITY = 'security.capability';

/** What truncating needs of the file contents. */
export interface Truncator {
  truncate(ino: Ino, size: number, killSuidGid: boolean, caller: Caller, handle?: number): void;
  touchDraft(ino: Ino, mtime: Timestamp): boolean;
}

export class InodeChanges {
  private readonly accessTimes = new AccessTimes();

  constructor(private readonly core: Core) {}

  // ── stat ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  attributes(ino: Ino): Attributes {
    const canonical = this.core.directory(ino);
    const copy = this.core.store.copy(canonical);
    const inode = this.core.inode(copy ? copy.source : canonical);
    const facts = attributesOf(inode);
    if (copy) return this.copyAttributes(canonical, inode, facts, copy);
    const draft = this.core.drafts.get(canonical);
    if (draft) this.noteForeignWrites(draft);
    const dropped = draft || inode.nlink > 0 ? undefined : this.core.dropped.of(canonical);
    const opened = draft ? undefined : this.core.openFiles.longestBeside(canonical, facts.head?.manifest ?? '');
    const size = draft ? draft.content.size : ((dropped ?? opened)?.size ?? sizeOf(facts));
    return {
      ino: canonical,
      mode: typeBits(facts.type) | facts.mode,
      nlink: inode.nlink,
      uid: facts.uid,
      gid: facts.gid,
      rdev: facts.rdev,
      size,
      blocks: draft
        ? draft.content.blocks()
        : (dropped?.blocks ?? (opened ? blocksOfVersion(opened) : blocksOf(facts))),
      atime: this.accessTimes.of(inode),
      mtime: (draft ?? dropped)?.mtime ?? this.core.commits.directoryTime(canonical) ?? facts.mtime,
      ctime: inode.ctime,
      btime: facts.btime,
      // The next open or close may be of another size.
      ...(opened && { seconds: 0 }),
    };
  }

  /** What the kernel wrote to a local file by itself is a write like any other: it moves ctime. */
  noteForeignWrites(draft: Draft): void {
    if (this.core.drafts.refresh(draft)) this.core.setCtime(draft.ino, draft.mtime);
  }

  private copyAttributes(
    ino: Ino,
    source: Inode,
    facts: InodeAttributes,
    copy: { counter: number; actor: number },
  ): Attributes {
    const head = facts.heads.find((h) => h.counter === copy.counter && h.actor === copy.actor);
    if (!head) throw posixError('ESTALE');
    return {
      ino,
      mode: typeBits(facts.type) | facts.mode,
      nlink: 1,
      uid: facts.uid,
      gid: facts.gid,
      rdev: 0,
      size: head.size,
      blocks: blocksOfVersion(head),
      atime: this.accessTimes.of(source),
      mtime: head.mtime,
      ctime: source.ctime,
      btime: facts.btime,
    };
  }

  // ── setattr ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  setattr(
    ino: Ino,
    changes: AttributeChanges,
    caller: Caller,
    handle: number | undefined,
    contents: Truncator,
  ): Attributes {
    const target = this.core.directory(ino);
    if (changes.size !== undefined) {
      if (changes.size > 0) this.core.space.check();
      else this.core.space.checkRemoval();
      contents.truncate(target, changes.size, changes.killSuidGid ?? false, caller, handle);
    }
    const now = this.core.clock.now();
    const killsByItself =
      changes.killSuidGid && changes.size === undefined && changes.uid === undefined && changes.gid === undefined;
    // chown(-1, -1), and what a plain user does to the content by fallocate(2) or copy_file_range(2).
    if (killsByItself && attributesOf(this.core.inode(target)).type !== 'd') this.dropPrivileges(target, true, now);
    const replicated =
      changes.mode !== undefined ||
      changes.uid !== undefined ||
      changes.gid !== undefined ||
      changes.mtime !== undefined;
    if (replicated && changes.size === undefined) this.core.space.checkChange();
    if (replicated) this.settle(target);
    const writes: WriteDraft[] = [];
    if (changes.mode !== undefined) this.chmodWrites(writes, target, changes.mode & 0o7777);
    if (changes.uid !== undefined || changes.gid !== undefined) this.chownWrites(writes, target, changes);
    if (changes.mtime !== undefined) {
      const mtime = changes.mtime === 'now' ? now : heldTime(changes.mtime);
      if (!contents.touchDraft(target, mtime))
        writes.push({ ino: target, field: 'times', value: formatTimestamp(mtime) });
    }
    if (writes.length > 0) this.change(target, writes, now);
    else this.core.setCtime(target, now);
    if (changes.atime !== undefined) this.setAtime(target, changes.atime === 'now' ? now : heldTime(changes.atime));
    return this.attributes(target);
  }

  readMoves(ino: Ino, always: boolean): boolean {
    const inode = this.core.store.inode(this.core.directory(ino));
    return inode !== undefined && this.accessTimes.moves(inode, this.core.clock.now(), always);
  }

  accessed(ino: Ino, always: boolean, time = this.core.clock.now()): void {
    const canonical = this.core.directory(ino);
    const inode = this.core.store.inode(canonical);
    if (!inode) return;
    const draft = this.core.drafts.get(canonical);
    // Whether atime is due goes by ctime, which may wait to be moved.
    if (draft) this.noteForeignWrites(draft);
    this.accessTimes.read(inode, time, always);
  }

  /** Before the volume is closed: what reading did to atime goes into the next commit. */
  writeAccessTimes(): void {
    this.accessTimes.drain((ino, atime) => this.setAtime(ino, atime));
  }

  private setAtime(ino: Ino, atime: Timestamp): void {
    this.accessTimes.forget(ino);
    const inode = this.core.store.inode(ino);
    if (!inode) return; // atime is local: a copy shows its source's
    inode.atime = atime;
    this.core.store.touch(inode);
  }

  private chmodWrites(writes: WriteDraft[], ino: Ino, mode: number): void {
    const inode = this.core.inode(ino);
    const { mode: base } = attributesOf(inode);
    writes.push({ ino, field: 'mode', value: formatMode(base, mode) });
  }

  /**
   * chown(2) takes set-user-id, set-group-id of executables, and capabilities from what is not a directory. To set what is set is no
   * choice that could be in conflict with another's, unless it settles one.
   */
  private chownWrites(writes: WriteDraft[], ino: Ino, changes: AttributeChanges): void {
    const inode = this.core.inode(ino);
    const { type, mode, uid, gid } = attributesOf(inode);
    const isNews = (field: string, isSame: boolean): boolean => !isSame || isContested(inode, field);
    if (changes.uid !== undefined && isNews('uid', changes.uid === uid))
      writes.push({ ino, field: 'uid', value: changes.uid });
    if (changes.gid !== undefined && isNews('gid', changes.gid === gid))
      writes.push({ ino, field: 'gid', value: changes.gid });
    if (type === 'd') return;
    if (changes.mode === undefined) writes.push({ ino, field: 'mode', value: modeWithoutPrivileges(mode) });
    this.dropCapability(writes, inode);
  }

  private dropCapability(writes: WriteDraft[], inode: Inode): void {
    if (xattrOf(inode, CAPABILITY) !== undefined)
      writes.push({ ino: inode.ino, field: xattrField(CAPABILITY), value: formatXattr(undefined) });
  }

  /** Writes registers of one inode as one operation. */
  change(ino: Ino, writes: readonly WriteDraft[], now: Timestamp): void {
    this.core.perform([() => settleBeforeWrite(this.core.tree, ino), writes], now, [], [ino], {
      entries: [],
      inodes: [ino],
    });
  }

  /** A change of content takes capabilities, and from a caller without CAP_FSETID the set-id bits. */
  dropPrivileges(ino: Ino, killSuidGid: boolean, now: Timestamp): void {
    const inode = this.core.store.inode(ino);
    if (!inode) return;
    const writes: WriteDraft[] = [];
    if (killSuidGid) {
      const { mode } = attributesOf(inode);
      if (mode & S_ISUID || (mode & S_ISGID && mode & S_IXGRP))
        writes.push({ ino, field: 'mode', value: modeWithoutPrivileges(mode) });
    }
    this.dropCapability(writes, inode);
    if (writes.length > 0) this.change(ino, writes, now);
  }

  /** Makes a conflict copy that is about to be changed an ordinary file of its own. Anything else is left alone. */
  settle(ino: Ino): void {
    if (!this.core.store.copy(ino)) return;
    const step = () => settleCopy(this.core.tree, ino, this.core.allocate);
    this.core.perform([step], this.core.clock.now(), [], [ino], { entries: [], inodes: [ino] });
  }
}

/** What stat(2) says of an inode that was just made. */
export function attributesOfNew({ ino, type, name, btime, mode, uid, gid, rdev, target }: Creation): Attributes {
  const isDirectory = type === 'd';
  return {
    ino,
    mode: typeBits(type) | mode,
    nlink: name === undefined ? 0 : isDirectory ? 2 : 1,
    uid,
    gid,
    rdev: rdev ?? 0,
    size: isDirectory ? BLOCK_BYTES : (target?.length ?? 0),
    blocks: isDirectory ? SECTORS_PER_BLOCK : 0,
    atime: btime,
    mtime: btime,
    ctime: btime,
    btime,
  };
}

function sizeOf(facts: InodeAttributes): number {
  if (facts.type === 'd') return BLOCK_BYTES;
  if (facts.type === 'l') return facts.target.length;
  return facts.size;
}

function blocksOf({ type, head }: InodeAttributes): number {
  if (type === 'd') return SECTORS_PER_BLOCK;
  return type === 'f' && head ? blocksOfVersion(head) : 0;
}

function blocksOfVersion({ size, blocks }: { size: number; blocks?: number | undefined }): number {
  return blocks ?? wholeBlocks(size);
}

/** The mode register's value without set-user-id, and without set-group-id unless it marks mandatory locking (inode(7)). */
function modeWithoutPrivileges(mode: number): number {
  return mode & S_ISGID && !(mode & S_IXGRP) ? formatMode(mode, mode & ~S_ISUID) : formatModeWithoutSetId(mode);
}
