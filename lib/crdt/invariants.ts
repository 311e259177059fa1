// invariants.ts — what must hold of every tree after every merge (MERGE.md, last section), checked from the outside.
// Invariant: reads only; says in words what is wrong. That the tree is the right one is projection.ts's to say; this says that it is
// a tree, that nothing that lives is lost from it, and that every version that nobody gave up can be read.

import { hasContestedAttributes } from './attribute-conflicts.js';
import { typeBits, DIRECTORY_DIRENT_TYPE } from './fields.js';
import { attributesOf, isDirectory } from './inode-attributes.js';
import { ROOT_INO, VOLUME_INO } from './ids.js';
import type { ActorTable, Ino, ObjectId } from './ids.js';
import { direntsOf } from './liveness.js';
import { directoryPlacement, fileClaims } from './placement.js';
import { nameError } from './register-schema.js';
import { sameOp } from './register.js';
import type { TreeStore } from './tree-store.js';

/** Everything that is wrong with the tree of a store; empty when nothing is. Reads all of it. */
export function checkInvariants(store: TreeStore, actors: ActorTable): string[] {
  return new Checker(store, actors).wrong;
}

class Checker {
  readonly wrong: string[] = [];
  readonly #store: TreeStore;
  readonly #actors: ActorTable;
  readonly #links = new Map<Ino, number>();
  readonly #subdirectories = new Map<Ino, number>();
  /** Contents that can be read at some path. */
  readonly #readable = new Set<ObjectId>();

  constructor(store: TreeStore, actors: ActorTable) {
    this.#store = store;
    this.#actors = actors;
    if (!store.inode(ROOT_INO)) return; // nothing was received yet
    this.#walk();
    for (const ino of store.inodes()) if (ino !== VOLUME_INO) this.#checkInode(ino);
  }

  #expect(holds: boolean, what: () => string): void {
    if (!holds) this.wrong.push(what());
  }

  #walk(): void {
    const store = this.#store;
    this.#links.set(ROOT_INO, 1);
    const toRead: Ino[] = [ROOT_INO];
    for (let parent = toRead.pop(); parent !== undefined; parent = toRead.pop()) {
      const directory = parent;
      const names = new Set<string>();
      for (const { name, ino, type } of direntsOf(store, directory)) {
        const at = `${directory}/${name}`;
        this.#expect(!names.has(name), () => `${at}: the name is there twice`);
        names.add(name);
        const badName = nameError(name);
        this.#expect(badName === undefined, () => `${at}: ${badName}`);
        const links = this.#links.get(ino) ?? 0;
        this.#links.set(ino, links + 1);
        if (type === DIRECTORY_DIRENT_TYPE) {
          this.#expect(links === 0, () => `${at}: directory ${ino} has a second parent`);
          this.#subdirectories.set(directory, (this.#subdirectories.get(directory) ?? 0) + 1);
          if (links === 0) toRead.push(ino);
        }
        this.#checkDirent(at, ino, type);
      }
    }
  }

  #checkDirent(at: string, ino: Ino, type: number): void {
    const copy = this.#store.copy(ino);
    const inode = this.#store.inode(copy ? copy.source : ino);
    if (!inode) {
      this.wrong.push(`${at}: inode ${ino} is not there`);
      return;
    }
    const attributes = attributesOf(inode);
    this.#expect(typeBits(attributes.type) >> 12 === type, () => `${at}: d_type ${type} of a '${attributes.type}'`);
    if (!copy) {
      if (attributes.head) this.#readable.add(attributes.head.manifest);
      return;
    }
    this.#expect(!this.#store.inode(ino)?.registers.has('born'), () => `${at}: a copy that is a file of its own`);
    const version = attributes.heads.find((head) => sameOp(head, copy));
    if (version) this.#readable.add(version.manifest);
    else this.wrong.push(`${at}: copy of a version that file ${copy.source} has not`);
  }

  #checkInode(ino: Ino): void {
    const inode = this.#store.inode(ino)!;
    if (!inode.registers.has('born')) return;
    const isContested = hasContestedAttributes(inode);
    const isNoted = this.#store.attributeContests().has(ino);
    this.#expect(isNoted === isContested, () => `inode ${ino}: contested attributes ${isContested}, noted ${isNoted}`);
    const links = this.#links.get(ino) ?? 0;
    const isShown = links > 0;
    const alias = this.#store.alias(ino);
    this.#expect(!isShown || alias === undefined, () => `directory ${ino} is shown, and merged into ${alias}`);
    if (isDirectory(inode)) {
      const nlink = isShown ? 2 + (this.#subdirectories.get(ino) ?? 0) : 0;
      this.#expect(inode.nlink === nlink, () => `directory ${ino}: nlink ${inode.nlink}, should be ${nlink}`);
      const lives = ino === ROOT_INO || directoryPlacement(inode).placed;
      this.#expect(!lives || isShown || alias !== undefined, () => `directory ${ino} lives and cannot be reached`);
      this.#expect(isShown || !this.#store.hasEntries(ino), () => `directory ${ino} has entries and cannot be reached`);
      return;
    }
    this.#expect(inode.nlink === links, () => `inode ${ino}: nlink ${inode.nlink}, should be ${links}`);
    for (const claim of fileClaims(inode, this.#actors)) {
      const home = this.#store.alias(claim.parent) ?? claim.parent;
      const claims = this.#store.claims(home, claim.name);
      const shown = claims.find((other) => other.ino === ino && other.link === claim.link)?.shown;
      const dirent = this.#store.lookup(home, shown ?? claim.name);
      // A hidden one stands behind something that looks the same.
      const isThere = shown === null ? dirent !== undefined : dirent?.ino === ino;
      this.#expect(isThere, () => `inode ${ino}: its link ${claim.link} at ${home}/${claim.name} cannot be reached`);
    }
    if (fileClaims(inode, this.#actors).length === 0) return;
    for (const { manifest, copyIno } of attributesOf(inode).heads) {
      const isFile = this.#store.inode(copyIno)?.registers.has('born') ?? false;
      this.#expect(
        isFile || this.#readable.has(manifest),
        () => `inode ${ino}: its version ${manifest.slice(0, 8)}… cannot be read anywhere`,
      );
    }
  }
}
