// object-fetch.test.ts — which link is asked for what, and credit: decided without links, so checked without any.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ReceiveCredit, SendCredit } from './credit.js';
import { ObjectFetch } from './object-fetch.js';
import { ProtocolError } from './protocol-error.js';

const room = (link: number, count = 10) => ({ link, room: count });
const plain = (wants: Map<number, string[]>) => [...wants];

test('what one link has no room for is asked of the next, and nothing twice', () => {
  const fetch = new ObjectFetch();
  assert.deepEqual(plain(fetch.assign(['a', 'b', 'c'], [room(1, 2), room(2)])), [
    [1, ['a', 'b']],
    [2, ['c']],
  ]);
  assert.deepEqual(plain(fetch.assign(['a', 'b', 'c'], [room(1), room(2)])), []);
  fetch.answered(1, 2);
  assert.deepEqual(plain(fetch.assign(['a'], [room(2)])), [], 'delivered, and being stored');
  fetch.stored(['a']);
  assert.deepEqual(plain(fetch.assign(['a'], [room(2)])), [[2, ['a']]], 'lost again later, asked for again');
});

test('what one link lacks is asked of another, and of the first when it announces it', () => {
  const fetch = new ObjectFetch();
  fetch.assign(['a'], [room(1)]);
  fetch.reportedAbsent(1, ['a']);
  assert.deepEqual(plain(fetch.assign(['a'], [room(1)])), []);
  assert.deepEqual(plain(fetch.assign(['a'], [room(1), room(2)])), [[2, ['a']]]);
  fetch.reportedAbsent(2, ['a']);
  fetch.announced(1, ['a']);
  assert.deepEqual(plain(fetch.assign(['a'], [room(2), room(1)])), [[1, ['a']]]);
});

test('what a lost link was asked for is asked of another at once', () => {
  const fetch = new ObjectFetch();
  fetch.assign(['a', 'b'], [room(1)]);
  fetch.linkGone(1);
  assert.deepEqual(plain(fetch.assign(['a', 'b'], [room(2)])), [[2, ['a', 'b']]]);
});

test('a link that answers nothing for five ticks is passed over, and one that idles is not', () => {
  const fetch = new ObjectFetch();
  for (let i = 0; i < 20; i++) fetch.tick();
  fetch.assign(['a'], [room(1)]);
  for (let i = 0; i < 4; i++) fetch.tick();
  assert.deepEqual(plain(fetch.assign(['a'], [room(2)])), []);
  fetch.tick();
  assert.deepEqual(plain(fetch.assign(['a', 'b'], [room(1), room(2)])), [[2, ['a', 'b']]]);
});

test('an absence is forgotten after ten ticks, so that no object is given up', () => {
  const fetch = new ObjectFetch();
  fetch.assign(['a'], [room(1)]);
  fetch.reportedAbsent(1, ['a']);
  for (let i = 0; i < 10; i++) fetch.tick();
  assert.deepEqual(plain(fetch.assign(['a'], [room(1)])), [[1, ['a']]]);
});

test('without room nothing is asked for during five ticks', () => {
  const fetch = new ObjectFetch();
  fetch.assign(['a'], [room(1)]);
  fetch.answered(1, 1);
  fetch.noRoom(['a']);
  assert.ok(fetch.resting);
  for (let i = 0; i < 5; i++) fetch.tick();
  assert.ok(!fetch.resting);
  assert.deepEqual(plain(fetch.assign(['a'], [room(1)])), [[1, ['a']]]);
});

test('credit never lets more than a window and one message be under way, and never runs dry for good', () => {
  const windowBytes = 1000;
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 3000 })), { maxLength: 200 }), (steps) => {
      const [send, receive] = [new SendCredit(windowBytes), new ReceiveCredit(windowBytes)];
      const held: number[] = [];
      for (const [sending, cost] of steps) {
        if (sending && send.open) {
          assert.ok(send.underWayBytes < windowBytes);
          send.spend(cost);
          receive.take(cost);
          held.push(cost);
        } else if (held.length > 0) {
          receive.done(held.shift()!);
          send.grant(receive.due());
        }
      }
      for (const cost of held) receive.done(cost);
      send.grant(receive.due());
      assert.ok(send.open);
    }),
  );
  assert.throws(() => new SendCredit(10).grant(1), ProtocolError);
});

test('a site that fetches on demand is asked for what those that keep everything lack', () => {
  const fetch = new ObjectFetch();
  const links = [room(1), { ...room(2), lastResort: true }, room(3)];
  assert.deepEqual(plain(fetch.assign(['a', 'b'], links)), [[1, ['a', 'b']]]);
  fetch.reportedAbsent(1, ['a', 'b']);
  assert.deepEqual(plain(fetch.assign(['a', 'b'], links)), [[3, ['a', 'b']]]);
  fetch.reportedAbsent(3, ['b']);
  assert.deepEqual(plain(fetch.assign(['a', 'b'], links)), [[2, ['b']]]);
  assert.deepEqual(
    plain(fetch.assign(['c'], [{ ...room(2), lastResort: true }])),
    [[2, ['c']]],
    'nobody else is there',
  );
});
