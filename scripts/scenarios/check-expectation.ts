// check-expectation.ts — one `expect` line at one site: what is wrong, in words, or nothing.

import { promises as fs } from 'node:fs';
import { allPaths, entryType, namesIn, pathBytes, printable } from '../sites/tree-snapshot.js';
import { readXattrs } from '../sites/system-calls.js';
import { fits, isExact } from './pattern.js';
import type { AttributeName, Expectation, Pattern } from './scenario.js';

/** An expectation that can be checked at one site; `same` needs all of them. */
export type SiteExpectation = Exclude<Expectation, { that: 'same' }>;

/** Null when the expectation holds at the tree that is mounted at `root`, else what was found instead. */
export async function checkExpectation(
  root: string,
  expectation: SiteExpectation,
  conflictCount: () => Promise<number>,
): Promise<string | null> {
  switch (expectation.that) {
    case 'exists':
      return withoutMatch(root, expectation.patterns, false);
    case 'absent':
      return withoutMatch(root, expectation.patterns, true);
    case 'cat':
      return differs(quoted(await content(root, expectation.path)), quoted(expectation.text));
    case 'copies': {
      const paths = allPaths(root).filter((path) => fits(expectation.pattern, path));
      const texts = await Promise.all(paths.map((path) => content(root, path)));
      const shown = (list: readonly string[]): string =>
        list
          .map((text) => quoted(text))
          .toSorted()
          .join(' ') || 'none';
      return differs(shown(texts), shown(expectation.texts));
    }
    case 'names':
      return misfit(namesIn(pathBytes(root, expectation.path)), expectation.patterns);
    case 'attribute':
      return differs(await attribute(root, expectation.path, expectation.attribute), expectation.value);
    case 'xattr': {
      const value = readXattrs(pathBytes(root, expectation.path)).get(expectation.name)?.toString('latin1');
      return differs(value === undefined ? 'no such attribute' : quoted(value), quoted(expectation.value));
    }
    case 'linked': {
      const inodes = await Promise.all(
        expectation.paths.map(async (path) => (await fs.lstat(pathBytes(root, path), { bigint: true })).ino),
      );
      return new Set(inodes).size === 1 ? null : `different inodes: ${inodes.join(', ')}`;
    }
    case 'conflicts':
      return differs(String(await conflictCount()), String(expectation.count));
  }
}

function withoutMatch(root: string, patterns: readonly Pattern[], absent: boolean): string | null {
  const paths = allPaths(root);
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

async function attribute(root: string, path: string, name: AttributeName): Promise<string> {
  const bytes = pathBytes(root, path);
  const stat = await fs.lstat(bytes, { bigint: true });
  switch (name) {
    case 'mode':
      return (stat.mode & 0o7777n).toString(8).padStart(4, '0');
    case 'type':
      return entryType(stat);
    case 'nlink':
      return String(stat.nlink);
    case 'owner':
      return `${stat.uid}:${stat.gid}`;
    case 'target':
      return (await fs.readlink(bytes, { encoding: 'buffer' })).toString('latin1');
    case 'mtime':
      return String(Number(stat.mtimeNs / 1000n) / 1e6);
  }
}

async function content(root: string, path: string): Promise<string> {
  return fs.readFile(pathBytes(root, path), 'latin1');
}

function differs(found: string, expected: string): string | null {
  return found === expected ? null : `found ${printable(found)}, expected ${printable(expected)}`;
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
