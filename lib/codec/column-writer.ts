// column-writer.ts — columns of a table in the run-length and delta encodings of the Automerge binary format.
// Invariant: the encoding is the one that Automerge chooses: equal neighbours are one run, the others in a row one literal run; so
// equal columns are equal bytes everywhere. Not here: null values, of which our tables have none.
// Spec: https://automerge.org/automerge-binary-format-spec/ ("Run Length Encoding", "Delta Encoding")

import { ByteWriter } from './bytes.js';

/**
 * What run-length encoded columns share: a run is its length and its value, a literal run the negative of its length and its values.
 * A subclass holds the value of the row last appended, and compares it with the next.
 */
export abstract class RunColumn {
  private readonly out = new ByteWriter();
  /** The literal run that is not in `out` yet, because its length is not known. */
  private readonly literals = new ByteWriter();
  private literalCount = 0;
  /** Rows in a row that have the held value; 0 before the first. */
  private repeats = 0;

  /** Writes the held value. */
  protected abstract put(writer: ByteWriter): void;

  /** Whether there is a held value. */
  protected get holds(): boolean {
    return this.repeats > 0;
  }

  /** The next row has the held value too. */
  protected repeat(): void {
    this.repeats++;
  }

  /** The next row has another value, which the caller is about to hold. */
  protected change(): void {
    if (this.repeats > 0) this.release();
    this.repeats = 1;
  }

  /** The whole column; {@link reset} invalidates it. */
  finish(): ByteWriter {
    if (this.repeats > 0) this.release();
    this.repeats = 0;
    this.endLiterals();
    return this.out;
  }

  /** Ready for another column. */
  reset(): void {
    this.out.reset();
    this.literals.reset();
    this.literalCount = 0;
    this.repeats = 0;
  }

  private release(): void {
    if (this.repeats === 1) {
      this.literalCount++;
      this.put(this.literals);
    } else {
      this.endLiterals();
      this.put(this.out.sleb128(this.repeats));
    }
  }

  private endLiterals(): void {
    if (this.literalCount === 0) return;
    this.out.sleb128(-this.literalCount).append(this.literals);
    this.literals.reset();
    this.literalCount = 0;
  }
}

/** Integers from 0. */
export class UintColumn extends RunColumn {
  private held = 0;

  append(value: number): void {
    if (value === this.held && this.holds) {
      this.repeat();
    } else {
      this.change();
      this.held = value;
    }
  }

  protected override put(writer: ByteWriter): void {
    writer.varint(this.held);
  }
}

/** Integers, each as what it adds to the one before; the first as it is. */
export class DeltaColumn extends RunColumn {
  private last = 0;
  private held = 0;

  append(value: number): void {
    const delta = value - this.last;
    this.last = value;
    if (delta === this.held && this.holds) {
      this.repeat();
    } else {
      this.change();
      this.held = delta;
    }
  }

  override reset(): void {
    super.reset();
    this.last = 0;
  }

  protected override put(writer: ByteWriter): void {
    writer.sleb128(this.held);
  }
}
