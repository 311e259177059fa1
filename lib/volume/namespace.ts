// namespace.ts — names: lookup, create, link, unlink, rename and readdir over the visible tree.
// Invariant: each call is one operation on the registers, so it is atomic here and at every other site. POSIX.1-2024 says which
// errors; the kernel has checked permissions, and that the two ends of a rename are of one kind, before it asks.

import { posixError } from '../errno.js';
import type { Ino, Name } from '../crdt/ids.js';
import { FIRST_LINK, ROOT_INO } from '../crdt/ids.js';
import { DirectoryTree } from '../crdt/directory-tree.js';
import { DIRECTORY_DIRENT_TYPE, type FileType, linkField, typeBits } from '../crdt/fields.js';
import { attributesOf, xattrOf } from '../crdt/inode-attributes.js';
import {
  createWrites,
  type Creation,
  exchangeLinks,
  moveLink,
  placeLink,
  removeCopy,
  removeLink,
  settleCopy,
  settleBeforeWrite,
  settleRevived,
} from '../crdt/local-writes.js';
import type { Dirent } from '../crdt/tree-store.js';
import type { Attributes, Caller, DirectoryEntry } from './file-system.js';
import { RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT } from './file-system.js';
import type { Step } from './commits.js';
import type { Core } from './core.js';
import { attributesOfNew, type InodeChanges } from './inode-changes.js';
import { ACCESS_ACL, DEFAULT_ACL, inheritAcl } from './posix-acl.js';

const S_IFMT = 0o170000;
const S_ISGID = 0o2000;
const FILE_TYPES: readonly FileType[] = ['f', 'd', 'l', 'c', 'b', 'p', 's'];
const TYPE_OF_BITS = new Map(FILE_TYPES.map((type) => [typeBits(type), type]));
/** What linux/limits.h and ext4 allow. */
const LINK_MAX = 65_000;
const TARGET_MAX = 4095;
/** Entries asked of the store at first, about what the kernel's usual page holds with attributes; more and more after that. */
const FIRST_LIST_BATCH = 26;
const LIST_BATCH_MAX = 512;

export class Namespace {
  private readonly tree: DirectoryTree;

  constructor(
    private readonly core: Core,
    private readonly changes: InodeChanges,
    /** Told of what got a name by link or rename, and of what lost one, when the tree shows it. */
    private readonly told: {
      readonly named: (ino: Ino, victim?: Ino) => void;
      readonly unnamed: (ino: Ino) => void;
    },
  ) {
    this.tree = new DirectoryTree(core.store, core.actors);
  }

  lookup(parent: Ino, name: Name): Attributes | undefined {
    this.core.checkName(name);
    const directory = this.core.directory(parent);
    if (name === '.') return this.changes.attributes(directory);
    if (name === '..') return this.changes.attributes(this.parentOf(directory));
    const dirent = this.core.store.lookup(directory, name);
    return dirent && this.changes.attributes(dirent.ino);
  }

  /** The directory that holds a directory; the root holds itself. */
  parentOf(directory: Ino): Ino {
    if (directory === ROOT_INO) return ROOT_INO;
    return this.tree.home(this.tree.parent(this.core.inode(directory)) ?? ROOT_INO);
  }

  readlink(ino: Ino): string {
    const { type, target } = attributesOf(this.core.inode(ino));
    if (type !== 'l') throw posixError('EINVAL');
    return target;
  }

  // ── making ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Any inode but a symlink, by its mode's type bits. */
  make(parent: Ino, name: Name, mode: number, rdev: number, umask: number, caller: Caller): Attributes {
    const directory = this.vacant(parent, name);
    const type = TYPE_OF_BITS.get(mode & S_IFMT) ?? 'f';
    return this.create({ ...this.newInode(directory, type, mode, umask, caller), name, rdev });
  }

  symlink(parent: Ino, name: Name, target: string, caller: Caller): Attributes {
    if (target.length > TARGET_MAX) throw posixError('ENAMETOOLONG');
    const directory = this.vacant(parent, name);
    return this.create({ ...this.newInode(directory, 'l', 0o777, 0, caller), name, target });
  }

  /** O_TMPFILE: an inode that no name leads to yet. */
  makeUnnamed(parent: Ino, mode: number, umask: number, caller: Caller): Attributes {
    this.core.space.check();
    return this.create({ ...this.newInode(this.core.directory(parent), 'f', mode, umask, caller), name: undefined });
  }

  private vacant(parent: Ino, name: Name): Ino {
    this.core.checkName(name);
    const directory = this.liveDirectory(parent);
    if (this.core.store.lookup(directory, name)) throw posixError('EEXIST');
    this.core.space.check();
    return directory;
  }

  /** @throws PosixError ENOENT when the directory was removed: a process may still stand in it */
  private liveDirectory(parent: Ino): Ino {
    const directory = this.core.directory(parent);
    const inode = this.core.inode(directory);
    if (inode.nlink === 0) throw posixError('ENOENT');
    return directory;
  }

  /** Owner, group and mode of a new inode: the caller's, as the directory's set-group-id bit, its default list or the umask change them. */
  private newInode(parent: Ino, type: FileType, asked: number, umask: number, caller: Caller): Omit<Creation, 'name'> {
    const directory = this.core.inode(parent);
    const facts = attributesOf(directory);
    const setGid = (facts.mode & S_ISGID) !== 0;
    const defaults = type === 'l' ? undefined : xattrOf(directory, DEFAULT_ACL);
    const xattrs = new Map<string, string>();
    let mode = asked & 0o7777;
    if (defaults === undefined) mode &= ~umask;
    else {
      const inherited = inheritAcl(Buffer.from(defaults, 'latin1'), mode);
      mode = inherited.mode;
      if (inherited.access) xattrs.set(ACCESS_ACL, inherited.access.toString('latin1'));
      if (type === 'd') xattrs.set(DEFAULT_ACL, defaults);
    }
    if (setGid && type === 'd') mode |= S_ISGID;
    return {
      ino: this.core.allocate(),
      type,
      parent,
      btime: this.core.clock.now(),
      mode,
      uid: caller.uid,
      gid: setGid ? facts.gid : caller.gid,
      xattrs,
    };
  }

  private create(creation: Creation): Attributes {
    const { ino, parent, name, btime } = creation;
    const named = name !== undefined;
    const steps: Step[] = [createWrites(creation)];
    if (named) steps.unshift(settleRevived(this.core.tree, parent));
    const asked = { entries: named ? [[parent, name] as const] : [], inodes: [parent, ino] };
    this.core.performSoon(steps, btime, named ? [parent] : [], [], asked, () => {
      const inode = this.core.inode(ino);
      inode.atime = btime;
      inode.ctime = btime;
      this.core.store.touch(inode);
    });
    return attributesOfNew(creation);
  }

  link(ino: Ino, parent: Ino, name: Name): Attributes {
    const directory = this.vacant(parent, name);
    this.changes.settle(ino);
    const inode = this.core.inode(ino);
    const { type } = attributesOf(inode);
    if (type === 'd') throw posixError('EPERM');
    if (inode.nlink >= LINK_MAX) throw posixError('EMLINK');
    const now = this.core.clock.now();
    // What O_TMPFILE made gets its first link; anything else a further one.
    const link = inode.registers.has(linkField(FIRST_LINK)) ? this.core.allocate() : FIRST_LINK;
    const { tree } = this.core;
    const steps: Step[] = [
      () => settleBeforeWrite(tree, ino),
      () => settleRevived(tree, ino),
      () => settleRevived(tree, directory),
      () => placeLink(tree, this.core.inode(ino), link, directory, name, this.core.allocate),
    ];
    this.core.perform(steps, now, [directory], [ino], { entries: [[directory, name]], inodes: [directory, ino] });
    this.told.named(ino);
    return this.changes.attributes(ino);
  }

  // ── removing ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  unlink(parent: Ino, name: Name): void {
    const directory = this.core.directory(parent);
    const dirent = this.core.entry(directory, name);
    if (dirent.type === DIRECTORY_DIRENT_TYPE) throw posixError('EISDIR');
    this.remove(dirent);
  }

  rmdir(parent: Ino, name: Name): void {
    const directory = this.core.directory(parent);
    const dirent = this.core.entry(directory, name);
    if (dirent.type !== DIRECTORY_DIRENT_TYPE) throw posixError('ENOTDIR');
    if (this.core.store.hasEntries(dirent.ino)) throw posixError('ENOTEMPTY');
    this.remove(dirent);
  }

  private remove(dirent: Dirent): void {
    this.core.space.checkRemoval();
    const now = this.core.clock.now();
    const { parent, name, ino } = dirent;
    const asked = { entries: [[parent, name] as const], inodes: [parent, ino] };
    this.core.performSoon(this.removal(dirent), now, [parent], [ino], asked, () => this.told.unnamed(ino));
  }

  /** The steps that remove a name: of a conflict copy, that version; else the link, after its directory is there for good. */
  private removal(dirent: Dirent): Step[] {
    const { tree } = this.core;
    const { parent, ino, link } = dirent;
    return [
      () => settleRevived(tree, parent),
      () =>
        this.core.store.copy(ino)
          ? removeCopy(tree, ino)
          : removeLink(tree, this.core.inode(ino), link, this.core.allocate),
    ];
  }

  // ── moving ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  rename(parent: Ino, name: Name, newParent: Ino, newName: Name, flags: number, caller: Caller): void {
    this.core.checkName(newName);
    const source = this.core.entry(this.core.directory(parent), name);
    const target = this.liveDirectory(newParent);
    const victim = this.core.store.lookup(target, newName);
    if (flags & RENAME_EXCHANGE) {
      this.core.space.checkChange();
      this.exchange(source, victim);
      return;
    }
    if (victim && flags & RENAME_NOREPLACE) throw posixError('EEXIST');
    if (victim) this.checkVictim(source, victim);
    // POSIX: two names of one file, and renaming to itself, change nothing.
    if (victim && victim.ino === source.ino) return;
    if (source.type === DIRECTORY_DIRENT_TYPE && this.isWithin(target, source.ino)) throw posixError('EINVAL');
    this.core.space.checkChange();
    const now = this.core.clock.now();
    const steps: Step[] = victim ? this.removal(victim) : [() => settleRevived(this.core.tree, target)];
    steps.push(...this.move(source, target, newName));
    const inodes = victim ? [source.parent, target, source.ino, victim.ino] : [source.parent, target, source.ino];
    this.core.performSoon(
      steps,
      now,
      source.parent === target ? [target] : [source.parent, target],
      victim ? [source.ino, victim.ino] : [source.ino],
      {
        entries: [
          [source.parent, name],
          [target, newName],
        ],
        inodes,
      },
      () => {
        if (victim) this.told.unnamed(victim.ino);
        this.told.named(source.ino, victim?.ino);
      },
    );
    if (!(flags & RENAME_WHITEOUT)) return;
    this.core.settle();
    this.make(source.parent, name, typeBits('c'), 0, 0, caller);
  }

  private move(source: Dirent, parent: Ino, name: Name): Step[] {
    const { ino, link } = source;
    return [
      ...this.settling(source),
      () => moveLink(this.core.tree, this.core.inode(ino), link, parent, name, this.core.allocate),
    ];
  }

  /** Makes what an entry leads to an ordinary inode in an ordinary directory, before its link is written. */
  private settling({ parent, ino }: Dirent): Step[] {
    const { tree } = this.core;
    return [
      () => settleRevived(tree, parent),
      () => (this.core.store.copy(ino) ? settleCopy(tree, ino, this.core.allocate) : []),
      () => settleRevived(tree, ino),
    ];
  }

  private checkVictim(source: Dirent, victim: Dirent): void {
    if (source.type === DIRECTORY_DIRENT_TYPE && victim.type !== DIRECTORY_DIRENT_TYPE) throw posixError('ENOTDIR');
    if (source.type !== DIRECTORY_DIRENT_TYPE && victim.type === DIRECTORY_DIRENT_TYPE) throw posixError('EISDIR');
    if (victim.type === DIRECTORY_DIRENT_TYPE && victim.ino !== source.ino && this.core.store.hasEntries(victim.ino))
      throw posixError('ENOTEMPTY');
  }

  private exchange(a: Dirent, b: Dirent | undefined): void {
    if (!b) throw posixError('ENOENT');
    if (a.ino === b.ino) return;
    if (a.type === DIRECTORY_DIRENT_TYPE && this.isWithin(b.parent, a.ino)) throw posixError('EINVAL');
    if (b.type === DIRECTORY_DIRENT_TYPE && this.isWithin(a.parent, b.ino)) throw posixError('EINVAL');
    const steps: Step[] = [
      ...this.settling(a),
      ...this.settling(b),
      // In one step: a file that met a directory under its name would give way to it.
      () => exchangeLinks(this.core.tree, this.settled(a), this.settled(b), this.core.allocate),
    ];
    this.core.perform(
      steps,
      this.core.clock.now(),
      a.parent === b.parent ? [a.parent] : [a.parent, b.parent],
      [a.ino, b.ino],
      {
        entries: [
          [a.parent, a.name],
          [b.parent, b.name],
        ],
        inodes: [a.parent, b.parent, a.ino, b.ino],
      },
    );
    for (const { ino } of [a, b]) this.told.named(ino);
  }

  /** What a name leads to after a step of the same call; by that step a conflict copy may have come to another name. */
  private settled(entry: Dirent): Dirent {
    const found = this.core.store.lookup(entry.parent, entry.name);
    return found?.ino === entry.ino ? found : entry;
  }

  private isWithin(directory: Ino, ancestor: Ino): boolean {
    for (let at = directory; ; at = this.parentOf(at)) {
      if (at === ancestor) return true;
      if (at === ROOT_INO) return false;
    }
  }

  // ── listing ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Cookies 1 and 2 are '.' and '..'; an entry's is its store cookie plus 2. */
  readdir(ino: Ino, cookie: number, emit: (entry: DirectoryEntry) => boolean): void {
    const directory = this.core.directory(ino);
    const inode = this.core.inode(directory);
    if (inode.nlink === 0) return; // removed: POSIX lets it read as empty, without dot and dot-dot
    if (cookie < 1 && !emit({ name: '.', ino: directory, type: DIRECTORY_DIRENT_TYPE, cookie: 1 })) return;
    if (cookie < 2 && !emit({ name: '..', ino: this.parentOf(directory), type: DIRECTORY_DIRENT_TYPE, cookie: 2 }))
      return;
    let after = Math.max(0, cookie - 2);
    for (let batch = FIRST_LIST_BATCH; ; batch = Math.min(batch * 4, LIST_BATCH_MAX)) {
      const entries = this.core.store.list(directory, after, batch);
      for (const entry of entries) {
        if (!emit({ name: entry.name, ino: entry.ino, type: entry.type, cookie: entry.cookie + 2 })) return;
        after = entry.cookie;
      }
      if (entries.length < batch) return;
    }
  }
}
