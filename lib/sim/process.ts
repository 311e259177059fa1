// process.ts — programs at one simulated site: paths in, system calls on the volume out, as the kernel would make them. What they do with
// the bytes of files is in file-calls.ts.
// What the kernel checks before it asks a filesystem is checked here, and what is removed is told to the account of acknowledged bytes.

import { posixError } from '../errno.js';
import type { Ino } from '../crdt/ids.js';
import { ROOT_INO } from '../crdt/ids.js';
import type { Attributes } from '../volume/file-system.js';
import { RENAME_EXCHANGE } from '../volume/file-system.js';
import { namesIn, type Place } from './call-effects.js';
import { marked } from './contents.js';
import { UMASK } from './file-calls.js';
import { USER } from './kernel-files.js';
import { SettlingCalls } from './settling-calls.js';

const TWIN_BYTES = 40;
const S_IFIFO = 0o010000;

export class Process extends SettlingCalls {
  private find([parent, name]: Place): Attributes | undefined {
    return this.volume.files.lookup(parent, name);
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

  /** What a file stands for at a name: files with the same content, which go with it. */
  private equalsOf(ino: Ino, [parent, name]: Place): Ino[] {
    const claims = this.volume.journal.store.claims(parent, name);
    return claims.flatMap((claim) => (claim.shown === null && claim.ino !== ino ? claim.ino : []));
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
    const equals = this.equalsOf(found.ino, at);
    this.changing(
      [at],
      () => this.volume.files.unlink(...at),
      () => [[at, undefined]],
    );
    for (const ino of [found.ino, ...equals]) this.account.removed(ino);
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
    const equals = victim ? this.equalsOf(victim.ino, to) : [];
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
    if (victim) for (const ino of [victim.ino, ...equals]) this.account.removed(ino);
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

  /** As editors do. */
  save(path: string, data: Buffer): void {
    const beside = `${path}.new`;
    this.write(beside, data);
    this.rename(beside, path);
  }

  chmod(path: string, mode: number): void {
    this.keepingNames(path, () => this.volume.files.setattr(this.resolve(path), { mode }, USER, undefined));
  }

  /** What several sites make alike, but maybe for its mode. */
  twin(path: string, mark: string, mode: number): void {
    this.write(path, marked(mark, TWIN_BYTES));
    this.chmod(path, mode);
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

  /** Many names for one file, and then none of them. */
  storm(path: string, newPath: string, count: number): void {
    for (let i = 0; i < count; i++) this.link(path, `${newPath}${i}`);
    for (let i = 0; i < count; i++) this.unlink(`${newPath}${i}`);
  }
}
