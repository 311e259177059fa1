// lines.ts — the part of three contents where they differ, as lines. Bytes are latin1 characters: nothing is lost or normalised.
// Invariant: a line keeps its newline, only the last may lack one; prefix, lines and suffix together are the content.

import { BufferSource, Content } from './content.js';
import { equalLength } from './content-differences.js';

/** Lines of a side and of the base together with what both sides begin with. */
export interface DifferingLines {
  /** Bytes at the start that all three have in common, in whole lines. */
  readonly prefixBytes: number;
  readonly base: readonly string[];
  readonly left: readonly string[];
  readonly right: readonly string[];
}

/** Undefined when more than `maxBytes` of one content would have to be held. */
export function* differingLines(
  base: Content,
  left: Content,
  right: Content,
  maxBytes: number,
): Generator<undefined, DifferingLines | undefined> {
  const shared = Math.min(
    yield* equalLength(base, left, 0, Math.min(base.size, left.size)),
    yield* equalLength(base, right, 0, Math.min(base.size, right.size)),
  );
  const prefixBytes = lineStart(base, shared);
  if (prefixBytes < 0 || Math.max(base.size, left.size, right.size) - prefixBytes > maxBytes) return undefined;
  return {
    prefixBytes,
    base: linesFrom(base, prefixBytes),
    left: linesFrom(left, prefixBytes),
    right: linesFrom(right, prefixBytes),
  };
}

/** A line this long is none. */
const LINE_MAX_BYTES = 64 << 10;

/** Where the line that holds byte `offset` begins; −1 when it is too long to tell. */
function lineStart(content: Content, offset: number): number {
  const from = Math.max(0, offset - LINE_MAX_BYTES);
  const newline = content.read(from, offset).lastIndexOf(0x0a);
  if (newline >= 0) return from + newline + 1;
  return from === 0 ? 0 : -1;
}

function linesFrom(content: Content, from: number): string[] {
  return (
    content
      .read(from, content.size)
      .toString('latin1')
      .match(/[^\n]*\n|[^\n]+$/g) ?? []
  );
}

/** What the three begin with, then these lines. */
export function withLines(base: Content, prefixBytes: number, lines: readonly string[]): Content {
  const source = new BufferSource(Buffer.from(lines.join(''), 'latin1'));
  return new Content([...base.slice(0, prefixBytes), { source, from: 0, length: source.size }]);
}
