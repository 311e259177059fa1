// simulated-site.test-support.ts — a site without disk, kernel or network: paths in, changes out. For tests and simulations of merging.
// Invariant: it does with local-writes.ts and Replica what a volume does, one commit per call, and hands changes on only in causal
// order, each once. It is no volume: no permissions, no open files, and errors only where an operation makes no sense.

import type { Value } from './change.js';
import { listConflicts } from './conflicts.js';
import { competingVersions } from './copies.js';
import { formatHead, formatMode, formatTimestamp, formatXattr, timeOfStamp } from './fields.js';
import { isDirectory, attributesOf } from './inode-attributes.js';
import type { FileType } from './fields.js';
import { FIRST_LINK, ROOT_INO, VOLUME_INO, ActorTable, inoOf } from './ids.js';
import type { ActorId, Ino, Name, ObjectId } from './ids.js';
import type { Inode } from './inode.js';
import { createWrites, exchangeLinks, moveLink, placeLink, removeCopy, removeLink } from './local-writes.js';
import { mergeVersions, settleBeforeWrite, settleCopy, settleRevived, shownHeads } from './local-writes.js';
import type { WriteDraft } from './local-writes.js';
import { MemoryTreeStore } from './memory-tree-store.js';
import { Replica } from './replica.js';
import type { RegisterWrite } from './replica.js';
import type { ViewChange } from './view-change.js';
import { HybridClock } from './stamp.js';
import { sameOp } from './register.js';
import type { Dirent } from './tree-store.js';

/** A write as it travels: ops named by actor id. */
export interface SimulatedWrite {
  readonly ino: Ino;
  readonly field: string;
  readonly value: Value;
  readonly counter: number;
  readonly pred: readonly { readonly counter: number; readonly actor: ActorId }[];
}

export interface SimulatedChange {
  readonly actor: ActorId;
  readonly seq: number;
  readonly stamp: number;
  /** What the site held when it made the change: highest seq per actor. */
  readonly deps: ReadonlyMap<ActorId, number>;
  readonly writes: readonly SimulatedWrite[];
}

export class SimulatedSite {
  readonly name: string;
  readonly store = new MemoryTreeStore();
  readonly actors = new ActorTable();
  readonly replica: Replica;
  readonly actor: ActorId;
  /** Every change held, in the order in which it was applied here. */
  readonly changes: SimulatedChange[] = [];
  readonly held = new Map<ActorId, number>();
  /** What the last call changed in the view. */
  lastView: ViewChange[] = [];
  /** Wall clock, microseconds: the owner of the site moves it. */
  nowUs = 1_700_000_000_000_000;

  readonly #index: number;
  readonly #clock = new HybridClock();
  #sequence = 0;
  #maxCounter = 0;
  #stamp = 0;
  #open: RegisterWrite[] = [];

  /** @param index 1, 2, 3 …: the site's slot of inode numbers; 1 creates the volume */
  constructor(name: string, index: number) {
    this.name = name;
    this.#index = index;
    // Foreign indexes first, so that nothing can rely on those of one site being those of another.
    for (let i = 0; i < (index * 5) % 7; i++) this.actors.intern(hexId(9000 + i * 7 + index));
    this.actor = hexId(1000 + ((index * 37) % 101));
    this.replica = new Replica(this.store, this.actors);
    if (index === 1)
      this.#commit(() => [{ ino: ROOT_INO, field: 'born', value: `d 1/ ${formatTimestamp(this.now())} 493 0 0 0` }]);
  }

  now(): { s: number; ns: number } {
    return timeOfStamp(this.nowUs);
  }

  /** A fresh inode number. */
  readonly reserve = (): Ino => inoOf(this.#index, ++this.#sequence);

  /** Gives the site another name, which all suffixes then bear. */
  renameSite(name: string): void {
    this.#commit(() => [{ ino: VOLUME_INO, field: `site:${hexId(this.#index)}`, value: name }]);
  }

  create(path: string, mode = 0o644): Ino {
    return this.#make('f', path, mode, {});
  }

  mkdir(path: string, mode = 0o755): Ino {
    return this.#make('d', path, mode, {});
  }

  symlink(target: string, path: string): Ino {
    return this.#make('l', path, 0o777, { target });
  }

  mknod(type: FileType, path: string, rdev = 0): Ino {
    return this.#make(type, path, 0o644, { rdev });
  }

  #make(type: FileType, path: string, mode: number, more: { target?: string; rdev?: number }): Ino {
    const { parent, name } = this.#vacant(path);
    const ino = this.reserve();
    this.#commit(() => [
      ...createWrites({ ino, type, parent, name, btime: this.now(), mode, uid: 1000, gid: 1000, ...more }),
      this.#touch(parent),
    ]);
    this.#expect(path, ino);
    return ino;
  }

  /** O_TMPFILE, written to, then linkat(2). */
  createUnnamed(path: string, content: string): Ino {
    const { parent, name } = this.#vacant(path);
    const ino = this.reserve();
    const btime = this.now();
    this.#commit(() => createWrites({ ino, type: 'f', parent, name: undefined, btime, mode: 0o600, uid: 0, gid: 0 }));
    this.#commit(() => [this.#head(this.store.inode(ino)!, content)]);
    this.#commit(() => [
      ...placeLink(this, this.store.inode(ino)!, FIRST_LINK, parent, name, this.reserve),
      this.#touch(parent),
    ]);
    return ino;
  }

  /** A new version of a file, made first if it is not there. */
  write(path: string, content: string): Ino {
    const ino = this.find(path)?.ino ?? this.create(path);
    this.#commit(() => this.#settleFile(ino));
    this.#commit(() => [this.#head(this.store.inode(ino)!, content)]);
    return ino;
  }

  /** Merges the concurrent versions of a file, as the policy does that calls all of them for it. @returns whether there were any */
  merge(path: string): boolean {
    const { ino } = this.#existing(path);
    const inode = this.#inodeOf(ino);
    const versions = inode.ino === ino && !isDirectory(inode) ? competingVersions(inode, this.store) : [];
    if (versions.length < 2) return false;
    const parts = new Set(versions.flatMap(({ manifest }) => contentOf(manifest).split('+')));
    const content = [...parts].toSorted().join('+').slice(0, 32);
    const result = { manifest: manifestOf(content), size: content.length, mtime: this.now(), copyIno: this.reserve() };
    this.#commit(() => this.#settleFile(ino));
    this.#commit(() => mergeVersions(this, this.store.inode(ino)!, versions, result));
    return true;
  }

  /** What an editor does: a new file, renamed over the old one. */
  saveByRename(path: string, content: string): void {
    const draft = `${path}.tmp${this.#index}`;
    this.write(draft, content);
    this.rename(draft, path);
  }

  chmod(path: string, mode: number): void {
    const { ino } = this.#existing(path);
    this.#change(ino, (inode) => [{ ino, field: 'mode', value: formatMode(attributesOf(inode).mode, mode) }]);
  }

  chown(path: string, uid: number, gid: number): void {
    const { ino } = this.#existing(path);
    this.#change(ino, () => [
      { ino, field: 'uid', value: uid },
      { ino, field: 'gid', value: gid },
    ]);
  }

  utimens(path: string, s: number): void {
    const { ino } = this.#existing(path);
    this.#change(ino, () => [{ ino, field: 'times', value: formatTimestamp({ s, ns: 0 }) }]);
  }

  setxattr(path: string, name: string, value: string | undefined): void {
    const { ino } = this.#existing(path);
    this.#change(ino, () => [{ ino, field: `x:${name}`, value: formatXattr(value) }]);
  }

  #change(ino: Ino, drafts: (inode: Inode) => WriteDraft[]): void {
    this.#commit(() => this.#settleFile(ino));
    this.#commit(() => drafts(this.store.inode(ino)!));
  }

  link(path: string, newPath: string): void {
    const { ino } = this.#existing(path);
    const { parent, name } = this.#vacant(newPath);
    this.#commit(() => this.#settleFile(ino));
    this.#commit(() => [
      ...placeLink(this, this.store.inode(ino)!, this.reserve(), parent, name, this.reserve),
      this.#touch(parent),
    ]);
  }

  unlink(path: string): void {
    const dirent = this.#existing(path);
    this.#commit(() => settleRevived(this, dirent.parent));
    this.#commit(() => this.#removal(dirent));
    this.#expect(path, undefined);
  }

  rmdir(path: string): void {
    const dirent = this.#existing(path);
    if (this.store.hasEntries(dirent.ino)) throw new Error(`${path} is not empty`);
    this.unlink(path);
  }

  /** rm -rf: what is gone already is no error, for a loser that lost its other link may now be equal to the winner. */
  remove(path: string): void {
    const dirent = this.find(path);
    if (!dirent) return;
    if (isDirectory(this.#inodeOf(dirent.ino))) for (const name of this.list(path)) this.remove(`${path}/${name}`);
    this.unlink(path);
  }

  rename(path: string, newPath: string): void {
    const dirent = this.#existing(path);
    const victim = this.find(newPath);
    const { parent, name } = this.#split(newPath);
    if (victim?.ino === dirent.ino) return; // rename(2): two links of one file
    this.#commit(() => settleRevived(this, dirent.parent));
    this.#commit(() => settleRevived(this, parent));
    // Settling may have made an ordinary entry of it, under the same name.
    this.#commit(() => settleCopy(this, dirent.ino, this.reserve));
    if (victim) this.#commit(() => this.#removal(victim));
    this.#commit(() => [
      ...moveLink(this, this.store.inode(dirent.ino)!, this.#existing(path).link, parent, name, this.reserve),
      this.#touch(dirent.parent),
      ...(parent === dirent.parent ? [] : [this.#touch(parent)]),
    ]);
    this.#expect(path, undefined);
    this.#expect(newPath, dirent.ino);
  }

  /** renameat2(2) with RENAME_EXCHANGE. */
  exchange(path: string, other: string): void {
    for (const at of [path, other]) {
      this.#commit(() => settleRevived(this, this.#split(at).parent));
      this.#commit(() => settleCopy(this, this.#existing(at).ino, this.reserve));
    }
    const [a, b] = [this.#existing(path), this.#existing(other)];
    this.#commit(() => exchangeLinks(this, a, b, this.reserve));
    this.#expect(path, b.ino);
    this.#expect(other, a.ino);
  }

  find(path: string): Dirent | undefined {
    const { parent, name } = this.#split(path);
    return this.store.lookup(parent, name);
  }

  /** The names in a directory, sorted. */
  list(path: string): Name[] {
    const ino = path === '' ? ROOT_INO : this.#existing(path).ino;
    return this.store.list(ino, 0, 10_000).map((dirent) => dirent.name).toSorted(); // prettier-ignore
  }

  /** The content that a path shows; undefined for a file never written to. */
  read(path: string): string | undefined {
    const { ino } = this.#existing(path);
    const copy = this.store.copy(ino);
    const attributes = attributesOf(this.#inodeOf(ino));
    const head = copy ? attributes.heads.find((other) => sameOp(other, copy)) : attributes.head;
    return head && contentOf(head.manifest);
  }

  /** Every path with what is there: 'd', 'l -> target' or a file's content. */
  tree(path = '', prefix = ''): Record<string, string> {
    const all: Record<string, string> = {};
    for (const name of this.list(path)) {
      const at = `${prefix}${name}`;
      const attributes = attributesOf(this.#inodeOf(this.#existing(at).ino));
      if (attributes.type === 'l') all[at] = `l -> ${attributes.target}`;
      else if (attributes.type !== 'd') all[at] = this.read(at) ?? '';
      else Object.assign(all, { [at]: 'd' }, this.tree(at, `${at}/`));
    }
    return all;
  }

  mode(path: string): number {
    return attributesOf(this.#inodeOf(this.#existing(path).ino)).mode;
  }

  /** What is in conflict, one line each. */
  conflicts(): string[] {
    return listConflicts(this.store, this.actors).map(({ kind, path, attribute, loser }) => {
      const isMove = kind === 'moved-elsewhere' || kind === 'move-deferred';
      const what = attribute === undefined ? kind : `${kind} ${attribute} of`;
      return `${what} ${path.join('/')}${isMove ? `, not ${loser.path!.join('/')}` : ''}`;
    });
  }

  nlink(path: string): number {
    if (path === '') return this.store.inode(ROOT_INO)!.nlink;
    const { ino } = this.#existing(path);
    return this.store.copy(ino) ? 1 : this.store.inode(ino)!.nlink;
  }

  /** Applies those changes that are new and whose dependencies are in, in batches; the rest is left alone. */
  receive(changes: readonly SimulatedChange[], batch = Number.MAX_SAFE_INTEGER): void {
    let writes: RegisterWrite[] = [];
    let pending = 0;
    this.lastView = [];
    const flush = (): void => {
      if (pending > 0) this.lastView.push(...this.replica.apply(writes));
      writes = [];
      pending = 0;
    };
    for (const change of changes) {
      if (!this.canTake(change)) continue;
      this.#take(change);
      for (const write of change.writes) writes.push(this.#intern(write, change));
      if (++pending >= batch) flush();
    }
    flush();
  }

  /** Whether a change is the next of its actor and all that it builds on is here. */
  canTake(change: SimulatedChange): boolean {
    if ((this.held.get(change.actor) ?? 0) !== change.seq - 1) return false;
    for (const [actor, seq] of change.deps) if ((this.held.get(actor) ?? 0) < seq) return false;
    return true;
  }

  /** Delivers again writes that the registers still hold. */
  receiveAgain(change: SimulatedChange): void {
    const still = change.writes
      .map((write) => this.#intern(write, change))
      .filter((write) =>
        this.store
          .inode(write.ino)
          ?.registers.get(write.field)
          ?.some((entry) => sameOp(entry, write)),
      );
    this.lastView = this.replica.apply(still);
  }

  #take(change: SimulatedChange): void {
    this.held.set(change.actor, change.seq);
    this.changes.push(change);
    this.#clock.observe(change.stamp, this.nowUs);
    this.#maxCounter = Math.max(this.#maxCounter, ...change.writes.map((write) => write.counter));
  }

  #intern(write: SimulatedWrite, { actor, stamp }: SimulatedChange): RegisterWrite {
    const pred = write.pred.map((op) => ({ counter: op.counter, actor: this.actors.intern(op.actor) }));
    return { ...write, pred, actor: this.actors.intern(actor), stamp };
  }

  #commit(drafts: () => WriteDraft[]): void {
    const deps = new Map(this.held);
    this.#stamp = this.#clock.next(this.nowUs);
    if (this.#open.length === 0 && !this.held.has(this.actor)) {
      const siteId = hexId(this.#index);
      this.#apply([
        { ino: VOLUME_INO, field: `actor:${this.actor}`, value: siteId },
        { ino: VOLUME_INO, field: `site:${siteId}`, value: this.name },
      ]);
    }
    const written = drafts();
    if (written.length === 0 && this.#open.length === 0) return;
    this.#apply(written);
    const seq = (this.held.get(this.actor) ?? 0) + 1;
    const writes = this.#open.map(({ ino, field, value, counter, pred }) => ({
      ino,
      field,
      value,
      counter,
      pred: pred.map((op) => ({ counter: op.counter, actor: this.actors.id(op.actor) })),
    }));
    this.#open = [];
    this.#take({ actor: this.actor, seq, stamp: this.#stamp, deps, writes });
  }

  #apply(drafts: readonly WriteDraft[]): void {
    const keys = new Set(drafts.map(({ ino, field }) => `${ino}.${field}`));
    if (keys.size !== drafts.length) throw new Error('one call drafted a register twice');
    const actor = this.actors.intern(this.actor);
    const writes = drafts.map(({ ino, field, value, bases }): RegisterWrite => {
      const pred = bases ?? this.store.inode(ino)?.registers.get(field) ?? [];
      return { ino, field, value, counter: ++this.#maxCounter, actor, stamp: this.#stamp, pred };
    });
    this.lastView = this.replica.apply(writes);
    this.#open.push(...writes);
  }

  #settleFile(ino: Ino): WriteDraft[] {
    return [...settleCopy(this, ino, this.reserve), ...settleBeforeWrite(this, ino)];
  }

  #removal(dirent: Dirent): WriteDraft[] {
    const drafts = this.store.copy(dirent.ino)
      ? removeCopy(this, dirent.ino)
      : removeLink(this, this.store.inode(dirent.ino)!, dirent.link, this.reserve);
    return [...drafts, this.#touch(dirent.parent)];
  }

  /** What POSIX says of the path after the call. A path whose directory moved because a deferred move took effect is not looked at. */
  #expect(path: string, ino: Ino | undefined): void {
    const is = this.#canReach(path) ? this.find(path)?.ino : ino;
    if (is !== ino) throw new Error(`${this.name}: ${path} is inode ${is}, should be ${ino}`);
  }

  #touch(directory: Ino): WriteDraft {
    return { ino: directory, field: 'times', value: formatTimestamp(this.now()) };
  }

  #head(inode: Inode, content: string): WriteDraft {
    const head = { manifest: manifestOf(content), size: content.length, mtime: this.now(), copyIno: this.reserve() };
    return { ino: inode.ino, field: 'head', value: formatHead(head), bases: shownHeads(inode) };
  }

  #inodeOf(ino: Ino): Inode {
    return this.store.inode(this.store.copy(ino)?.source ?? ino)!;
  }

  #existing(path: string): Dirent {
    const dirent = this.find(path);
    if (!dirent) throw new Error(`${this.name}: no ${path}`);
    return dirent;
  }

  #vacant(path: string): { parent: Ino; name: Name } {
    if (this.find(path)) throw new Error(`${this.name}: ${path} exists`);
    const at = this.#split(path);
    this.#commit(() => settleRevived(this, at.parent));
    return at;
  }

  #canReach(path: string): boolean {
    const slash = path.lastIndexOf('/');
    if (slash < 0) return true;
    const directory = path.slice(0, slash);
    return this.#canReach(directory) && this.find(directory) !== undefined;
  }

  #split(path: string): { parent: Ino; name: Name } {
    const names = path.split('/');
    const name = names.pop()!;
    let parent: Ino = ROOT_INO;
    for (const directory of names) {
      const dirent = this.store.lookup(parent, directory);
      if (!dirent || !this.store.inode(dirent.ino)) throw new Error(`${this.name}: no directory ${path}`);
      parent = dirent.ino;
    }
    return { parent, name };
  }
}

function hexId(n: number): string {
  return n.toString(16).padStart(32, '0');
}

/** A content of at most 32 bytes, as the id of its manifest. */
function manifestOf(content: string): ObjectId {
  return Buffer.from(content, 'latin1').toString('hex').padEnd(64, '0');
}

/** What a simulated manifest holds. */
export function contentOf(manifest: ObjectId): string {
  return Buffer.from(manifest.replace(/(?:00)+$/, ''), 'hex').toString('latin1');
}
