// dispatcher.ts — one request in, one reply out: calls the handler and turns what it throws into an errno. The only place that does.
// Invariant: every request that waits for an answer gets exactly one, now or (AbsentObjects) later, whatever the filesystem throws.
// A PosixError is an answer; a CorruptionError and anything else is logged and answered EIO, and the session goes on.

import { AbsentObjects } from '../chunks/absent-objects.js';
import { CorruptionError } from '../codec/bytes.js';
import { ERRNO, PosixError } from '../errno.js';
import type { FileSystem, Ino } from '../volume/file-system.js';
import type { KernelCache } from '../volume/ports.js';
import { type AtimePolicy, RELATIME } from './atime-policy.js';
import type { BackingFiles } from './backing-files.js';
import type { Call } from './call.js';
import { HANDLERS } from './handlers.js';
import { type Agreement, MAX_TRANSFER_BYTES } from './init.js';
import { OPCODE, OPCODE_LIMIT, opcodeName } from './opcodes.js';
import { handleOpened, inodeEntered, putHeader, REPLY_HEADER_LENGTH } from './replies.js';
import type { Request } from './requests.js';
import { SystemCallError } from './system-calls.js';
import type { DriverLog } from './driver-log.js';

function causeOf(error: unknown): string {
  if (error instanceof CorruptionError) return 'bad bytes';
  // Node's own say which call it was.
  const { syscall } = (error ?? {}) as NodeJS.ErrnoException;
  return error instanceof SystemCallError || syscall !== undefined ? 'a system call' : 'a bug';
}

export class Dispatcher {
  /** Where replies are made. */
  readonly reply: Buffer = Buffer.allocUnsafeSlow(MAX_TRANSFER_BYTES + 4096);
  /** Requests handled, by opcode. */
  readonly counts: Float64Array = new Float64Array(OPCODE_LIMIT);
  private readonly fileSystem: FileSystem;
  private readonly agreement: Agreement;
  private readonly cache: KernelCache;
  private readonly backings: BackingFiles;
  private readonly log: DriverLog;
  private readonly atime: AtimePolicy;
  private readonly isAwaited: (ino: Ino) => boolean;

  /** @param isAwaited whether requests on a node wait for objects */
  constructor(
    fileSystem: FileSystem,
    agreement: Agreement,
    cache: KernelCache,
    backings: BackingFiles,
    log: DriverLog,
    atime: AtimePolicy = RELATIME,
    isAwaited: (ino: Ino) => boolean = () => false,
  ) {
    this.fileSystem = fileSystem;
    this.agreement = agreement;
    this.cache = cache;
    this.backings = backings;
    this.log = log;
    this.atime = atime;
    this.isAwaited = isAwaited;
  }

  /**
   * Handles a request. Returns the length of the reply, which stands in {@link reply} then; 0 when none is due; or the AbsentObjects
   * that the filesystem threw, and the request is to be handled again when they came.
   */
  handle(request: Request): number | AbsentObjects {
    const handler = HANDLERS[request.opcode];
    if (handler === undefined) return this.fail(request, ERRNO.ENOSYS);
    this.counts[request.opcode]!++;
    try {
      const call: Call = {
        request,
        reply: this.reply,
        fileSystem: this.fileSystem,
        agreement: this.agreement,
        cache: this.cache,
        backings: this.backings,
        atime: this.atime,
        isAwaited: this.isAwaited,
      };
      const length = handler(call);
      if (length > 0) putHeader(this.reply, length, 0, request.unique);
      return length;
    } catch (error) {
      if (error instanceof PosixError) return this.fail(request, error.errno);
      if (error instanceof AbsentObjects) return error;
      this.report(request, error);
      return this.fail(request, ERRNO.EIO);
    }
  }

  /** Makes an error reply. */
  fail(request: Request, errno: number): number {
    putHeader(this.reply, REPLY_HEADER_LENGTH, errno, request.unique);
    return REPLY_HEADER_LENGTH;
  }

  /** The reply of `length` bytes was not taken: what it opened is closed again, since no RELEASE will come. */
  undo(request: Request, length: number): void {
    const { opcode } = request;
    if (opcode !== OPCODE.OPEN && opcode !== OPCODE.CREATE && opcode !== OPCODE.TMPFILE) return;
    if (length === REPLY_HEADER_LENGTH) return;
    const ino = opcode === OPCODE.OPEN ? request.node : inodeEntered(this.reply, REPLY_HEADER_LENGTH);
    const handle = handleOpened(this.reply, length);
    if (this.backings.release(ino, handle)) this.release(handle);
  }

  /** Releases the handles that were kept for mappings which are gone. */
  releaseUnmapped(): void {
    for (const handle of this.backings.takeUnmapped()) this.release(handle);
  }

  private release(handle: number): void {
    try {
      this.fileSystem.release(handle);
    } catch (error) {
      this.log.error({ err: error, handle }, 'releasing a file failed');
    }
  }

  private report(request: Request, error: unknown): void {
    const { opcode, node } = request;
    const what = causeOf(error);
    this.log.error({ err: error, node }, `${opcodeName(opcode)} answered EIO because of ${what}`);
  }
}
