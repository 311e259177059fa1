// forget-handlers.ts — requests by which the kernel says that it refers to inodes no more. It waits for no answer.
// Node ids are inode numbers, which are never reused, so that nobody counts lookups. An inode without a name cannot be looked up again:
// the FORGET that follows its removal is the last. One that was under way already, from before a lookup that came after it, may be taken
// for that; it costs what a removed file would lose anyhow as soon as its last descriptor was closed.

import type { Ino } from '../crdt/ids.js';
import { type Call, NO_REPLY } from './call.js';
import { decodeBatchForget } from './requests.js';

export function forget({ request, fileSystem }: Call): number {
  fileSystem.forget(request.node);
  return NO_REPLY;
}

export function batchForget({ request, fileSystem }: Call): number {
  decodeBatchForget(request.body, (ino: Ino) => fileSystem.forget(ino));
  return NO_REPLY;
}
