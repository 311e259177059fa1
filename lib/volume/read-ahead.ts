// read-ahead.ts — what a reader will soon want of a file that is not all here: asked for before it waits for it.
// Invariant: only readers that go on from where they were are read ahead of, twice as far each time, up to MAX_BYTES; no chunk is
// asked for twice on behalf of one handle unless it went back. It asks, and never waits.

import type { ObjectId } from '../crdt/ids.js';
import type { Manifest } from '../chunks/manifest.js';
import { absentChunks } from '../chunks/manifest-reader.js';
import type { ObjectStore } from '../chunks/object-store.js';
import type { OpenFile } from './open-files.js';

interface Progress {
  /** Where the reader is expected next. */
  next: number;
  windowBytes: number;
  /** Up to here everything absent was asked for. */
  askedTo: number;
}

const FIRST_BYTES = 1 << 20;
const MAX_BYTES = 16 << 20;
/** The kernel itself reads ahead, in pieces that may come in another order. */
const SLACK_BYTES = 2 << 20;

export class ReadAhead {
  private readonly readers = new WeakMap<OpenFile, Progress>();

  constructor(
    private readonly objects: Pick<ObjectStore, 'has' | 'keepsAll' | 'missingCount'>,
    private readonly ask: (ids: readonly ObjectId[]) => void,
  ) {}

  /** A handle is about to read [offset, offset + length) of its version. */
  note(file: OpenFile, manifest: Manifest, offset: number, length: number): void {
    if (manifest.inline || (this.objects.keepsAll && this.objects.missingCount() === 0)) return;
    const end = offset + length;
    let at = this.readers.get(file);
    if (!at || Math.abs(offset - at.next) > SLACK_BYTES) {
      // From the start of a file it is taken to go on.
      at = { next: end, windowBytes: offset === 0 ? FIRST_BYTES : 0, askedTo: end };
      this.readers.set(file, at);
    } else if (end > at.next) {
      at.next = end;
      at.windowBytes = Math.min(MAX_BYTES, Math.max(FIRST_BYTES, at.windowBytes * 2));
    }
    const aim = Math.min(manifest.size, at.next + at.windowBytes);
    // Not for every small step: batches keep the links busy as well.
    if (at.askedTo >= aim || (aim < manifest.size && aim - at.askedTo < at.windowBytes / 2)) return;
    const from = Math.max(at.askedTo, at.next);
    at.askedTo = aim;
    if (from >= aim) return;
    const absent = absentChunks(this.objects, manifest, from, aim - from);
    if (absent.length > 0) this.ask(absent);
  }
}
