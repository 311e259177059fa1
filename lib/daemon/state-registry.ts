// state-registry.ts — which state directory serves which mountpoint, also when nothing is mounted and after a reboot.
// One small file per mountpoint under `<data home>/.mounts`, named by the hash of the mountpoint's real path, so that two
// daemons starting at once never rewrite each other's entry. It is an index only: the truth about a site is its site.json,
// and an entry whose state directory is gone counts for nothing.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { replaceFile } from './durable-file.js';
import { dataHome, StateDirectory } from './state-directory.js';
import { readStored } from './stored-json.js';

export interface RegistryEntry {
  /** Real absolute path. */
  mountpoint: string;
  /** Absolute path of the state directory. */
  directory: string;
}

export class StateRegistry {
  private readonly folder: string;

  /** `home`: see {@link dataHome}. Nothing is created before the first {@link record}. */
  constructor(private readonly home: string = dataHome()) {
    this.folder = join(home, '.mounts');
  }

  /** Makes `directory` the state of `mountpoint` (a real absolute path), in place of what was there. */
  record(entry: RegistryEntry): void {
    mkdirSync(this.folder, { recursive: true, mode: 0o700 });
    this.dropVanished(entry.mountpoint);
    replaceFile(this.pathOf(entry.mountpoint), `${JSON.stringify(entry)}\n`, 0o600);
  }

  /**
   * Drops entries of which nothing is left: a state directory alone may be on a disk that is not there today. Never asks
   * `serving`, which is mounted by now: a daemon must not wait for its own mount.
   */
  private dropVanished(serving: string): void {
    for (const name of readdirSync(this.folder)) {
      const entry = this.read(join(this.folder, name));
      if (!entry || entry.mountpoint === serving || existsSync(entry.directory)) continue;
      if (!existsSync(entry.mountpoint)) rmSync(join(this.folder, name), { force: true });
    }
  }

  /** The entry of exactly this mountpoint (a real absolute path). */
  at(mountpoint: string): RegistryEntry | undefined {
    const entry = this.read(this.pathOf(mountpoint));
    return entry !== undefined && StateDirectory.isSite(entry.directory) ? entry : undefined;
  }

  /**
   * The entry whose mountpoint is, or holds, `path`: relative, through symbolic links, or below the mount. Of nested
   * mountpoints the innermost wins. The path itself need not exist.
   */
  find(path: string): RegistryEntry | undefined {
    const asGiven = resolve(path);
    // Before the file system is asked: a mount whose daemon is dead or hangs answers nothing.
    const direct = this.at(asGiven);
    if (direct) return direct;
    for (let place = realPath(asGiven); ; place = dirname(place)) {
      const entry = this.at(place);
      if (entry !== undefined || place === dirname(place)) return entry;
    }
  }

  /**
   * Every site known here: the recorded ones, then those in the data home that no entry names (their mountpoint is the
   * one in their site.json). Ordered by mountpoint.
   */
  all(): RegistryEntry[] {
    const byDirectory = new Map<string, RegistryEntry>();
    for (const name of listOrNone(this.folder)) {
      const entry = this.read(join(this.folder, name));
      if (entry !== undefined && StateDirectory.isSite(entry.directory)) byDirectory.set(entry.directory, entry);
    }
    for (const name of listOrNone(this.home)) {
      const directory = join(this.home, name);
      if (byDirectory.has(directory) || !StateDirectory.isSite(directory)) continue;
      byDirectory.set(directory, { mountpoint: StateDirectory.open(directory).config().mountpoint, directory });
    }
    return [...byDirectory.values()].toSorted((a, b) => compare(a.mountpoint, b.mountpoint));
  }

  private pathOf(mountpoint: string): string {
    return join(this.folder, createHash('sha256').update(mountpoint).digest('hex').slice(0, 32));
  }

  private read(path: string): RegistryEntry | undefined {
    return readStored(path, { parse: checkEntry }, (cause) => {
      const remedy = 'remove it, then weft mount MOUNTPOINT --state DIR writes it anew';
      throw new Error(`${path} is damaged: ${remedy}`, { cause });
    });
  }
}

function checkEntry(value: unknown): RegistryEntry {
  const { mountpoint, directory } = (value ?? {}) as Record<string, unknown>;
  if (!isAbsolutePath(mountpoint) || !isAbsolutePath(directory)) throw new Error('not two absolute paths');
  return { mountpoint, directory };
}

function isAbsolutePath(value: unknown): value is string {
  return typeof value === 'string' && value.startsWith('/');
}

/**
 * The real path of `path`, whose last components need not exist or answer: those are appended as they are to the real
 * path of the deepest ancestor that does.
 */
export function realPath(path: string): string {
  const absolute = resolve(path);
  try {
    return realpathSync(absolute);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const unanswered =
      code === 'ENOENT' || code === 'ENOTCONN' || code === 'EACCES' || code === 'ENOTDIR' || code === 'EIO';
    if (!unanswered || dirname(absolute) === absolute) throw error;
    return join(realPath(dirname(absolute)), basename(absolute));
  }
}

function listOrNone(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return [];
    if (code === 'EACCES')
      throw new Error(`${directory} belongs to another user: set WEFT_HOME to a directory of yours`, { cause: error });
    throw error;
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
