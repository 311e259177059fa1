// invite.test.ts — invites, base32 and addresses as text: what comes out goes in again, and what was garbled is named.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { announcedAddresses, formatAddress, parseAddress } from './address.js';
import { decodeBase32, encodeBase32 } from './base32.js';
import { formatInvite, parseInvite } from './invite.js';
import { pauseMs } from './dial-target.js';

const invite = {
  addresses: ['192.0.2.7:7420', '198.51.100.7:7420'],
  identity: 'ab'.repeat(32),
  volume: 'équipe/a b#c',
  id: encodeBase32(Buffer.from('weft!')),
  secret: new Uint8Array(16).fill(9),
};

test('an invite comes back as it was, also when a mail program broke its lines', () => {
  const text = formatInvite(invite);
  assert.match(
    text,
    /^weft:\/\/192\.0\.2\.7:7420,198\.51\.100\.7:7420\/%C3%A9quipe%2Fa%20b%23c#[0-9a-z]{8}\.[0-9a-z]{88}$/,
  );
  assert.deepEqual(parseInvite(text), invite);
  assert.deepEqual(parseInvite(` ${text.slice(0, 30)}\n  ${text.slice(30)}\r\n`), invite);
  const six = { ...invite, addresses: ['[2001:db8::7]:7420'] };
  assert.deepEqual(parseInvite(formatInvite(six)), six);
});

test('any one wrong character in an invite is recognised without dialling', () => {
  const text = formatInvite(invite);
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.constantFrom(...'abcdefghjkmnpqrstvwxyz0123456789.:/#%-'), (at, char) => {
      const garbled = text.slice(0, at) + char + text.slice(at + 1);
      // The digits after a % and those of base32 may be in either case.
      if (garbled.toLowerCase() === text.toLowerCase()) return;
      assert.throws(() => parseInvite(garbled), /copy it again, whole|is no address/);
    }),
    { numRuns: 2000 },
  );
  for (let end = 0; end < text.length; end++)
    assert.throws(() => parseInvite(text.slice(0, end)), Error, `cut at ${end}`);
});

test('an invite that is none is told what is wrong with it', () => {
  const text = formatInvite(invite);
  assert.throws(() => parseInvite('https://example.org/'), /does not start with weft:/);
  assert.throws(() => parseInvite(text.slice(0, text.indexOf('#'))), /cut off: the part after # is missing/);
  assert.throws(() => parseInvite(text.slice(0, -3)), /cut off or mistyped/);
  assert.throws(() => parseInvite(text.replace('%C3%A9', '%C3')), /garbled|checksum/);
  assert.throws(() => parseInvite('weft://host/volume#a.b'), /not 8 and 88/);
});

test('base32 is lossless and forgives lookalikes and capitals', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ minLength: 5, maxLength: 5 }), { maxLength: 8 }), (groups) => {
      const bytes = Buffer.concat(groups);
      assert.deepEqual(Buffer.from(decodeBase32(encodeBase32(bytes))!), bytes);
      assert.deepEqual(Buffer.from(decodeBase32(encodeBase32(bytes).toUpperCase().replaceAll('0', 'O'))!), bytes);
    }),
  );
  assert.equal(decodeBase32('abc'), null);
  assert.equal(decodeBase32('abcdefg!'), null);
});

test('addresses', () => {
  for (const text of ['example.org:7420', '192.0.2.7:1', '[::1]:65535'])
    assert.equal(formatAddress(parseAddress(text)), text);
  for (const text of [
    '',
    'host',
    'host:',
    ':7420',
    'host:65536',
    'a b:1',
    '::1:80',
    '[host]:80',
    'http://host:80',
    '[1:2]:80',
  ]) {
    assert.throws(() => parseAddress(text), /is no address; write HOST:PORT/, text);
  }
  assert.deepEqual(announcedAddresses({ host: '127.0.0.1', port: 7 }), ['127.0.0.1:7']);
  for (const address of announcedAddresses({ host: '0.0.0.0', port: 7 })) assert.doesNotMatch(address, /^0\.0\.0\.0/);
});

test('pauses between attempts double from 0.2 s to 30 s, with jitter', () => {
  const longest = [0, 1, 2, 3, 4, 8, 9, 1000].map((failures) => pauseMs(failures, 1));
  assert.deepEqual(longest, [0, 200, 400, 800, 1600, 25_600, 30_000, 30_000]);
  assert.equal(pauseMs(5, 0), 1600);
  assert.equal(pauseMs(9, 1, 1000), 1000);
});
