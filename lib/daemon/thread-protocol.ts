// thread-protocol.ts — the messages between the main thread (event loop, network) and the site thread (kernel, replicated state).
// The site thread never returns to an event loop: it takes messages with receiveMessageOnPort after its wake descriptor fired.

import type { ActorId, ObjectId, SiteId } from '../crdt/ids.js';
import type { PackedObject } from '../chunks/pack.js';
import type { IngestJob, IngestResult } from '../chunks/ingest.js';
import type { ConflictRow, SiteConfig } from './daemon-interface.js';

/** What the site thread is started with. */
export interface SiteThreadData {
  readonly stateDirectory: string;
  readonly config: SiteConfig;
  /** Mounted and serving, or only taking changes (while a join fetches them). */
  readonly mount: boolean;
  /** eventfd(2) that the main thread writes to after it posted messages. */
  readonly wakeFd: number;
}

/** Answers to requests of the main thread, by request. */
export interface Requests {
  /** Store and apply another site's changes; answered when they are committed. */
  changes: { args: { changes: Uint8Array[]; from: SiteId }; reply: null };
  /** Take objects that the main thread packed. */
  objects: { args: { packed: PackedObject[] }; reply: null };
  /** Handle what the kernel queued, publish closed files, commit. The reply is the commit's position. */
  flush: { args: null; reply: { commit: number } };
  digest: { args: null; reply: { digest: string } };
  status: { args: null; reply: { inodes: number; conflicts: number; journalBytes: number; chunkBytes: number; requests: Record<string, number> } };
  conflicts: { args: { path: string | null }; reply: ConflictRow[] };
  /** Claim a free inode slot for this site; refused while the root is unknown. */
  claimSlot: { args: null; reply: { slot: number } };
  /** Unmount (detach when `force`), publish, commit, close. The thread ends after the reply. */
  stop: { args: { force: boolean }; reply: null };
}

export type RequestName = keyof Requests;

/** main → site */
export type ToSite =
  | { [N in RequestName]: { readonly type: 'request'; readonly id: number; readonly name: N; readonly args: Requests[N]['args'] } }[RequestName]
  /** Commits up to this position are durable. */
  | { readonly type: 'durable'; readonly commit: number }
  | { readonly type: 'ingested'; readonly result: IngestResult }
  | { readonly type: 'ingestFailed'; readonly jobId: number; readonly error: string; readonly code: string }
  /** These objects cannot be had now: reads that wait for them fail. */
  | { readonly type: 'unavailable'; readonly ids: readonly ObjectId[] };

/** site → main */
export type FromSite =
  | { readonly type: 'ready' }
  | { readonly type: 'reply'; readonly id: number; readonly value: unknown }
  | { readonly type: 'refused'; readonly id: number; readonly error: string }
  /** A commit is in SQLite (not yet durable): what is new in the version vector, and how many objects are missing. */
  | { readonly type: 'committed'; readonly commit: number; readonly vector: readonly (readonly [ActorId, number])[]; readonly missing: number }
  | { readonly type: 'ingest'; readonly job: IngestJob }
  /** A reader waits for these. */
  | { readonly type: 'needed'; readonly ids: readonly ObjectId[] }
  | { readonly type: 'log'; readonly level: 'debug' | 'info' | 'warn' | 'error'; readonly details: object; readonly message: string }
  /** The loop ended: unmounted from outside, or a fatal error. */
  | { readonly type: 'ended'; readonly error: string | null };
