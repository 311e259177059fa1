// merge-report.ts — what a person sees of a play: at each step where sites may merge, a table of what each showed before, what is
// shown afterwards, and why. The reasons are Weft's own where it lists a conflict; where it lists none they are told from what the
// sites had in common, what each made of it, and the rule of lib/crdt/MERGE.md that this leaves.

import { printable } from '../sites/tree-snapshot.js';
import { renderTable } from '../../lib/cli/text-table.js';
import type { Scenario } from './scenario.js';
import { allPaths, type PathStat, type SiteTree } from './site-tree.js';
import type { ListedConflict, Stage } from './stage.js';
import type { Spectator } from './play-scenario.js';

/** What a site shows at a path. */
interface Sight extends PathStat {
  /** Content, or target of a symlink. */
  readonly text: string;
  readonly xattrs: ReadonlyMap<string, string>;
}
type View = ReadonlyMap<string, Sight>;

const TEXT_CHARS = 28;
const MOST_ROWS = 40;

export class MergeReport implements Spectator {
  /** One text per step at which something changed somewhere. */
  readonly tables: string[] = [];
  /** What all sites showed when they last showed the same. */
  private common: View = new Map();
  private before = new Map<string, View>();

  constructor(
    private readonly scenario: Scenario,
    private readonly stage: Stage,
  ) {}

  async beforeMerging(): Promise<void> {
    this.before = await this.views();
  }

  async afterMerging(step: string, wereApart: boolean): Promise<void> {
    const after = await this.views();
    const conflicts = new Map<string, readonly ListedConflict[]>();
    for (const site of after.keys()) conflicts.set(site, await this.stage.conflicts(site));
    const table = tableOf({ common: this.common, before: this.before, after }, conflicts);
    if (wereApart && table !== null) this.tables.push(`${step}\n${table.replace(/^/gm, '  ')}`);
    const views = [...after.values()];
    if (after.size === this.scenario.sites.length && areAllAlike(views)) this.common = views[0]!;
  }

  private async views(): Promise<Map<string, View>> {
    const views = new Map<string, View>();
    for (const site of this.scenario.sites)
      if (this.stage.isAlive(site)) views.set(site, await viewOf(this.stage.tree(site)));
    return views;
  }
}

async function viewOf(tree: SiteTree): Promise<View> {
  const view = new Map<string, Sight>();
  for (const path of await allPaths(tree)) {
    const stat = await tree.stat(path);
    const text =
      stat.type === 'file' ? await tree.read(path) : stat.type === 'symlink' ? await tree.readlink(path) : '';
    view.set(path, { ...stat, text, xattrs: await tree.xattrs(path) });
  }
  return view;
}

interface Merging {
  readonly common: View;
  readonly before: ReadonlyMap<string, View>;
  readonly after: ReadonlyMap<string, View>;
}

/** Null when nothing was merged: at most one site had changed anything since they were the same. */
function tableOf(merging: Merging, conflicts: ReadonlyMap<string, readonly ListedConflict[]>): string | null {
  const { common, before, after } = merging;
  const writers = [...before.values()].filter((view) => !areAllAlike([view, common]));
  if (writers.length < 2) return null;
  const views = [...before.values(), ...after.values()];
  const paths = [...new Set(views.flatMap((view) => [...view.keys()]))].toSorted();
  const changed = paths.filter((path) =>
    [...after].some(([site, view]) => differs(view.get(path), before.get(site)?.get(path))),
  );
  if (changed.length === 0) return null;
  const isAlike = areAllAlike([...after.values()]);
  const heading = [
    'PATH',
    ...[...before.keys()].map((site) => `BEFORE, ${site}`),
    ...(isAlike ? ['AFTER'] : [...after.keys()].map((site) => `AFTER, ${site}`)),
    'WHY',
  ];
  const columns = [...before.values(), ...[...after.values()].slice(0, isAlike ? 1 : after.size)];
  const told = changed.filter((path) => !comesWithItsDirectory(path, changed, [...views, common]));
  const rows = told.slice(0, MOST_ROWS).map((path) => {
    return [printable(path), ...cells(columns.map((view) => view.get(path))), reason(path, merging, conflicts)];
  });
  const rest = [
    told.length > MOST_ROWS ? `${told.length - MOST_ROWS} more` : '',
    changed.length > told.length ? `${count(changed.length - told.length)} with the directory above` : '',
    paths.length > changed.length ? `${count(paths.length - changed.length)} as before` : '',
  ].filter((text) => text !== '');
  return [renderTable([heading, ...rows]), ...(rest.length > 0 ? [`… and ${rest.join(', ')}`] : [])].join('\n');
}

function count(paths: number): string {
  return `${paths} ${paths === 1 ? 'path' : 'paths'}`;
}

/** A path that is the same wherever its directory is, and is nowhere else. */
function comesWithItsDirectory(path: string, changed: readonly string[], views: readonly View[]): boolean {
  const directory = path.slice(0, Math.max(0, path.lastIndexOf('/')));
  if (!changed.includes(directory)) return false;
  const sights = views.map((view) => view.get(path)).filter((sight) => sight !== undefined);
  return views.every((view) => view.has(path) === view.has(directory)) && areAlike(sights);
}

/** What is told apart in a row: attributes only where they differ. */
function cells(sights: readonly (Sight | undefined)[]): string[] {
  const there = sights.filter((sight) => sight !== undefined);
  const varies = (of: (sight: Sight) => string): boolean => new Set(there.map(of)).size > 1;
  const shown: ((sight: Sight) => string)[] = [
    (sight) => octal(sight.mode),
    (sight) => `${sight.uid}:${sight.gid}`,
    (sight) => [...sight.xattrs].map(([name, value]) => `${name}=${printable(value)}`).join(' '),
  ];
  const attributes = shown.filter((of) => varies(of));
  if (there.every(({ type }) => type !== 'directory')) {
    if (varies(({ nlink }) => String(nlink))) attributes.push(({ nlink }) => (nlink > 1 ? `${nlink} names` : ''));
    if (!varies(({ text }) => text) && varies(({ mtimeNs }) => String(mtimeNs))) attributes.push(mtime);
  }
  return sights.map((sight) => {
    if (!sight) return '-';
    return [content(sight), ...attributes.map((of) => of(sight))].filter((word) => word !== '').join(' ');
  });
}

function content({ type, text }: Sight): string {
  if (type === 'symlink') return `-> ${printable(text)}`;
  if (type !== 'file') return type;
  const short = text.length > TEXT_CHARS ? `${text.slice(0, TEXT_CHARS)}…` : text;
  return JSON.stringify(short).replace(/[^\x20-\x7e…]/g, printable);
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

function mtime({ mtimeNs }: Sight): string {
  return new Date(Number(mtimeNs / 1_000_000n)).toISOString().replace('.000Z', 'Z');
}

// ── reasons ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

const ATTRIBUTE_KINDS: ReadonlySet<string> = new Set(['mode', 'owner', 'group', 'attribute']);

function reason(
  path: string,
  { common, before, after }: Merging,
  conflicts: ReadonlyMap<string, readonly ListedConflict[]>,
): string {
  // What was made of attributes says more than who set them to what.
  const told = [...conflicts.values()].flat().filter((one) => one.path === path && !ATTRIBUTE_KINDS.has(one.kind));
  if (told.length > 0) return [...new Set(told.map((conflict) => printable(conflict.reason)))].join('; ');
  const seen = [...after.values()].map((view) => view.get(path));
  if (!areAlike(seen)) return 'has not reached all';
  const now = seen[0];
  const sides = [...before].map(([site, view]) => {
    const [sight, was] = [view.get(path), common.get(path)];
    const isNew = sight !== undefined && was !== undefined && sight.inode !== was.inode;
    return { site, sight, was: isNew ? undefined : was, isChanged: isNew || differs(sight, was) };
  });
  const writers = sides.filter(({ isChanged }) => isChanged);
  if (!now) {
    const place = placeOf(sides.find(({ sight }) => sight)?.sight, [...after.values()][0]!);
    if (place !== undefined) return `is at ${printable(place)}`;
    const removers = writers.filter(({ sight }) => !sight);
    const others = writers.filter(({ sight }) => sight);
    if (others.length === 0) return `removed at ${names(removers)}`;
    return `removed at ${names(removers) || 'another site'}; what ${names(others)} changed of it does not keep it`;
  }
  if (sides.every(({ sight }) => !sight)) {
    for (const [site, view] of before) {
      const place = placeOf(now, view);
      if (place !== undefined) return `was at ${printable(place)} at ${site}`;
    }
    return 'was written by a merge';
  }
  const removed = writers.filter(({ sight }) => !sight);
  const kept = writers.filter(({ sight }) => sight);
  if (kept.length === 0) {
    if (removed.length === 0) return 'nobody changed it';
    const place = placeOf(now, before.get(removed[0]!.site)!);
    if (place !== undefined) return `stays; ${names(removed)} had it at ${printable(place)}`;
    return `removed at ${names(removed)}, but something in it is not`;
  }
  if (kept.length === 1) {
    const { site, sight, was } = kept[0]!;
    const from = was ? undefined : placeOf(sight, common);
    const verb = was ? 'changed it' : from === undefined ? 'made it' : `moved it from ${printable(from)}`;
    return removed.length > 0 ? `${site} ${verb}, ${names(removed)} removed it` : `only ${site} ${verb}`;
  }
  return manyWriters(kept, now, policyAt(path, [...after.values()][0]!));
}

function names(sides: readonly { readonly site: string }[]): string {
  return sides.map(({ site }) => site).join(' and ');
}

/** The reasons for what was made of a path that several sites changed. */
function manyWriters(
  writers: readonly { readonly site: string; readonly sight: Sight | undefined; readonly was: Sight | undefined }[],
  now: Sight,
  policy: string | undefined,
): string {
  const sights = writers.map(({ site, sight, was }) => ({ site, was, ...sight! }));
  if (areAlike(sights)) return `alike at ${sights.map(({ site }) => site).join(' and ')}`;
  const types = new Set(sights.map(({ type }) => type));
  if (types.size > 1 && now.type === 'directory') return 'a directory keeps its name';
  const reasons: string[] = [];
  /** Adds why `of` is what it is, where the sites do not agree on it. */
  const tell = (what: string, rule: string, of: (sight: Sight) => string): void => {
    if (new Set(sights.map((sight) => of(sight))).size === 1) return;
    const changed = sights.filter((sight) => !sight.was || of(sight) !== of(sight.was));
    const isTaken = changed.length === 1 && of(changed[0]!) === of(now);
    reasons.push(isTaken ? `${what} as at ${changed[0]!.site}` : rule);
  };
  const isOneInode = new Set(sights.map(({ inode }) => inode)).size === 1;
  const last = sights.filter((sight) => contentOf(sight) === contentOf(now)).map(({ site }) => site);
  if (types.has('directory') && types.size === 1) {
    if (!isOneInode) reasons.push('one directory, with what each put into it');
  } else if (last.length === 0) reasons.push(`merged${policy === undefined ? '' : ` (${policy})`}`);
  else if (!isOneInode) reasons.push(`${last.join(' and ')} gave it the name last`);
  else tell('content', `${last.join(' and ')} wrote it last`, contentOf);
  tell('mode', 'mode: bit by bit, the stricter where both changed one', ({ mode }) => octal(mode));
  tell('owner', 'owner and group: each the last', ({ uid, gid }) => `${uid}:${gid}`);
  tell('attributes', 'attributes: each the last, set beats removed', attributesText);
  if (last.length === sights.length) tell('time', 'the last time that was set', mtime);
  return reasons.length > 0 ? reasons.join('; ') : 'the last of them';
}

/** Two sites show the same when this is the same. */
function contentOf({ type, text }: Sight): string {
  return `${type} ${text}`;
}

/** `user.weft.merge` of a file, or of the nearest directory above it that has one. */
function policyAt(path: string, view: View): string | undefined {
  for (let at = path; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('/')))) {
    const policy = view.get(at)?.xattrs.get('user.weft.merge');
    if (policy !== undefined) return policy;
  }
  return undefined;
}

function placeOf(sight: Sight | undefined, view: View): string | undefined {
  if (!sight) return undefined;
  for (const [path, { inode }] of view) if (inode === sight.inode) return path;
  return undefined;
}

function areAllAlike(views: readonly View[]): boolean {
  const paths = new Set(views.flatMap((view) => [...view.keys()]));
  return [...paths].every((path) => areAlike(views.map((view) => view.get(path))));
}

function areAlike(sights: readonly (Sight | undefined)[]): boolean {
  return sights.every((sight) => !differs(sight, sights[0]));
}

/** In anything that a person would call a change; the times of directories follow from what is in them. */
function differs(a: Sight | undefined, b: Sight | undefined): boolean {
  if (!a || !b) return a !== b;
  const isFile = a.type !== 'directory';
  return (
    a.type !== b.type ||
    a.text !== b.text ||
    a.mode !== b.mode ||
    a.uid !== b.uid ||
    a.gid !== b.gid ||
    (isFile && (a.nlink !== b.nlink || a.mtimeNs !== b.mtimeNs)) ||
    attributesText(a) !== attributesText(b)
  );
}

function attributesText({ xattrs }: Sight): string {
  return JSON.stringify([...xattrs].toSorted());
}
