// file-calls.ts — what programs at one simulated site do with the bytes of files, by path and by descriptor.
// Each call is told to the account of acknowledged bytes, one by one: a program may be killed between two. Whether bytes go through the site or
// past it is for the site to say when a file is opened (kernel-files.ts).

import { AbsentObjects } from '../chunks/absent-objects.js';
import { WorkingCopy } from '../chunks/working-copy.js';
import { PosixError, posixError } from '../errno.js';
import type { Ino } from '../crdt/ids.js';
import type { AcknowledgedBytes } from './acknowledged-bytes.js';
import { CallAccount, Killed } from './call-account.js';
import { CallEffects, type Due, type Place } from './call-effects.js';
import { USER } from './kernel-files.js';
import { Observer } from './observer.js';
import type { Site } from './site.js';

export const UMASK = 0o022;
const O_RDWR = 2;
const O_TRUNC = 0o1000;
const O_APPEND = 0o2000;
const O_SYNC = 0o4010000;
/** What one write(2) takes. */
const WRITE_BYTES = 128 << 10;
/** How far behind the end of a file something is written at most, bytes. */
const GAP_BYTES = 5_000;

/** How a descriptor is opened: to read and write, each write synced, to read only, or to append. */
export const OPEN_FLAGS = { rw: O_RDWR, sync: O_RDWR | O_SYNC, r: 0, log: O_RDWR | O_APPEND } as const;
export type OpenMode = keyof typeof OPEN_FLAGS;

interface Descriptor {
  readonly handle: number;
  readonly ino: Ino;
  readonly appends: boolean;
}

export class FileCalls extends Observer {
  private readonly descriptors = new Map<string, Descriptor>();
  protected readonly account: CallAccount;
  protected readonly effects: CallEffects;
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
    this.descriptors.clear();
    this.account.forget();
  }

  /** See CallEffects.changing. */
  protected changing<T>(
    places: readonly Place[],
    act: () => T,
    due: (result: T) => Due[],
    moving: readonly Ino[] = [],
  ): T {
    return this.effects.changing(this.step, places, act, due, moving);
  }

  /** A change of a file settles what is hidden behind it, and makes nothing appear. */
  protected keepingNames(path: string, act: () => void): void {
    this.changing([this.place(path)], act, () => []);
  }

  protected changed(...places: readonly Place[]): void {
    for (const [parent, name] of places) this.site.life!.cache.changed(parent, name);
  }

  private file(path: string): Ino {
    const ino = this.resolve(path);
    if (!this.isFile(ino)) throw posixError('EISDIR');
    return ino;
  }

  /** Opens a file for one call, and closes it afterwards. */
  private opening(ino: Ino, flags: number, act: (handle: number) => void): void {
    const handle = this.kernel.open(ino, flags);
    this.closing(handle, () => act(handle));
    this.account.acknowledged();
  }

  private make(at: Place, flags: number): { readonly handle: number; readonly ino: Ino } {
    this.changed(at);
    const made = this.changing(
      [at],
      () => this.kernel.create(...at, 0o644, flags, UMASK),
      ({ ino }) => [[at, ino]],
    );
    this.account.acknowledged();
    if (this.readAll(made.handle).length > 0) throw new Error('a new file is not empty');
    return made;
  }

  // ── by path ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** What cp, or a shell's `>`, does. */
  write(path: string, data: Buffer): void {
    const at = this.place(path);
    const found = this.volume.files.lookup(...at);
    if (found && !this.isFile(found.ino)) throw posixError('EISDIR');
    if (!found) {
      const { ino, handle } = this.make(at, O_RDWR);
      return this.fill(ino, handle, 0, data);
    }
    const [before, hidden] = [this.seen(found.ino), this.account.versionShown(found.ino)];
    this.keepingNames(path, () => {
      const handle = this.kernel.open(found.ino, O_RDWR | O_TRUNC);
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
    this.changingBytes(ino, handle, data, () => {
      this.effects.droppingSetId(ino, () => this.kernel.write(handle, offset, data));
      if (
        !this.readAll(handle)
          .subarray(offset, offset + data.length)
          .equals(data)
      )
        throw new Error('a write does not show');
    });
  }

  /** A call that writes `data` to an open file. */
  private changingBytes(ino: Ino, handle: number, data: Buffer, act: () => void): void {
    const before = this.readAll(handle);
    try {
      act();
    } catch (error) {
      const isRefused = error instanceof PosixError || this.site.disk.refusals > 0;
      if (isRefused && !(error instanceof Killed)) {
        // A large write that failed has left it a local file, however small, as large ones are.
        if (this.volume['drafts'].get(ino)?.content instanceof WorkingCopy) this.account.mayMix(ino);
        this.account.failed(before, this.readAll(handle));
      }
      throw error;
    }
    if (this.kernel.isLocal(handle)) this.noteMixture(ino);
    this.account.changed(ino, before, undefined, this.readAll(handle));
    if (this.kernel.isSynced(handle)) this.account.synced(data);
  }

  /**
   * Versions, or what power loss leaves, may have a change of a local file in part: the site reads it while programs go on writing to it, and
   * what was synced of one is written over, or cut off. Not so as long as the file may be given back.
   */
  private noteMixture(ino: Ino): void {
    const draft = this.volume['drafts'].get(ino);
    if (!draft || draft.isSpare) return;
    const isOpen = [...this.descriptors.values()].some((descriptor) => descriptor.ino === ino);
    if (draft.synced || isOpen) this.account.mayMix(ino);
  }

  /** Writes into an existing file at an offset, or (-1) at its end. */
  patch(path: string, offset: number, data: Buffer): void {
    const ino = this.file(path);
    const handle = this.kernel.open(ino, O_RDWR);
    try {
      this.readAll(handle); // its bytes may not be here yet
    } catch (error) {
      this.kernel.release(handle);
      throw error;
    }
    const at = this.offsetIn(handle, offset);
    this.keepingNames(path, () => this.fill(ino, handle, at, data));
  }

  /** -1: the end. */
  private offsetIn(handle: number, offset: number): number {
    const size = this.readAll(handle).length;
    return offset < 0 ? size : Math.min(offset, size + GAP_BYTES);
  }

  truncate(path: string, size: number): void {
    const ino = this.file(path);
    const before = this.contentOf(ino);
    this.keepingNames(path, () => this.volume.files.setattr(ino, { size }, USER, undefined));
    // To which the kernel writes: its bytes are in no record of the log.
    if (this.volume['drafts'].get(ino)?.seen) this.noteMixture(ino);
    this.account.changed(ino, before, undefined, this.contentOf(ino));
  }

  /** O_TMPFILE, written to, then linkat(2). */
  unnamed(path: string, data: Buffer): void {
    const at = this.place(path);
    if (this.volume.files.lookup(...at)) throw posixError('EEXIST');
    const { ino, handle } = this.kernel.tmpfile(at[0], 0o600, O_RDWR, UMASK);
    this.closing(handle, () => {
      this.kernel.write(handle, 0, data);
      this.changed(at);
      this.volume.files.link(ino, ...at);
      this.account.changed(ino, Buffer.alloc(0), undefined, data);
    });
  }

  /** Appends through O_APPEND, as programs do with logs. */
  append(path: string, data: Buffer): void {
    const ino = this.file(path);
    this.opening(ino, O_RDWR | O_APPEND, (handle) =>
      this.changingBytes(ino, handle, data, () =>
        this.effects.droppingSetId(ino, () => this.kernel.write(handle, 0, data)),
      ),
    );
  }

  /** fallocate(2), with the mode's bits as in linux/falloc.h. */
  allocate(path: string, mode: number, offset: number, length: number): void {
    const ino = this.file(path);
    this.opening(ino, O_RDWR, (handle) => {
      const before = this.readAll(handle);
      this.volume.files.fallocate(handle, mode, offset, length);
      this.account.changed(ino, before, undefined, this.readAll(handle));
    });
  }

  /** What sync(1) does with a file. */
  sync(path: string): void {
    this.opening(this.file(path), 0, (handle) => this.syncHandle(handle));
  }

  // ── by descriptor ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  get openNames(): string[] {
    return this.life === this.site.kills ? [...this.descriptors.keys()] : [];
  }

  private descriptor(name: string): Descriptor {
    const found = this.descriptors.get(name);
    if (!found) throw posixError('EBADF');
    return found;
  }

  open(name: string, path: string, mode: OpenMode = 'rw'): void {
    const ino = this.file(path);
    if (this.descriptors.has(name)) throw posixError('EBUSY');
    this.descriptors.set(name, { handle: this.kernel.open(ino, OPEN_FLAGS[mode]), ino, appends: mode === 'log' });
  }

  /** A new file, which stays open. */
  create(name: string, path: string, mode: OpenMode = 'rw'): void {
    const at = this.place(path);
    if (this.volume.files.lookup(...at)) throw posixError('EEXIST');
    if (this.descriptors.has(name)) throw posixError('EBUSY');
    this.descriptors.set(name, { ...this.make(at, OPEN_FLAGS[mode]), appends: mode === 'log' });
  }

  put(name: string, offset: number, data: Buffer): void {
    const { handle, ino, appends } = this.descriptor(name);
    this.pwrite(ino, handle, this.offsetIn(handle, appends ? -1 : offset), data);
  }

  /** Appends without a look at what is there, which need not be here. */
  log(name: string, data: Buffer): void {
    const { handle, ino } = this.descriptor(name);
    const write = (): void => this.effects.droppingSetId(ino, () => this.kernel.write(handle, 0, data));
    if (this.isHere(handle)) return this.changingBytes(ino, handle, data, write);
    this.account.appendingUnread(ino, data);
    write();
    this.account.appendedUnread(ino, data);
  }

  private isHere(handle: number): boolean {
    try {
      this.readAll(handle);
      return true;
    } catch (error) {
      if (error instanceof AbsentObjects) return false;
      throw error;
    }
  }

  /** A store to a file that is mapped, which cannot make it longer. */
  store(name: string, offset: number, data: Buffer): void {
    const { handle, ino } = this.descriptor(name);
    const at = Math.min(offset, this.readAll(handle).length);
    const fitting = data.subarray(0, this.readAll(handle).length - at);
    if (fitting.length === 0) return;
    this.changingBytes(ino, handle, Buffer.alloc(0), () => this.kernel.store(handle, at, fitting));
  }

  /** What the descriptor's file holds, as it shows it. */
  readOpen(name: string): Buffer {
    return this.readAll(this.descriptor(name).handle);
  }

  cut(name: string, size: number): void {
    const { handle, ino } = this.descriptor(name);
    const before = this.readAll(handle);
    this.kernel.truncate(handle, size);
    if (this.kernel.isLocal(handle)) this.noteMixture(ino);
    this.account.changed(ino, before, undefined, this.readAll(handle));
  }

  fsync(name: string): void {
    this.syncHandle(this.descriptor(name).handle);
  }

  private syncHandle(handle: number): void {
    this.kernel.fsync(handle);
    this.account.acknowledged();
    this.account.synced(this.readAll(handle));
  }

  close(name: string): void {
    const { handle } = this.descriptor(name);
    this.descriptors.delete(name);
    this.kernel.release(handle);
  }
}
