import assert from 'node:assert/strict';
import { test } from 'node:test';

import { CAPTURED } from './captured-requests.test-support.js';
import { ParkedRequests } from './parked-requests.js';
import { decodeRead, decodeRequest, type Request } from './requests.js';

const read = Buffer.from(CAPTURED.READ, 'hex');

function request(unique: number): Request {
  const bytes = Buffer.from(read);
  bytes.writeUInt32LE(unique, 8);
  return decodeRequest(bytes, bytes.length);
}

function uniques(requests: Request[]): number[] {
  return requests.map((each) => each.unique);
}

test('a request comes back when the last of its objects came', () => {
  const parked = new ParkedRequests(10, 10_000);
  parked.park(request(1), ['a', 'b']);
  parked.park(request(2), ['b']);
  assert.deepEqual(uniques(parked.arrived(['b', 'unrelated'])), [2]);
  assert.deepEqual(uniques(parked.arrived(['b'])), []);
  assert.deepEqual(uniques(parked.arrived(['a'])), [1]);
  assert.equal(parked.count, 0);
});

test('a request comes back once when its objects come together', () => {
  const parked = new ParkedRequests(10, 10_000);
  parked.park(request(1), ['a', 'b', 'a']);
  assert.deepEqual(uniques(parked.arrived(['a', 'b'])), [1]);
});

test('what is parked is a copy', () => {
  const parked = new ParkedRequests(10, 10_000);
  const original = request(1);
  const expected = decodeRead(request(1).body);
  parked.park(original, ['a']);
  original.body.buffer.fill(0xee);
  assert.deepEqual(decodeRead(parked.arrived(['a'])[0]!.body), expected);
});

test('objects that will not come give up every request that needs one of them', () => {
  const parked = new ParkedRequests(10, 10_000);
  parked.park(request(1), ['a', 'b']);
  parked.park(request(2), ['b', 'c']);
  parked.park(request(3), ['c']);
  assert.deepEqual(uniques(parked.abandon(['b'])), [1, 2]);
  assert.deepEqual(uniques(parked.arrived(['a', 'c'])), [3]);
});

test('an interrupted request is out of the table', () => {
  const parked = new ParkedRequests(10, 10_000);
  parked.park(request(1), ['a']);
  assert.equal(parked.take(1)?.unique, 1);
  assert.equal(parked.take(1), undefined);
  assert.deepEqual(parked.arrived(['a']), []);
});

test('the table is bounded by count and by bytes, and room comes back', () => {
  const byCount = new ParkedRequests(2, 10_000);
  assert.deepEqual(
    [1, 2, 3].map((unique) => byCount.park(request(unique), ['a'])),
    [true, true, false],
  );
  const byBytes = new ParkedRequests(10, read.length * 2);
  assert.deepEqual(
    [1, 2, 3].map((unique) => byBytes.park(request(unique), ['a'])),
    [true, true, false],
  );
  assert.equal(byBytes.arrived(['a']).length, 2);
  assert.equal(byBytes.park(request(4), ['a']), true);
});

test('it knows on which nodes requests wait', () => {
  const parked = new ParkedRequests(10, 10_000);
  const { node } = request(1);
  parked.park(request(1), ['a']);
  parked.park(request(2), ['b']);
  parked.arrived(['a']);
  assert.equal(parked.waitsOn(node), true);
  assert.equal(parked.waitsOn(node + 1), false);
  parked.arrived(['b']);
  assert.equal(parked.waitsOn(node), false);
});
