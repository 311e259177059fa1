// disk-image.ts — what a simulated site's disk holds for good: every file and directory as it was when it was last synced.
// Invariant: what power loss leaves of a file is what was last synced of it, with any of the sectors that were written since; of a
// directory, what was last synced, with any of the creations, renames and removals since, each of them whole. No order is taken for
// granted: see ALICE (Pillai et al., OSDI 2014) for why programs are tested against so little. Pages that a sync failed to write are given
// up: they are read as they were written, and no later sync writes them (Rebello et al., "Can Applications Recover from fsync Failures?",
// USENIX ATC 2020).

import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { seekData, seekHole } from '../file-calls.js';
import { fileTimeNs, setFileTime } from './file-times.js';
import type { Random } from './random.js';

const SECTOR_BYTES = 512;
const PAGE_BYTES = 4096;
const BLOCK_BYTES = 16 << 10;
const WAL = 'state.db-wal';
const WAL_HEADER_BYTES = 32;

/** A file that is only appended to: its bytes up to `bytes` are what they are now, except for its last page, which is kept. */
interface SyncedPart {
  readonly lengthBytes: number;
  readonly bytes: number;
  readonly lastPage: Buffer;
}

/** All bytes of a file, in blocks that it shares with what it was before; behind them there are zeros up to its length. */
interface SyncedBlocks {
  readonly lengthBytes: number;
  readonly blocks: readonly Buffer[];
}

/** What a file was when it was last synced. */
type Synced = (SyncedBlocks | SyncedPart) & {
  /** Modification time, nanoseconds since 1970. */
  readonly timeNs: bigint;
};

/** What a sync that began now would make durable. */
export interface Capture {
  readonly order: number;
  readonly files: readonly (readonly [inode: number, state: Synced])[];
  readonly directories: readonly (readonly [path: string, entries: ReadonlyMap<string, number>])[];
}

/** A page of a file that a sync failed to write. */
interface GivenUpPage {
  /** What is read: as long as that is so, nobody wrote to it since, and no sync writes it. */
  readonly cached: Buffer;
  readonly onDisk: Buffer;
}

/** By number in the file. */
type GivenUpPages = ReadonlyMap<number, GivenUpPage>;

export class DiskImage {
  private readonly files = new Map<number, { order: number; state: Synced }>();
  private readonly givenUp = new Map<number, GivenUpPages>();
  /** By path below the state directory: names, with the inode numbers of the files. */
  private readonly directories = new Map<string, { order: number; entries: ReadonlyMap<string, number> }>();
  private order = 0;
  /** SQLite starts its log over, so that it is more than appended to. */
  private walStartsOver = false;

  private constructor(readonly directory: string) {}

  /** A disk on which all that is in the directory is durable. */
  static durable(directory: string): DiskImage {
    const disk = new DiskImage(directory);
    for (const path of disk.directoryPaths()) {
      disk.sync([path]);
      disk.sync(disk.filePaths(path));
    }
    return disk;
  }

  private directoryPaths(): string[] {
    const below = readdirSync(this.directory, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [this.directory, ...below.map(({ name }) => join(this.directory, name))];
  }

  private filePaths(directory: string): string[] {
    const entries = readdirSync(directory, { withFileTypes: true });
    return entries.filter((entry) => entry.isFile() && !isShared(entry.name)).map(({ name }) => join(directory, name));
  }

  // ── syncs ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * fsync(2) of files and directories. Paths that do not exist (any more) are left out.
   * @param withTimes fdatasync(2) leaves the time of a file as it was, unless its length changed
   */
  sync(paths: readonly string[], withTimes = true): void {
    this.completed(this.capture(paths, withTimes));
  }

  /** The system came to a directory and the files in it by itself. */
  writtenBack(directory: string): void {
    const path = join(this.directory, directory);
    this.sync([path, ...this.filePaths(path)]);
  }

  /** What a sync that begins now covers. */
  capture(paths: readonly string[], withTimes = false): Capture {
    const files: [number, Synced][] = [];
    const directories: [string, ReadonlyMap<string, number>][] = [];
    for (const path of paths) {
      const stat = statSync(path, { throwIfNoEntry: false });
      if (stat?.isDirectory()) directories.push([relative(this.directory, path), this.entriesOf(path)]);
      else if (stat) files.push([stat.ino, this.stateOf(path, stat.ino, withTimes)]);
    }
    return { order: ++this.order, files, directories };
  }

  completed({ order, files, directories }: Capture): void {
    for (const [inode, state] of files)
      if ((this.files.get(inode)?.order ?? 0) < order) this.files.set(inode, { order, state });
    for (const [path, entries] of directories)
      if ((this.directories.get(path)?.order ?? 0) < order) this.directories.set(path, { order, entries });
  }

  /** fsync(2) of this file failed: of what was to be written, some or all never will be. */
  failed(random: Random, path: string): void {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat?.isFile()) return;
    const now = readFile(path).content;
    const synced = this.contentOf(stat.ino, now).content;
    const lost = new Map(this.givenUp.get(stat.ino));
    const share = random.chance(0.5) ? 1 : random.next();
    for (let at = 0, page = 0; at < now.length; at += PAGE_BYTES, page++) {
      const cached = now.subarray(at, at + PAGE_BYTES);
      const onDisk = pad(synced.subarray(at, at + PAGE_BYTES), cached.length);
      if (!cached.equals(onDisk) && random.chance(share)) lost.set(page, { cached, onDisk });
    }
    this.giveUp(stat.ino, lost);
  }

  /** write(2) to a part of a file: those pages are written by the next sync, be they what they were. */
  written(path: string, offset: number, length: number): void {
    const inode = statSync(path).ino;
    const [first, last] = [Math.floor(offset / PAGE_BYTES), Math.ceil((offset + length) / PAGE_BYTES)];
    this.giveUp(inode, new Map([...(this.givenUp.get(inode) ?? [])].filter(([page]) => page < first || page >= last)));
  }

  get hasGivenUp(): boolean {
    return this.givenUp.size > 0;
  }

  private giveUp(inode: number, pages: GivenUpPages): void {
    if (pages.size > 0) this.givenUp.set(inode, pages);
    else this.givenUp.delete(inode);
  }

  /** SQLite copies its log to the database: the log is synced first and then, if all of it was copied, the database. */
  checkpointed(isComplete: boolean): void {
    this.walStartsOver ||= isComplete;
    const database = join(this.directory, 'state.db');
    this.sync(isComplete ? [`${database}-wal`, database] : [`${database}-wal`]);
  }

  private entriesOf(directory: string): ReadonlyMap<string, number> {
    return new Map(this.filePaths(directory).map((path) => [path.slice(directory.length + 1), statSync(path).ino]));
  }

  private stateOf(path: string, inode: number, withTimes: boolean): Synced {
    const before = this.files.get(inode)?.state;
    const lost = this.givenUp.get(inode);
    const fd = openSync(path, 'r');
    try {
      const isAppended = !lost && (path.endsWith('.pack') || (path.endsWith(WAL) && !this.walStartsOver));
      const now = isAppended ? readEnd(fd) : readBlocks(fd, before && isBlocks(before) ? before.blocks : [], lost);
      const isTimeLate = !withTimes && before?.lengthBytes === now.lengthBytes;
      return { ...now, timeNs: isTimeLate ? before.timeNs : fileTimeNs(fd) };
    } finally {
      closeSync(fd);
    }
  }

  // ── crashes ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The disk of a copy of the directory: the process was killed, and nothing became durable by that. */
  copiedTo(directory: string): DiskImage {
    const copy = new DiskImage(directory);
    copy.walStartsOver = this.walStartsOver;
    const inodes = new Map<number, number>();
    for (const from of this.directoryPaths()) {
      for (const path of this.filePaths(from)) {
        const twin = statSync(join(directory, relative(this.directory, path)), { throwIfNoEntry: false });
        if (twin) inodes.set(statSync(path).ino, twin.ino);
      }
    }
    // Of a file that was removed only the synced state is left: it needs a number that no file has.
    const numberOf = (inode: number): number => inodes.get(inode) ?? -inode;
    for (const [inode, { state }] of this.files) copy.files.set(numberOf(inode), { order: 0, state });
    for (const [inode, pages] of this.givenUp) copy.givenUp.set(numberOf(inode), pages);
    for (const [path, { entries }] of this.directories) {
      const ofCopy = new Map([...entries].map(([name, inode]) => [name, numberOf(inode)]));
      copy.directories.set(path, { order: 0, entries: ofCopy });
    }
    return copy;
  }

  /** Power fails: writes what is left to the directory `to`, which does not exist yet. */
  lose(random: Random, to: string): void {
    for (const path of this.directoryPaths()) {
      const below = relative(this.directory, path);
      const target = join(to, below);
      mkdirSync(target, { recursive: true });
      const now = this.entriesOf(path);
      const names = chooseNames(random, this.directories.get(below)?.entries ?? new Map(), now);
      const paths = new Map([...now].map(([name, inode]) => [inode, join(path, name)]));
      for (const [name, inode] of names) this.leave(random, inode, paths.get(inode), join(target, name));
    }
  }

  private leave(random: Random, inode: number, path: string | undefined, target: string): void {
    const now = path === undefined ? undefined : readFile(path);
    if (now) putOnDisk(now.content, this.givenUp.get(inode));
    const synced = this.contentOf(inode, now?.content);
    const left = !now ? synced : chooseSectors(random, synced, now, target.endsWith(WAL));
    const isTimeLate = random.fork(`time of ${target.slice(target.lastIndexOf('/') + 1)}`).chance(0.5);
    writeFile(target, left, isTimeLate || !now ? synced.timeNs : now.timeNs);
  }

  private contentOf(inode: number, now: Buffer | undefined): Content {
    const state = this.files.get(inode)?.state;
    if (!state) return { content: Buffer.alloc(0), lengthBytes: 0, timeNs: 0n };
    const { lengthBytes, timeNs } = state;
    if (isBlocks(state)) return { content: Buffer.concat(state.blocks), lengthBytes, timeNs };
    const kept = state.bytes - state.lastPage.length;
    const content = Buffer.concat([(now ?? Buffer.alloc(kept)).subarray(0, kept), state.lastPage]);
    return { content, lengthBytes, timeNs };
  }
}

/** A file's bytes; behind those given there are zeros up to its length. */
interface Content {
  readonly content: Buffer;
  readonly lengthBytes: number;
  readonly timeNs: bigint;
}

/** What processes share and is made anew by the first of them. */
function isShared(name: string): boolean {
  return name.endsWith('-shm');
}

/** Each file is where it was, or where it was put since. */
function chooseNames(
  random: Random,
  synced: ReadonlyMap<string, number>,
  now: ReadonlyMap<string, number>,
): Map<string, number> {
  const kind = random.below(3);
  const result = new Map<string, number>();
  const place = (names: ReadonlyMap<string, number>, inode: number): void => {
    for (const [name, placed] of names) if (placed === inode && !result.has(name)) result.set(name, inode);
  };
  for (const inode of new Set([...now.values(), ...synced.values()])) {
    const isNow = kind === 0 || (kind === 2 && random.chance(0.5));
    place(isNow ? now : synced, inode);
  }
  return result;
}

function chooseSectors(random: Random, synced: Content, now: Content, isWal: boolean): Omit<Content, 'timeNs'> {
  const before = pad(synced.content, Math.max(synced.content.length, now.content.length));
  const after = pad(now.content, before.length);
  // SQLite syncs the header before it writes over what follows it.
  if (isWal) after.copy(before, 0, 0, Math.min(WAL_HEADER_BYTES, after.length));
  const kind = random.below(4);
  if (kind === 0) return { content: before, lengthBytes: Math.max(synced.lengthBytes, isWal ? WAL_HEADER_BYTES : 0) };
  if (kind === 1) return now;
  const share = random.next();
  const until = kind === 2 ? share * before.length : before.length;
  for (let at = 0; at < until; at += SECTOR_BYTES) {
    const end = Math.min(at + SECTOR_BYTES, before.length);
    if (before.compare(after, at, end, at, end) === 0) continue;
    if (kind === 2 || random.chance(share)) after.copy(before, at, at, end);
  }
  return { content: before, lengthBytes: random.chance(0.5) ? now.lengthBytes : synced.lengthBytes };
}

function pad(bytes: Buffer, length: number): Buffer {
  const padded = Buffer.alloc(length);
  bytes.copy(padded);
  return padded;
}

/** Where the data of a file end, to the page. */
function dataEnd(fd: number, lengthBytes: number): number {
  let end = 0;
  for (let at = seekData(fd, 0); at >= 0; at = seekData(fd, end)) end = seekHole(fd, at);
  return Math.min(end, lengthBytes);
}

function isBlocks(state: Synced): state is Synced & SyncedBlocks {
  return 'blocks' in state;
}

let scratch = Buffer.allocUnsafeSlow(64 << 10);

/** Makes a file's bytes what the disk has of them once it was told to write them all. */
function putOnDisk(content: Buffer, lost: GivenUpPages | undefined): void {
  for (const [page, { cached, onDisk }] of lost ?? []) {
    const place = content.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    if (place.equals(cached)) onDisk.copy(place);
  }
}

/** A file's bytes. Most of a file is what it was: a sync then costs no memory. */
function readBlocks(fd: number, before: readonly Buffer[], lost: GivenUpPages | undefined): SyncedBlocks {
  const lengthBytes = fstatSync(fd).size;
  const length = dataEnd(fd, lengthBytes);
  if (scratch.length < length) scratch = Buffer.allocUnsafeSlow(2 * length);
  for (let at = 0; at < length;) at += readSync(fd, scratch, at, length - at, at);
  putOnDisk(scratch.subarray(0, length), lost);
  const blocks: Buffer[] = [];
  for (let at = 0; at < length; at += BLOCK_BYTES) {
    const bytes = scratch.subarray(at, Math.min(at + BLOCK_BYTES, length));
    const known = before[blocks.length];
    blocks.push(known?.equals(bytes) ? known : Buffer.from(bytes));
  }
  return { lengthBytes, blocks };
}

/** Of a file that is only appended to. */
function readEnd(fd: number): SyncedPart {
  const lengthBytes = fstatSync(fd).size;
  const bytes = dataEnd(fd, lengthBytes);
  const lastPage = Buffer.alloc(Math.min(bytes, PAGE_BYTES));
  readSync(fd, lastPage, 0, lastPage.length, bytes - lastPage.length);
  return { lengthBytes, bytes, lastPage };
}

function readFile(path: string): Content {
  const fd = openSync(path, 'r');
  try {
    const lengthBytes = fstatSync(fd).size;
    const content = Buffer.alloc(dataEnd(fd, lengthBytes));
    for (let at = 0; at < content.length;) at += readSync(fd, content, at, content.length - at, at);
    return { content, lengthBytes, timeNs: fileTimeNs(fd) };
  } finally {
    closeSync(fd);
  }
}

function writeFile(path: string, { content, lengthBytes }: Omit<Content, 'timeNs'>, timeNs: bigint): void {
  const fd = openSync(path, 'wx');
  try {
    const bytes = Math.min(content.length, lengthBytes);
    for (let at = 0; at < bytes;) at += writeSync(fd, content, at, bytes - at, at);
    ftruncateSync(fd, lengthBytes);
    setFileTime(fd, timeNs);
  } finally {
    closeSync(fd);
  }
}
