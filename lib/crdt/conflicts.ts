// conflicts.ts — what is in conflict in the tree as it stands, for people: where, who, when and why.
// Invariant: sorted by directory and name, and the same at every site that shows the same tree. It settles nothing: that is done by
// ordinary operations (local-writes.ts). Merged directories, equal files that are hidden behind one another, and attributes that
// several set to one value are no conflict. Costs what is in conflict, not what there is.

import { contestedAttributes, settingsOf } from './attribute-conflicts.js';
import { DirectoryTree } from './directory-tree.js';
import { linkField, parseHead, parseLink } from './fields.js';
import { attributesOf, isDirectory } from './inode-attributes.js';
import type { FileType, Place } from './fields.js';
import { FIRST_LINK, ROOT_INO } from './ids.js';
import type { ActorTable, Ino, LinkId, Name } from './ids.js';
import type { Entry, Inode } from './inode.js';
import { SiteNames } from './names.js';
import { directoryPlacement } from './placement.js';
import type { Claimant } from './placement.js';
import { compareEntries, sameOp } from './register.js';
import type { Claim, TreeStore } from './tree-store.js';

export type ConflictKind =
  /** A version of a file that lost to another, shown as a copy beside it. */
  | 'copy'
  /** Another file or directory has the name; this one is shown under a suffixed one. */
  | 'name'
  /** Removed at one site and changed at another meanwhile: it is back. */
  | 'revived'
  /** Moved at one site and removed at another meanwhile: it stays where it was moved. */
  | 'removed-elsewhere'
  /** Moved at two sites to different places: it is at the later one. */
  | 'moved-elsewhere'
  /** A directory whose move would have put it inside itself. */
  | 'move-deferred'
  /** Permissions, owner, group or an extended attribute set at two sites to different values. */
  | 'mode'
  | 'owner'
  | 'group'
  | 'attribute';

/** A write that takes part in a conflict, and what it made of the thing. */
export interface Side {
  /** The site's name as file names spell it; '?' when it is not known. */
  readonly site: Name;
  /** Microseconds since 1970. */
  readonly stamp: number;
  /** Names from the root to where it is shown, or would be had it won; undefined for a removal. */
  readonly path: readonly Name[] | undefined;
  /** What kind of thing it is; undefined for a removal. */
  readonly type: FileType | undefined;
  /** Bytes of a file's content or of a symlink's target; undefined for removals and for what has none. */
  readonly size: number | undefined;
  /** The owner of the thing; undefined for a removal. Changes do not say which user made them. */
  readonly uid: number | undefined;
  /** Of an attribute what is shown, or was set: permissions in octal, an id, bytes; undefined: removed. */
  readonly value: string | undefined;
}

export interface Conflict {
  readonly kind: ConflictKind;
  /** What is shown at `path`, and the link by which it is. */
  readonly ino: Ino;
  readonly link: LinkId;
  /** Names from the root to what lost, or to what is in conflict with itself. */
  readonly path: readonly Name[];
  /** The entry at the end of `path`; of the root, with an empty name. */
  readonly at: Place;
  /** Of a copy or a lost name the entry of the winner; of a move the place that did not come about. */
  readonly other: Place | undefined;
  /** The name of an extended attribute. */
  readonly attribute: string | undefined;
  readonly winner: Side;
  readonly loser: Side;
  readonly why: string;
}

/** Every conflict of the tree. */
export function listConflicts(store: TreeStore, actors: ActorTable): Conflict[] {
  const list = new ConflictList(store, actors);
  for (const parent of ascending(store.contestedDirectories())) list.addNames(parent);
  for (const ino of ascending(store.deferred().keys())) list.addDeferred(ino);
  for (const ino of ascending(store.attributeContests())) list.addAttributes(ino);
  return list.conflicts;
}

/** The conflicts of the entries of one directory; with those of the root those of the root itself. */
export function conflictsIn(store: TreeStore, actors: ActorTable, directory: Ino): Conflict[] {
  const list = new ConflictList(store, actors);
  list.addNames(directory);
  for (const ino of ascending(store.deferred().keys())) list.addDeferred(ino, directory);
  for (const ino of ascending(store.attributeContests())) list.addAttributes(ino, directory);
  return list.conflicts;
}

function ascending(inos: Iterable<Ino>): Ino[] {
  return [...inos].toSorted((a, b) => a - b);
}

class ConflictList {
  readonly conflicts: Conflict[] = [];
  readonly #store: TreeStore;
  readonly #actors: ActorTable;
  readonly #tree: DirectoryTree;
  readonly #sites: SiteNames;

  constructor(store: TreeStore, actors: ActorTable) {
    this.#store = store;
    this.#actors = actors;
    this.#tree = new DirectoryTree(store, actors);
    this.#sites = new SiteNames(store, actors);
  }

  addNames(parent: Ino): void {
    for (const base of this.#store.contestedNames(parent).toSorted()) this.#addName(parent, base);
  }

  #addName(parent: Ino, base: Name): void {
    const claims = this.#store.claims(parent, base);
    const winner = this.#claimant(claims[0]!);
    for (const claim of claims) {
      if (claim.shown === null) continue;
      const at = { parent, name: claim.shown };
      if (this.#store.copy(claim.ino)) {
        this.#addCopy(claim.ino, at, claims);
        continue;
      }
      const claimant = this.#claimant(claim);
      if (claimant.ino !== winner.ino) {
        const other = { parent, name: base };
        const sides = [
          this.#thing(winner.entry, winner.ino, other),
          this.#thing(claimant.entry, claim.ino, at),
        ] as const;
        const why = `${sides[1].site} and ${sides[0].site} gave one name to different things`;
        this.#add('name', claim, at, other, sides, why);
      }
      if (claimant.revived) this.#addRevived(claimant, at);
      else if (claimant.contended) this.#addContended(claimant, at);
    }
  }

  #claimant({ ino, link }: Claim): Claimant {
    return this.#tree.claims(this.#store.inode(ino)!).find((claim) => claim.link === link)!;
  }

  #addCopy(ino: Ino, at: Place, rivals: readonly Claim[]): void {
    const copy = this.#store.copy(ino)!;
    const source = this.#store.inode(copy.source)!;
    const heads = source.registers.get('head')!;
    const version = heads.find((head) => sameOp(head, copy))!;
    const other = { parent: at.parent, name: rivals.find((rival) => rival.ino === copy.source)?.shown ?? at.name };
    const { uid } = attributesOf(source);
    const sideOf = (head: Entry, place: Place): Side => {
      const { size } = parseHead(head.value);
      return { ...this.#side(head), path: this.#pathTo(place), type: 'f', size, uid };
    };
    const sides = [sideOf(heads[0]!, other), sideOf(version, at)] as const;
    const why = `written at ${sides[1].site} while ${sides[0].site} wrote another version`;
    this.#add('copy', { ino, link: FIRST_LINK }, at, other, sides, why);
  }

  #addRevived(claimant: Claimant, at: Place): void {
    const winner = this.#thing(this.#reviver(claimant), claimant.ino, at);
    const loser = this.#side(this.#removal(claimant));
    const why = `removed at ${loser.site} while ${winner.site} changed it`;
    this.#add('revived', claimant, at, undefined, [winner, loser], why);
  }

  /** What kept a removed thing alive: its latest content, or for a directory the last change to itself that is known. */
  #reviver({ ino, entry }: Claimant): Entry {
    const registers = this.#store.inode(ino)!.registers;
    return registers.get('head')?.[0] ?? registers.get('times')?.[0] ?? entry;
  }

  /** The write that removed it; of a file that came back the claim's own entry is the content. */
  #removal({ ino, link, entry }: Claimant): Entry {
    return this.#store.inode(ino)!.registers.get(linkField(link))?.[0] ?? entry;
  }

  #addContended(claimant: Claimant, at: Place): void {
    const { ino, link, entry } = claimant;
    const winner = this.#thing(entry, ino, at);
    for (const rival of this.#store.inode(ino)!.registers.get(linkField(link)) ?? []) {
      if (sameOp(rival, entry)) continue;
      const value = parseLink(rival.value);
      if (value.kind === 'tombstone') {
        const loser = this.#side(rival);
        const why = `removed at ${loser.site} while ${winner.site} moved it`;
        this.#add('removed-elsewhere', claimant, at, undefined, [winner, loser], why);
      } else {
        const other = { parent: this.#tree.home(value.parent), name: value.name };
        const loser = this.#thing(rival, ino, other);
        if (other.parent === this.#tree.home(claimant.parent) && other.name === claimant.name) continue;
        const why = `moved by ${loser.site} while ${winner.site} moved it elsewhere`;
        this.#add('moved-elsewhere', claimant, at, other, [winner, loser], why);
      }
    }
  }

  /** @param within only when it is an entry of this directory; so for attributes */
  addDeferred(ino: Ino, within?: Ino): void {
    const inode = this.#store.inode(ino);
    if (!inode || !isDirectory(inode) || (inode.nlink === 0 && this.#store.alias(ino) === undefined)) return;
    const { first } = directoryPlacement(inode);
    const held = this.#tree.edge(ino)!;
    const at = this.#placeOf(this.#tree.home(ino));
    if (within !== undefined && at.parent !== within) return;
    const other = { parent: this.#tree.home(first.parent), name: first.into ? '' : first.name };
    const winner = this.#thing(this.#obstacle(ino, first.parent) ?? held.entry, ino, at);
    const loser = this.#thing(first.entry, ino, other);
    const why = `the move at ${loser.site} would put it inside itself, because of a move at ${winner.site}`;
    this.#add('move-deferred', { ino, link: FIRST_LINK }, at, other, [winner, loser], why);
  }

  /** The latest move among the directories from `within` up to this one: without it, this one could go there. */
  #obstacle(ino: Ino, within: Ino): Entry | undefined {
    const seen = new Set<Ino>();
    let latest: Entry | undefined;
    for (let at = this.#tree.home(within); at !== ino;) {
      const edge = this.#tree.edge(at);
      if (!edge || seen.has(at)) return undefined;
      seen.add(at);
      const isMove = !edge.into && !edge.lowest && parseLink(edge.entry.value).kind === 'place' && !edge.birth;
      if (isMove && (!latest || compareEntries(edge.entry, latest, this.#actors) > 0)) latest = edge.entry;
      at = this.#tree.home(edge.parent);
    }
    return latest;
  }

  addAttributes(ino: Ino, within?: Ino): void {
    const inode = this.#store.inode(ino);
    if (!inode || inode.nlink === 0 || this.#store.alias(ino) !== undefined) return;
    const claim = ino === ROOT_INO ? undefined : this.#tree.claims(inode)[0];
    const at = ino === ROOT_INO ? { parent: ROOT_INO, name: '' } : claim && this.#shownPlace(claim);
    if (!at || (within !== undefined && at.parent !== within)) return;
    for (const field of contestedAttributes(inode)) {
      const { kind, attribute, settings, shown } = settingsOf(inode, field);
      const path = this.#pathTo(at);
      const { type, uid } = attributesOf(inode);
      const sideOf = (entry: Entry, value: string | undefined): Side => {
        return { ...this.#side(entry), path, type, uid, value };
      };
      const [first, ...rest] = settings;
      for (const { entry, value } of rest) {
        const winner = sideOf(first!.entry, shown);
        const loser = sideOf(entry, value);
        const why = `${attribute ?? kind} set to ${value ?? 'nothing'} at ${loser.site} while ${winner.site} set it to ${first!.value ?? 'nothing'}`;
        this.#add(kind, { ino, link: claim?.link ?? FIRST_LINK }, at, undefined, [winner, loser], why, attribute);
      }
    }
  }

  #add(
    kind: ConflictKind,
    { ino, link }: { ino: Ino; link: LinkId },
    at: Place,
    other: Place | undefined,
    [winner, loser]: readonly [Side, Side],
    why: string,
    attribute?: string,
  ): void {
    this.conflicts.push({ kind, ino, link, path: this.#pathTo(at), at, other, attribute, winner, loser, why });
  }

  /** A side of which nothing but its writer is known. */
  #side(entry: Entry): Side {
    const site = this.#sites.of(entry.actor);
    const nothing = { path: undefined, type: undefined, size: undefined, uid: undefined, value: undefined };
    return { site, stamp: entry.stamp, ...nothing };
  }

  /** A side that is an inode at a place. */
  #thing(entry: Entry, ino: Ino, place: Place): Side {
    const inode: Inode = this.#store.inode(ino)!;
    const { type, uid, size } = attributesOf(inode);
    const hasSize = type === 'f' || type === 'l';
    return { ...this.#side(entry), path: this.#pathTo(place), type, uid, size: hasSize ? size : undefined };
  }

  /** Where a claim is shown; undefined when it is hidden. */
  #shownPlace({ ino, link, parent, name }: Claimant): Place | undefined {
    const home = this.#tree.home(parent);
    const rivals = this.#store.claims(home, name);
    if (rivals.length === 0) return { parent: home, name };
    const shown = rivals.find((rival) => rival.ino === ino && rival.link === link)?.shown;
    return shown ? { parent: home, name: shown } : undefined;
  }

  /** Where a directory is, as far as is known. */
  #placeOf(directory: Ino): Place {
    const edge = this.#tree.edge(directory);
    if (!edge) return { parent: ROOT_INO, name: '' };
    const parent = this.#tree.home(edge.parent);
    const rivals = this.#store.claims(parent, edge.name);
    return { parent, name: rivals.find((rival) => rival.ino === directory)?.shown ?? edge.name };
  }

  /** Names from the root to a place, of which the last may not exist. */
  #pathTo({ parent, name }: Place): Name[] {
    const names = name === '' ? [] : [name];
    const seen = new Set<Ino>();
    for (let at = this.#tree.home(parent); at !== ROOT_INO && !seen.has(at);) {
      seen.add(at);
      if (!this.#tree.edge(at)) break;
      const place = this.#placeOf(at);
      names.unshift(place.name);
      at = place.parent;
    }
    return names;
  }
}
