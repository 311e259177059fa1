// version-rules.ts — the part of MERGE.md about merged versions once more, from the changes in the journal and the bytes alone.
// As plain as can be: a policy's result is worked out where it is obvious (both added at the end; two changes far apart), and there the
// product must have come to the same; where it is not, nothing is asked. It shares no code with the product's merges.

import { decodeChange } from '../journal/change-codec.js';
import type { Ino } from '../crdt/ids.js';
import type { Inode } from '../crdt/inode.js';
import { nearestCommonVersions } from '../crdt/version-graph.js';
import { VersionHistory } from '../journal/version-history.js';
import type { Volume } from '../volume/volume.js';
import type { Site } from './site.js';
import { marksIn } from './contents.js';
import { versionHeldBy } from './versions-held.js';

/** One write of a file's content. */
interface Write {
  readonly op: string;
  readonly ino: Ino;
  readonly stamp: number;
  readonly actor: string;
  readonly counter: number;
  readonly manifest: string;
  readonly mtime: string;
  readonly merged: readonly string[];
  readonly preds: readonly string[];
}

const POLICY = 'x:user.weft.merge';
const DISK_TROUBLE = ['full disks', 'disk faults: EIO', 'disk faults: bit rot'];
/** Changes nearer to each other than that are nothing obvious, in bytes. */
const FAR_BYTES = 64;

/** What is wrong with the versions that the first site shows, and the contents of all merges that were ever made; all have the same changes. */
export function checkVersions(sites: readonly Site[]): { wrong: string[]; merged: Buffer[] } {
  const rules = new VersionRules(sites);
  rules.check();
  const wrong = rules.wrong.map((what) => `merge rule: at ${sites[0]!.name}: ${what}`);
  return { wrong, merged: rules.mergedContents() };
}

class VersionRules {
  readonly wrong: string[] = [];
  private readonly writes = new Map<string, Write>();
  /** Versions that a file was born with: of conflict copies that became files of their own. */
  private readonly begins = new Set<string>();
  /** Every value that the policy of an inode ever had. */
  private readonly policies = new Map<Ino, Set<string>>();
  private readonly contents = new Map<string, Buffer | undefined>();

  constructor(private readonly sites: readonly Site[]) {
    for (const { bytes } of sites[0]!.around.archive.of(sites[0]!)) {
      const { actor, startOp, stamp, ops } = decodeChange(bytes, Infinity);
      const born = new Set(ops.filter(({ key }) => key.endsWith('.born')).map(({ key }) => Number.parseInt(key, 10)));
      for (const [i, { key, value, pred }] of ops.entries()) {
        const point = key.indexOf('.');
        const [ino, field, counter] = [Number(key.slice(0, point)), key.slice(point + 1), startOp + i];
        const text = String(value);
        if (field === 'head') {
          const merged = text.includes('@') ? text.slice(text.lastIndexOf(' ') + 1).split(',') : [];
          const [manifest, , mtime] = text.split(' ') as [string, string, string];
          const write = { ino, stamp, actor, counter, manifest, mtime, merged, preds: pred };
          this.writes.set(`${counter}@${actor}`, { op: `${counter}@${actor}`, ...write });
          if (born.has(ino)) this.begins.add(`${counter}@${actor}`);
        } else if (field === POLICY) {
          const all = this.policies.get(ino) ?? new Set();
          this.policies.set(ino, all.add(text.slice(1)));
        } else if (field.startsWith('link:') && text.startsWith('-')) this.checkRemoval(ino, text);
      }
    }
  }

  check(): void {
    for (const write of this.writes.values()) {
      if (write.preds.length > 1) this.checkNaming(write);
      if (write.merged.length === 2 && write.merged.every((part) => write.preds.includes(part)))
        this.checkResult(write);
      if (write.merged.length > 0) this.checkOnce(write);
    }
    this.checkBegins();
    // A merge that failed for its disk, or for damaged bytes, is tried again when the file changes or the site starts.
    const { totals } = this.sites[0]!.around;
    if (DISK_TROUBLE.every((what) => totals.of(what) === 0)) this.checkAllMerged();
  }

  mergedContents(): Buffer[] {
    const merges = [...this.writes.values()].filter(({ merged }) => merged.length > 0);
    return merges.flatMap(({ manifest }) => this.content(manifest) ?? []);
  }

  /** Who removes a merge removes what it is made of: another merge of the same does not bring the file back. */
  private checkRemoval(ino: Ino, tombstone: string): void {
    const cites = tombstone.split('\0')[1]!.split(',');
    for (const cite of cites)
      for (const part of this.writes.get(cite)?.merged ?? [])
        if (!cites.includes(part)) this.wrong.push(`a removal of ${ino} cites the merge ${cite} and not its ${part}`);
  }

  /** What takes the place of several contents and is none of them is a merge, and names what people wrote that is in it. */
  private checkNaming({ ino, op, manifest, merged, preds }: Write): void {
    const before = preds.flatMap((pred) => this.writes.get(pred) ?? []);
    const contents = new Set(before.map((write) => write.manifest));
    if (contents.size < 2 || (contents.has(manifest) && merged.length === 0)) return;
    const due = new Set(before.flatMap((write) => (write.merged.length > 0 ? write.merged : [write.op])));
    if ([...due].toSorted().join() !== merged.join())
      this.wrong.push(`version ${op} of ${ino} is made of ${[...due].toSorted().join()} and names ${merged.join()}`);
  }

  /** A merge of two versions holds what its policy says, where that is obvious, and is none of what it must leave side by side. */
  private checkResult({ ino, op, manifest, merged, preds }: Write): void {
    const policy = this.onlyPolicy(ino);
    if (policy === undefined || preds.length !== 2) return;
    const [a, b] = merged.map((part) => this.writes.get(part)!) as [Write, Write];
    const sides = this.sidesOf(a, b);
    if (sides && isClash(policy, ...sides))
      this.wrong.push(`version ${op} of ${ino} merges by ${policy} what both ${a.op} and ${b.op} changed`);
    const due = this.mergeOf(policy, a, b);
    const is = due && this.content(manifest);
    if (is && !is.equals(due))
      this.wrong.push(
        `version ${op} of ${ino}, merged by ${policy}, holds ${is.length} bytes other than ${due.length} due`,
      );
  }

  /** Nobody has seen a file that was born with a version without one: what was written to it goes back to that. */
  private checkBegins(): void {
    if (!this.knowsAll()) return;
    const bornWith = new Set([...this.begins].map((op) => this.writes.get(op)!.ino));
    for (const { op, ino, preds } of this.writes.values())
      if (preds.length === 0 && bornWith.has(ino) && !this.begins.has(op))
        this.wrong.push(`version ${op} of ${ino} goes back to nothing, and the file was born with a version`);
  }

  /** Whether no site has dropped anything that others may not have overwritten. */
  private knowsAll(): boolean {
    return this.sites.every(({ volume }) => volume.journal.floor.generation === 0);
  }

  /** Nothing that was written once is in a merge twice. */
  private checkOnce({ ino, op, manifest, merged }: Write): void {
    const is = this.content(manifest);
    const parts = merged.map((part) => this.content(this.writes.get(part)!.manifest));
    if (!is || !parts.every((part) => part !== undefined)) return;
    for (const mark of marksIn(is)) {
      if (mark.startsWith('<same:')) continue;
      const most = Math.max(...parts.map((part) => countOf(mark, part)));
      if (most > 0 && countOf(mark, is) > most)
        this.wrong.push(`version ${op} of ${ino} holds ${mark} ${countOf(mark, is)} times, no part more than ${most}`);
    }
  }

  /** Two versions that a policy can merge are not left side by side. */
  private checkAllMerged(): void {
    const { store, actors } = this.sites[0]!.volume.journal;
    for (const ino of store.inodes()) {
      const inode = store.inode(ino)!;
      const heads = inode.registers.get('head') ?? [];
      if (heads.length !== 2 || inode.nlink === 0 || store.copiesOf(ino).length !== 1) continue;
      const policy = this.policyOf(ino);
      if (policy === undefined) continue;
      const [a, b] = heads.map(({ counter, actor }) => this.writes.get(`${counter}@${actors.id(actor)}`)!);
      // Where a site was not waited for, what they go back to may have been dropped before it was overwritten everywhere: then nobody can
      // merge them any more.
      const isKnown = this.sites.some(({ volume }) => knowsCommon(volume, volume.journal.store.inode(ino)!));
      if ((this.knowsAll() || isKnown) && this.mergeOf(policy, a!, b!))
        this.wrong.push(`versions of ${ino} lie side by side, its policy is ${policy}`);
    }
  }

  /** The policy that a file always had, if that is certain: its own, or the only one that any directory had. */
  private onlyPolicy(ino: Ino): string | undefined {
    const own = this.policies.get(ino);
    const all = own ?? new Set([...this.policies.values()].flatMap((values) => [...values]));
    return all.size === 1 ? [...all][0] : undefined;
  }

  /** The policy that holds for a file now: its own, or that of the nearest directory above that has one. */
  private policyOf(ino: Ino): string | undefined {
    const { files, journal } = this.sites[0]!.volume;
    const { registers } = journal.store.inode(ino)!;
    const links = [...registers].filter(([field]) => field.startsWith('link:'));
    const [place, ...more] = links.flatMap(([, entries]) => entries).map(({ value }) => String(value));
    if (!place || more.length > 0 || place.startsWith('-')) return undefined;
    const parent = Number(place.split('/')[0]);
    let at = ino;
    for (let next = journal.store.alias(parent) ?? parent; ; next = files.lookup(at, '..')!.ino) {
      if (files.listxattr(at).includes('user.weft.merge'))
        return files.getxattr(at, 'user.weft.merge').toString('latin1');
      if (next === at) return undefined;
      at = next;
    }
  }

  // ── what is obvious ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  private content(manifest: string): Buffer | undefined {
    if (!this.contents.has(manifest)) this.contents.set(manifest, versionHeldBy(this.sites, manifest));
    return this.contents.get(manifest);
  }

  /** What two versions have in common, the earlier and the later; undefined where that is not plain, or not here. */
  private sidesOf(a: Write, b: Write): readonly [base: Buffer, first: Buffer, second: Buffer] | undefined {
    const common = this.nearestCommon(a, b);
    if (common.length > 1 || a.merged.length + b.merged.length > 0) return undefined;
    const [earlier, later] = isEarlier(a, b) ? [a, b] : [b, a];
    const base = common.length === 0 ? Buffer.alloc(0) : this.content(common[0]!.manifest);
    const [first, second] = [this.content(earlier.manifest), this.content(later.manifest)];
    return base && first && second && [base, first, second];
  }

  private mergeOf(policy: string, a: Write, b: Write): Buffer | undefined {
    const sides = this.sidesOf(a, b);
    if (!sides) return undefined;
    const [base, first, second] = sides;
    if (policy === 'append') return appended(base, first, second);
    if (policy === 'ranges') return spliced(base, first, second, FAR_BYTES);
    if (policy === 'text' && [base, first, second].every(isText)) return splicedLines(base, first, second);
    return undefined;
  }

  /** A copy that became a file of its own at several sites began with the same version everywhere. */
  private begin(write: Write): Write {
    if (write.preds.length > 0) return write;
    const { ino, manifest, mtime } = write;
    for (const other of this.writes.values())
      if (other.preds.length === 0 && other.ino === ino && other.manifest === manifest && other.mtime === mtime)
        return other;
    return write;
  }

  private ancestors(write: Write): Set<Write> {
    const all = new Set<Write>();
    const toDo = [write];
    for (let next = toDo.pop(); next; next = toDo.pop()) {
      next = this.begin(next);
      if (all.has(next)) continue;
      all.add(next);
      toDo.push(...next.preds.map((pred) => this.writes.get(pred)!));
    }
    return all;
  }

  private nearestCommon(a: Write, b: Write): Write[] {
    const ofB = this.ancestors(b);
    const common = [...this.ancestors(a)].filter((write) => ofB.has(write));
    return common.filter((write) => !common.some((other) => other !== write && this.ancestors(other).has(write)));
  }
}

/** Whether a site's journal tells what the two versions of a file have in common. */
function knowsCommon({ journal }: Volume, { ino, registers }: Inode): boolean {
  const known = new VersionHistory(journal).versionsOf(ino);
  const actors = journal.actors;
  const [a, b] = registers.get('head')!.map(known.version);
  return a !== undefined && b !== undefined && nearestCommonVersions([a], [b], known, actors) !== undefined;
}

function isEarlier(a: Write, b: Write): boolean {
  if (a.stamp !== b.stamp) return a.stamp < b.stamp;
  return a.actor === b.actor ? a.counter < b.counter : a.actor < b.actor;
}

function countOf(mark: string, bytes: Buffer): number {
  return bytes.toString('latin1').split(mark).length - 1;
}

function isText(bytes: Buffer): boolean {
  return !bytes.includes(0) && bytes.at(-1) === 0x0a;
}

function appended(base: Buffer, first: Buffer, second: Buffer): Buffer | undefined {
  const isBelow = (side: Buffer): boolean => side.subarray(0, base.length).equals(base);
  if (!isBelow(first) || !isBelow(second) || first.equals(second)) return undefined;
  return Buffer.concat([first, second.subarray(base.length)]);
}

/** What is changed of a sequence: all from the first difference to the last. */
function changed<T>(base: ArrayLike<T>, side: ArrayLike<T>): { from: number; to: number; end: number } {
  const shorter = Math.min(base.length, side.length);
  let from = 0;
  while (from < shorter && base[from] === side[from]) from++;
  let same = 0;
  while (same < shorter - from && base[base.length - 1 - same] === side[side.length - 1 - same]) same++;
  return { from, to: base.length - same, end: side.length - same };
}

/** Changes of bytes in place, so far apart that they cannot touch. */
function spliced(base: Buffer, first: Buffer, second: Buffer, far: number): Buffer | undefined {
  if (first.length !== base.length || second.length !== base.length) return undefined;
  const [a, b] = [changed(base, first), changed(base, second)];
  if (!(a.to + far <= b.from || b.to + far <= a.from)) return undefined;
  const result = Buffer.from(first);
  second.copy(result, b.from, b.from, b.end);
  return result;
}

/** Changes of lines that have an unchanged line between them. */
function splicedLines(base: Buffer, first: Buffer, second: Buffer): Buffer | undefined {
  const [of, one, two] = [linesOf(base), linesOf(first), linesOf(second)];
  // Where a line is there twice it is not obvious which of them was changed.
  if ([of, one, two].some((all) => new Set(all).size < all.length)) return undefined;
  const [a, b] = [changed(of, one), changed(of, two)];
  if (!(a.to < b.from || b.to < a.from)) return undefined;
  const parts = [
    { ...a, text: one.slice(a.from, a.end) },
    { ...b, text: two.slice(b.from, b.end) },
  ].toSorted((x, y) => y.from - x.from);
  let result = of;
  for (const { from, to, text } of parts) result = result.toSpliced(from, to - from, ...text);
  return Buffer.from(result.map((line) => `${line}\n`).join(''), 'latin1');
}

/** Both changed one byte, or replaced one line between two that stayed, and not alike: no order of the sides makes that right. */
function isClash(policy: string, base: Buffer, first: Buffer, second: Buffer): boolean {
  if (policy === 'ranges')
    return (
      first.length === base.length &&
      second.length === base.length &&
      base.some((byte, i) => first[i] !== byte && second[i] !== byte && first[i] !== second[i])
    );
  if (policy !== 'text' || ![base, first, second].every(isText)) return false;
  const [of, one, two] = [linesOf(base), linesOf(first), linesOf(second)];
  if (one.length !== of.length || two.length !== of.length || new Set(of).size < of.length) return false;
  const stays = (i: number): boolean => one[i] === of[i] && two[i] === of[i];
  return of.some(
    (line, i) =>
      one[i] !== two[i] &&
      stays(i - 1) &&
      stays(i + 1) &&
      [one, two].every((side) => !side.includes(line) && !of.includes(side[i]!)),
  );
}

/** Of a text that ends with a line's end. */
function linesOf(text: Buffer): string[] {
  return text.toString('latin1').split('\n').slice(0, -1);
}
