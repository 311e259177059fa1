// frame.ts — messages as WebSocket frames, each led by one byte: 0 a whole message, 1 a part with more to come, 2 the last part.
// A message that no frame holds travels in parts, so that no frame is above MAX_FRAME_BYTES and pings pass in between. Pure.

import { ByteWriter, CorruptionError } from '../codec/bytes.js';
import { decodeMessage, encodeMessage } from './message-codec.js';
import { MAX_MESSAGE_BYTES } from './message.js';
import type { Message } from './message.js';

export const MAX_FRAME_BYTES = 8 * 1024 * 1024;
const PART_BYTES = 1024 * 1024;

const WHOLE = 0;
const PART = 1;
const LAST_PART = 2;

/** The frames of one message, to be sent in this order. `into`: where there is room in it for a whole message, that is written there. */
export function encodeFrames(message: Message, into?: Buffer): Buffer[] {
  const out = new ByteWriter(into ?? frameBytes(message));
  out.u8(WHOLE);
  encodeMessage(out, message);
  const whole = out.view();
  if (whole.length - 1 > MAX_MESSAGE_BYTES) throw new RangeError(`${message.type} message of ${whole.length} bytes`);
  if (whole.length <= MAX_FRAME_BYTES) return [whole];
  const frames: Buffer[] = [];
  for (let at = 1; at < whole.length; at += PART_BYTES) {
    const last = at + PART_BYTES >= whole.length;
    frames.push(Buffer.concat([Buffer.of(last ? LAST_PART : PART), whole.subarray(at, at + PART_BYTES)]));
  }
  return frames;
}

/** Enough for a message as one frame, so that bulk is copied once. */
export function frameBytes(message: Message): number {
  let total = 1024;
  if (message.type === 'objects') for (const { bytes } of message.objects) total += bytes.length + 48;
  if (message.type === 'changes') for (const { bytes } of message.changes) total += bytes.length + 16;
  return total;
}

/** Puts the messages of one connection together again; holds at most MAX_MESSAGE_BYTES. */
export class FrameAssembler {
  private parts: Buffer[] = [];
  private partsBytes = 0;

  /** The message that this frame completes. Throws CorruptionError; the connection is of no use afterwards. */
  push(frame: Buffer): Message | undefined {
    const kind = frame[0];
    if (frame.length > MAX_FRAME_BYTES) throw new CorruptionError(`frame of ${frame.length} bytes`);
    const body = frame.subarray(1);
    if (kind === WHOLE && this.parts.length === 0) return decodeMessage(body);
    if (kind !== PART && kind !== LAST_PART) throw new CorruptionError(`frame of kind ${kind} where it cannot be`);
    // Parts of any size would let the list grow without its bytes growing.
    if (kind === PART && body.length !== PART_BYTES) throw new CorruptionError(`part of ${body.length} bytes`);
    this.partsBytes += body.length;
    if (this.partsBytes > MAX_MESSAGE_BYTES) throw new CorruptionError(`message above ${MAX_MESSAGE_BYTES} bytes`);
    this.parts.push(body);
    if (kind === PART) return undefined;
    const whole = Buffer.concat(this.parts);
    this.parts = [];
    this.partsBytes = 0;
    return decodeMessage(whole);
  }
}
