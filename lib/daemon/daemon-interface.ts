// daemon-interface.ts — what a running site offers to the control socket, and what it needs to start.
// The command line never touches a volume itself: it asks the daemon through the control socket.

import type { SiteId } from '../crdt/ids.js';
import type { BandwidthControl } from './bandwidth.js';
import type { LimitRule } from '../sync/transfer-limits.js';
import type { ContentControl, ContentPolicy } from './content-interface.js';
import type { JournalReport } from './journal-report.js';
import type { BackupReport } from './site-backup.js';
import type { RoleKind } from '../crdt/volume-fields.js';
import type { SiteHistory } from './history-interface.js';
import type { Amount, KeptReason } from '../volume/collection-survey.js';

/** Fields of `weft status --json`; see the command line's contract in README.md. */
export interface SiteStatus {
  volume: string;
  site: string;
  siteId: SiteId;
  mountpoint: string;
  /** HOST:PORT it listens on. */
  listen: string;
  /** Hash of the whole visible tree; equal at two sites exactly when they show the same. */
  digest: string;
  peers: PeerStatus[];
  pid: number;
  driver: 'kernel' | 'fuse-native';
  conflicts: number;
  inodes: number;
  journalBytes: number;
  /** Why its oldest change is still there; null: nothing keeps it. */
  journalHeldBy: string | null;
  chunkBytes: number;
  /** Objects (chunks, manifests) known of and not held here yet. */
  missingObjects: number;
  /** Of the content that waits for them. */
  missingBytes: number;
  /** On demand: of the files that are shown, what is not here, asked for or not; null where everything is kept. */
  absentBytes: number | null;
  /** As stored: what is here and no site that keeps everything is known to have. */
  unsharedBytes: number;
  content: ContentPolicy;
  rssBytes: number;
}

export interface PeerStatus {
  site: string;
  siteId: SiteId | null;
  address: string | null;
  state: 'connected' | 'paused' | 'unreachable';
  behindCommits: number;
  aheadCommits: number;
  aheadBytes: number;
  /** File content, over the last seconds. */
  receivingBytesPerS: number;
  sendingBytesPerS: number;
  /** Whether it keeps all content, as it said last; null: not known. */
  keepsAll: boolean | null;
  lastError: string | null;
}

/** What is on its way between this site and those that are linked. */
export interface Transfer {
  /** Changes that some site has and this one lacks, and the reverse. */
  behindCommits: number;
  aheadCommits: number;
  /** As in {@link SiteStatus}. */
  missingObjects: number;
  missingBytes: number;
  receivingBytesPerS: number;
}

/** A site of the volume. */
export interface PeerRow {
  site: string;
  siteId: SiteId;
  /** SHA-256 of its public key; null: it has shown none yet. */
  identity: string | null;
  /** HOST:PORT where it listens, as it says itself. */
  addresses: string[];
  role: RoleKind;
  state: 'here' | PeerStatus['state'] | 'not linked';
  /** ISO 8601: when it was last linked with this site; null: it is now, or never was. */
  lastSeen: string | null;
  /** As in {@link PeerStatus}, by what is known; null: never linked with this site. */
  behindCommits: number | null;
  aheadCommits: number | null;
  aheadBytes: number | null;
  /** Objects that it waits for. */
  missingObjects: number | null;
  /** Changes that it sent and that are taken nowhere, since this site started. The log says which, and why. */
  quarantined: number;
}

/** What one site made of a thing in conflict. Paths are from the root of the volume, latin1 strings of their bytes. */
export interface ConflictSide {
  site: string;
  /** Where it is, or would be had it won; null: it was removed. */
  path: string | null;
  /** ISO 8601. */
  time: string;
  /** What kind of thing: file, directory, symlink …; null: it was removed. */
  type: string | null;
  /** Bytes; null for what has none. */
  size: number | null;
  /** Who owns it; changes do not say which user made them. Null: it was removed. */
  uid: number | null;
  /** Of an attribute: permissions in octal, an id, or bytes as latin1; null: removed, or no attribute. */
  value: string | null;
}

export interface ConflictRow {
  /** The same at every site. */
  id: string;
  /** What lost, or what is in conflict with itself. */
  path: string;
  kind: string;
  sites: string[];
  shown: ConflictSide;
  hidden: ConflictSide;
  /** The name of an extended attribute. */
  attribute: string | null;
  reason: string;
  /** What `weft resolve --keep` takes. */
  choices: string[];
}

/** A conflict that was settled at this site, and can be again what it was. */
export interface SettledRow {
  id: string;
  path: string;
  kind: string;
  keep: string;
  /** ISO 8601. */
  time: string;
  done: string;
}

/** A file whose content takes the place of both versions; its name as this machine's processes spell it. */
export interface MergedFile {
  path: string;
  size: number;
}

/** What objects there are and why, and what a collection did. Bytes are as stored; `kept` names the first reason that holds. */
export interface CollectionReport {
  kept: Readonly<Record<KeptReason, Amount>>;
  /** What nothing needs: it goes with a collection. */
  unused: Amount;
  /** Files with objects, and the bytes that they take on the disk. */
  packs: number;
  packBytes: number;
  /** Of these, what a collection gives back now. */
  reclaimableBytes: number;
  /** Peers that have not confirmed everything yet, or wait for objects. */
  waitsFor: string[];
  /** Null: it was only looked at. */
  collected: {
    discardedObjects: number;
    rewrittenPacks: number;
    removedPacks: string[];
    /** Bytes of the disk. */
    freedBytes: number;
  } | null;
}

/** Objects and changes, by name. */
export interface DamagedData {
  objects: string[];
  changes: { actor: string; seq: number }[];
}

/** What was made here, or came here, and no other site is known to have. */
export interface Unshared {
  changes: number;
  bytes: number;
  /** Files that were written here and could not become versions yet: bytes that were not written are elsewhere, or the disk is full. */
  files: number;
}

export interface BackupTaken extends BackupReport {
  /** Files that were written here and are in it as they were before, for they could not become versions yet. */
  readonly unfinishedFiles: number;
}

/** A site that runs. Methods reject with an Error whose message names what is wrong and the remedy. */
export interface Daemon {
  status(): Promise<SiteStatus>;
  /** What is still on its way. Costs no look at the tree. */
  transfer(): Promise<Transfer>;
  /** Resolves true when every reachable peer holds durably what this site has, and the reverse; false when `timeoutMs` passed first. */
  syncWait(timeoutMs: number): Promise<boolean>;
  pause(peer: string | null): Promise<void>;
  resume(peer: string | null): Promise<void>;
  /** Dials a further peer, now and after restarts: HOST:PORT, a site's name, or an invite of a site that does not know this one. */
  addPeer(peer: string): Promise<void>;
  removePeer(peer: string): Promise<void>;
  /** The sites of the volume. */
  peersKnown(): Promise<PeerRow[]>;
  /** What a site (name or id) may do from now on. */
  setRole(site: string, kind: RoleKind): Promise<void>;
  /** A one-time invite, valid for `ttlMs`. */
  invite(ttlMs: number): Promise<string>;
  /** From now on this site has this name. */
  renameSite(name: string): Promise<void>;
  /** Makes a new key, which takes the place of the present one. Resolves to its identity. */
  rotateKey(): Promise<string>;
  /** Copies all that the site is to a new directory (absolute path): what was acknowledged before, and what is shown of other sites. */
  backup(directory: string): Promise<BackupTaken>;
  conflicts(pathPrefix: string | null): Promise<ConflictRow[]>;
  readonly past: SiteHistory;
  readonly content: ContentControl;
  readonly bandwidth: BandwidthControl;
  /** What stored objects are needed for. `carriesOut`: gives up those that nothing needs. */
  collect(carriesOut: boolean): Promise<CollectionReport>;
  /** From now on, how long versions are kept after something took their place. */
  keepHistory(durationMs: number): Promise<void>;
  /** How it stands with the journal. `awayMs`: how long a site that is away is waited for from now on; null: as before. */
  journal(awayMs: number | null): Promise<JournalReport>;
  /** Settles a conflict. Rejects when there is none of that id, or `keep` is none of its choices. Says what it did. */
  resolveConflict(id: string, keep: string, merged: MergedFile | null): Promise<SettledRow>;
  /** What was settled here, the latest first. */
  settledConflicts(): Promise<SettledRow[]>;
  /** Takes back what {@link resolveConflict} did here. */
  undoResolve(id: string): Promise<SettledRow>;
  /** Has what a check found damaged given up, and had again from other sites; waits for that while it can come. */
  repair(damaged: DamagedData): Promise<DamagedData>;
  /** Flushes, unmounts and ends; says what of it no other site has. Null: all of it is at one, or there is no other. Rejects with a message naming the remedy when the mount is busy and not `force`. */
  stop(force: boolean): Promise<Unshared | null>;
  /** Settles when the daemon ended by itself (unmounted from outside, fatal error). */
  readonly ended: Promise<void>;
}

/** Kept in the state directory as site.json; the site's key is apart, readable by the owner alone. */
export interface SiteConfig {
  volumeId: string;
  volume: string;
  siteId: SiteId;
  site: string;
  /** Absolute path. */
  mountpoint: string;
  /** HOST:PORT; port 0 in the request means a free one, the chosen one is written back. */
  listen: string;
  driver: 'kernel' | 'fuse-native';
  /** mount(8) options as given with -o. */
  mountOptions: string[];
  /** HOST:PORT of the peers to dial. */
  peers: string[];
  /** Inode slot claimed by this site; null until claimed. */
  slot: number | null;
  /** Absent: everything. */
  content?: ContentPolicy;
  /** On demand: what content may take, and what the disk shall have free, in bytes; absent: no limit. */
  cacheBytes?: number;
  keepFreeBytes?: number;
  /** How fast content may come and go; absent: as fast as it can. */
  limits?: LimitRule[];
  /** Inodes whose content, and that of what is below them, is kept. */
  pins?: number[];
  /** Content is to be kept again that was not, and not all of it is asked for yet. */
  wantsDue?: true;
  /** How long versions are kept here after something took their place, milliseconds; absent: as the volume says. */
  keepHistoryMs?: number;
  /** HOST:PORT on the loopback interface where metrics are served; absent or 'off': nowhere. */
  metrics?: string;
  /** How long a site that is away is waited for with what the journal drops, milliseconds; absent: 30 days. */
  awayMs?: number;
}

export interface Progress {
  /** e.g. 'changes', 'objects' */
  what: string;
  done: number;
  /** null: unknown */
  total: number | null;
}

/** Minimal logger; pino's shape. */
export interface Log {
  debug(details: object, message: string): void;
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}

/** Implemented by lib/daemon/state-directory.ts. */
export interface SiteState {
  readonly directory: string;
  config(): SiteConfig;
  /** Atomically and durably replaces site.json. */
  saveConfig(config: SiteConfig): void;
}

/** lib/daemon/daemon.ts exports these:
 *
 * createVolume(state: SiteState): Promise<void>          first commit of a new volume (root directory, site, slot); config exists already
 * joinVolume(invite: string, draft: {site, siteId, mountpoint, listen, driver, mountOptions, content}, makeState: (config: SiteConfig) => SiteState,
 *            progress: (p: Progress) => void, log: Log): Promise<SiteState>      fetches all changes, claims a slot
 * startDaemon(state: SiteState, log: Log): Promise<Daemon>   resolves when mounted and listening
 */
export interface DaemonModule {
  createVolume(state: SiteState, log: Log): Promise<void>;
  joinVolume(
    invite: string,
    draft: Pick<
      SiteConfig,
      'site' | 'siteId' | 'mountpoint' | 'listen' | 'driver' | 'mountOptions' | 'content' | 'metrics'
    >,
    makeState: (config: SiteConfig) => SiteState,
    progress: (progress: Progress) => void,
    log: Log,
  ): Promise<SiteState>;
  startDaemon(state: SiteState, log: Log): Promise<Daemon>;
}
