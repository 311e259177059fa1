// verbs.ts — the verbs of `weft`, in the order in which --help lists them, each loaded only when it is needed.

import type { CommandModule } from 'yargs';

/** What a verb is declared by; the values of its options are its own affair. */
export type Verb = CommandModule<object, object>;

const as = (command: unknown): Verb => command as Verb;

export const VERBS: ReadonlyMap<string, () => Promise<Verb>> = new Map([
  ['create', async () => as((await import('./create.js')).createCommand)],
  ['join', async () => as((await import('./join.js')).joinCommand)],
  ['mount', async () => as((await import('./mount.js')).mountCommand)],
  ['umount', async () => as((await import('./umount.js')).umountCommand)],
  ['invite', async () => as((await import('./invite.js')).inviteCommand)],
  ['status', async () => as((await import('./status.js')).statusCommand)],
  ['sync', async () => as((await import('./sync.js')).syncCommand)],
  ['link', async () => as((await import('./link.js')).linkCommand)],
  ['journal', async () => as((await import('./journal.js')).journalCommand)],
  ['limit', async () => as((await import('./limit.js')).limitCommand)],
  ['content', async () => as((await import('./content.js')).contentCommand)],
  ['pin', async () => as((await import('./pin.js')).pinCommand)],
  ['unpin', async () => as((await import('./pin.js')).unpinCommand)],
  ['evict', async () => as((await import('./evict.js')).evictCommand)],
  ['peers', async () => as((await import('./peers.js')).peersCommand)],
  ['role', async () => as((await import('./role.js')).roleCommand)],
  ['retire', async () => as((await import('./role.js')).retireCommand)],
  ['rename-site', async () => as((await import('./rename-site.js')).renameSiteCommand)],
  ['key', async () => as((await import('./key.js')).keyCommand)],
  ['conflicts', async () => as((await import('./conflicts.js')).conflictsCommand)],
  ['resolve', async () => as((await import('./resolve.js')).resolveCommand)],
  ['history', async () => as((await import('./history.js')).historyCommand)],
  ['restore', async () => as((await import('./restore.js')).restoreCommand)],
  ['undelete', async () => as((await import('./undelete.js')).undeleteCommand)],
  ['snapshot', async () => as((await import('./snapshot.js')).snapshotCommand)],
  ['gc', async () => as((await import('./gc.js')).gcCommand)],
  ['backup', async () => as((await import('./backup.js')).backupCommand)],
  ['restore-site', async () => as((await import('./restore-site.js')).restoreSiteCommand)],
  ['fsck', async () => as((await import('./fsck.js')).fsckCommand)],
  ['doctor', async () => as((await import('./doctor.js')).doctorCommand)],
  ['bench', async () => as((await import('./bench.js')).benchCommand)],
  ['completion', async () => as((await import('./completion.js')).completionCommand)],
  // Not for people, and not listed.
  ['daemon', async () => as((await import('./daemon.js')).daemonCommand)],
]);
