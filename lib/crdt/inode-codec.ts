// inode-codec.ts — an inode as the bytes of its row in the local database; of one with many names, without its links.
// Invariant: decode(encode(inode)) is the inode. Actor indexes are local and stored as they are, so these bytes never travel.
//
//   u8 version · varint nlink · atime · ctime (signed s, varint ns) · varint registers × { string field · entries }
//   entries: varint number × { varint counter · varint actor · varint stamp · u8 kind · kind 0: signed int, 1: latin1, 2: UTF-8 }
//   version 2: the links are elsewhere, entries each; their number stands before that of the other registers

import { ByteReader, CorruptionError } from '../codec/bytes.js';
import type { ByteWriter } from '../codec/bytes.js';
import type { Value } from './change.js';
import type { Ino } from './ids.js';
import type { Entry, Timestamp } from './inode.js';
import { Inode, LinksApart } from './inode.js';

const TOGETHER = 1;
const LINKS_APART = 2;
const KIND_INT = 0;
const KIND_LATIN1 = 1;
const KIND_UTF8 = 2;
/** What is not one byte per char: only the names of sites, which people choose. */
// oxlint-disable-next-line no-control-regex -- the range of latin1 begins at NUL
const BEYOND_LATIN1 = /[^\u0000-\u00ff]/;

function writeTime(writer: ByteWriter, time: Timestamp): void {
  writer.signed(time.s).varint(time.ns);
}

function readTime(reader: ByteReader, what: string): Timestamp {
  return { s: reader.signed(what), ns: reader.varint(what) };
}

function writeString(writer: ByteWriter, text: string): void {
  if (BEYOND_LATIN1.test(text)) writer.u8(KIND_UTF8).utf8(text);
  else writer.u8(KIND_LATIN1).latin1(text);
}

function readValue(reader: ByteReader): Value {
  const kind = reader.u8('value kind');
  if (kind === KIND_INT) return reader.signed('value');
  if (kind === KIND_LATIN1) return reader.latin1('value');
  if (kind === KIND_UTF8) return reader.utf8('value');
  throw new CorruptionError(`inode: unknown kind of value ${kind}`);
}

/** The entries of one register. */
export function encodeEntries(writer: ByteWriter, entries: readonly Entry[]): void {
  writer.varint(entries.length);
  for (const { counter, actor, stamp, value } of entries) {
    writer.varint(counter).varint(actor).varint(stamp);
    if (typeof value === 'number') writer.u8(KIND_INT).signed(value);
    else writeString(writer, value);
  }
}

function readEntries(reader: ByteReader, what: string): Entry[] {
  const entries: Entry[] = [];
  for (let left = reader.varint('entries'); left > 0; left--) {
    const counter = reader.varint('counter');
    const actor = reader.varint('actor');
    const stamp = reader.varint('stamp');
    entries.push({ counter, actor, stamp, value: readValue(reader) });
  }
  if (entries.length === 0) throw new CorruptionError(`${what} is empty`);
  return entries;
}

/** @throws {CorruptionError} naming `what` when the bytes are no entries */
export function decodeEntries(bytes: Uint8Array, what: string): Entry[] {
  const reader = new ByteReader(bytes);
  const entries = readEntries(reader, what);
  reader.finish(what);
  return entries;
}

/** Without its links if these are kept apart. */
export function encodeInode(writer: ByteWriter, inode: Inode): void {
  const { registers, linksApart } = inode;
  writer.u8(linksApart ? LINKS_APART : TOGETHER).varint(inode.nlink);
  writeTime(writer, inode.atime);
  writeTime(writer, inode.ctime);
  if (linksApart) writer.varint(registers.size - linksApart.others.size).varint(linksApart.others.size);
  else writer.varint(registers.size);
  for (const field of linksApart?.others ?? registers.keys()) {
    writeString(writer, field);
    encodeEntries(writer, registers.get(field)!);
  }
}

/**
 * @param readLinks gives the link registers of an inode whose links are kept apart
 * @throws {CorruptionError} when the bytes are no inode
 */
export function decodeInode(
  ino: Ino,
  bytes: Uint8Array,
  readLinks: () => readonly (readonly [field: string, entries: readonly Entry[]])[] = () => [],
): Inode {
  const reader = new ByteReader(bytes);
  const version = reader.u8('inode version');
  if (version !== TOGETHER && version !== LINKS_APART) {
    throw new CorruptionError(`inode ${ino}: version ${version}, this build reads ${TOGETHER} and ${LINKS_APART}`);
  }
  const nlink = reader.varint('nlink');
  const atime = readTime(reader, 'atime');
  const ctime = readTime(reader, 'ctime');
  const links = version === LINKS_APART ? reader.varint('links') : 0;
  const registers = new Map<string, readonly Entry[]>();
  for (let fields = reader.varint('registers'); fields > 0; fields--) {
    const field = readValue(reader);
    if (typeof field !== 'string') throw new CorruptionError(`inode ${ino}: a field that is no string`);
    registers.set(field, readEntries(reader, `inode ${ino}: register ${field}`));
  }
  reader.finish(`inode ${ino}`);
  const inode = new Inode(ino, registers, nlink, atime, ctime);
  if (version === TOGETHER) return inode;
  inode.linksApart = new LinksApart(new Set(registers.keys()), new Set());
  for (const [field, entries] of readLinks()) registers.set(field, entries);
  const found = registers.size - inode.linksApart.others.size;
  if (found !== links) throw new CorruptionError(`inode ${ino}: ${found} links have a row, should be ${links}`);
  return inode;
}
