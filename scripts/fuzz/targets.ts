// targets.ts — every decoder of bytes that come from outside: how to make input for it, and what it may do with any input.
// A target's run() returns what the decoder answered, in a few words, and throws where it did what it must not: an error that is none of
// its own, or a value that is written back as something else.

import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { ByteWriter, CorruptionError } from '../../lib/codec/bytes.js';
import { isObjectKind, ObjectKind } from '../../lib/chunks/object-kind.js';
import { decodeManifest, encodeManifest } from '../../lib/chunks/manifest.js';
import {
  decodeRecordData,
  decodeRecordHeader,
  encodeRecordHeader,
  RECORD_HEADER_BYTES,
} from '../../lib/chunks/pack-record.js';
import { validateOp } from '../../lib/crdt/register-schema.js';
import { controlRequest } from '../../lib/daemon/control-request.js';
import {
  LineSplitter,
  LineTooLongError,
  MAX_REQUEST_BYTES,
  parseLine,
  parseReply,
} from '../../lib/daemon/control-protocol.js';
import { decodeChange, encodeChange } from '../../lib/journal/change-codec.js';
import type { Random } from '../../lib/sim/random.js';
import { parseAddress } from '../../lib/sync/address.js';
import { encodeFrames, FrameAssembler } from '../../lib/sync/frame.js';
import { formatInvite, parseInvite } from '../../lib/sync/invite.js';
import { followedBy } from '../../lib/sync/key-succession.js';
import { decodeMessage, encodeMessage } from '../../lib/sync/message-codec.js';
import { PeerSession } from '../../lib/sync/peer-session.js';
import { decodeDraftChanged, decodeWrites, encodeWrites, RECORD } from '../../lib/volume/intent-records.js';
import { generateBasePart, takeBasePart } from './base-target.js';
import { randomMessage, selfHello } from './random-message.js';
import { fuseTarget } from './fuse-target.js';

export interface Target {
  readonly name: string;
  readonly what: string;
  generate(random: Random): Buffer;
  run(input: Buffer): string;
}

/** Runs a decoder; a CorruptionError is an answer. */
function answerOf(decode: () => string, ours: (error: unknown) => boolean = () => false): string {
  try {
    return decode();
  } catch (error) {
    if (error instanceof CorruptionError || ours(error)) return shapeOf((error as Error).message);
    throw error;
  }
}

/** A text without what differs between two inputs of one kind. */
export function shapeOf(text: string): string {
  return text
    .replaceAll(/"(?:[^"\\]|\\.)*"/g, '"…"')
    .replaceAll(/[0-9a-f]{8,}/g, 'x')
    .replaceAll(/-?\d+/g, '0')
    .slice(0, 120);
}

function bytesOf(message: Parameters<typeof encodeMessage>[1]): Buffer {
  const out = new ByteWriter();
  encodeMessage(out, message);
  return out.copy();
}

const message: Target = {
  name: 'message',
  what: 'messages of links and of joining',
  generate: (random) => bytesOf(randomMessage(random)),
  run: (input) =>
    answerOf(() => {
      const decoded = decodeMessage(input);
      if (decoded.type === 'foreign-hello') return decoded.type;
      // What was taken is written back as bytes that mean the same.
      assert.deepEqual(decodeMessage(bytesOf(decoded)), decoded);
      return decoded.type;
    }),
};

/** Frames as u16 lengths and bytes. */
const frame: Target = {
  name: 'frame',
  what: 'frames of one connection, one after the other',
  generate: (random) => {
    const parts: Buffer[] = [];
    for (let left = 1 + random.below(4); left > 0; left--) {
      for (const bytes of encodeFrames(randomMessage(random))) parts.push(lengthOf(bytes), bytes);
    }
    return Buffer.concat(parts);
  },
  run: (input) => {
    const assembler = new FrameAssembler();
    return answerOf(() => {
      const types: string[] = [];
      for (const part of partsOf(input)) types.push(assembler.push(part)?.type ?? 'part');
      return types.slice(0, 4).join(' ');
    });
  },
};

/** A hello, then whatever messages come, as a peer would send them: the session ends, or goes on, and throws nothing. */
const session: Target = {
  name: 'session',
  what: 'what a peer says, message by message, to a linked site',
  generate: (random) => {
    const parts: Buffer[] = [];
    const hello = bytesOf({ ...selfHello, siteId: 'cd'.repeat(16), vector: new Map([['ef'.repeat(16), 3]]) });
    if (random.chance(0.95)) parts.push(lengthOf(hello), hello);
    for (let left = random.below(12); left > 0; left--) {
      const bytes = bytesOf(randomMessage(random));
      parts.push(lengthOf(bytes), bytes);
    }
    return Buffer.concat(parts);
  },
  run: (input) => {
    const peer = new PeerSession();
    const here = {
      vector: new Map([['ab'.repeat(16), 5]]),
      missingCount: 2,
      maySend: true,
      floor: new Map<string, number>(),
    };
    const said: string[] = [];
    const step = (given: Parameters<PeerSession['step']>[0]): void => {
      for (const effect of peer.step(given, here)) {
        said.push(effect.do);
        // As a connection does, with a store that has nothing.
        if (effect.do === 'admit') step({ on: 'admitted' });
        else if (effect.do === 'readChanges') step({ on: 'changesRead', changes: [], done: true });
        else if (effect.do === 'ingest') step({ on: 'ingested', costBytes: effect.costBytes });
        else if (effect.do === 'storeObjects') step({ on: 'stored', costBytes: effect.costBytes });
        else if (effect.do === 'readObject') step({ on: 'objectRead', id: effect.id, object: undefined });
        else if (effect.do === 'checkKept') step({ on: 'keptChecked', ids: [] });
        else if (effect.do === 'flush') step({ on: 'flushed' });
        else if (effect.do === 'send') bytesOf(effect.message);
      }
    };
    step({ on: 'opened', self: selfHello, provedSiteId: 'cd'.repeat(16) });
    const answer = answerOf(() => {
      for (const part of partsOf(input)) step({ on: 'message', message: decodeMessage(part) });
      return '';
    });
    return `${said.slice(-6).join(' ')} ${answer}`;
  },
};

const MAX_CHANGE_BYTES = 4 * 2 ** 20;
const KEYS = ['1.mode', '5.uid', '0.slot:7', '5.target', '549755813889.head', '7.x:user.a', '5.link:0', '5.born'];

const change: Target = {
  name: 'change',
  what: 'changes, and their operations',
  generate: (random) => {
    const actor = random.hex(16);
    const ops = Array.from({ length: random.below(8) }, () => ({
      key: random.pick(KEYS)!,
      value: random.chance(0.5) ? random.below(2 ** 31) : `1/${random.hex(random.below(40))}`,
      pred: random.chance(0.3) ? [`${1 + random.below(99)}@${random.hex(16)}`] : [],
    }));
    const deps = Array.from({ length: random.below(3) }, () => random.hex(32)).toSorted();
    const [seq, startOp] = [1 + random.below(300), 1 + random.below(2 ** 31)];
    return Buffer.from(encodeChange({ actor, seq, startOp, stamp: random.below(2 ** 31) * 4096, deps, ops }).bytes);
  },
  run: (input) =>
    answerOf(() => {
      const decoded = decodeChange(sealed(input), MAX_CHANGE_BYTES);
      assert.equal(encodeChange(decoded).change.hash, decoded.hash, 'written back as other bytes');
      for (const { key, value } of decoded.ops) validateOp(key, value);
      return 'taken';
    }),
};

/** With the checksum that belongs to it: else hardly any mutation would come further. */
function sealed(input: Buffer): Buffer {
  if (input.length < 9) return input;
  const bytes = Buffer.from(input);
  hash('sha256', bytes.subarray(8), 'buffer').copy(bytes, 4, 0, 4);
  return bytes;
}

const register: Target = {
  name: 'register',
  what: 'keys and values of registers',
  generate: (random) => {
    const values = [
      '1/a',
      '-1/a\0',
      'f 1/a 1.000000000 420 0 0 0',
      `${random.hex(32)} 5 1.000000000 77`,
      '=x',
      'retired -',
    ];
    return Buffer.from(
      `${random.pick([...KEYS, `0.role:${random.hex(16)}`, '0.snap:a', '0.keep'])!}\n${random.pick(values)!}`,
    );
  },
  run: (input) => {
    const text = input.toString('latin1');
    const end = text.indexOf('\n');
    const [key, value] = [text.slice(0, Math.max(end, 0)), text.slice(end + 1)];
    const number = Number(value);
    return answerOf(() => validateOp(key, Number.isSafeInteger(number) ? number : value).field.slice(0, 6));
  },
};

const base: Target = {
  name: 'base',
  what: 'parts of the base that takes the place of dropped changes',
  generate: generateBasePart,
  run: (input) => answerOf(() => takeBasePart(input)),
};

const manifest: Target = {
  name: 'manifest',
  what: 'manifests of file versions',
  generate: (random) => {
    if (random.chance(0.3)) {
      const inline = Buffer.from(random.hex(random.below(60)), 'hex');
      return encodeManifest({ size: inline.length, extents: [], inline, holes: [] });
    }
    let offset = 0;
    const extents = Array.from({ length: 1 + random.below(5) }, () => {
      const length = 65_536 * (1 + random.below(8));
      const extent = { offset, length, chunk: random.hex(32) };
      offset += length;
      return extent;
    });
    return encodeManifest({ size: offset, extents, inline: null, holes: random.chance(0.5) ? [4096, 8192] : [] });
  },
  run: (input) =>
    answerOf(() => {
      const decoded = decodeManifest(input);
      assert.ok(encodeManifest(decoded).equals(input), 'written back as other bytes');
      return `${decoded.extents.length > 0 ? 'extents' : 'inline'} ${decoded.holes.length > 0 ? 'holes' : ''}`;
    }),
};

const pack: Target = {
  name: 'pack',
  what: 'records of packs',
  generate: (random) => {
    const data = Buffer.from(random.hex(random.below(60)), 'hex');
    const record = Buffer.alloc(RECORD_HEADER_BYTES);
    const id = hash('sha256', data);
    const kind = random.chance(0.5) ? ObjectKind.chunk : ObjectKind.manifest;
    encodeRecordHeader(record, 0, { kind, flags: 0, stored: data.length, raw: data.length, id });
    return Buffer.concat([record, data]);
  },
  run: (input) =>
    answerOf(() => {
      const header = input.length < 50 ? undefined : decodeRecordHeader(crcSealed(input), 0);
      if (header === undefined) return 'no record';
      decodeRecordData(header, input.subarray(50), 'fuzzed');
      return `kind ${header.kind} ${isObjectKind(header.kind)}`;
    }),
};

function crcSealed(input: Buffer): Buffer {
  const bytes = Buffer.from(input);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 46)), 46);
  return bytes;
}

const intent: Target = {
  name: 'intent',
  what: 'records of the intent log, as read after a crash',
  generate: (random) => {
    const out = new ByteWriter();
    out.u8(random.below(256));
    const time = { s: random.below(2 ** 31), ns: random.below(1e9) };
    const writes = Array.from({ length: random.below(4) }, () => ({
      ino: random.below(99),
      field: random.pick(['mode', 'link:0', 'x:user.a'])!,
      value: random.chance(0.5) ? random.below(999) : `1/${random.hex(4)}`,
    }));
    encodeWrites(out, {
      time,
      touched: [1],
      draft: random.below(9),
      ends: random.chance(0.5),
      staysSynced: random.chance(0.5),
      writes,
    });
    return out.copy();
  },
  run: (input) =>
    answerOf(() => {
      const kind = input[0] ?? 0;
      const payload = input.subarray(1);
      if (kind % 2 === 0) return `writes ${decodeWrites(payload).writes.length > 0}`;
      decodeDraftChanged([RECORD.allocate, RECORD.allocate + 1][kind % 4 > 1 ? 0 : 1]!, payload);
      return 'draft';
    }),
};

const INVITE = formatInvite({
  addresses: ['192.0.2.7:7420', '[2001:db8::7]:1'],
  volume: 'tëam',
  id: 'abcdefgh',
  identity: '5f'.repeat(32),
  secret: Buffer.alloc(16, 7),
});

/** What people are told of one that they mistyped. */
function isTypo(error: unknown): boolean {
  return (error as Error).constructor === Error && /is no invite|is no address/.test((error as Error).message);
}

const invite: Target = {
  name: 'invite',
  what: 'invites, and addresses, as people paste them',
  generate: (random) => Buffer.from(random.chance(0.5) ? INVITE : `[${random.hex(2)}::1]:${random.below(70_000)}`),
  run: (input) => {
    const text = input.toString('utf8');
    const asInvite = answerOf(() => {
      const parsed = parseInvite(text);
      assert.deepEqual(parseInvite(formatInvite(parsed)), parsed);
      return 'an invite';
    }, isTypo);
    return `${asInvite} ${answerOf(() => (parseAddress(text), 'an address'), isTypo)}`;
  },
};

const succession: Target = {
  name: 'succession',
  what: 'what a certificate says of the keys before its own',
  generate: (random) =>
    Buffer.from(
      Array.from(
        { length: random.below(4) },
        () => `URI:weft-key:${Buffer.from(random.hex(108), 'hex').toString('base64url')}`,
      ).join(', '),
    ),
  run: (input) => {
    const certificate = { subjectAltName: input.toString('latin1') } as Parameters<typeof followedBy>[0];
    assert.deepEqual(followedBy(certificate, '5f'.repeat(32)), [], 'nobody signed that');
    return 'none';
  },
};

const VERBS = [
  'status',
  'sync',
  'pause',
  'addPeer',
  'invite',
  'history',
  'repair',
  'keep',
  'content',
  'resolve',
  'stop',
];

/** What the other end of the socket is told. */
function isAnswer(error: unknown): boolean {
  return (error as Error).constructor === Error || error instanceof LineTooLongError;
}

const control: Target = {
  name: 'control',
  what: 'lines on the control socket, either way',
  generate: (random) =>
    Buffer.from(
      `${JSON.stringify({
        id: random.below(9),
        verb: random.pick(VERBS),
        peer: random.chance(0.5) ? null : random.hex(4),
        timeoutMs: random.below(99),
        path: `/${random.hex(2)}`,
        result: random.below(3),
      })}\n`,
    ),
  run: (input) => {
    const lines = new LineSplitter(MAX_REQUEST_BYTES);
    const answers: string[] = [];
    for (const line of [...lines.push(input), ...lines.end()].slice(0, 20)) {
      answers.push(
        answerOf(() => {
          const checked = controlRequest.safeParse(parseLine(line));
          return checked.success
            ? checked.data.verb
            : shapeOf(checked.error.issues[0]!.code + checked.error.issues[0]!.path.join());
        }, isAnswer),
        answerOf(() => Object.keys(parseReply(line)).join(), isAnswer),
      );
    }
    return answers.slice(0, 4).join(' ');
  },
};

export const TARGETS: readonly Target[] = [
  message,
  frame,
  session,
  change,
  register,
  base,
  manifest,
  pack,
  intent,
  invite,
  succession,
  fuseTarget,
  control,
];

function lengthOf(bytes: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16LE(Math.min(bytes.length, 0xffff));
  return length;
}

function partsOf(input: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at + 2 <= input.length && parts.length < 64;) {
    const length = input.readUInt16LE(at);
    parts.push(input.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return parts;
}
