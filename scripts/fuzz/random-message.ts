// random-message.ts — any message that a site may send, small, with ids that now and then are those of another message.

import type { Random } from '../../lib/sim/random.js';
import { PROTOCOL_VERSION } from '../../lib/sync/message.js';
import type { Hello, Message } from '../../lib/sync/message.js';

/** Of the site that is spoken to. */
export const selfHello: Hello = {
  type: 'hello',
  version: PROTOCOL_VERSION,
  volumeId: 'volume',
  siteId: 'ab'.repeat(16),
  instance: '01'.repeat(8),
  site: 'paris',
  slot: 1,
  address: '192.0.2.7:7420',
  vector: new Map([['ab'.repeat(16), 5]]),
  missingCount: 2,
  keepsAll: true,
  introductions: [],
};

export function randomMessage(random: Random): Message {
  const id = (bytes: number): string => random.pick(['ab', 'cd', 'ef', random.hex(1)])!.repeat(bytes);
  const ids = (): string[] => Array.from({ length: random.below(4) }, () => id(32));
  const seq = (): number => 1 + random.below(random.chance(0.8) ? 8 : 2 ** 31);
  const vector = (): Map<string, number> =>
    new Map(
      [...new Set(Array.from({ length: random.below(4) }, () => id(16)))].toSorted().map((actor) => [actor, seq()]),
    );
  const bytes = (): Buffer => Buffer.from(random.hex(random.below(30)), 'hex');
  const introductions = () =>
    Array.from({ length: random.below(3) }, () => ({ siteId: id(16), site: 'rome', address: '[::1]:7' }));
  switch (random.below(13)) {
    case 0:
      return {
        ...selfHello,
        siteId: id(16),
        slot: random.below(2 ** 14),
        vector: vector(),
        introductions: introductions(),
      };
    case 1:
      return { type: 'goodbye', code: 'paused', reason: 'because' };
    case 2: {
      const changes = Array.from({ length: random.below(4) }, () => ({
        actor: id(16),
        seq: seq(),
        bytes: bytes(),
        deps: [],
      }));
      return { type: 'changes', changes };
    }
    case 3:
      return { type: 'have', vector: vector(), missingCount: random.below(5), arrived: ids() };
    case 4:
      return { type: 'want', ids: ids() };
    case 5:
      return {
        type: 'objects',
        objects: ids().map((object) => ({ id: object, kind: random.below(3), bytes: bytes() })),
      };
    case 6:
      return { type: 'absent', ids: ids() };
    case 7:
      return { type: 'ask-kept', ids: ids() };
    case 8:
      return { type: 'kept', ids: ids() };
    case 9:
      return { type: 'credit', changeBytes: random.below(2000), objectBytes: random.below(2000) };
    case 10:
      return { type: random.chance(0.5) ? 'barrier' : 'barrier-done' };
    case 11:
      return {
        type: 'join-request',
        version: PROTOCOL_VERSION,
        inviteId: 'abcdefgh',
        proof: Buffer.alloc(32, random.below(256)),
        siteId: id(16),
        site: 'rome',
        volumeId: '',
      };
    default:
      return { type: 'join-grant', volumeId: 'volume', volumeName: 'team', peers: introductions() };
  }
}
