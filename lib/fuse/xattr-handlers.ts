// xattr-handlers.ts — extended attributes. A size of 0 asks for the length needed; what does not fit the size given is ERANGE (getxattr(2)).

import { posixError } from '../errno.js';
import { type Call, callerOf, EMPTY } from './call.js';
import { putXattrLength, REPLY_HEADER_LENGTH } from './replies.js';
import { decodeSetxattr, decodeString, decodeXattrSize } from './requests.js';

/** XATTR_SIZE_MAX and XATTR_LIST_MAX of linux/limits.h. */
const MAX_BYTES = 65536;

/** Either the length of what would be sent, or room for it in the reply. */
function sized(reply: Buffer, size: number, length: number, put: (at: number) => void): number {
  if (length > MAX_BYTES) throw posixError('E2BIG');
  if (size === 0) return putXattrLength(reply, length, REPLY_HEADER_LENGTH);
  if (length > size) throw posixError('ERANGE');
  put(REPLY_HEADER_LENGTH);
  return REPLY_HEADER_LENGTH + length;
}

export function getxattr({ request, reply, fileSystem }: Call): number {
  const size = decodeXattrSize(request.body);
  const value = fileSystem.getxattr(request.node, decodeString(request.body));
  return sized(reply, size, value.length, (at) => value.copy(reply, at));
}

/** xattr(7): who may not read the trusted attributes does not see them listed. The kernel checks calls by name, but no lists. */
function isListed(name: string, uid: number): boolean {
  return uid === 0 || !name.startsWith('trusted.');
}

export function listxattr({ request, reply, fileSystem }: Call): number {
  const size = decodeXattrSize(request.body);
  const list = fileSystem
    .listxattr(request.node)
    .filter((name) => isListed(name, request.uid))
    .map((name) => `${name}\0`)
    .join('');
  return sized(reply, size, list.length, (at) => reply.write(list, at, 'latin1'));
}

export function setxattr({ request, fileSystem, agreement }: Call): number {
  const { name, value, flags, killSgid } = decodeSetxattr(request.body, agreement.extendedSetxattr);
  if (value.length > MAX_BYTES) throw posixError('E2BIG');
  fileSystem.setxattr(request.node, name, Buffer.from(value), flags, killSgid, callerOf(request));
  return EMPTY;
}

export function removexattr({ request, fileSystem }: Call): number {
  fileSystem.removexattr(request.node, decodeString(request.body), callerOf(request));
  return EMPTY;
}
