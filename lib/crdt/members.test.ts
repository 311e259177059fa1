// members.test.ts — who belongs to a volume, from its registers; and which registers about that no site accepts.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CorruptionError } from '../codec/bytes.js';
import { Inode } from './inode.js';
import type { Entry } from './inode.js';
import { membersOf, READ_WRITE } from './members.js';
import { validateOp } from './register-schema.js';
import { formatRole, parseRole } from './volume-fields.js';

const oslo = '0'.repeat(31) + '1';
const paris = '0'.repeat(31) + '2';
const rome = '0'.repeat(31) + '3';
const identity = 'ab'.repeat(32);

function volume(registers: Record<string, string[]>): Inode {
  const time = { s: 0, ns: 0 };
  let counter = 0;
  const entries = (values: string[]): Entry[] =>
    values.map((value) => ({ counter: ++counter, actor: 0, stamp: 100 - counter, value }));
  const fields = Object.entries(registers).map(([field, values]) => [field, entries(values)] as const);
  return new Inode(0, new Map(fields), 0, time, time);
}

test('members are the sites with a name or a key; of concurrent keys the latest counts', () => {
  const members = membersOf(
    volume({
      [`site:${paris}`]: ['paris'],
      [`site:${oslo}`]: ['oslo'],
      [`key:${oslo}`]: [identity, 'cd'.repeat(32)],
      [`address:${oslo}`]: ['192.0.2.1:7420,[2001:db8::1]:7420'],
      [`key:${rome}`]: ['ef'.repeat(32)],
      [`address:${paris}`]: [''],
      'slot:1': [paris],
    }),
  );
  assert.deepEqual(members, [
    { siteId: oslo, name: 'oslo', identity, addresses: ['192.0.2.1:7420', '[2001:db8::1]:7420'], role: READ_WRITE },
    { siteId: paris, name: 'paris', identity: null, addresses: [], role: READ_WRITE },
    { siteId: rome, name: '?', identity: 'ef'.repeat(32), addresses: [], role: READ_WRITE },
  ]);
  assert.deepEqual(membersOf(undefined), []);
});

test('a key that is none, and an address that could confuse a reader, are refused', () => {
  validateOp(`0.key:${oslo}`, identity);
  for (const value of ['', 'ab', identity.toUpperCase(), `${identity}0`, 7]) {
    assert.throws(() => validateOp(`0.key:${oslo}`, value), CorruptionError, String(value));
  }
  assert.throws(() => validateOp('0.key:oslo', identity), CorruptionError);
  for (const value of ['', 'h:1', 'h:1,[::1]:2']) validateOp(`0.address:${oslo}`, value);
  for (const value of [',', 'h:1,', 'h 1:2', 'h:1\n', 'é:1', `${'h'.repeat(301)}:1`, `${'h:1,'.repeat(8)}h:1`]) {
    assert.throws(() => validateOp(`0.address:${oslo}`, value), CorruptionError, value);
  }
});

test('of roles that were given at once the strictest holds, and what either let count does', () => {
  const [a, b] = ['a'.repeat(32), 'b'.repeat(32)];
  const roles = [`read-only ${a}:3,${b}:1`, `retired ${a}:2,${b}:5`, 'read-write'];
  const [member] = membersOf(volume({ [`site:${oslo}`]: ['oslo'], [`role:${oslo}`]: roles }));
  assert.equal(member!.role.kind, 'retired');
  assert.deepEqual(
    [...member!.role.cut],
    [
      [a, 3],
      [b, 5],
    ],
  );
  for (const role of [...roles, 'retired -', 'read-only -']) {
    validateOp(`0.role:${oslo}`, role);
    assert.equal(formatRole(parseRole(role)), role);
  }
  for (const role of [
    '',
    'retired',
    'retired ',
    'read-write -',
    'owner -',
    `retired ${a}:0`,
    `retired ${b}:1,${a}:1`,
    7,
  ]) {
    assert.throws(() => validateOp(`0.role:${oslo}`, role), CorruptionError, String(role));
  }
});
