// merge-rules.ts — MERGE.md once more, rule by rule and from the registers alone, against what a site shows when all have merged.
// The product computes its view twice, but by the same readings of one inode: a rule that is wrong there is wrong in both. What is here
// shares no code with them, is as plain as can be, and knows nothing of how views are kept.

import { decodeChange } from '../journal/change-codec.js';
import type { Entry, Inode } from '../crdt/inode.js';
import { type Ino, ROOT_INO, VOLUME_INO } from '../crdt/ids.js';
import type { Site } from './site.js';

const XATTRS = ['user.x', 'user.y', 'user.weft.merge'];

interface Place {
  readonly parent: Ino;
  readonly name: string;
}

/** A candidate place of a directory, and the write that gives it; none: its place of birth. */
interface Candidate extends Place {
  readonly write: Entry | undefined;
}

/** The rules that the view of this site breaks. It has no drafts, and nothing of it is under way. */
export function brokenRules(site: Site): string[] {
  const rules = new Rules(site);
  rules.check();
  return rules.wrong.map((what) => `merge rule: at ${site.name}: ${what}`);
}

class Rules {
  readonly wrong: string[] = [];
  private readonly inodes: Inode[];

  constructor(private readonly site: Site) {
    const { store } = this.volume.journal;
    this.inodes = [...store.inodes()].filter((ino) => ino !== VOLUME_INO).map((ino) => store.inode(ino)!);
  }

  private get volume() {
    return this.site.volume;
  }

  private get store() {
    return this.volume.journal.store;
  }

  check(): void {
    this.checkChanges();
    const places = this.directoryPlaces();
    for (const inode of this.inodes) {
      if (!inode.registers.has('born')) continue;
      if (typeOf(inode) === 'd') this.checkDirectory(inode, places);
      else this.checkFile(inode);
      if (inode.nlink > 0 && this.store.alias(inode.ino) === undefined) this.checkAttributes(inode);
    }
    for (const inode of this.inodes)
      if (typeOf(inode) === 'd')
        for (const name of this.store.contestedNames(inode.ino)) this.checkContest(inode.ino, name);
  }

  private expect(rule: string, inode: Inode | Ino, shown: unknown, due: unknown): void {
    const ino = typeof inode === 'number' ? inode : inode.ino;
    if (shown !== due) this.wrong.push(`${rule}: inode ${ino} shows ${String(shown)}, the rule gives ${String(due)}`);
  }

  // ── order ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Negative when `a` is the later write: highest (stamp, actor, counter). */
  private readonly laterFirst = (a: Entry, b: Entry): number => {
    const { actors } = this.volume.journal;
    if (a.stamp !== b.stamp) return b.stamp - a.stamp;
    if (a.actor !== b.actor) return actors.id(a.actor) > actors.id(b.actor) ? -1 : 1;
    return b.counter - a.counter;
  };

  private entries(inode: Inode, field: string): Entry[] {
    return [...(inode.registers.get(field) ?? [])].toSorted(this.laterFirst);
  }

  private latest(inode: Inode, field: string): Entry | undefined {
    return this.entries(inode, field)[0];
  }

  /** Who saw a change stamps above it: "latest" never contradicts what people saw. What changes nothing is not written. */
  private checkChanges(): void {
    const stamps = new Map<string, number>();
    const values = new Map<string, unknown>();
    /** Owner and group that an inode was made with. */
    const births = new Map<string, readonly number[]>();
    for (const { hash, stamp, bytes } of this.site.around.archive.of(this.site)) {
      stamps.set(hash, stamp);
      const { actor, startOp, deps, ops } = decodeChange(bytes, Infinity);
      for (const dep of deps)
        if (!(stamps.get(dep)! < stamp)) this.wrong.push(`stamps: change ${hash} is not above ${dep}, which it saw`);
      for (const [i, { key, value, pred }] of ops.entries()) {
        values.set(`${startOp + i}@${actor}`, value);
        const [ino, field] = key.split('.') as [string, string];
        if (field === 'born') births.set(ino, String(value).split(' ').slice(-3).map(Number));
        if ((field !== 'uid' && field !== 'gid') || pred.length > 1) continue;
        const before = pred.length > 0 ? values.get(pred[0]!) : births.get(ino)?.[field === 'uid' ? 0 : 1];
        if (before === value) this.wrong.push(`an owner that stays: ${key} is written to be ${value}, which it was`);
      }
    }
  }

  // ── attributes ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

  private checkAttributes(inode: Inode): void {
    const shown = this.volume.files.getattr(inode.ino);
    const born = String(this.latest(inode, 'born')!.value).split(' ');
    const [bornMode, bornUid, bornGid] = born.slice(-4).map(Number);
    this.expect('chown', inode, shown.uid, this.latest(inode, 'uid')?.value ?? bornUid);
    this.expect('chown', inode, shown.gid, this.latest(inode, 'gid')?.value ?? bornGid);
    const writes = this.entries(inode, 'mode');
    const modes = writes.map(({ value }) => Number(value));
    if (writes.some((write) => this.site.around.setIdDrops.has(this.opOf(write))))
      this.expect('set-id bits that a write or chown dropped', inode, shown.mode & 0o6000, 0);
    this.expect('chmod', inode, shown.mode & 0o7777, modes.length === 0 ? bornMode : mergedMode(modes));
    for (const name of XATTRS) this.checkXattr(inode, name);
    if (typeOf(inode) !== 'f') return;
    const head = this.latest(inode, 'head');
    const [, size = '0', mtime] = String(head?.value ?? '').split(' ');
    this.expect('latest version', inode, shown.size, Number(head ? size : 0));
    const times = this.latest(inode, 'times');
    const isExplicit =
      times &&
      (!head ||
        times.stamp > head.stamp ||
        (times.stamp === head.stamp && times.actor === head.actor && times.counter > head.counter));
    const due = isExplicit ? String(times.value) : mtime;
    if (due !== undefined) this.expect('explicit time, write', inode, seconds(shown.mtime), due);
  }

  private checkXattr(inode: Inode, name: string): void {
    const set = this.entries(inode, `x:${name}`).find(({ value }) => value !== '-');
    const shown = this.volume.files.listxattr(inode.ino).includes(name);
    this.expect(`xattr ${name}`, inode, shown, set !== undefined);
    if (set && shown)
      this.expect(
        `xattr ${name}`,
        inode,
        `=${this.volume.files.getxattr(inode.ino, name).toString('latin1')}`,
        set.value,
      );
  }

  // ── files ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  private checkFile(inode: Inode): void {
    const links = [...inode.registers].filter(([field]) => field.startsWith('link:'));
    const names = links.map(([field]) => this.entries(inode, field).find(({ value }) => !isRemoval(value)));
    const cited = new Set(
      links.flatMap(([, entries]) =>
        entries
          .filter(({ value }) => isRemoval(value))
          .flatMap(({ value }) => String(value).split('\0')[1]!.split(',')),
      ),
    );
    const heads = this.entries(inode, 'head');
    const isSeen = (op: string): boolean => cited.has(op);
    const hasUnseen =
      typeOf(inode) === 'f' &&
      links.length > 0 &&
      heads.some((head) => !isSeen(this.opOf(head)) && (mergedOf(head).length === 0 || !mergedOf(head).every(isSeen)));
    const isAlive = names.some((name) => name !== undefined) || hasUnseen;
    const places = links.flatMap(([, entries]) => entries.map(({ value }) => placeOf(value)));
    const isHidden = places.some((place) => this.isHidden(inode.ino, place));
    const held = names.filter((name) => name !== undefined);
    const last = links.flatMap(([, entries]) => entries).toSorted(this.laterFirst)[0];
    if (inode.nlink > 0)
      for (const write of held.length > 0 ? held : [last!]) this.checkPlace(inode, placeOf(write.value));
    if (inode.nlink > 0 || !isHidden) this.expect('removed, or not', inode, inode.nlink > 0, isAlive);
    if (inode.nlink > 0 && heads.length > 1) this.checkCopies(inode, heads);
  }

  /** A file is where each of its links was put last; one that returned, where it was removed last. */
  private checkPlace(inode: Inode, { parent, name }: Place): void {
    const home = this.store.alias(parent) ?? parent;
    const isThere =
      this.volume.files.lookup(home, name)?.ino === inode.ino ||
      this.store.claims(home, name).some((claim) => claim.ino === inode.ino);
    if (!isThere) this.wrong.push(`place of a file: inode ${inode.ino} is not at ${home}/${name}`);
  }

  private opOf({ counter, actor }: Entry): string {
    return `${counter}@${this.volume.journal.actors.id(actor)}`;
  }

  private isHidden(ino: Ino, { parent, name }: Place): boolean {
    const home = this.store.alias(parent) ?? parent;
    return this.store.claims(home, name).some((claim) => claim.ino === ino && claim.shown === null);
  }

  /** Every other content is shown beside, or became a file of its own. */
  private checkCopies(inode: Inode, heads: readonly Entry[]): void {
    const shown = this.store.copiesOf(inode.ino).map((ino) => {
      const { counter, actor } = this.store.copy(ino)!;
      return contentOf(heads.find((head) => head.counter === counter && head.actor === actor)!);
    });
    for (const head of heads.slice(1)) {
      const [content, copyIno] = [contentOf(head), Number(String(head.value).split(' ')[3])];
      if (content === contentOf(heads[0]!) || this.store.inode(copyIno)?.registers.has('born')) continue;
      this.expect('write, write', inode, shown.filter((other) => other === content).length, 1);
    }
    const distinct = new Set(heads.map(contentOf));
    if (shown.length >= distinct.size) this.wrong.push(`write, write: inode ${inode.ino} has ${shown.length} copies`);
  }

  // ── names ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  private checkContest(directory: Ino, name: string): void {
    const claims = this.store.claims(directory, name).filter(({ ino }) => this.store.copy(ino) === undefined);
    const visible = claims.filter(({ shown }) => shown !== null).map(({ ino }) => ino);
    if (new Set(visible).size < visible.length)
      this.wrong.push(`link, link at one name: ${directory}/${name} is there twice`);
    const rivals = claims.flatMap(({ ino, link, shown }) => {
      const inode = this.store.inode(ino)!;
      const write = this.entries(inode, `link:${link}`).find(({ value }) => !isRemoval(value));
      return write ? [{ ino, write, shown, isDirectory: typeOf(inode) === 'd' }] : [];
    });
    const holder = this.volume.files.lookup(directory, name)?.ino;
    const isReturned = claims.some(({ ino }) => ino === holder) && !rivals.some(({ ino }) => ino === holder);
    if (isReturned && rivals.some(({ isDirectory }) => !isDirectory))
      this.wrong.push(`the name ${name} of ${directory} went to inode ${holder}, which was removed and returned`);
    for (const { ino, shown: suffixed } of claims) {
      if (suffixed === null || suffixed === name) continue;
      if (suffixed.length > 255) this.wrong.push(`names: ${suffixed} has ${suffixed.length} bytes`);
      if (rivals.some((rival) => rival.ino === ino) || typeOf(this.store.inode(ino)!) === 'd') continue;
      const writers = this.entries(this.store.inode(ino)!, 'head').map(({ actor }) => this.siteOf(actor));
      if (!writers.some((site) => suffixed.includes(`.~${site}-`)))
        this.wrong.push(`names: ${suffixed} of inode ${ino}, which returned, names none of ${writers.join(' ')}`);
    }
    if (rivals.length === 0 || rivals.length !== claims.length) return;
    if (rivals.some(({ ino, isDirectory }) => isDirectory && (this.store.deferred().get(ino) ?? 0) > 0)) return;
    const merged = (ino: Ino): Ino => this.store.alias(ino) ?? ino;
    const [first] = rivals.toSorted(
      (a, b) => Number(b.isDirectory) - Number(a.isDirectory) || this.laterFirst(a.write, b.write),
    );
    const shown = this.volume.files.lookup(directory, name)?.ino;
    this.expect(`the name ${name}`, directory, shown, merged(first!.ino));
    for (const { ino, shown: suffixed, write } of rivals) {
      if (suffixed === null || suffixed === name) continue;
      const site = this.siteOf(write.actor);
      if (!suffixed.includes(`.~${site}-`)) this.wrong.push(`names: ${suffixed} of inode ${ino} does not name ${site}`);
    }
    // Of two links of a file that came to one name, one shows it.
    const hidden = rivals.filter(({ ino }) => !visible.includes(ino) && merged(ino) !== merged(first!.ino));
    for (const { ino } of hidden) this.checkEqual(this.store.inode(ino)!, this.store.inode(first!.ino)!);
  }

  private siteOf(actor: number): string {
    const registers = this.store.inode(VOLUME_INO)!.registers;
    const id = registers.get(`actor:${this.volume.journal.actors.id(actor)}`)?.[0]?.value;
    return String(registers.get(`site:${String(id)}`)?.[0]?.value ?? '?');
  }

  /** What is hidden behind another differs in nothing that can be seen. */
  private checkEqual(hidden: Inode, shown: Inode): void {
    const seen = (inode: Inode): string => {
      const head = this.latest(inode, 'head');
      const modes = this.entries(inode, 'mode').map(({ value }) => Number(value));
      const born = String(this.latest(inode, 'born')!.value).split(' ').slice(-4);
      const mode = modes.length === 0 ? Number(born[0]) : mergedMode(modes);
      const owner = [
        this.latest(inode, 'uid')?.value ?? Number(born[1]),
        this.latest(inode, 'gid')?.value ?? Number(born[2]),
      ];
      const target = this.latest(inode, 'target')?.value ?? '';
      const xattrs = XATTRS.map(
        (name) => this.entries(inode, `x:${name}`).find(({ value }) => value !== '-')?.value ?? '',
      );
      return JSON.stringify([typeOf(inode), head ? contentOf(head) : '', mode, owner, target, xattrs]);
    };
    this.expect('equal files are shown as one', hidden, seen(hidden), seen(shown));
  }

  // ── directories ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

  private candidates(inode: Inode): Candidate[] {
    const links = this.entries(inode, 'link:0');
    const into = this.latest(inode, 'into');
    const places = links.filter(({ value }) => !isRemoval(value));
    const born = String(this.latest(inode, 'born')?.value ?? '')
      .split(' ')
      .slice(1, -5)
      .join(' ');
    const first =
      into && Number(into.value) !== inode.ino ? [{ parent: Number(into.value), name: '', write: into }] : [];
    return [
      ...first,
      ...places.map((write) => ({ ...placeOf(write.value), write })),
      ...links.filter(({ value }) => isRemoval(value)).map((write) => ({ ...placeOf(write.value), write })),
      ...places.flatMap((write) => {
        const before = String(write.value).split('\0')[1];
        return before ? [{ ...placeOf(before), write }] : [];
      }),
      ...(born.includes('/') && !born.endsWith('/') ? [{ ...placeOf(born), write: undefined }] : []),
      { parent: ROOT_INO, name: '', write: undefined },
    ];
  }

  /** Where every directory is: the latest move on a cycle falls back, until there is none. */
  private directoryPlaces(): ReadonlyMap<Ino, Ino> {
    const all = new Map<Ino, Candidate[]>();
    for (const inode of this.inodes)
      if (typeOf(inode) === 'd' && inode.ino !== ROOT_INO) all.set(inode.ino, this.candidates(inode));
    for (let cycle = findCycle(all); cycle.length > 0; cycle = findCycle(all)) {
      const [last] = cycle.toSorted((a, b) => {
        const [x, y] = [all.get(a)![0]!.write, all.get(b)![0]!.write];
        if (!x || !y) return x ? -1 : y ? 1 : b - a;
        return this.laterFirst(x, y) || b - a;
      });
      all.get(last!)!.shift();
    }
    return new Map([...all].map(([ino, candidates]) => [ino, candidates[0]!.parent]));
  }

  private isEmpty(directory: Ino): boolean {
    let count = 0;
    this.volume.files.readdir(directory, 0, ({ name }) => (name === '.' || name === '..' || ++count) !== 0);
    return count === 0;
  }

  private checkDirectory(inode: Inode, places: ReadonlyMap<Ino, Ino>): void {
    if (inode.ino === ROOT_INO) return;
    const links = this.entries(inode, 'link:0');
    const isPlaced = links.some(({ value }) => !isRemoval(value));
    const isMerged = this.store.alias(inode.ino) !== undefined;
    if (isPlaced && !isMerged) this.expect('rename, removal of a directory', inode, inode.nlink > 0, true);
    const held = links.find(({ value }) => !isRemoval(value));
    if (isMerged && !inode.registers.has('into') && (!held || String(held.value).includes('\0')))
      this.wrong.push(`trees are not mixed: directory ${inode.ino}, which was moved, is merged into another`);
    if (inode.nlink === 0 || isMerged) return;
    const due = places.get(inode.ino)!;
    this.expect(
      'place of a directory',
      inode,
      this.volume.files.lookup(inode.ino, '..')!.ino,
      this.store.alias(due) ?? due,
    );
    if (!isPlaced && this.isEmpty(inode.ino))
      this.wrong.push(`removal of a tree: directory ${inode.ino} returned, and nothing is in it`);
    const birth = links.length === 1 && !String(links[0]!.value).includes('\0') ? String(links[0]!.value) : undefined;
    if (birth === undefined || inode.registers.has('into')) return;
    const home = (place: Place): string => `${this.store.alias(place.parent) ?? place.parent}/${place.name}`;
    for (const other of this.inodes) {
      if (other.ino <= inode.ino || typeOf(other) !== 'd' || other.registers.has('into')) continue;
      const [link, ...more] = this.entries(other, 'link:0');
      if (!link || more.length > 0 || String(link.value).includes('\0')) continue;
      if (home(placeOf(link.value)) !== home(placeOf(birth))) continue;
      this.expect('two new directories of one name', other, this.store.alias(other.ino), inode.ino);
    }
  }
}

/** Bit by bit against what each writer saw; where that decides nothing, the stricter. */
function mergedMode(values: readonly number[]): number {
  const [before, after] = [values.map((value) => Math.floor(value / 65536)), values.map((value) => value % 65536)];
  let mode = 0;
  for (let bit = 1; bit <= 0o4000; bit *= 2) {
    const has = (bits: number): boolean => (bits & bit) !== 0;
    const isSet = after.some((bits, i) => has(bits) && !has(before[i]!));
    const isCleared = after.some((bits, i) => !has(bits) && has(before[i]!));
    const stricter = bit === 0o1000 ? after.some(has) : after.every(has);
    const result = isSet === isCleared ? stricter : isSet ? after.some(has) : after.every(has);
    if (result) mode += bit;
  }
  return mode;
}

function findCycle(all: ReadonlyMap<Ino, readonly Candidate[]>): Ino[] {
  for (const start of all.keys()) {
    const path: Ino[] = [];
    for (let at: Ino | undefined = start; at !== undefined; at = all.get(at)?.[0]?.parent) {
      if (path.includes(at)) return path.slice(path.indexOf(at));
      path.push(at);
    }
  }
  return [];
}

function typeOf(inode: Inode): string {
  return String(inode.registers.get('born')?.[0]?.value ?? '').charAt(0);
}

function isRemoval(value: unknown): boolean {
  return String(value).startsWith('-');
}

/** Of a link value, a removal, or a place that it came from. */
function placeOf(value: unknown): Place {
  const text = String(value).replace(/^-/, '').split('\0')[0]!;
  const slash = text.indexOf('/');
  return { parent: Number(text.slice(0, slash)), name: text.slice(slash + 1) };
}

function mergedOf({ value }: Entry): string[] {
  // Behind the blocks of a version with holes, if they are there.
  const last = String(value).split(' ').at(-1)!;
  return last.includes('@') ? last.split(',') : [];
}

function contentOf({ value }: Entry): string {
  return String(value).split(' ').slice(0, 2).join(' ');
}

function seconds({ s, ns }: { readonly s: number; readonly ns: number }): string {
  return `${s}.${String(ns).padStart(9, '0')}`;
}
