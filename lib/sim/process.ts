// process.ts — programs at one simulated site: paths in, system calls on the volume out, as the kernel would make them.
// What the kernel checks before it asks a filesystem is checked here, and each call is told to the account of acknowledged bytes (call by
// call: a program may be killed between two).

import { posixError } from '../errno.js';
import type { Ino } from '../crdt/ids.js';
import { ROOT_INO } from '../crdt/ids.js';
import type { Attributes } from '../volume/file-system.js';
import { RENAME_EXCHANGE } from '../volume/file-system.js';
import { CallEffects, type Due, namesIn, type Place } from './call-effects.js';
import type { AcknowledgedBytes } from './acknowledged-bytes.js';
import { CallAccount } from './call-account.js';
import { marked } from './contents.js';
import { Observer, USER } from './observer.js';
import type { Site } from './site.js';

const UMASK = 0o022;
const O_RDWR = 2;
const O_TRUNC = 0o1000;
const O_APPEND = 0o2000;
const TWIN_BYTES = 40;
const S_IFIFO = 0o010000;
/** What one write(2) takes. */
const WRITE_BYTES = 128 << 10;

export class Process extends Observer {
  private readonly handles = new Map<string, { readonly handle: number; readonly ino: Ino }>();
  private readonly account: CallAccount;
  private readonly effects: CallEffects;
  private step = '';
  private life = -1;

  constructor(site: Site, bytes: AcknowledgedBytes) {
    super(site);
    this.account = new CallAccount(site, bytes);
    this.effects = new CallEffects(site);
  }

  /** A step begins. Descriptors ended with the daemon that they came from. */
  begin(step: string): void {
    this.step = step;
    this.account.begin(step);
    if (this.life === this.site.kills) return;
    this.life = this.site.kills;
    this.handles.clear();
    this.account.forget();
  }

  private find([parent, name]: Place): Attributes | undefined {
    return this.volume.files.lookup(parent, name);
  }

  private changed(...places: readonly Place[]): void {
    for (const [parent, name] of places) this.site.life!.cache.changed(parent, name);
  }

  /** See CallEffects.changing. */
  private changing<T>(
    places: readonly Place[],
    act: () => T,
    due: (result: T) => Due[],
    moving: readonly Ino[] = [],
  ): T {
    return this.effects.changing(this.step, places, act, due, moving);
  }

  /** A call that gives a place something new. */
  private making(at: Place, act: () => Attributes): void {
    this.changing([at], act, ({ ino }) => [[at, ino]]);
  }

  private isBelow(ino: Ino, ancestor: Ino): boolean {
    for (let at = ino; ; at = this.volume.files.lookup(at, '..')!.ino) {
      if (at === ancestor) return true;
      if (at === ROOT_INO) return false;
    }
  }

  /** A file may be about to lose its last name. */
  private discard(ino: Ino): void {
    if (this.isFile(ino) && this.volume.files.getattr(ino).nlink <= 1) this.account.discards(ino, this.seen(ino));
  }

  // ── calls ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  mkdir(path: string): void {
    const at = this.place(path);
    this.changed(at);
    this.making(at, () => this.volume.files.mkdir(...at, 0o755, UMASK, USER));
  }

  rmdir(path: string): void {
    const at = this.place(path);
    const found = this.find(at);
    if (found && !this.isDirectory(found.ino)) throw posixError('ENOTDIR');
    this.changed(at);
    this.changing(
      [at],
      () => this.volume.files.rmdir(...at),
      () => [[at, undefined]],
    );
  }

  mkfifo(path: string): void {
    const at = this.place(path);
    this.changed(at);
    this.making(at, () => this.volume.files.mknod(...at, S_IFIFO | 0o644, 0, UMASK, USER));
  }

  symlink(target: string, path: string): void {
    const at = this.place(path);
    this.changed(at);
    this.making(at, () => this.volume.files.symlink(...at, target, USER));
  }

  link(path: string, newPath: string): void {
    const ino = this.resolve(path);
    const at = this.place(newPath);
    if (this.isDirectory(ino)) throw posixError('EPERM');
    this.changed(at);
    this.making(at, () => this.volume.files.link(ino, ...at));
  }

  unlink(path: string): void {
    const at = this.place(path);
    const found = this.find(at);
    if (!found) throw posixError('ENOENT');
    if (this.isDirectory(found.ino)) throw posixError('EISDIR');
    this.discard(found.ino);
    this.changed(at);
    this.changing(
      [at],
      () => this.volume.files.unlink(...at),
      () => [[at, undefined]],
    );
    this.account.removed(found.ino);
    this.account.acknowledged();
  }

  /** The names in a directory of all but some inodes. */
  private namesBut(directory: Ino, but: ReadonlySet<Ino>): string {
    const entries = [...namesIn(this.volume, directory)].filter(([, ino]) => !but.has(ino));
    return entries
      .map(([name]) => name)
      .toSorted()
      .join('/');
  }

  /** rm -r: what is gone already is no error. */
  removeTree(path: string): void {
    const at = this.place(path);
    const found = this.find(at);
    if (!found) return;
    if (!this.isDirectory(found.ino)) return this.unlink(path);
    for (const name of this.list(path)) this.removeTree(`${path}/${name}`);
    this.rmdir(path);
    this.account.acknowledged();
  }

  rename(path: string, newPath: string): void {
    const [from, to] = [this.place(path), this.place(newPath)];
    const source = this.find(from);
    const victim = this.find(to);
    if (!source) throw posixError('ENOENT');
    if (victim?.ino === source.ino) return;
    if (this.isDirectory(source.ino)) {
      if (this.isBelow(to[0], source.ino)) throw posixError('EINVAL');
      if (victim && !this.isDirectory(victim.ino)) throw posixError('ENOTDIR');
    } else if (victim && this.isDirectory(victim.ino)) {
      throw posixError(this.isBelow(from[0], victim.ino) ? 'ENOTEMPTY' : 'EISDIR');
    }
    if (victim) this.discard(victim.ino);
    this.changed(from, to);
    const isDirectory = this.isDirectory(source.ino);
    // A move may let deferred ones take effect: of all else nothing comes or goes.
    const deferred = new Set(this.volume.journal.store.deferred().keys());
    const inside = isDirectory ? this.namesBut(source.ino, deferred) : '';
    this.changing(
      [from, to],
      () => this.volume.files.rename(...from, ...to, 0, USER),
      () => [
        [from, undefined],
        [to, source.ino],
      ],
      [source.ino],
    );
    if (isDirectory && this.namesBut(this.find(to)!.ino, deferred) !== inside)
      throw new Error(`moving ${path} changed what is in it`);
    if (victim) this.account.removed(victim.ino);
    this.account.acknowledged();
  }

  exchange(path: string, other: string): void {
    const [a, b] = [this.place(path), this.place(other)];
    const [first, second] = [this.find(a), this.find(b)];
    if (!first || !second) throw posixError('ENOENT');
    if (first.ino === second.ino) return;
    if (this.isBelow(b[0], first.ino) || this.isBelow(a[0], second.ino)) throw posixError('EINVAL');
    this.changed(a, b);
    this.changing(
      [a, b],
      () => this.volume.files.rename(...a, ...b, RENAME_EXCHANGE, USER),
      () => [
        [a, second.ino],
        [b, first.ino],
      ],
      [first.ino, second.ino],
    );
  }

  /** What cp, or a shell's `>`, does. */
  write(path: string, data: Buffer): void {
    const at = this.place(path);
    const found = this.find(at);
    if (found && !this.isFile(found.ino)) throw posixError('EISDIR');
    if (!found) {
      this.changed(at);
      const { attributes, opened } = this.changing(
        [at],
        () => this.volume.files.create(...at, 0o644, O_RDWR, UMASK, USER),
        (made) => [[at, made.attributes.ino]],
      );
      this.account.acknowledged();
      return this.fill(attributes.ino, opened.handle, 0, data);
    }
    const [before, hidden] = [this.seen(found.ino), this.account.versionShown(found.ino)];
    this.keepingNames(path, () => {
      const { handle } = this.volume.files.open(found.ino, O_RDWR | O_TRUNC, false, USER);
      this.account.changed(found.ino, before, hidden, Buffer.alloc(0));
      this.fill(found.ino, handle, 0, data);
    });
  }

  /** Writes and closes. */
  private fill(ino: Ino, handle: number, offset: number, data: Buffer): void {
    this.closing(handle, () => {
      for (let at = 0; at < data.length; at += WRITE_BYTES)
        this.pwrite(ino, handle, offset + at, data.subarray(at, at + WRITE_BYTES));
    });
    this.account.acknowledged();
  }

  private pwrite(ino: Ino, handle: number, offset: number, data: Buffer): void {
    const before = this.readAll(handle);
    this.effects.droppingSetId(ino, () => this.volume.files.write(handle, offset, data, true));
    const after = this.readAll(handle);
    if (!after.subarray(offset, offset + data.length).equals(data)) throw new Error('a write does not show');
    this.account.changed(ino, before, undefined, after);
  }

  /** Writes into an existing file at an offset, or (-1) at its end. */
  patch(path: string, offset: number, data: Buffer): void {
    const ino = this.resolve(path);
    if (!this.isFile(ino)) throw posixError('EISDIR');
    const { handle } = this.volume.files.open(ino, O_RDWR, false, USER);
    try {
      this.readAll(handle); // its bytes may not be here yet
    } catch (error) {
      this.volume.files.release(handle);
      throw error;
    }
    const size = this.readAll(handle).length;
    const at = offset < 0 ? size : Math.min(offset, size + 5_000);
    this.keepingNames(path, () => this.fill(ino, handle, at, data));
  }

  truncate(path: string, size: number): void {
    const ino = this.resolve(path);
    if (!this.isFile(ino)) throw posixError('EISDIR');
    const before = this.contentOf(ino);
    this.keepingNames(path, () => this.volume.files.setattr(ino, { size }, USER, undefined));
    this.account.changed(ino, before, undefined, this.contentOf(ino));
  }

  /** As editors do. */
  save(path: string, data: Buffer): void {
    const beside = `${path}.new`;
    this.write(beside, data);
    this.rename(beside, path);
  }

  /** O_TMPFILE, written to, then linkat(2). */
  unnamed(path: string, data: Buffer): void {
    const at = this.place(path);
    if (this.find(at)) throw posixError('EEXIST');
    const { attributes, opened } = this.volume.files.tmpfile(at[0], 0o600, O_RDWR, UMASK, USER);
    this.closing(opened.handle, () => {
      this.volume.files.write(opened.handle, 0, data, false);
      this.changed(at);
      this.volume.files.link(attributes.ino, ...at);
      this.account.changed(attributes.ino, Buffer.alloc(0), undefined, data);
    });
  }

  chmod(path: string, mode: number): void {
    this.keepingNames(path, () => this.volume.files.setattr(this.resolve(path), { mode }, USER, undefined));
  }

  /** What several sites make alike, but maybe for its mode. */
  twin(path: string, mark: string, mode: number): void {
    this.write(path, marked(mark, TWIN_BYTES));
    this.chmod(path, mode);
  }

  /** A change of a file settles what is hidden behind it, and makes nothing appear. */
  private keepingNames(path: string, act: () => void): void {
    this.changing([this.place(path)], act, () => []);
  }

  /** An id of null stays. */
  chown(path: string, uid: number | null, gid: number | null): void {
    const changes = { ...(uid === null ? {} : { uid }), ...(gid === null ? {} : { gid }) };
    const ino = this.resolve(path);
    const act = (): unknown => this.volume.files.setattr(ino, changes, USER, undefined);
    this.keepingNames(path, () => this.effects.droppingSetId(ino, act));
  }

  touch(path: string, seconds: number): void {
    const s = Math.floor(seconds);
    const mtime = { s, ns: Math.round((seconds - s) * 1e9) };
    this.keepingNames(path, () => this.volume.files.setattr(this.resolve(path), { mtime }, USER, undefined));
  }

  setxattr(path: string, name: string, value: string): void {
    const act = (): void =>
      this.volume.files.setxattr(this.resolve(path), name, Buffer.from(value, 'latin1'), 0, false);
    this.keepingNames(path, act);
  }

  removexattr(path: string, name: string): void {
    this.keepingNames(path, () => this.volume.files.removexattr(this.resolve(path), name));
  }

  // ── descriptors ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

  get openNames(): string[] {
    return this.life === this.site.kills ? [...this.handles.keys()] : [];
  }

  open(name: string, path: string): void {
    const ino = this.resolve(path);
    if (!this.isFile(ino)) throw posixError('EISDIR');
    if (this.handles.has(name)) throw posixError('EBUSY');
    const { handle } = this.volume.files.open(ino, O_RDWR, false, USER);
    this.handles.set(name, { handle, ino });
  }

  put(name: string, offset: number, data: Buffer): void {
    const { handle, ino } = this.handle(name);
    const size = this.readAll(handle).length;
    this.pwrite(ino, handle, offset < 0 ? size : Math.min(offset, size + 5_000), data);
  }

  /** What the descriptor's file holds, as it shows it. */
  readOpen(name: string): Buffer {
    return this.readAll(this.handle(name).handle);
  }

  cut(name: string, size: number): void {
    const { handle, ino } = this.handle(name);
    const before = this.readAll(handle);
    this.volume.files.setattr(ino, { size }, USER, handle);
    this.account.changed(ino, before, undefined, this.readAll(handle));
  }

  fsync(name: string): void {
    this.syncHandle(this.handle(name).handle);
  }

  private syncHandle(handle: number): void {
    this.volume.files.fsync(handle);
    this.account.acknowledged();
    this.account.synced(this.readAll(handle));
  }

  /** Appends through O_APPEND, as programs do with logs. */
  append(path: string, data: Buffer): void {
    const ino = this.resolve(path);
    if (!this.isFile(ino)) throw posixError('EISDIR');
    const { handle } = this.volume.files.open(ino, O_RDWR | O_APPEND, false, USER);
    this.closing(handle, () => {
      const before = this.readAll(handle);
      this.effects.droppingSetId(ino, () => this.volume.files.write(handle, 0, data, true));
      this.account.changed(ino, before, undefined, this.readAll(handle));
    });
    this.account.acknowledged();
  }

  /** fallocate(2), with the mode's bits as in linux/falloc.h. */
  allocate(path: string, mode: number, offset: number, length: number): void {
    const ino = this.resolve(path);
    if (!this.isFile(ino)) throw posixError('EISDIR');
    const { handle } = this.volume.files.open(ino, O_RDWR, false, USER);
    this.closing(handle, () => {
      const before = this.readAll(handle);
      this.volume.files.fallocate(handle, mode, offset, length);
      this.account.changed(ino, before, undefined, this.readAll(handle));
    });
    this.account.acknowledged();
  }

  /** Many names for one file, and then none of them. */
  storm(path: string, newPath: string, count: number): void {
    for (let i = 0; i < count; i++) this.link(path, `${newPath}${i}`);
    for (let i = 0; i < count; i++) this.unlink(`${newPath}${i}`);
  }

  /** What sync(1) does with a file. */
  sync(path: string): void {
    const ino = this.resolve(path);
    if (!this.isFile(ino)) throw posixError('EISDIR');
    const { handle } = this.volume.files.open(ino, 0, false, USER);
    this.closing(handle, () => this.syncHandle(handle));
  }

  close(name: string): void {
    const { handle } = this.handle(name);
    this.handles.delete(name);
    this.volume.files.release(handle);
  }

  private handle(name: string): { readonly handle: number; readonly ino: Ino } {
    const found = this.handles.get(name);
    if (!found) throw posixError('EBADF');
    return found;
  }
}
