// history-thread.ts — answers questions about the past from the journal, on a thread of its own.
// Invariant: it reads the committed state and writes nothing but the index of the history; the site thread takes no part. An answer is
// of a commit at least as new as the last when the question was asked.

import { parentPort, workerData } from 'node:worker_threads';
import { attributesOf } from '../crdt/inode-attributes.js';
import type { HeadVersion } from '../crdt/inode-attributes.js';
import type { Name } from '../crdt/ids.js';
import { ROOT_INO, VOLUME_INO } from '../crdt/ids.js';
import { PastTree } from '../crdt/past-tree.js';
import type { PastEntry } from '../crdt/past-tree.js';
import { findSnapshot, retentionOf, snapshotsOf } from '../crdt/snapshots.js';
import { HistoryIndex } from '../journal/history-index.js';
import { JournalPast } from '../journal/past-registers.js';
import { PastViews } from '../journal/past-views.js';
import type { PastInode, PastPage } from '../journal/past-views.js';
import { namesIn, PathHistory, versionId } from '../journal/path-history.js';
import type { FoundVersion, HistoryRow } from '../journal/path-history.js';
import { RemovedTrees } from '../journal/removed-trees.js';
import { siteRetention } from '../journal/retention.js';
import { StateSnapshot } from '../journal/state-snapshot.js';
import { HIDDEN_NAME } from '../volume/past-files.js';
import type { PastAnswer, PastQuestion } from '../volume/past-files.js';
import type {
  FromHistory,
  HistoryRequests,
  HistoryThreadData,
  ToHistory,
  VersionToRestore,
} from './history-requests.js';
import { isRelative, MOMENT_EXAMPLES, parseMoment } from './moment.js';
import { pathText } from './path-text.js';

const { stateDirectory } = workerData as HistoryThreadData;
const port = parentPort!;
const index = HistoryIndex.open(stateDirectory);
const views = new PastViews(index, () => Date.now());
/** Moments that are so long ago: the same one for who goes on looking, as diff -r does, path by path. */
const relative = new Map<string, { stamp: number; sinceMs: number; usedMs: number }>();
const RELATIVE_UNUSED_MS = 60_000;
const RELATIVE_MAX_MS = 3_600_000;

/** Calls `use` with the present commit, up to which the index is. */
function withPresent<T>(use: (present: StateSnapshot) => T): T {
  const present = StateSnapshot.open(stateDirectory);
  try {
    index.catchUp();
    return use(present);
  } finally {
    present.close();
  }
}

function withHistory<T>(use: (history: PathHistory, present: StateSnapshot) => T): T {
  return withPresent((present) => use(new PathHistory(index, present.store), present));
}

function historyOf(path: string, limit: number): readonly HistoryRow[] {
  return withHistory((history) => {
    const inodes = history.resolve(namesIn(path));
    if (inodes.all.length === 0) {
      throw new Error(`${pathText(path)}: nothing ever had this name; weft history of its directory lists the names`);
    }
    return history.rows(inodes, limit);
  });
}

function versionOf(path: string, text: string): VersionToRestore {
  return withHistory((history, present) => {
    const names = namesIn(path);
    const inodes = history.resolve(names);
    const version = versionNamed(history, present, path, text);
    const { ino, id, manifest, size, mtime, blocks } = version;
    const removed =
      inodes.present === undefined ? new RemovedTrees(index, present.store, history).ofInode(ino, names) : null;
    return { ino, id, manifest, size, mtime, blocks, present: inodes.present ?? null, removed: removed ?? null };
  });
}

function versionNamed(history: PathHistory, present: StateSnapshot, path: string, text: string): FoundVersion {
  const names = namesIn(path);
  const versions = history.versions(history.resolve(names));
  const [version, ...others] = PathHistory.matching(versions, text, index.actors);
  if (version && others.length > 0) {
    const ids = [version, ...others].map(({ op }) => `${op.counter}-${index.actors.id(op.actor)}`);
    throw new Error(`version ${text} of ${pathText(path)} may be any of ${ids.join(', ')}: write more of it`);
  }
  if (version) return version;
  const vector = vectorNamed(present, text);
  if (!vector) {
    throw new Error(
      `${pathText(path)} has no version ${text}: weft history lists the versions; a moment (${MOMENT_EXAMPLES}) or a snapshot does too`,
    );
  }
  const tree = new PastTree(new JournalPast(index, vector), index.actors);
  const entry = lookUp(tree, names);
  const head = entry && versionShown(tree, entry);
  if (!entry || !head) {
    throw new Error(`${pathText(path)} was no file with content then (${text}): weft history lists its versions`);
  }
  return { ...head, ino: entry.copy?.source ?? entry.ino, id: versionId(head, index.actors), op: head };
}

/** The part of the history that a moment or a snapshot means. */
function vectorNamed({ store, actors }: StateSnapshot, text: string): Map<number, number> | undefined {
  const stamp = parseMoment(text, Date.now());
  if (stamp !== undefined) return index.vectorAt(stamp);
  const snapshot = findSnapshot(snapshotsOf(store.inode(VOLUME_INO), actors), text);
  return snapshot && new Map([...snapshot.vector].map(([actor, seq]) => [index.actors.intern(actor), seq]));
}

function lookUp(tree: PastTree, names: readonly Name[]): PastEntry | undefined {
  let directory = tree.root;
  let entry: PastEntry | undefined;
  for (const name of names) {
    entry = directory && tree.lookup(directory, name);
    directory = entry?.directory;
  }
  return entry;
}

function versionShown(tree: PastTree, { copy, ino }: PastEntry): HeadVersion | undefined {
  const inode = copy ? undefined : tree.inode(ino);
  return copy?.version ?? (inode && attributesOf(inode).head);
}

function removedAt(path: string, since: string | null): HistoryRequests['removed']['reply'] {
  return withHistory((history, { store }) => {
    const removed = new RemovedTrees(index, store, history);
    const names = namesIn(path);
    if (since === null) {
      const tree = removed.latest(names);
      if (!tree) {
        throw new Error(
          `nothing of the name ${pathText(path)} was removed: weft history of its directory lists what was; what was removed in a ` +
            `directory that is there comes back with --since TIME (${MOMENT_EXAMPLES})`,
        );
      }
      return { ...tree, directory: directoryOf(history.pathOf(tree.links[0]!)) };
    }
    const stamp = parseMoment(since, Date.now());
    if (stamp === undefined) throw new Error(`${since} is no moment: write for example ${MOMENT_EXAMPLES}`);
    const tree = removed.since(names, stamp);
    if (!tree) throw new Error(`${pathText(path)} was not there then (${since}): weft history lists when it was`);
    if (tree.links.length === 0) throw new Error(`nothing at ${pathText(path)} was removed since ${since}`);
    const place = history.pathOf(tree.links[0]!);
    return { ...tree, directory: namesIn(place).join('/') === names.join('/') ? directoryOf(place) : null };
  });
}

function look(question: PastQuestion): PastAnswer {
  switch (question.kind) {
    case 'snapshots':
      return withPresent(snapshotPage);
    case 'snapshot':
      return withPresent((present) => viewNamed(present, question.name));
    case 'inode':
      return views.inode(question.number) ?? null;
    case 'entry':
      return views.lookup(question.number, question.name) ?? null;
    case 'list':
      return views.list(question.number, question.after) ?? null;
  }
}

function snapshotList(present: StateSnapshot): HistoryRequests['snapshots']['reply'] {
  const registers = present.store.inode(VOLUME_INO);
  const snapshots = snapshotsOf(registers, present.actors);
  return {
    snapshots: snapshots.map(({ name, site, stamp }) => ({ name, site, stamp })),
    volume: retentionOf(registers),
    site: siteRetention(present),
    isHidden: present.store.lookup(ROOT_INO, HIDDEN_NAME) !== undefined,
  };
}

function snapshotPage({ store, actors }: StateSnapshot): PastPage {
  const entries = snapshotsOf(store.inode(VOLUME_INO), actors).flatMap((snapshot, i) => {
    const name = Buffer.from(snapshot.name, 'utf8').toString('latin1');
    const inode = views.open(snapshot.name, snapshot.vector);
    return inode ? [{ name, position: i + 1, inode }] : [];
  });
  return { entries, more: false };
}

/** The tree under a name in `.weft/snapshots`. */
function viewNamed(present: StateSnapshot, bytes: Name): PastInode | null {
  const name = pathText(bytes);
  const stamp = momentNamed(name);
  if (stamp === undefined) {
    const snapshot = findSnapshot(snapshotsOf(present.store.inode(VOLUME_INO), present.actors), name);
    return (snapshot && views.open(name, snapshot.vector)) ?? null;
  }
  if (stamp > Date.now() * 1000) return null; // nobody knows
  const vector = new Map([...index.vectorAt(stamp)].map(([actor, seq]) => [index.actors.id(actor), seq]));
  return views.open(name, vector) ?? null;
}

function momentNamed(name: string): number | undefined {
  const nowMs = Date.now();
  if (!isRelative(name)) return parseMoment(name, nowMs);
  let moment = relative.get(name);
  if (!moment || nowMs - moment.usedMs > RELATIVE_UNUSED_MS || nowMs - moment.sinceMs > RELATIVE_MAX_MS) {
    moment = { stamp: parseMoment(name, nowMs)!, sinceMs: nowMs, usedMs: nowMs };
    relative.set(name, moment);
  }
  moment.usedMs = nowMs;
  return moment.stamp;
}

/** Of a path; '' for what is in the root. */
function directoryOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

function answer(message: ToHistory): unknown {
  switch (message.name) {
    case 'history':
      return historyOf(message.args.path, message.args.limit);
    case 'snapshots':
      return withPresent(snapshotList);
    case 'look':
      return look(message.args.question);
    case 'version':
      return versionOf(message.args.path, message.args.version);
    case 'removed':
      return removedAt(message.args.path, message.args.since);
  }
}

port.on('message', (message: ToHistory) => {
  let reply: FromHistory;
  try {
    reply = { id: message.id, value: index.reading(() => answer(message)) };
  } catch (error) {
    reply = { id: message.id, error: (error as Error).message };
  }
  port.postMessage(reply);
});
