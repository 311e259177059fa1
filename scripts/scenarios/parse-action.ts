// parse-action.ts — the words after `SITE:` in a scenario file, as an Action.
// Errors name the word and how the action is written; the caller adds file and line.

import type { Action, Pattern } from './scenario.js';
import type { Token } from './tokens.js';

type Reader = (words: readonly Token[]) => Action | null;

/** How each action is written, and how it is read. A reader answers null when the words do not fit the usage. */
const ACTIONS: Readonly<Record<string, { readonly usage: string; readonly read: Reader }>> = {
  mkdir: {
    usage: 'mkdir DIR…',
    read: (words) => (words.length > 0 ? { do: 'mkdir', paths: paths(words) } : null),
  },
  rmdir: {
    usage: 'rmdir DIR…',
    read: (words) => (words.length > 0 ? { do: 'rmdir', paths: paths(words) } : null),
  },
  write: { usage: 'write FILE "TEXT"', read: (words) => fileAndText('write', words) },
  echo: {
    usage: 'echo "TEXT" > FILE, or >> FILE',
    read: (words) => {
      const at = words.findIndex(({ text, quoted }) => !quoted && (text === '>' || text === '>>'));
      const [file, ...rest] = words.slice(at + 1);
      if (at < 0 || !file || rest.length > 0) return null;
      const said = words.slice(0, at).map(({ text }) => text).join(' '); // prettier-ignore
      return { do: words[at]!.text === '>' ? 'write' : 'append', path: pathPattern(file), text: `${said}\n` };
    },
  },
  append: { usage: 'append FILE "TEXT"', read: (words) => fileAndText('append', words) },
  'save-by-rename': { usage: 'save-by-rename FILE "TEXT"', read: (words) => fileAndText('save-by-rename', words) },
  edit: {
    usage: 'edit FILE "TEXT" "REPLACEMENT"',
    read: ([file, text, replacement, ...rest]) =>
      file && text?.quoted && replacement?.quoted && rest.length === 0
        ? { do: 'edit', path: pathPattern(file), text: text.text, replacement: replacement.text }
        : null,
  },
  overwrite: {
    usage: 'overwrite FILE OFFSET "TEXT"',
    read: ([file, offset, text, ...rest]) =>
      file && offset && text?.quoted && rest.length === 0
        ? { do: 'overwrite', path: path(file), offset: number(offset, /^\d+$/, 10), text: text.text }
        : null,
  },
  blob: {
    usage: 'blob FILE 20M',
    read: ([file, size, ...rest]) =>
      file && /^\d+M$/.test(size?.text ?? '') && rest.length === 0
        ? { do: 'blob', path: path(file), megabytes: parseInt(size!.text, 10) }
        : null,
  },
  truncate: {
    usage: 'truncate FILE BYTES',
    read: ([file, bytes, ...rest]) =>
      file && bytes && rest.length === 0
        ? { do: 'truncate', path: path(file), sizeBytes: number(bytes, /^\d+$/, 10) }
        : null,
  },
  mv: {
    usage: 'mv FROM TO',
    read: ([from, to, ...rest]) =>
      from && to && rest.length === 0 ? { do: 'mv', from: pathPattern(from), to: path(to) } : null,
  },
  exchange: {
    usage: 'exchange PATH PATH',
    read: ([from, to, ...rest]) =>
      from && to && rest.length === 0 ? { do: 'exchange', from: path(from), to: path(to) } : null,
  },
  rm: {
    usage: 'rm [-r] PATH…',
    read: (words) => {
      const recursive = words[0]?.text === '-r' && !words[0].quoted;
      const named = recursive ? words.slice(1) : words;
      return named.length > 0 ? { do: 'rm', paths: named.map((word) => pathPattern(word)), recursive } : null;
    },
  },
  ln: {
    usage: 'ln EXISTING PATH, or ln -s TARGET PATH',
    read: ([first, second, third, ...rest]) => {
      if (!first || !second || rest.length > 0) return null;
      if (first.text !== '-s' || first.quoted) {
        return third ? null : { do: 'ln', existing: path(first), path: path(second) };
      }
      return third ? { do: 'symlink', target: second.text, path: path(third) } : null;
    },
  },
  chmod: {
    usage: 'chmod OCTAL PATH…',
    read: ([mode, ...rest]) =>
      mode && rest.length > 0 ? { do: 'chmod', mode: number(mode, /^[0-7]{3,4}$/, 8), paths: paths(rest) } : null,
  },
  chown: {
    usage: 'chown UID:GID PATH…, UID: or :GID for one of them',
    read: ([owner, ...rest]) => {
      const ids = /^(\d*):(\d*)$/.exec(owner?.text ?? '');
      if (!ids || ids[0] === ':' || rest.length === 0) return null;
      return { do: 'chown', uid: idOf(ids[1]!), gid: idOf(ids[2]!), paths: paths(rest) };
    },
  },
  touch: {
    usage: 'touch PATH…, or touch -d "DATE" PATH…',
    read: (words) => {
      if (words[0]?.text !== '-d')
        return words.length > 0 ? { do: 'touch', timeSeconds: null, paths: paths(words) } : null;
      const [date, ...rest] = words.slice(1);
      if (!date || rest.length === 0) return null;
      const timeMs = Date.parse(date.text);
      if (Number.isNaN(timeMs)) throw new Error(`"${date.text}" is no date; write it like "2024-05-01T12:00:00Z"`);
      return { do: 'touch', timeSeconds: timeMs / 1000, paths: paths(rest) };
    },
  },
  setxattr: {
    usage: 'setxattr PATH NAME "VALUE"',
    read: ([file, name, value, ...rest]) =>
      file && name && value && rest.length === 0
        ? { do: 'setxattr', path: path(file), name: name.text, value: value.text }
        : null,
  },
  removexattr: {
    usage: 'removexattr PATH NAME',
    read: ([file, name, ...rest]) =>
      file && name && rest.length === 0 ? { do: 'removexattr', path: path(file), name: name.text } : null,
  },
  mkfifo: {
    usage: 'mkfifo PATH',
    read: ([file, ...rest]) => (file && rest.length === 0 ? { do: 'mkfifo', path: path(file) } : null),
  },
  fill: {
    usage: 'fill DIR COUNT [killed after COUNT]',
    read: ([directory, count, killed, after, killCount, ...rest]) => {
      if (!directory || !count || rest.length > 0) return null;
      const fill = { do: 'fill', path: path(directory), count: number(count, /^\d+$/, 10) } as const;
      if (!killed) return { ...fill, killAfter: null };
      if (killed.text !== 'killed' || after?.text !== 'after' || !killCount) return null;
      const killAfter = number(killCount, /^\d+$/, 10);
      if (killAfter >= fill.count) throw new Error(`killed after ${killAfter} of ${fill.count} files is too late`);
      return { ...fill, killAfter };
    },
  },
  open: {
    usage: 'open HANDLE FILE',
    read: ([handle, file, ...rest]) =>
      handle && file && rest.length === 0 ? { do: 'open', handle: handle.text, path: path(file) } : null,
  },
  put: {
    usage: 'put HANDLE "TEXT"',
    read: ([handle, text, ...rest]) =>
      handle && text?.quoted && rest.length === 0 ? { do: 'put', handle: handle.text, text: text.text } : null,
  },
  lock: {
    usage: 'lock HANDLE',
    read: ([handle, ...rest]) => (handle && rest.length === 0 ? { do: 'lock', handle: handle.text } : null),
  },
  close: {
    usage: 'close HANDLE',
    read: ([handle, ...rest]) => (handle && rest.length === 0 ? { do: 'close', handle: handle.text } : null),
  },
};

/** What people type in a shell, and how it is written here. */
const SHELL_WORDS: Readonly<Record<string, string>> = {
  cat: 'expect SITE: cat FILE = "TEXT" to look into a file, echo "TEXT" > FILE to write one',
  ls: 'expect SITE: names DIR = NAME…',
  stat: 'expect SITE: mode FILE = 0644, or type, nlink, owner, mtime',
  rename: 'mv FROM TO',
  unlink: 'rm PATH…',
  link: 'ln EXISTING PATH',
  symlink: 'ln -s TARGET PATH',
  setfattr: 'setxattr PATH NAME "VALUE"',
  cp: 'write FILE "TEXT"',
  sync: 'sync alone on its line, without a site',
};

/** Reads an action; throws an Error that says how it is written when the words do not fit. */
export function parseAction(words: readonly Token[]): Action {
  const [verb, ...rest] = words;
  if (!verb) throw new Error(`an action belongs after the site, one of ${Object.keys(ACTIONS).join(', ')}`);
  const form = Object.hasOwn(ACTIONS, verb.text) ? ACTIONS[verb.text] : undefined;
  if (!form) {
    const instead = Object.hasOwn(SHELL_WORDS, verb.text) ? SHELL_WORDS[verb.text] : undefined;
    const there = `there are ${Object.keys(ACTIONS).join(', ')}`;
    throw new Error(`unknown action ${verb.text}; ${instead === undefined ? there : `write ${instead}`}`);
  }
  const action = form.read(rest);
  if (!action) throw new Error(`write ${form.usage}`);
  return action;
}

/** A path below the mountpoint; throws when it could lead out of it. */
export function path(token: Token): string {
  const parts = token.text.split('/');
  if (token.text !== '.' && parts.some((part) => part === '' || part === '.' || part === '..')) {
    throw new Error(
      `"${token.text}" is no path below the mountpoint; write it like x/y, without leading slash, . or ..`,
    );
  }
  return token.text;
}

function pathPattern(token: Token): Pattern {
  return { text: path(token), quoted: token.quoted };
}

function paths(tokens: readonly Token[]): string[] {
  return tokens.map((token) => path(token));
}

function number(token: Token, form: RegExp, radix: number): number {
  if (!form.test(token.text))
    throw new Error(`"${token.text}" is no ${radix === 8 ? 'octal mode like 0644' : 'number'}`);
  return parseInt(token.text, radix);
}

/** Null: not to be changed. */
function idOf(digits: string): number | null {
  return digits === '' ? null : Number(digits);
}

function fileAndText(verb: 'write' | 'append' | 'save-by-rename', words: readonly Token[]): Action | null {
  const [file, text, ...rest] = words;
  return file && text?.quoted && rest.length === 0 ? { do: verb, path: pathPattern(file), text: text.text } : null;
}
