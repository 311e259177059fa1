// check-expectation.ts — one `expect` line at one site: what is wrong, in words, or nothing.

import { printable } from '../sites/tree-snapshot.js';
import { fits, isExact } from './pattern.js';
import type { AttributeName, Expectation, Pattern } from './scenario.js';
import { allPaths, type OpenFile, type SiteTree } from './site-tree.js';
import type { ListedConflict } from './stage.js';

/** An expectation that can be checked at one site; `same` needs all of them. */
export type SiteExpectation = Exclude<Expectation, { that: 'same' }>;

/** What a site shows. */
export interface Shown {
  readonly tree: SiteTree;
  readonly handles: ReadonlyMap<string, { readonly file: OpenFile }>;
  readonly conflicts: () => Promise<readonly ListedConflict[]>;
}

/** Null when the expectation holds, else what was found instead. */
export async function checkExpectation(at: Shown, expectation: SiteExpectation): Promise<string | null> {
  const { tree } = at;
  switch (expectation.that) {
    case 'exists':
      return withoutMatch(tree, expectation.patterns, false);
    case 'absent':
      return withoutMatch(tree, expectation.patterns, true);
    case 'cat':
      return differs(quoted(await tree.read(expectation.path)), quoted(expectation.text));
    case 'copies': {
      const paths = (await allPaths(tree)).filter((path) => fits(expectation.pattern, path));
      const texts: string[] = [];
      for (const path of paths) if ((await tree.stat(path)).type === 'file') texts.push(await tree.read(path));
      const shown = (list: readonly string[]): string =>
        list
          .map((text) => quoted(text))
          .toSorted()
          .join(' ') || 'none';
      return differs(shown(texts), shown(expectation.texts));
    }
    case 'names':
      return misfit(await tree.list(expectation.path), expectation.patterns);
    case 'attribute':
      return differs(await attribute(tree, expectation.path, expectation.attribute), expectation.value);
    case 'xattr': {
      const value = (await tree.xattrs(expectation.path)).get(expectation.name);
      return differs(value === undefined ? 'no such attribute' : quoted(value), quoted(expectation.value));
    }
    case 'no xattr': {
      const value = (await tree.xattrs(expectation.path)).get(expectation.name);
      return value === undefined ? null : `there is ${printable(quoted(value))}`;
    }
    case 'reads': {
      const file = at.handles.get(expectation.handle)?.file;
      if (!file) return `no handle ${expectation.handle} is open here`;
      return differs(quoted(await file.read()), quoted(expectation.text));
    }
    case 'linked': {
      const inodes: number[] = [];
      for (const path of expectation.paths) inodes.push((await tree.stat(path)).inode);
      return new Set(inodes).size === 1 ? null : `different inodes: ${inodes.join(', ')}`;
    }
    case 'conflict': {
      const { pattern, kinds } = expectation;
      const found = (await at.conflicts()).filter(({ path }) => fits(pattern, path)).map(({ kind }) => kind);
      return differs(found.toSorted().join(' ') || 'none', kinds.toSorted().join(' '));
    }
    case 'conflicts': {
      const found = await at.conflicts();
      const shown = found.map(({ path, kind }) => `${kind} ${path}`).join(', ') || 'none';
      return found.length === expectation.count ? null : `found ${printable(shown)}`;
    }
  }
}

async function withoutMatch(tree: SiteTree, patterns: readonly Pattern[], absent: boolean): Promise<string | null> {
  const paths = await allPaths(tree);
  for (const pattern of patterns) {
    const matches = paths.filter((path) => fits(pattern, path));
    if (absent && matches.length > 0) return `there is ${matches.map((path) => printable(path)).join(', ')}`;
    if (!absent && matches.length === 0) {
      return `nothing fits ${printable(pattern.text)}; there is ${paths.map((path) => printable(path)).join(', ') || 'nothing'}`;
    }
  }
  return null;
}

/** Names and patterns must pair off one to one; exact patterns first, so that `a a*` pairs with `a ab`. */
function misfit(names: readonly string[], patterns: readonly Pattern[]): string | null {
  const left = new Set(names);
  const ordered = patterns.toSorted((a, b) => Number(isExact(b)) - Number(isExact(a)));
  for (const pattern of ordered) {
    const match = [...left].find((name) => fits(pattern, name));
    if (match === undefined) return `nothing fits ${printable(pattern.text)}; ${listed(names)}`;
    left.delete(match);
  }
  return left.size === 0
    ? null
    : `not expected: ${[...left].map((name) => printable(name)).join(', ')}; ${listed(names)}`;
}

function listed(names: readonly string[]): string {
  return `there is ${names.map((name) => printable(name)).join(', ') || 'nothing'}`;
}

async function attribute(tree: SiteTree, path: string, name: AttributeName): Promise<string> {
  const stat = await tree.stat(path);
  switch (name) {
    case 'mode':
      return stat.mode.toString(8).padStart(4, '0');
    case 'type':
      return stat.type;
    case 'nlink':
      return String(stat.nlink);
    case 'owner':
      return `${stat.uid}:${stat.gid}`;
    case 'target':
      return tree.readlink(path);
    case 'mtime':
      return String(Number(stat.mtimeNs / 1000n) / 1e6);
  }
}

function differs(found: string, expected: string): string | null {
  return found === expected ? null : `found ${printable(found)}, expected ${printable(expected)}`;
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
