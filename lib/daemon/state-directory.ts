// state-directory.ts — where a site keeps what is its own, and how that is laid out.
//
//   site.json     who this site is, where it mounts, listens and dials (SiteConfig); replaced atomically
//   site.key      the site's private key and its certificate, mode 0600 (site-key-file.ts)
//   lock          flock of the running daemon (state-lock.ts)     control.sock   its socket (control-socket-path.ts)
//   daemon.log    JSON lines; daemon.log.1 is the one before        invites.json   those given out (invite-file.ts)
//
// What else the daemon keeps here (journal, chunks, working copies) is its own affair. The directory is mode 0700.
// Invariant: a directory with a site.json holds a whole site; one without holds nothing that anyone would miss.

import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { syncPath } from '../file-sync.js';
import type { SiteConfig, SiteState } from './daemon-interface.js';
import { replaceFile } from './durable-file.js';
import { checkSiteConfig } from './site-config.js';

/** Left by an attempt that never became a site; {@link StateDirectory.create} may take a directory with these. */
const REMNANTS = new Set(['lock', 'daemon.log', 'daemon.log.1', 'control.sock', 'control.path']);

/** Reads a site's own files. Cheap to make; holds no descriptor and no lock. */
export class StateDirectory implements SiteState {
  private constructor(
    readonly directory: string,
    private current: SiteConfig,
  ) {}

  /** Opens the state of an existing site. Throws an Error that names the file and the remedy. */
  static open(directory: string): StateDirectory {
    const absolute = resolve(directory);
    return new StateDirectory(absolute, readConfig(absolute));
  }

  /** Whether `directory` holds a site. */
  static isSite(directory: string): boolean {
    return existsSync(join(directory, 'site.json'));
  }

  /**
   * Makes `directory` (mode 0700) fit for a new site. Throws an Error naming the remedy when it holds a site already, or
   * anything that is not ours.
   */
  static reserve(directory: string): void {
    const absolute = resolve(directory);
    makeDirectory(absolute);
    if (StateDirectory.isSite(absolute)) {
      const { volume, site, mountpoint } = readConfig(absolute);
      throw new Error(
        `${absolute} already holds site ${site} of volume ${volume}: weft mount ${mountpoint} mounts it; ` +
          'for another one choose another name or --state',
      );
    }
    const foreign = readdirSync(absolute).find((name) => !REMNANTS.has(name));
    if (foreign !== undefined) {
      throw new Error(`${absolute} is not empty (it holds ${foreign}): choose an empty or new directory with --state`);
    }
    chmodSync(absolute, 0o700);
  }

  /** Removes a site that never came to be mounted. What {@link reserve} accepted holds nothing else. */
  static discard(directory: string): void {
    rmSync(asideOf(resolve(directory)), { recursive: true, force: true, maxRetries: 3 });
  }

  /** Writes a new site durably. */
  static create(directory: string, config: SiteConfig): StateDirectory {
    const absolute = resolve(directory);
    StateDirectory.reserve(absolute);
    const state = new StateDirectory(absolute, config);
    state.saveConfig(config);
    syncPath(dirname(absolute));
    return state;
  }

  config(): SiteConfig {
    return structuredClone(this.current);
  }

  /** Writes nothing when it is what is there: a site must be mounted before anything can be removed from a full disk. */
  saveConfig(config: SiteConfig): void {
    const checked = checkSiteConfig(config);
    const path = join(this.directory, 'site.json');
    if (isDeepStrictEqual(checked, this.current) && existsSync(path)) return;
    replaceFile(path, `${JSON.stringify(checked, null, 2)}\n`, 0o600);
    this.current = checked;
  }

  get logPath(): string {
    return logPathOf(this.directory);
  }
}

export function logPathOf(directory: string): string {
  return join(directory, 'daemon.log');
}

/**
 * The directory with the state of all volumes and the registry of mountpoints: $WEFT_HOME when set, /var/lib/weft as
 * root, else $XDG_DATA_HOME/weft or ~/.local/share/weft (XDG Base Directory Specification: relative values are ignored).
 */
export function dataHome(environment: NodeJS.ProcessEnv = process.env, uid = process.getuid?.()): string {
  const own = environment['WEFT_HOME'];
  if (own !== undefined && own !== '') return resolve(own);
  if (uid === 0) return '/var/lib/weft';
  const xdg = environment['XDG_DATA_HOME'];
  const base = xdg !== undefined && isAbsolute(xdg) ? xdg : join(homedir(), '.local', 'share');
  return join(base, 'weft');
}

function readConfig(directory: string): SiteConfig {
  const path = join(directory, 'site.json');
  const text = readOwnFile(path);
  try {
    return checkSiteConfig(JSON.parse(text));
  } catch (error) {
    throw unusable(path, (error as Error).message);
  }
}

/** Like mkdir -p. Node's own recursive one never returns where a directory takes no entries and calls that ENOENT, as /proc does. */
function makeDirectory(path: string): void {
  if (existsSync(path)) return;
  if (!existsSync(dirname(path))) makeDirectory(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    throw new Error(`${path} cannot be made (${code}): choose another state directory with --state`, { cause: error });
  }
}

/**
 * Where threads of a site that is being given up make no more files in it; where it is, if it cannot be moved: a mountpoint cannot, and of
 * any other trouble its removal tells.
 */
function asideOf(directory: string): string {
  const aside = `${directory}.discarded-${process.pid}`;
  try {
    renameSync(directory, aside);
    return aside;
  } catch {
    return directory;
  }
}

function unusable(path: string, reason: string): Error {
  return new Error(`${path} is damaged (${reason}): restore it from a backup, or join the volume again elsewhere`);
}

function readOwnFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT')
      throw new Error(`${path} does not exist: ${dirname(path)} holds no site; see weft status`, { cause: error });
    if (code === 'EACCES')
      throw new Error(`${path} belongs to another user: run weft as the user who made the site`, { cause: error });
    throw error;
  }
}
