// memory-mount-thread.test-support.ts — the worker thread of memory-mount.test-support.ts: serves a MemoryFileSystem.

import { closeSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { receiveMessageOnPort, workerData } from 'node:worker_threads';

import { BackedFileSystem } from './backed-file-system.test-support.js';
import type { DriverLog } from './driver-log.js';
import { MemoryFileSystem } from './memory-file-system.test-support.js';
import type { Answer, Order, ThreadReady, ThreadStart } from './memory-mount.test-support.js';
import { openSession, type Session, type SessionHooks } from './session.js';

const { mountpoint, options, backed, orders } = workerData as ThreadStart;
const caller = { uid: 0, gid: 0, pid: 0 };
/** As session.ts says. */
const SLICE_MS = 2;

function complain(details: object, message: string): void {
  process.stderr.write(
    `${message} ${JSON.stringify(details, (_, value: unknown) => (value instanceof Error ? value.stack : value))}\n`,
  );
}

const log: DriverLog = { debug: () => {}, info: () => {}, warn: complain, error: complain };

/** Changes as another site would make them: the kernel does not know, but for the notices. */
class Remote {
  stop = false;
  restMs = 0;
  private works = false;
  private slices = 0;
  private cutShort = 0;
  private readonly fileSystem: MemoryFileSystem;
  private readonly session: Session;

  constructor(fileSystem: MemoryFileSystem, session: Session) {
    this.fileSystem = fileSystem;
    this.session = session;
  }

  private write(handle: number, text: string): void {
    this.fileSystem.write(handle, 0, Buffer.from(text), false);
    this.fileSystem.release(handle);
  }

  run(order: Order): unknown {
    switch (order.kind) {
      case 'mkfile':
      case 'mkfile unannounced': {
        const made = this.fileSystem.create(order.parent, order.name, 0o644, 0, 0, caller);
        this.write(made.opened.handle, order.text);
        if (order.kind === 'mkfile') this.session.kernelCache.invalidateEntry(order.parent, order.name);
        return made.attributes.ino;
      }
      case 'remove': {
        const child = this.fileSystem.lookup(order.parent, order.name)!.ino;
        this.fileSystem.unlink(order.parent, order.name);
        this.session.kernelCache.entryDeleted(order.parent, order.name, child);
        return child;
      }
      case 'overwrite':
        this.write(this.fileSystem.open(order.ino, 0o1000, false).handle, order.text);
        if (order.announce) this.session.kernelCache.invalidateInode(order.ino, true);
        return null;
      case 'arrive':
        this.fileSystem.arrive(order.ids);
        this.session.resume(order.ids);
        return null;
      case 'never':
        this.session.fail(order.ids, 'EIO');
        return null;
      case 'counts':
        return this.session.requestCounts();
      case 'parked':
        return this.session.parkedCount;
      case 'drain':
        this.session.drain();
        return null;
      case 'settled':
        return this.session.cachesSettled;
      case 'many': {
        const directory = this.fileSystem.mkdir(1, order.directory, 0o755, 0, caller).ino;
        for (let i = 0; i < order.count; i++) this.fileSystem.mknod(directory, `f${i}`, 0o100644, 0, 0, caller);
        return directory;
      }
      case 'work':
        this.works = true;
        this.restMs = order.restMs;
        this.slices = this.cutShort = 0;
        return null;
      case 'rest':
        this.works = false;
        return [this.slices, this.cutShort];
      case 'stop':
        this.stop = true;
        return null;
    }
  }

  background(isOver: () => boolean): boolean {
    if (!this.works) return false;
    const started = performance.now();
    while (!isOver());
    this.slices++;
    if (performance.now() - started < SLICE_MS) this.cutShort++;
    return true;
  }
}

function serve(session: Session, fileSystem: MemoryFileSystem): void {
  const remote = new Remote(fileSystem, session);
  const hooks: SessionHooks = {
    onWake() {
      for (let message = receiveMessageOnPort(orders); message !== undefined; message = receiveMessageOnPort(orders)) {
        orders.postMessage({ value: remote.run(message.message as Order) } satisfies Answer);
      }
      return false;
    },
    background: (isOver) => remote.background(isOver),
    workMeanwhile: () => false,
    restMs: () => remote.restMs,
    nextTimeoutMs: () => -1,
    onAbsent: () => {},
    get stop() {
      return remote.stop;
    },
  };
  session.run(hooks);
  session.close();
}

/** Tries with a file as the backings will be. */
function passthroughTo(directory: string, session: Session): boolean {
  const path = join(directory, 'probe');
  const fd = openSync(path, 'w+');
  const supported = session.supportsPassthrough(fd);
  closeSync(fd);
  rmSync(path);
  return supported;
}

const fileSystem =
  backed === undefined ? new MemoryFileSystem() : new BackedFileSystem(backed.directory, backed.leastBytes);
let session: Session | undefined;
try {
  session = openSession({ fileSystem, mountpoint, options, source: 'memory', log });
  if (fileSystem instanceof BackedFileSystem) fileSystem.passthrough = passthroughTo(backed!.directory, session);
  orders.postMessage({ wakeFd: session.takeWakeFd() } satisfies ThreadReady);
} catch (error) {
  orders.postMessage({ wakeFd: -1, error: (error as Error).message } satisfies ThreadReady);
}
if (session !== undefined) serve(session, fileSystem);
orders.close();
