// thread-protocol.ts — the messages between the main thread (event loop, network) and the site thread (kernel, replicated state).
// The site thread never returns to an event loop: it takes messages with receiveMessageOnPort after its wake descriptor fired.

import type { Dot } from '../crdt/change.js';
import type { ActorId, Ino, Name, ObjectId, SiteId } from '../crdt/ids.js';
import type { Timestamp } from '../crdt/inode.js';
import type { Member } from '../crdt/members.js';
import type { Retention, RoleKind } from '../crdt/volume-fields.js';
import type { PastAnswer } from '../volume/past-files.js';
import type { Quarantined } from '../volume/quarantine.js';
import type { JournalHold } from '../volume/truncating.js';
import type { LostPlace, OldVersion } from '../volume/restoring.js';
import type { MissingObject } from '../chunks/object-kind.js';
import type { MovedObject, UnusedObject } from '../chunks/object-store.js';
import type { BaseOffer, BasePart } from '../journal/base-part.js';
import type { PackedObject } from '../chunks/pack.js';
import type { IngestJob, IngestResult } from '../chunks/ingest.js';
import type { UndoStep } from '../volume/reversible-changes.js';
import type { Decision, Settled } from '../volume/settlement.js';
import type { SiteConfig } from './daemon-interface.js';

/** Why the oldest change of the journal is still there, for people. */
export type ShownHold =
  Exclude<JournalHold, { readonly ino: Ino }> | { readonly by: 'conflict' | 'open'; readonly path: string };

/** What the site thread is started with. */
export interface SiteThreadData {
  readonly stateDirectory: string;
  readonly config: SiteConfig;
  /** Mounted and serving, or only taking changes (while a join fetches them). */
  readonly mount: boolean;
  /** 32 hex digits, fresh for this start. */
  readonly actorId: string;
  /** See {@link VolumeOptions.afterPowerLoss}. */
  readonly afterPowerLoss: boolean;
}

/** Answers to requests of the main thread, by request. */
export interface Requests {
  /** Store and apply another site's changes; answered when they are committed. */
  changes: { args: { changes: Uint8Array[]; deps: readonly (readonly Dot[])[]; from: SiteId }; reply: null };
  /** Another site offers its base; the reply says behind which inode it is to send, null: it is not needed. */
  baseOffered: { args: { offer: BaseOffer }; reply: { after: Ino | null } };
  /** The next part of it; the reply is that of the one to come, null: all is here. */
  basePart: { args: { part: BasePart; from: SiteId }; reply: { after: Ino | null } };
  /** Take objects that the main thread packed. */
  objects: { args: { packed: PackedObject[]; areShared: boolean }; reply: null };
  /** Another site keeps all that the first so many changes name. */
  shared: { args: { position: number }; reply: null };
  /** Report the state as a commit: the whole version vector. */
  report: { args: null; reply: null };
  /** Another thread found these damaged: check them, and have them fetched again if they are. */
  verify: { args: { ids: ObjectId[] }; reply: null };
  /** Another thread found these damaged: check them, and have them sent again if they are. */
  verifyChanges: { args: { changes: { actor: ActorId; seq: number }[] }; reply: { damaged: number } };
  /** Handle what the kernel queued, publish closed files, commit. The reply is the commit's position. */
  /** `unpacked`: files that were written here and could not become versions: their other bytes are elsewhere, or the disk is full. */
  flush: { args: null; reply: { commit: number; unpacked: number } };
  /** Commit what was acknowledged. */
  fold: { args: null; reply: { commit: number } };
  /** Make a file show an old version; or, with `to`, a new file with it. */
  restore: { args: { ino: Ino; version: OldVersion; to: Name[] | null }; reply: null };
  /** Give links their places back; the reply has the names that they got, null for one that has a place. */
  placeAgain: { args: { lost: LostPlace[]; touch: boolean }; reply: { names: (Name | null)[] } };
  /** Modification times of directories that came back. */
  setTimes: { args: { times: (readonly [Ino, Timestamp])[] }; reply: null };
  createSnapshot: { args: { name: string }; reply: null };
  deleteSnapshot: { args: { name: string }; reply: null };
  /** How much of the past is kept. */
  keep: { args: { where: 'volume' | 'site'; retention: Retention }; reply: null };
  /** The versions that open files and drafts use. */
  versionsInUse: { args: null; reply: { inUse: ObjectId[] } };
  /** A collection begins: the reply as of versionsInUse. Marks are of a later commit. See lib/volume/collection-steps.ts. */
  beginCollection: { args: null; reply: { inUse: ObjectId[] } };
  /** A slice of what a collection found. `kept`: how many of the unused stay. */
  collect: { args: { unused: UnusedObject[]; moved: MovedObject[]; areEvicted: boolean }; reply: { kept: number } };
  /** Local files that nobody has open are given up; the versions that drafts and other local files are laid over. */
  versionsWritten: { args: null; reply: { written: ObjectId[] } };
  /** The inodes at these paths; null: there is none. */
  resolvePaths: { args: { paths: string[] }; reply: { inos: (Ino | null)[] } };
  /** These are pinned, and no others. */
  pin: { args: { inos: Ino[] }; reply: null };
  /** The path of what an inode is pinned by; null: it is not. */
  pinnedBy: { args: { ino: Ino }; reply: { pinnedBy: string | null } };
  /** Want everything that registers name, or only what is read. */
  keepAll: { args: { keepsAll: boolean }; reply: null };
  /** Give up packs; those of which `retired` may be removed once the commit is durable. */
  retirePacks: { args: { packs: string[] }; reply: { retired: string[]; commit: number } };
  /** What is to be fetched, and what not. */
  correctWants: { args: { needed: MissingObject[]; unneeded: ObjectId[] }; reply: null };
  /**
   * The journal may drop what is below this frontier and not needed here; null: nothing for now. See lib/volume/truncating.ts.
   */
  truncate: {
    args: { frontier: [ActorId, number][]; keepHistoryMs: number | null; nowUs: number } | null;
    reply: null;
  };
  endCollection: { args: { removed: string[] }; reply: null };
  status: {
    args: null;
    reply: {
      journalBytes: number;
      /** The latest change that was dropped from it, microseconds since 1970; 0: none was. */
      journalSinceUs: number;
      journalHeldBy: ShownHold | null;
      chunkBytes: number;
      requests: Record<string, number>;
      missing: number;
      missingBytes: number;
      unsharedBytes: number;
      quarantined: Quarantined[];
    };
  };
  /** Settle a conflict as a person decided. */
  resolve: { args: Decision; reply: Settled };
  undoResolve: { args: { steps: readonly UndoStep[] }; reply: null };
  /** Claim a free inode slot for this site; refused while the root is unknown. */
  claimSlot: { args: null; reply: { slot: number } };
  /** Make a key that of a site. The reply is the commit's position. */
  admitMember: { args: { siteId: SiteId; name: string; identity: string }; reply: { commit: number } };
  /** What a site may do from now on. The reply is the commit's position. */
  setRole: { args: { siteId: SiteId; kind: RoleKind }; reply: { commit: number } };
  /** Give this site another name. The reply is the commit's position. */
  renameSite: { args: { name: string }; reply: { commit: number } };
  /** Say in the volume's registers which key this site has, and where it listens. */
  announce: { args: { identity: string; addresses: readonly string[] }; reply: { commit: number } };
  /** First commit of a new volume: root directory, owned by the given user. */
  createRoot: { args: { uid: number; gid: number }; reply: null };
  /** Publish, commit, close; for a thread that serves no mount. One that does ends when it is unmounted. */
  stop: { args: null; reply: null };
  /** Serve the mount no longer, whoever still uses it: they get errors from now on. */
  endSession: { args: null; reply: null };
}

export type RequestName = keyof Requests;

/** main → site */
export type ToSite =
  | {
      [N in RequestName]: {
        readonly type: 'request';
        readonly id: number;
        readonly name: N;
        readonly args: Requests[N]['args'];
      };
    }[RequestName]
  /** Commits up to this position are durable. */
  | { readonly type: 'durable'; readonly commit: number }
  | { readonly type: 'ingested'; readonly result: IngestResult }
  | { readonly type: 'ingestFailed'; readonly jobId: number; readonly absent: readonly ObjectId[] }
  /** These objects cannot be had now: reads that wait for them fail. */
  | { readonly type: 'unavailable'; readonly ids: readonly ObjectId[] }
  /** To a question about the past; without an answer: it could not be found out. */
  | { readonly type: 'answered'; readonly id: string; readonly answer?: PastAnswer };

/** site → main */
export type FromSite =
  /** Mounted (if asked to) and recovered. `wakeFd`: signal it after posting a message; null: not needed. */
  | { readonly type: 'ready'; readonly wakeFd: number | null; readonly replayed: number }
  | { readonly type: 'reply'; readonly id: number; readonly value: unknown }
  | { readonly type: 'refused'; readonly id: number; readonly error: string }
  /**
   * A commit is in SQLite, not durable yet: what is new in the version vector, how many objects are missing, the packs to be synced
   * before it, and whether the intent log has grown so far that it should become durable soon.
   */
  | {
      readonly type: 'committed';
      readonly commit: number;
      readonly vector: readonly (readonly [ActorId, number])[];
      readonly missing: number;
      /** From which change on, in the order of their arrival, objects are here that no other site is known to keep; null: none is. */
      readonly unsharedFrom: number | null;
      readonly unsynced: readonly string[];
      readonly pressing: boolean;
      /** Commits of this state so far, over all starts. */
      readonly commits: number;
      /** The sites of the volume, when they may have changed. */
      readonly members?: readonly Member[];
    }
  /** The site goes on with inode numbers of a further slot. */
  | { readonly type: 'slot'; readonly slot: number }
  /** A change that a site sent is taken nowhere. */
  | { readonly type: 'quarantined'; readonly from: SiteId; readonly change: string; readonly reason: string }
  | { readonly type: 'ingest'; readonly job: IngestJob }
  /** Local files that nothing needs any more. */
  | { readonly type: 'unused'; readonly files: readonly string[] }
  /** A reader of the file at this path waits for these; null: it is not known which. */
  | { readonly type: 'needed'; readonly ids: readonly ObjectId[]; readonly file: string | null }
  /** A reader will soon want these. */
  | { readonly type: 'ahead'; readonly ids: readonly ObjectId[] }
  /** A caller waits for the answers to these questions about the past. */
  | { readonly type: 'asked'; readonly ids: readonly string[] }
  | {
      readonly type: 'log';
      readonly level: 'debug' | 'info' | 'warn' | 'error';
      readonly details: object;
      readonly message: string;
    }
  /** The loop ended: unmounted from outside, or a fatal error. */
  | { readonly type: 'ended'; readonly error: string | null };
