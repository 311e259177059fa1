// source-rules.ts — the rules of this repository that compiler, linter and formatter do not know.
// Pure: a path and its text in, findings out; each names the remedy. The layers are ARCHITECTURE.md's: imports point
// downward, siblings never import each other. Tests may import what they need: they are not part of the product.

import { basename, dirname, posix } from 'node:path';

export interface Finding {
  path: string;
  /** From 1. */
  line: number;
  message: string;
}

/** Lower may not import higher, nor equal unless it is the same folder. Files directly in lib/ are for all. */
const LAYER_RANKS: Record<string, number> = {
  codec: 1,
  crdt: 2,
  journal: 3,
  chunks: 3,
  volume: 4,
  fuse: 5,
  sync: 5,
  daemon: 6,
  cli: 7,
  sim: 7,
};

/** Where the same input must always give the same output. */
const PURE = [
  /^lib\/crdt\//,
  /^lib\/codec\//,
  /^lib\/sync\/(message|message-codec|message-fields|wire-text|frame|credit|version-vector)\.ts$/,
  /^lib\/sync\/(member-vectors|stable-frontier|settling|peer-session)\.ts$/,
  /^lib\/fuse\/(protocol|opcodes|requests|replies|init|dirents|mount-options)\.ts$/,
];

/** Built-in modules without any input or output. */
const HARMLESS_MODULES = new Set(['node:assert', 'node:assert/strict', 'node:buffer']);

/** Of the files directly in lib/, those that the pure files may not import. */
const IMPURE_FOR_ALL = new Set(['lib/file-calls.js', 'lib/file-sync.js']);

const IMPURE_CALLS: readonly [pattern: RegExp, remedy: string][] = [
  [/\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(|\bprocess\.hrtime\b/, 'take the time as an argument'],
  [/\bMath\.random\(|\bcrypto\.random|\brandomUUID\(/, 'take random values as an argument'],
  [/\bset(Timeout|Interval|Immediate)\(/, 'return what is to happen as an effect; the caller owns the timers'],
  [/\bprocess\.(env|cwd|pid|argv)\b/, 'take it as an argument'],
];

/** In a comment's beginning, or with a colon or a name: elsewhere it may be a word of some format (TAP has one). */
const NOTE = '(TO' + 'DO|FIX' + 'ME|XX' + 'X|HA' + 'CK)';
const UNFINISHED = new RegExp(`(//|/\\*|^\\s*\\*)\\s*${NOTE}\\b|\\b${NOTE}[:(]`);
const UNFINISHED_TEST = /\b(test|it|describe|t)\.(only|skip|todo)\(/;
/** A lint rule may be switched off where the line says why, after ` -- `. */
const UNEXPLAINED = new RegExp(`@ts-${'(ignore|nocheck)'}|c8 ${'ignore'}|lint-${'disable'}(?!.* -- \\w)`);
const VAGUE_NAME = /(^|-)(utils?|helpers?|managers?|common|misc|stuff)(-|\.)/;

/** `path` is relative to the repository, with '/'. */
export function checkSource(path: string, text: string): Finding[] {
  const findings: Finding[] = [];
  const report = (line: number, message: string): void => void findings.push({ path, line, message });
  const lines = text.split('\n');
  checkName(path, report);
  checkHeader(path, lines, report);
  checkImports(path, lines, report);
  checkLines(path, lines, report);
  return findings;
}

type Report = (line: number, message: string) => void;

function checkName(path: string, report: Report): void {
  const name = basename(path);
  if (VAGUE_NAME.test(name)) report(1, `${name} says nothing: name the file for its one concept`);
  if (!/^[a-z0-9]+(-[a-z0-9]+)*(\.test|\.test-support|\.d)?\.ts$/.test(name)) {
    report(1, `${name}: name files in kebab-case, tests x.test.ts beside x.ts, what only tests use x.test-support.ts`);
  }
  if (name === 'index.ts') report(1, 'no barrels: import from the file that defines the thing');
}

function checkHeader(path: string, lines: readonly string[], report: Report): void {
  if (path.endsWith('.test.ts')) return;
  const line = lines[0]?.startsWith('#!') ? 1 : 0;
  const header = `// ${basename(path)} — `;
  if (!lines[line]?.startsWith(header)) {
    report(line + 1, `begin the file with "${header}…": what it is, its invariant, what it deliberately is not`);
  }
}

function checkImports(path: string, lines: readonly string[], report: Report): void {
  const layer = layerOf(path);
  const test = isTest(path);
  for (const { line, target } of importsOf(lines)) {
    if (target.startsWith('node:')) {
      if (isPure(path) && !test && !HARMLESS_MODULES.has(target)) {
        report(line, `${target} in a pure file: let the caller do the input and output, and pass values`);
      }
      continue;
    }
    if (!target.startsWith('.')) continue;
    const other = posix.join(dirname(path), target);
    if (/\.test(-support)?\.js$/.test(other) && !test)
      report(line, `${target} is for tests: do not import it from the product`);
    if (isPure(path) && !test && IMPURE_FOR_ALL.has(other)) {
      report(line, `${target} in a pure file: let the caller do the input and output, and pass values`);
    }
    const otherLayer = layerOf(other);
    if (layer === null || test) continue;
    if (!other.startsWith('lib/')) report(line, `lib/ must not import ${other}: move what both need into lib/`);
    else if (otherLayer !== null && otherLayer !== layer && !isBelow(otherLayer, layer)) {
      report(
        line,
        `lib/${layer} must not import lib/${otherLayer}: declare an interface here, and let the layer above pass it in`,
      );
    }
  }
}

function checkLines(path: string, lines: readonly string[], report: Report): void {
  const pure = isPure(path) && !isTest(path);
  for (const [index, text] of lines.entries()) {
    const line = index + 1;
    if (UNFINISHED.test(text)) report(line, 'finish it, or open an issue and drop the note');
    if (isTest(path) && UNFINISHED_TEST.test(text)) report(line, 'every test runs: repair it or delete it');
    if (UNEXPLAINED.test(text))
      report(line, 'repair what the checker complains about, or say after " -- " why it is wrong');
    if (text.startsWith('export * from ')) report(line, 'no barrels: import from the file that defines the thing');
    if (!pure) continue;
    for (const [pattern, remedy] of IMPURE_CALLS) {
      if (pattern.test(withoutComment(text)))
        report(line, `${pattern.exec(text)?.[0] ?? ''} in a pure file: ${remedy}`);
    }
  }
}

/** Static and dynamic imports and re-exports with a literal target, also when they span lines. */
function* importsOf(lines: readonly string[]): Generator<{ line: number; target: string }> {
  for (const [index, text] of lines.entries()) {
    const match =
      /(?:^|\s|\})from '([^']+)'/.exec(text) ?? /^import '([^']+)'/.exec(text) ?? /\bimport\('([^']+)'\)/.exec(text);
    if (match && !text.trimStart().startsWith('//')) yield { line: index + 1, target: match[1]! };
  }
}

function layerOf(path: string): string | null {
  const [top, folder, rest] = path.split('/');
  return top === 'lib' && rest !== undefined ? folder! : null;
}

function isBelow(lower: string, upper: string): boolean {
  const [lowerRank, upperRank] = [LAYER_RANKS[lower], LAYER_RANKS[upper]];
  return lowerRank !== undefined && upperRank !== undefined && lowerRank < upperRank;
}

function isTest(path: string): boolean {
  return /\.test(-support)?\.ts$/.test(path);
}

function isPure(path: string): boolean {
  return PURE.some((pattern) => pattern.test(path));
}

function withoutComment(text: string): string {
  return text.replace(/(^|\s)(\/\/|\*|\/\*).*$/, '');
}
