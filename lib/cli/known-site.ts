// known-site.ts — from what a user typed (a mountpoint, a path below it, --state DIR, nothing) to sites and their daemons.

import { basename, dirname, join, resolve } from 'node:path';
import { StateDirectory } from '../daemon/state-directory.js';
import { realPath, StateRegistry } from '../daemon/state-registry.js';
import { ControlClient } from './control-client.js';
import { Failure, shellWord } from './failure.js';
import { isAbandoned } from './dead-mount.js';

/** The state of the site mounted, or once mounted, at or above `path`; `stateOption` (--state) decides when given. */
export function findSite(path: string, stateOption?: string): StateDirectory {
  if (stateOption !== undefined) return StateDirectory.open(stateOption);
  const entry = new StateRegistry().find(path);
  if (!entry) {
    throw new Failure(
      `${path} is not in a volume known here: weft status lists them; weft create VOLUME ${shellWord(path)} makes one; ` +
        'with a state directory elsewhere add --state DIR',
    );
  }
  return StateDirectory.open(entry.directory);
}

/** Every site known here. */
export function allSites(): StateDirectory[] {
  return new StateRegistry().all().map((entry) => StateDirectory.open(entry.directory));
}

/** Calls `use` with a connection to the site's running daemon. Throws a {@link Failure} when none runs. */
export async function withDaemon<T>(state: StateDirectory, use: (daemon: ControlClient) => Promise<T>): Promise<T> {
  const daemon = await ControlClient.connect(state.directory);
  if (!daemon) throw notMounted(state);
  try {
    return await use(daemon);
  } finally {
    daemon.close();
  }
}

function notMounted(state: StateDirectory): Failure {
  const { volume, mountpoint } = state.config();
  const why = isAbandoned(state) ? 'the daemon ended without unmounting' : 'it is not mounted';
  return new Failure(`volume ${volume} has no daemon at ${mountpoint} (${why}): weft mount ${shellWord(mountpoint)}`);
}

/**
 * The sites that a command without MOUNTPOINT means: the one that the working directory is in, else all that have a
 * running daemon.
 */
export async function runningSites(): Promise<StateDirectory[]> {
  const here = new StateRegistry().find('.');
  if (here) return [StateDirectory.open(here.directory)];
  const running = [];
  for (const state of allSites()) {
    const daemon = await ControlClient.connect(state.directory);
    if (!daemon) continue;
    daemon.close();
    running.push(state);
  }
  if (running.length === 0) throw new Failure('no volume is mounted here: weft status lists what weft mount can mount');
  return running;
}

/**
 * `path` as the daemon names it: from the volume's root, '/' first, latin1 characters for bytes; null for the root. The
 * last component may be a symbolic link, and is then meant itself.
 */
export function pathInVolume(path: string, mountpoint: string): string | null {
  const absolute = resolve(path);
  const entry = join(realPath(dirname(absolute)), basename(absolute));
  for (const candidate of [entry, realPath(absolute)]) {
    if (candidate === mountpoint) return null;
    const prefix = mountpoint === '/' ? '/' : `${mountpoint}/`;
    if (candidate.startsWith(prefix))
      return Buffer.from(`/${candidate.slice(prefix.length)}`, 'utf8').toString('latin1');
  }
  throw new Failure(`${path} is not below ${mountpoint}, where this volume is mounted`);
}
