// site-backup.ts — a backup of a site: a directory with all that the site is, taken while it runs, and how it becomes a state directory again.
//
//   backup.json   which site and volume, when; written last: a backup without it is none     state.db   as of one commit
//   packs/        every pack that state.db names                     site.json site.key invites.json peers.json settled.json
//
// Invariant: what was acknowledged when the backup was asked for is in it, as versions: the intent log and the copies that were being
// written are not needed. What is restored never matches its own origin.json, so the site takes inode numbers of a new range.

import { constants, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { openStateReader, statePath } from '../journal/schema.js';
import { syncPath } from '../file-sync.js';
import { writeInPlace } from '../in-place-writes.js';
import { replaceFile } from './durable-file.js';
import { INVITE_FILE } from './invite-file.js';
import { KNOWN_PEERS_FILE } from './known-peers-file.js';
import { SETTLED_FILE } from './settled-file.js';
import { SITE_KEY_FILE } from './site-key-file.js';
import { checkSiteConfig } from './site-config.js';
import type { SiteConfig } from './daemon-interface.js';
import { StateDirectory } from './state-directory.js';
import { markRestored } from './state-origin.js';
import { readStored } from './stored-json.js';

export interface BackupReport {
  readonly directory: string;
  /** Bytes of its files. */
  readonly bytes: number;
}

const BACKUP_FILE = 'backup.json';
const PACKS = 'packs';
/** What is small and may be lacking. The key and the invites are secrets: the backup is readable by its owner alone, as they are. */
const SMALL_FILES = [SITE_KEY_FILE, INVITE_FILE, KNOWN_PEERS_FILE.name, SETTLED_FILE];

const stored = z.strictObject({
  format: z.literal(1),
  volume: z.string().min(1),
  site: z.string().min(1),
  /** ISO 8601. */
  time: z.string().min(1),
});
export type BackupLabel = z.infer<typeof stored>;

/** Throws an Error that says why nothing can be put there. */
export function checkTarget(
  target: string,
  { directory, mountpoint }: { directory: string; mountpoint: string },
): void {
  for (const place of [directory, mountpoint]) {
    if (target === place || target.startsWith(`${place}/`)) {
      throw new Error(`${target} is in ${place}, which is what is backed up: choose a directory elsewhere`);
    }
  }
  if (existsSync(target) && readdirSync(target).length > 0) {
    throw new Error(`${target} is not empty: choose a new directory for each backup`);
  }
  if (!existsSync(dirname(target))) throw new Error(`${dirname(target)} does not exist: mkdir -p makes it`);
}

/**
 * Takes the backup. Blocks: for a thread of its own, while no pack is removed. All that is to be in it has been committed.
 * @param time ISO 8601
 */
export async function takeBackup(stateDirectory: string, target: string, time: string): Promise<BackupReport> {
  mkdirSync(target, { recursive: true, mode: 0o700 });
  writeInPlace(target); // else packs cannot be shared with it
  const db = openStateReader(statePath(stateDirectory));
  try {
    // In one step: between two, the site would commit, and SQLite begin anew.
    await db.backup(statePath(target), { progress: () => 0x7fff_ffff });
  } finally {
    db.close();
  }
  // Packs grow at their ends, and what the state names is in them by now.
  mkdirSync(join(target, PACKS), { mode: 0o700 });
  for (const name of readdirSync(join(stateDirectory, PACKS))) {
    if (name.endsWith('.pack')) copy(join(stateDirectory, PACKS, name), join(target, PACKS, name));
  }
  for (const name of SMALL_FILES) {
    if (existsSync(join(stateDirectory, name))) copy(join(stateDirectory, name), join(target, name));
  }
  copy(join(stateDirectory, 'site.json'), join(target, 'site.json'));
  syncPath(statePath(target));
  syncPath(join(target, PACKS));
  const { volume, site } = readConfig(target);
  const label: BackupLabel = { format: 1, volume, site, time };
  replaceFile(join(target, BACKUP_FILE), `${JSON.stringify(label, null, 2)}\n`, 0o600);
  syncPath(dirname(target));
  return { directory: target, bytes: bytesBelow(target) };
}

/** What a directory is a backup of. Throws an Error naming the remedy when it is none. */
export function readBackup(directory: string): BackupLabel {
  const none = (): never => {
    throw new Error(`${directory} is no whole backup: weft backup MOUNTPOINT DIRECTORY makes one`);
  };
  return readStored(join(directory, BACKUP_FILE), stored, none) ?? none();
}

/** Makes a backup the state of a site in a directory where none is. Throws an Error naming the remedy. */
export function restoreBackup(backup: string, directory: string): StateDirectory {
  readBackup(backup);
  StateDirectory.reserve(directory);
  writeInPlace(directory);
  copy(statePath(backup), statePath(directory));
  mkdirSync(join(directory, PACKS), { recursive: true, mode: 0o700 });
  for (const name of readdirSync(join(backup, PACKS))) copy(join(backup, PACKS, name), join(directory, PACKS, name));
  for (const name of SMALL_FILES) if (existsSync(join(backup, name))) copy(join(backup, name), join(directory, name));
  syncPath(join(directory, PACKS));
  markRestored(directory);
  // Last: from now on it is a site.
  replaceFile(join(directory, 'site.json'), `${JSON.stringify(readConfig(backup), null, 2)}\n`, 0o600);
  return StateDirectory.open(directory);
}

function readConfig(directory: string): SiteConfig {
  return checkSiteConfig(JSON.parse(readFileSync(join(directory, 'site.json'), 'utf8')));
}

/** As the filesystem does it best: sharing blocks where it can. Synced. */
function copy(from: string, to: string): void {
  copyFileSync(from, to, constants.COPYFILE_FICLONE);
  syncPath(to);
}

function bytesBelow(directory: string): number {
  let bytes = 0;
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    const status = statSync(join(directory, name));
    if (status.isFile()) bytes += status.size;
  }
  return bytes;
}
