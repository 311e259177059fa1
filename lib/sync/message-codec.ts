// message-codec.ts — a message as bytes. Pure.
// A message is a type byte and its fields (message-fields.ts), and nothing may follow the last field. What does not conform is a
// CorruptionError. Only the start of a hello (type, version) and the goodbye are fixed for all versions of the protocol, so that any two
// versions can part politely.

import { ByteReader, type ByteWriter, CorruptionError } from '../codec/bytes.js';
import {
  putChanges,
  putHex,
  putHoldings,
  putIds,
  putIntroductions,
  putOffer,
  putVector,
  readChanges,
  readFlag,
  readHex,
  readHoldings,
  readIds,
  readIntroductions,
  readObjects,
  readOffer,
  readVector,
} from './message-fields.js';
import {
  GOODBYE_CODES,
  type Hello,
  MAX_IDS,
  MAX_MESSAGE_BYTES,
  MAX_REASON_BYTES,
  MAX_SLOT_VALUE,
  type Message,
  PROOF_BYTES,
  PROTOCOL_VERSION,
} from './message.js';
import { MAX_ADDRESS_BYTES, MAX_NAME_BYTES, putText, readAddress, readText } from './wire-text.js';

const TYPE = {
  hello: 1,
  goodbye: 2,
  changes: 3,
  have: 4,
  want: 5,
  objects: 6,
  absent: 7,
  credit: 8,
  barrier: 9,
  'barrier-done': 10,
  'join-request': 11,
  'join-grant': 12,
  'ask-kept': 13,
  kept: 14,
  holdings: 15,
  'base-offer': 16,
  'base-want': 17,
  'base-part': 18,
} as const;

/** Appends the message's bytes. Throws RangeError on a field that no receiver would accept: our own bug. */
export function encodeMessage(out: ByteWriter, message: Message): void {
  if (message.type === 'foreign-hello') throw new RangeError('a foreign hello is never sent');
  out.u8(TYPE[message.type]);
  switch (message.type) {
    case 'hello':
      out.u16(message.version);
      putText(out, message.volumeId, MAX_NAME_BYTES);
      putHex(out, message.siteId, 16);
      putHex(out, message.instance, 8);
      putText(out, message.site, MAX_NAME_BYTES);
      out.u16(message.slot);
      putText(out, message.address, MAX_ADDRESS_BYTES);
      putVector(out, message.vector);
      out.varint(message.missingCount);
      out.u8(message.keepsAll ? 1 : 0);
      putIntroductions(out, message.introductions);
      return;
    case 'goodbye':
      out.u8(GOODBYE_CODES.indexOf(message.code));
      putText(out, message.reason, MAX_REASON_BYTES);
      return;
    case 'changes':
      putChanges(out, message.changes);
      return;
    case 'have':
      putVector(out, message.vector);
      out.varint(message.missingCount);
      putIds(out, message.arrived);
      return;
    case 'want':
    case 'absent':
    case 'ask-kept':
    case 'kept':
      putIds(out, message.ids);
      return;
    case 'objects':
      if (message.objects.length > MAX_IDS) throw new RangeError(`${message.objects.length} objects in one message`);
      out.varint(message.objects.length);
      for (const object of message.objects) {
        putHex(out, object.id, 32);
        out.u8(object.kind).bytes(object.bytes);
      }
      return;
    case 'base-offer':
      putOffer(out, message.offer);
      return;
    case 'base-want':
      putHex(out, message.id, 32);
      out.varint(message.after + 1);
      return;
    case 'base-part': {
      const { id, after, last, done, bytes } = message.part;
      putHex(out, id, 32);
      out
        .varint(after + 1)
        .varint(last + 1)
        .u8(done ? 1 : 0)
        .bytes(bytes);
      return;
    }
    case 'holdings':
      putHoldings(out, message.holdings);
      return;
    case 'credit':
      out.varint(message.changeBytes).varint(message.objectBytes);
      return;
    case 'barrier':
    case 'barrier-done':
      return;
    case 'join-request':
      out.u16(message.version);
      putText(out, message.inviteId, MAX_NAME_BYTES);
      out.raw(message.proof);
      putHex(out, message.siteId, 16);
      putText(out, message.site, MAX_NAME_BYTES);
      putText(out, message.volumeId, MAX_NAME_BYTES);
      return;
    case 'join-grant':
      putText(out, message.volumeId, MAX_NAME_BYTES);
      putText(out, message.volumeName, MAX_NAME_BYTES);
      putIntroductions(out, message.peers);
      return;
  }
}

/** Bytes in changes and objects are views on `bytes`. Throws CorruptionError. */
export function decodeMessage(bytes: Uint8Array): Message {
  if (bytes.length > MAX_MESSAGE_BYTES) throw new CorruptionError(`message of ${bytes.length} bytes`);
  const reader = new ByteReader(bytes);
  const message = readMessage(reader);
  if (message.type !== 'foreign-hello') reader.finish(message.type);
  return message;
}

function readMessage(reader: ByteReader): Message {
  const type = reader.u8('message type');
  switch (type) {
    case TYPE.hello:
      return readHello(reader);
    case TYPE.goodbye: {
      const code = GOODBYE_CODES[reader.u8('goodbye code')] ?? 'protocol';
      return { type: 'goodbye', code, reason: readText(reader, 'goodbye reason', MAX_REASON_BYTES) };
    }
    case TYPE.changes:
      return { type: 'changes', changes: readChanges(reader) };
    case TYPE.have:
      return {
        type: 'have',
        vector: readVector(reader),
        missingCount: reader.varint('missing count'),
        arrived: readIds(reader),
      };
    case TYPE.want:
      return { type: 'want', ids: readIds(reader) };
    case TYPE.objects:
      return { type: 'objects', objects: readObjects(reader) };
    case TYPE.absent:
      return { type: 'absent', ids: readIds(reader) };
    case TYPE['ask-kept']:
      return { type: 'ask-kept', ids: readIds(reader) };
    case TYPE.kept:
      return { type: 'kept', ids: readIds(reader) };
    case TYPE['base-offer']:
      return { type: 'base-offer', offer: readOffer(reader) };
    case TYPE['base-want']:
      return { type: 'base-want', id: readHex(reader, 'base id', 32), after: reader.varint('inode') - 1 };
    case TYPE['base-part']:
      return {
        type: 'base-part',
        part: {
          id: readHex(reader, 'base id', 32),
          after: reader.varint('inode') - 1,
          last: reader.varint('last inode') - 1,
          done: readFlag(reader, 'last part'),
          bytes: reader.bytes('part of a base'),
        },
      };
    case TYPE.holdings:
      return { type: 'holdings', holdings: readHoldings(reader) };
    case TYPE.credit:
      return {
        type: 'credit',
        changeBytes: reader.varint('change credit'),
        objectBytes: reader.varint('object credit'),
      };
    case TYPE.barrier:
      return { type: 'barrier' };
    case TYPE['barrier-done']:
      return { type: 'barrier-done' };
    case TYPE['join-request']:
      return readJoinRequest(reader);
    case TYPE['join-grant']:
      return {
        type: 'join-grant',
        volumeId: readText(reader, 'volume id', MAX_NAME_BYTES),
        volumeName: readText(reader, 'volume name', MAX_NAME_BYTES),
        peers: readIntroductions(reader),
      };
    default:
      throw new CorruptionError(`message type ${type} is not known`);
  }
}

function readJoinRequest(reader: ByteReader): Message {
  const version = reader.u16('protocol version');
  if (version !== PROTOCOL_VERSION) return { type: 'foreign-hello', version };
  return {
    type: 'join-request',
    version,
    inviteId: readText(reader, 'invite id', MAX_NAME_BYTES),
    proof: Uint8Array.from(reader.view(PROOF_BYTES, 'proof')),
    siteId: readHex(reader, 'site id', 16),
    site: readText(reader, 'site name', MAX_NAME_BYTES),
    volumeId: readText(reader, 'volume id', MAX_NAME_BYTES),
  };
}

function readHello(reader: ByteReader): Message {
  const version = reader.u16('protocol version');
  if (version !== PROTOCOL_VERSION) return { type: 'foreign-hello', version };
  const hello: Hello = {
    type: 'hello',
    version,
    volumeId: readText(reader, 'volume id', MAX_NAME_BYTES),
    siteId: readHex(reader, 'site id', 16),
    instance: readHex(reader, 'instance', 8),
    site: readText(reader, 'site name', MAX_NAME_BYTES),
    slot: reader.u16('slot'),
    address: readAddress(reader, 'listen address'),
    vector: readVector(reader),
    missingCount: reader.varint('missing count'),
    keepsAll: readFlag(reader, 'keeps all'),
    introductions: readIntroductions(reader),
  };
  if (hello.slot > MAX_SLOT_VALUE) throw new CorruptionError(`slot ${hello.slot} is above ${MAX_SLOT_VALUE}`);
  return hello;
}
