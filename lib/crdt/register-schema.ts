// register-schema.ts — which operations a change may hold: a known field, a value of its grammar, within its bounds.
// Invariant: what passes here can be applied, projected and shown by every site. It looks at one op alone; what several mean
// together is never an error but a conflict.

import { CorruptionError } from '../codec/bytes.js';
import type { Value } from './change.js';
import { LINK_PREFIX, XATTR_PREFIX, parseBorn, parseHead, parseInteger, parseInto, parseLink } from './fields.js';
import { linkOfField, parseTimestamp, parseXattr, wholeBlocks } from './fields.js';
import type { Place } from './fields.js';
import { MAX_SLOT, ROOT_INO, VOLUME_INO } from './ids.js';
import type { Ino, Name } from './ids.js';
import type { Timestamp } from './inode.js';
import {
  parseAddresses,
  parseIdentity,
  parseRetention,
  parseRole,
  parseSnapshot,
  RETENTION_FIELD,
  snapshotNameError,
} from './volume-fields.js';

/** NAME_MAX of Linux, also for extended attributes (XATTR_NAME_MAX). */
export const NAME_MAX = 255;
/** PATH_MAX less its NUL: the longest symlink target. */
export const TARGET_MAX = 4095;
/** XATTR_SIZE_MAX. */
export const XATTR_SIZE_MAX = 65536;
/** Tombstones and merges cite at most so many heads: far beyond the number of sites that can write one file at once. */
export const CITES_MAX = 4096;
const MODE_MAX = 0o7777;
const UINT32_MAX = 0xffff_ffff;
/** Seconds that every consumer of a time can hold: ±2^43, beyond any file system's range. */
const SECONDS_MAX = 2 ** 43;
const SITE_NAME_MAX = 255;
/** Of a snapshot: one actor takes 34 to 50 of it, and every start of a daemon is one. */
const SNAPSHOT_VALUE_MAX = 2 ** 20;

const LONE_SURROGATE = /\p{Surrogate}/u;
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;
const ID = /^[0-9a-f]{32}$/;
// oxlint-disable-next-line no-control-regex -- bytes are chars from NUL up
const BYTES = /^[\u0000-\u00ff]*$/;
// oxlint-disable-next-line no-control-regex -- NUL is what is looked for
const NOT_A_NAME = /[/\u0000]/;

/** The inode and field of a register key `<ino>.<field>`. */
export interface RegisterKey {
  readonly ino: Ino;
  readonly field: string;
}

/** @throws {CorruptionError} when it is no key; the field is not looked at */
export function parseKey(key: string): RegisterKey {
  const dot = key.indexOf('.');
  if (dot < 0) throw new CorruptionError(`register key ${JSON.stringify(key).slice(0, 100)}: no field`);
  return { ino: parseInteger(key.slice(0, dot), 'register key'), field: key.slice(dot + 1) };
}

export function formatKey(ino: Ino, field: string): string {
  return `${ino}.${field}`;
}

/**
 * Checks one op of a change that came from elsewhere.
 * @throws {CorruptionError} that names the key and what is wrong with it
 */
export function validateOp(key: string, value: Value): RegisterKey {
  const parsed = parseKey(key);
  const wrong = parsed.ino === VOLUME_INO ? volumeFieldError(parsed.field, value) : inodeFieldError(parsed, value);
  if (wrong !== undefined) throw new CorruptionError(`register ${JSON.stringify(key).slice(0, 300)}: ${wrong}`);
  return parsed;
}

/** What is wrong with a name, or undefined. */
export function nameError(name: Name): string | undefined {
  if (name.length === 0) return 'an empty name';
  if (name.length > NAME_MAX) return `a name of ${name.length} bytes, at most ${NAME_MAX}`;
  if (name === '.' || name === '..') return `the name ${name}`;
  if (NOT_A_NAME.test(name)) return "a name with '/' or NUL";
  if (!BYTES.test(name)) return 'a name that is not bytes';
  return undefined;
}

function placeError(place: Place): string | undefined {
  if (place.parent < ROOT_INO) return `parent ${place.parent}`;
  return nameError(place.name);
}

function integerError(value: Value, max: number): string | undefined {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > max || Object.is(value, -0)) {
    return `${JSON.stringify(value).slice(0, 50)} is no integer from 0 to ${max}`;
  }
  return undefined;
}

/** The nearest time that a register can hold, as a filesystem has it with times that it cannot (timestamp_truncate() of Linux). */
export function heldTime(time: Timestamp): Timestamp {
  if (time.s >= SECONDS_MAX) return { s: SECONDS_MAX, ns: 0 };
  return time.s < -SECONDS_MAX ? { s: -SECONDS_MAX, ns: 0 } : time;
}

function timeError(seconds: number): string | undefined {
  return Math.abs(seconds) > SECONDS_MAX ? `${seconds} seconds are out of range` : undefined;
}

function volumeFieldError(field: string, value: Value): string | undefined {
  const colon = field.indexOf(':');
  const kind = field.slice(0, colon + 1);
  const id = field.slice(colon + 1);
  if (typeof value !== 'string') return 'no string';
  if (field === RETENTION_FIELD) {
    parseRetention(value);
    return undefined;
  }
  switch (kind) {
    case 'snap:':
      if (value.length > SNAPSHOT_VALUE_MAX) return `a snapshot of ${value.length} characters`;
      parseSnapshot(value);
      return snapshotNameError(id);
    case 'site:':
    case 'name:':
      if (!ID.test(id)) return 'no site id';
      if (value.length === 0 || value.length > SITE_NAME_MAX) return `a site name of ${value.length} characters`;
      if (LONE_SURROGATE.test(value)) return 'a site name that is not Unicode';
      // They end up on terminals.
      return CONTROL.test(value) ? 'a site name with control characters' : undefined;
    case 'key:':
      parseIdentity(value);
      return ID.test(id) ? undefined : 'no site id';
    case 'role:':
      if (value.length > SNAPSHOT_VALUE_MAX) return `a role of ${value.length} characters`;
      parseRole(value);
      return ID.test(id) ? undefined : 'no site id';
    case 'address:':
      parseAddresses(value);
      return ID.test(id) ? undefined : 'no site id';
    case 'actor:':
      return ID.test(id) && ID.test(value) ? undefined : 'no actor or site id';
    case 'slot:': {
      const slot = parseInteger(id, field);
      if (slot < 1 || slot > MAX_SLOT) return `no slot ${slot}`;
      return ID.test(value) ? undefined : 'no site id';
    }
    default:
      return 'unknown field';
  }
}

function inodeFieldError({ ino, field }: RegisterKey, value: Value): string | undefined {
  switch (field) {
    case 'born': {
      const born = parseBorn(value);
      if (ino === ROOT_INO && born.type !== 'd') return 'the root is a directory';
      if (born.mode > MODE_MAX) return `mode ${born.mode} has more than 12 bits`;
      if (Math.max(born.uid, born.gid, born.rdev) > UINT32_MAX) return 'an owner or device number above 32 bits';
      if (born.name === '') return timeError(born.btime.s); // the root, or O_TMPFILE
      return placeError(born) ?? timeError(born.btime.s);
    }
    case 'mode': {
      const wrong = integerError(value, MODE_MAX * 65536 + MODE_MAX);
      if (wrong !== undefined) return wrong;
      return (value as number) % 65536 > MODE_MAX ? `mode ${value} has more than 12 bits` : undefined;
    }
    case 'uid':
    case 'gid':
      return integerError(value, UINT32_MAX);
    case 'target':
      if (typeof value !== 'string' || value.length === 0 || value.length > TARGET_MAX) {
        return `a target of 1 to ${TARGET_MAX} bytes is asked for`;
      }
      return BYTES.test(value) && !value.includes('\0') ? undefined : 'a target with NUL or that is not bytes';
    case 'times':
      return timeError(parseTimestamp(value, 'times').s);
    case 'head': {
      const head = parseHead(value);
      const merged = head.merged?.length ?? 0;
      if (merged > CITES_MAX) return `${merged} versions merged, at most ${CITES_MAX}`;
      if (head.blocks !== undefined && head.blocks >= wholeBlocks(head.size)) {
        return `${head.blocks} blocks of ${head.size} bytes with holes`;
      }
      return head.copyIno <= ROOT_INO ? `copy inode ${head.copyIno}` : timeError(head.mtime.s);
    }
    case 'into':
      if (ino === ROOT_INO) return 'the root is merged into nothing';
      return parseInto(value) < ROOT_INO ? `canonical inode ${value}` : undefined;
  }
  if (field.startsWith(LINK_PREFIX)) return linkError(ino, field, value);
  if (field.startsWith(XATTR_PREFIX)) return xattrError(field.slice(XATTR_PREFIX.length), value);
  return 'unknown field';
}

function linkError(ino: Ino, field: string, value: Value): string | undefined {
  if (ino === ROOT_INO) return 'the root has no link';
  linkOfField(field);
  const link = parseLink(value);
  const wrong = placeError(link);
  if (wrong !== undefined) return wrong;
  if (link.kind === 'place') return link.prev && placeError(link.prev);
  return link.cites.length > CITES_MAX ? `${link.cites.length} heads cited, at most ${CITES_MAX}` : undefined;
}

function xattrError(name: string, value: Value): string | undefined {
  if (name.length === 0 || name.length > NAME_MAX) return `an attribute name of ${name.length} bytes`;
  if (name.includes('\0') || !BYTES.test(name)) return 'an attribute name with NUL or that is not bytes';
  const bytes = parseXattr(value);
  if (bytes === undefined) return undefined;
  if (bytes.length > XATTR_SIZE_MAX) return `an attribute of ${bytes.length} bytes, at most ${XATTR_SIZE_MAX}`;
  return BYTES.test(bytes) ? undefined : 'an attribute that is not bytes';
}
