// column-reader.ts — reads what column-writer.ts writes, row by row.
// Invariant: a run is never expanded: whatever length it claims, a reader allocates nothing for it, so its caller decides how many
// rows to ask for. It checks neither that the encoding is the shortest one nor that no row is left. Null values are refused.
// Spec: https://automerge.org/automerge-binary-format-spec/ ("Run Length Encoding", "Delta Encoding")

import { ByteReader, CorruptionError } from './bytes.js';

/** What run-length encoded columns share. */
abstract class RunReader {
  private left = 0;
  private isLiteral = false;

  constructor(
    protected readonly input: ByteReader,
    protected readonly what: string,
  ) {}

  /** Goes to the next row. @returns whether its value comes next in the input; if not, it is that of the row before */
  protected step(): boolean {
    if (this.left-- > 0) return this.isLiteral;
    const run = this.input.sleb128(this.what);
    if (run === 0) throw new CorruptionError(`${this.what}: holds null`);
    this.isLiteral = run < 0;
    this.left = Math.abs(run) - 1;
    return true;
  }
}

/** Integers from 0. */
export class UintReader extends RunReader {
  private value = 0;

  next(): number {
    if (this.step()) this.value = this.input.varint(this.what);
    return this.value;
  }
}

/** Integers, each as what it adds to the one before. */
export class DeltaReader extends RunReader {
  private value = 0;
  private delta = 0;

  next(): number {
    if (this.step()) this.delta = this.input.sleb128(this.what);
    this.value += this.delta;
    if (!Number.isSafeInteger(this.value)) throw new CorruptionError(`${this.what}: above 2^53`);
    return this.value;
  }
}

/** UTF-8; what is none becomes U+FFFD. Rows of a run share one string. */
export class TextReader extends RunReader {
  private value = '';

  next(): string {
    if (this.step()) this.value = this.input.utf8(this.what);
    return this.value;
  }
}
