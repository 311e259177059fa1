// extended-attributes.ts — xattr(7): user, trusted and security names, and POSIX access lists, which change the mode with them.
// Invariant: what an access list says of owner, mask and others is what the mode says, which sites merge bit by bit; so a list that one
// site set grants nothing that another's chmod took away.
// A conflict copy shows its source's attributes until it is changed. `user.weft.conflicts` of a directory is made when it is asked
// for, and not listed: nobody copies it.

import { posixError } from '../errno.js';
import { isContested } from '../crdt/attribute-conflicts.js';
import { conflictsIn } from '../crdt/conflicts.js';
import type { Ino } from '../crdt/ids.js';
import { formatMode, formatXattr, xattrField } from '../crdt/fields.js';
import { attributesOf, xattrNames, xattrOf } from '../crdt/inode-attributes.js';
import type { Inode } from '../crdt/inode.js';
import type { WriteDraft } from '../crdt/local-writes.js';
import { isMergePolicy, MERGE_POLICY_XATTR } from '../crdt/merge-policy.js';
import { conflictId } from './conflict-id.js';
import type { Core } from './core.js';
import type { InodeChanges } from './inode-changes.js';
import { ACCESS_ACL, aclWithMode, decodeAcl, DEFAULT_ACL, isEquivalentToMode, modeOfAcl } from './posix-acl.js';

const S_ISGID = 0o2000;
const XATTR_CREATE = 1;
const XATTR_REPLACE = 2;
/** Limits of the kernel (linux/limits.h). */
const XATTR_NAME_MAX = 255;
const XATTR_SIZE_MAX = 65_536;
/** One line for each conflict among the entries of a directory; nobody can set it. */
const CONFLICTS = 'user.weft.conflicts';
/** What would end a line, or be obeyed by a terminal. */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const CONTROL = /[\u0000-\u001f\u007f]/g;
const NAMESPACES = ['user.', 'trusted.', 'security.'];

export class ExtendedAttributes {
  constructor(
    private readonly core: Core,
    private readonly changes: InodeChanges,
    /** Told of a file or directory whose merge policy was set or removed. */
    private readonly policyChanged: (ino: Ino) => void,
  ) {}

  /** The inode that carries a number's attributes: for a copy, its source. */
  private carrier(ino: Ino): Inode {
    const copy = this.core.store.copy(ino);
    return this.core.inode(copy ? copy.source : this.core.directory(ino));
  }

  get(ino: Ino, name: string): Buffer {
    if (name === CONFLICTS) return this.conflicts(this.core.directory(ino));
    const carrier = this.carrier(ino);
    const value = xattrOf(carrier, checkedName(name));
    if (value === undefined) throw posixError('ENODATA');
    const bytes = Buffer.from(value, 'latin1');
    return name === ACCESS_ACL ? aclWithMode(bytes, attributesOf(carrier).mode) : bytes;
  }

  /** As many lines as fit; the last of them says how many do not. */
  private conflicts(directory: Ino): Buffer {
    const inode = this.core.store.inode(directory);
    if (!inode || attributesOf(inode).type !== 'd') throw posixError('ENODATA');
    const conflicts = conflictsIn(this.core.store, this.core.actors, directory);
    let text = '';
    for (const [i, conflict] of conflicts.entries()) {
      const { kind, at, why } = conflict;
      const what = `${conflictId(conflict)} ${kind} ${at.name === '' ? '.' : at.name}: ${why}`;
      const line = `${what.replaceAll(CONTROL, '?')}\n`;
      const rest = `and ${conflicts.length - i} more\n`;
      if (text.length + line.length + rest.length > XATTR_SIZE_MAX) return Buffer.from(text + rest, 'latin1');
      text += line;
    }
    return Buffer.from(text, 'latin1');
  }

  list(ino: Ino): string[] {
    return xattrNames(this.carrier(ino));
  }

  set(ino: Ino, name: string, value: Buffer, flags: number, killSgid: boolean): void {
    checkedName(name);
    if (name === CONFLICTS) throw posixError('EPERM');
    if (value.length > XATTR_SIZE_MAX) throw posixError('E2BIG');
    if (name === MERGE_POLICY_XATTR && !isMergePolicy(value.toString('latin1'))) throw posixError('EINVAL');
    const isAcl = name === ACCESS_ACL || name === DEFAULT_ACL;
    const acl = isAcl ? decodeAcl(value) : undefined;
    const target = this.core.directory(ino);
    const exists = xattrOf(this.carrier(ino), name) !== undefined;
    if (flags & XATTR_CREATE && exists) throw posixError('EEXIST');
    if (flags & XATTR_REPLACE && !exists) throw posixError('ENODATA');
    this.core.space.check();
    this.changes.settle(target);
    const { type, mode } = attributesOf(this.core.inode(target));
    if (name === DEFAULT_ACL && type !== 'd') throw posixError('EACCES');
    const writes: WriteDraft[] = [];
    if (name === ACCESS_ACL && acl) {
      const next = ((killSgid ? mode & ~S_ISGID : mode) & ~0o777) | modeOfAcl(acl);
      if (next !== mode) writes.push({ ino: target, field: 'mode', value: formatMode(mode, next) });
    }
    // A list that says no more than the mode needs no xattr, and an empty one removes it.
    const removes = acl === null || (name === ACCESS_ACL && acl !== undefined && isEquivalentToMode(acl));
    const field = xattrField(name);
    const text = removes ? undefined : value.toString('latin1');
    const inode = this.core.inode(target);
    // To set what is set is no choice that could be in conflict with another's, unless it settles one.
    if (text !== xattrOf(inode, name) || isContested(inode, field))
      writes.push({ ino: target, field, value: formatXattr(text) });
    this.changes.change(target, writes, this.core.clock.now());
    if (name === MERGE_POLICY_XATTR) this.policyChanged(target);
  }

  remove(ino: Ino, name: string): void {
    if (name === CONFLICTS) throw posixError('EPERM');
    const target = this.core.directory(ino);
    if (xattrOf(this.carrier(ino), checkedName(name)) === undefined) {
      // To have no list is what was asked for (vfs_remove_acl).
      if (name === ACCESS_ACL || name === DEFAULT_ACL) return;
      throw posixError('ENODATA');
    }
    this.core.space.checkRemoval();
    this.changes.settle(target);
    this.changes.change(
      target,
      [{ ino: target, field: xattrField(name), value: formatXattr(undefined) }],
      this.core.clock.now(),
    );
    if (name === MERGE_POLICY_XATTR) this.policyChanged(target);
  }
}

/**
 * @throws PosixError EOPNOTSUPP for a namespace that this filesystem does not keep, EINVAL for one alone, ERANGE for a name too long
 * (xattr_resolve_name)
 */
function checkedName(name: string): string {
  if (name.length > XATTR_NAME_MAX) throw posixError('ERANGE');
  if (name === ACCESS_ACL || name === DEFAULT_ACL) return name;
  if (NAMESPACES.includes(name)) throw posixError('EINVAL');
  if (!NAMESPACES.some((prefix) => name.startsWith(prefix))) throw posixError('EOPNOTSUPP');
  return name;
}
