// buffer-pool.ts — buffers that are used again. Memory outside of the heap makes V8 collect the whole heap every few dozen megabytes, which
// cost a third of sending an object; so what moves bulk gives its buffers back. Invariant: a buffer is lent to one at a time. One that is
// never given back is no loss: it is garbage like any other.

const MIN_BYTES = 64 << 10;
/** A larger one is not kept. */
const MAX_BYTES = 2 << 20;

export class BufferPool {
  /** By size: a power of two, or half as much again. */
  private readonly free = new Map<number, Buffer[]>();
  private freeBytes = 0;

  /** `keptBytes`: of those that nobody uses, no more is kept. */
  constructor(private readonly keptBytes: number) {}

  /** At least this long; its bytes are whatever they were. */
  take(length: number): Buffer {
    const size = sizeFor(length);
    const buffer = this.free.get(size)?.pop();
    if (buffer === undefined) return Buffer.allocUnsafeSlow(size);
    this.freeBytes -= size;
    return buffer;
  }

  /** One that {@link take} gave, whole. Nobody looks at it any more. */
  give(buffer: Buffer): void {
    const size = buffer.length;
    if (size > MAX_BYTES || this.freeBytes + size > this.keptBytes) return;
    this.freeBytes += size;
    const list = this.free.get(size);
    if (list) list.push(buffer);
    else this.free.set(size, [buffer]);
  }
}

function sizeFor(length: number): number {
  if (length > MAX_BYTES) return length;
  let size = MIN_BYTES;
  while (size < length) size *= 2;
  return length <= (size / 4) * 3 && size > MIN_BYTES ? (size / 4) * 3 : size;
}
