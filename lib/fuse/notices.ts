// notices.ts — encodes the unsolicited notices that make the kernel forget what it cached.
// Each is one write(2) on the device: a reply header with unique 0 and the notice's code as error, then its struct. Pure.
// Layouts: include/uapi/linux/fuse.h. The kernel checks that the length is exact and the name NUL-terminated (fs/fuse/dev.c).

import { NOTICE } from './opcodes.js';
import { put64, putHeader, putSigned64, REPLY_HEADER_LENGTH } from './replies.js';

function header(length: number, code: number): Buffer {
  const notice = Buffer.alloc(REPLY_HEADER_LENGTH + length);
  putHeader(notice, notice.length, -code, 0);
  return notice;
}

/** struct fuse_notify_inval_inode_out: attributes are stale; with `content` all cached pages (of a directory: its listing) too. */
export function invalidateInodeNotice(ino: number, content: boolean): Buffer {
  const notice = header(24, NOTICE.INVAL_INODE);
  put64(notice, ino, REPLY_HEADER_LENGTH);
  putSigned64(notice, content ? 0 : -1, REPLY_HEADER_LENGTH + 8); // offset; negative: attributes only
  putSigned64(notice, 0, REPLY_HEADER_LENGTH + 16); // length; 0: to the end
  return notice;
}

/** struct fuse_notify_inval_entry_out, name: (parent, name) is to be looked up again. */
export function invalidateEntryNotice(parent: number, name: string): Buffer {
  const notice = header(16 + name.length + 1, NOTICE.INVAL_ENTRY);
  put64(notice, parent, REPLY_HEADER_LENGTH);
  notice.writeUInt32LE(name.length, REPLY_HEADER_LENGTH + 8);
  notice.write(name, REPLY_HEADER_LENGTH + 16, 'latin1');
  return notice;
}

/** struct fuse_notify_delete_out, name: as invalidateEntryNotice, and inotify watches of the child learn of its end. */
export function entryDeletedNotice(parent: number, name: string, child: number): Buffer {
  const notice = header(24 + name.length + 1, NOTICE.DELETE);
  put64(notice, parent, REPLY_HEADER_LENGTH);
  put64(notice, child, REPLY_HEADER_LENGTH + 8);
  notice.writeUInt32LE(name.length, REPLY_HEADER_LENGTH + 16);
  notice.write(name, REPLY_HEADER_LENGTH + 24, 'latin1');
  return notice;
}
