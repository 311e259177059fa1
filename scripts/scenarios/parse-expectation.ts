// parse-expectation.ts — the words after `expect` or `expect SITE:` in a scenario file, as an Expectation.
// Errors name the word and how the expectation is written; the caller adds file and line.

import { path } from './parse-action.js';
import { ATTRIBUTE_NAMES, type AttributeName, type Expectation, type Pattern } from './scenario.js';
import type { Token } from './tokens.js';

type Reader = (left: readonly Token[], right: readonly Token[] | null) => Expectation | null;

/** `left` are the words before ` = `, `right` those after it, null when there is none. */
const EXPECTATIONS: Readonly<Record<string, { readonly usage: string; readonly read: Reader }>> = {
  same: { usage: 'same', read: (left, right) => (left.length === 0 && !right ? { that: 'same' } : null) },
  exists: {
    usage: 'exists PATTERN…',
    read: (left, right) => (left.length > 0 && !right ? { that: 'exists', patterns: patterns(left) } : null),
  },
  absent: {
    usage: 'absent PATTERN…',
    read: (left, right) => (left.length > 0 && !right ? { that: 'absent', patterns: patterns(left) } : null),
  },
  cat: {
    usage: 'cat FILE = "TEXT"',
    read: ([file, ...more], right) =>
      file && more.length === 0 && right?.length === 1 && right[0]!.quoted
        ? { that: 'cat', path: path(file), text: right[0]!.text }
        : null,
  },
  copies: {
    usage: 'copies PATTERN = "TEXT"…',
    read: ([pattern, ...more], right) =>
      pattern && more.length === 0 && right !== null && right.every((text) => text.quoted)
        ? { that: 'copies', pattern: asPattern(pattern), texts: right.map((text) => text.text) }
        : null,
  },
  names: {
    usage: 'names DIR = PATTERN…',
    read: ([directory, ...more], right) =>
      directory && more.length === 0 && right !== null
        ? { that: 'names', path: path(directory), patterns: patterns(right) }
        : null,
  },
  xattr: {
    usage: 'xattr PATH NAME = "VALUE"',
    read: ([file, name, ...more], right) =>
      file && name && more.length === 0 && right?.length === 1
        ? { that: 'xattr', path: path(file), name: name.text, value: right[0]!.text }
        : null,
  },
  'no-xattr': {
    usage: 'no-xattr PATH NAME',
    read: ([file, name, ...more], right) =>
      file && name && more.length === 0 && !right ? { that: 'no xattr', path: path(file), name: name.text } : null,
  },
  reads: {
    usage: 'SITE: reads HANDLE = "TEXT"',
    read: ([handle, ...more], right) =>
      handle && more.length === 0 && right?.length === 1 && right[0]!.quoted
        ? { that: 'reads', handle: handle.text, text: right[0]!.text }
        : null,
  },
  linked: {
    usage: 'linked PATH PATH…',
    read: (left, right) =>
      left.length > 1 && !right ? { that: 'linked', paths: left.map((token) => path(token)) } : null,
  },
  conflict: {
    usage: 'conflict PATTERN = KIND…',
    read: ([pattern, ...more], right) =>
      pattern && more.length === 0 && right !== null && right.length > 0
        ? { that: 'conflict', pattern: asPattern(pattern), kinds: right.map(({ text }) => text) }
        : null,
  },
  conflicts: {
    usage: 'conflicts = NUMBER',
    read: (left, right) =>
      left.length === 0 && right?.length === 1 && /^\d+$/.test(right[0]!.text)
        ? { that: 'conflicts', count: Number(right[0]!.text) }
        : null,
  },
  ...Object.fromEntries(ATTRIBUTE_NAMES.map((name) => [name, attributeForm(name)])),
};

/** Reads an expectation; throws an Error that says how it is written when the words do not fit. */
export function parseExpectation(words: readonly Token[]): Expectation {
  const [verb, ...rest] = words;
  const known = Object.keys(EXPECTATIONS).join(', ');
  if (!verb) throw new Error(`an expectation is missing, one of ${known}`);
  const form = Object.hasOwn(EXPECTATIONS, verb.text) ? EXPECTATIONS[verb.text] : undefined;
  if (!form) throw new Error(`unknown expectation ${verb.text}; there are ${known}`);
  const equals = rest.findIndex((token) => token.text === '=' && !token.quoted);
  const expectation = equals < 0 ? form.read(rest, null) : form.read(rest.slice(0, equals), rest.slice(equals + 1));
  if (!expectation) throw new Error(`write expect ${form.usage}`);
  return expectation;
}

function attributeForm(attribute: AttributeName): { usage: string; read: Reader } {
  return {
    usage: `${attribute} PATH = VALUE`,
    read: ([file, ...more], right) =>
      file && more.length === 0 && right?.length === 1
        ? { that: 'attribute', attribute, path: path(file), value: right[0]!.text }
        : null,
  };
}

function asPattern(token: Token): Pattern {
  return { text: token.text, quoted: token.quoted };
}

function patterns(tokens: readonly Token[]): Pattern[] {
  return tokens.map((token) => asPattern(token));
}
