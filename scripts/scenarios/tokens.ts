// tokens.ts — one line of a scenario file as words. Words are separated by blanks; `"…"` is one word whatever it holds, with the
// escapes \n \t \" \\ and \xNN; `#` at the start of a word begins a comment. Texts are latin1 strings of their UTF-8 bytes.

export interface Token {
  readonly text: string;
  readonly quoted: boolean;
  /** Counted from 1. */
  readonly column: number;
}

/** A mistake in a scenario file, named by file, line and column; null: there is no such line. */
export class ScenarioError extends Error {
  constructor(file: string, line: number | null, message: string) {
    super(`${file}:${line === null ? '' : `${line}:`} ${message}`);
    this.name = 'ScenarioError';
  }
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', '"': '"', '\\': '\\' };

/** Splits a line; throws an Error that names the column, without file and line. */
export function tokenize(line: string): Token[] {
  const bytes = Buffer.from(line, 'utf8').toString('latin1');
  const tokens: Token[] = [];
  let at = 0;
  while (at < bytes.length) {
    const char = bytes[at]!;
    if (char === ' ' || char === '\t' || char === '\r') {
      at++;
    } else if (char === '#') {
      break;
    } else if (char === '"') {
      const start = at;
      let text = '';
      for (at++; bytes[at] !== '"';) {
        if (at >= bytes.length) throw new Error(`column ${start + 1}: the quote that opens here is not closed`);
        const [value, length] = bytes[at] === '\\' ? readEscape(bytes, at) : [bytes[at]!, 1];
        text += value;
        at += length;
      }
      at++;
      if (at < bytes.length && !' \t\r'.includes(bytes[at]!)) {
        throw new Error(`column ${at + 1}: a blank belongs after the closing quote`);
      }
      tokens.push({ text, quoted: true, column: start + 1 });
    } else {
      const start = at;
      while (at < bytes.length && !' \t\r'.includes(bytes[at]!)) {
        if (bytes[at] === '"') throw new Error(`column ${at + 1}: a quote belongs at the start of a word`);
        at++;
      }
      tokens.push({ text: bytes.slice(start, at), quoted: false, column: start + 1 });
    }
  }
  return tokens;
}

function readEscape(bytes: string, at: number): [value: string, length: number] {
  const hex = /^\\x([0-9a-fA-F]{2})/.exec(bytes.slice(at, at + 4));
  if (hex) return [String.fromCharCode(parseInt(hex[1]!, 16)), 4];
  const value = ESCAPES[bytes[at + 1] ?? ''];
  if (value === undefined) {
    throw new Error(`column ${at + 1}: unknown escape \\${bytes[at + 1] ?? ''}; there are \\n \\t \\" \\\\ and \\xNN`);
  }
  return [value, 2];
}
