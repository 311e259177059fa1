// fuse-native-host.ts — the process that runs fuse-native: passes its operations to the driver, and the answers back.
// A process of its own because fuse-native calls back on the event loop of a process's main thread, whichever thread mounted, while a
// volume lives in another thread; and because a fault of native code then ends a mount and not a daemon.
// It must not touch the mount: a thread that waits for its own process's answer can only be freed by aborting the connection.

import type { FromHost, HostStart, OperationCall, OperationResult } from './fuse-native-messages.js';
import { OPERATION_NAMES } from './fuse-native-operations.js';

type Callback = (result: number, ...values: unknown[]) => void;

const pending = new Map<number, (result: OperationResult) => void>();
let lastId = 0;

function say(message: FromHost): void {
  process.send!(message);
}

function call(operation: string, args: readonly unknown[], done: (result: OperationResult) => void): void {
  const id = ++lastId;
  pending.set(id, done);
  const operationCall: OperationCall = { id, operation, args };
  say({ kind: 'call', call: operationCall });
}

/** An operation of fuse-native: its arguments, then a callback. */
function forward(operation: string): (...args: [...unknown[], Callback]) => void {
  return (...all) => {
    const answer = all.pop() as Callback;
    call(operation, all, ({ result, value }) => answer(result, value));
  };
}

type ReadOrWrite = [path: string, descriptor: number, buffer: Buffer, length: number, offset: number, answer: Callback];

const operations: Record<string, (...args: [...unknown[], Callback]) => void> = {
  ...Object.fromEntries(OPERATION_NAMES.map((name) => [name, forward(name)])),
  read: (...all) => {
    const [path, descriptor, buffer, length, offset, answer] = all as ReadOrWrite;
    call('read', [path, descriptor, length, offset], ({ result, value }) => {
      if (result > 0) buffer.set(value as Uint8Array);
      answer(result);
    });
  },
  write: (...all) => {
    const [path, descriptor, buffer, length, offset, answer] = all as ReadOrWrite;
    call('write', [path, descriptor, buffer.subarray(0, length), offset], ({ result }) => answer(result));
  },
};

function explain(error: unknown): string {
  const { code, message } = error as { code?: string; message: string };
  if (code === 'ERR_MODULE_NOT_FOUND') {
    return "the package fuse-native is not installed: run 'npm install fuse-native@2.2.6', or use --driver kernel";
  }
  if (/libfuse|osxfuse|dlopen/i.test(message) || code === 'ERR_DLOPEN_FAILED') {
    return `fuse-native cannot load its library (${message}): install libfuse 2 ('apt install libfuse2', on macOS macFUSE), or use --driver kernel`;
  }
  return `fuse-native: ${message}`;
}

async function start({ mountpoint, options }: HostStart): Promise<void> {
  const { default: Fuse } = await import('fuse-native');
  const fuse = new Fuse(mountpoint, operations, options);
  await new Promise<void>((resolve, reject) => fuse.mount((error) => (error ? reject(error) : resolve())));
  say({ kind: 'mounted' });
}

process.once('message', (message: HostStart) => {
  process.on('message', (result: OperationResult) => {
    pending.get(result.id)?.(result);
    pending.delete(result.id);
  });
  start(message).catch((error: unknown) => {
    process.send!({ kind: 'failed', message: explain(error) } satisfies FromHost, () => process.exit(1));
  });
});
process.on('disconnect', () => process.exit(0)); // the kernel sees the device close
