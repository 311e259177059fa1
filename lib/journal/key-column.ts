// key-column.ts — the column of register keys `<ino>.<field>`, written from their parts: no key is ever made as a string.
// Invariant: the bytes are those of the keys as run-length encoded UTF-8 text.
// Spec: https://automerge.org/automerge-binary-format-spec/ ("String Columns")

import { ByteWriter } from '../codec/bytes.js';
import { RunColumn } from '../codec/column-writer.js';
import type { Ino } from '../crdt/ids.js';

const DOT = 0x2e;

export class KeyColumn extends RunColumn {
  private ino: Ino = 0;
  private field = '';
  private readonly text = new ByteWriter();

  append(ino: Ino, field: string): void {
    if (ino === this.ino && field === this.field && this.holds) {
      this.repeat();
    } else {
      this.change();
      this.ino = ino;
      this.field = field;
    }
  }

  protected override put(writer: ByteWriter): void {
    const { text } = this;
    text.reset().decimal(this.ino).u8(DOT).text(this.field);
    writer.varint(text.length).append(text);
  }
}
