// key-succession.test.ts — a site whose key changed is known by the keys before, and by none that did not name the next one itself.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { afterEach, test } from 'node:test';
import { parseInvite } from './invite.js';
import { redeemInvite } from './join.js';
import { followedBy } from './key-succession.js';
import { keyOf, MemoryMembers, MemorySite } from './memory-site.test-support.js';
import { formatSiteKey, makeNextKey, makeSiteKey, parseSiteKey } from './site-key.js';
import type { SiteKey } from './site-key.js';

const sites: MemorySite[] = [];

afterEach(async () => {
  await Promise.all(sites.splice(0).map((site) => site.syncer.stop()));
});

async function site(...args: ConstructorParameters<typeof MemorySite>): Promise<MemorySite> {
  const started = await MemorySite.start(...args);
  sites.push(started);
  return started;
}

const before = ({ certificate, identity }: SiteKey): string[] => followedBy(new X509Certificate(certificate), identity);

test('a key says which ones it followed, the latest first, and survives the file', async () => {
  const first = await makeSiteKey();
  const second = await makeNextKey(first);
  const third = parseSiteKey(formatSiteKey(await makeNextKey(second)));
  assert.deepEqual(before(first), []);
  assert.deepEqual(before(second), [first.identity]);
  assert.deepEqual(before(third), [second.identity, first.identity]);
  let last = third;
  for (let i = 0; i < 20; i++) last = await makeNextKey(last);
  assert.equal(before(last).length, 16);
});

test('a certificate that claims to follow a key which never named it follows nothing', async () => {
  const victim = await makeSiteKey();
  const thief = await makeSiteKey();
  // The victim's certificate, and with it who it followed, under the thief's private key.
  const forged = await makeNextKey({ ...thief, certificate: (await makeNextKey(victim)).certificate });
  assert.deepEqual(before(forged), [thief.identity]);
  // What the victim said of its own next key, shown by another one.
  const next = new X509Certificate((await makeNextKey(victim)).certificate);
  assert.deepEqual(followedBy(next, thief.identity), []);
});

test('a site that was away while a key changed is linked all the same, and one with the old key no more by those who know', async () => {
  const parisId = 'a1'.repeat(16);
  const [atParis, atOslo] = [new MemoryMembers(), new MemoryMembers()];
  const old = keyOf(parisId);
  const paris = await site('paris', { siteId: parisId, members: atParis });
  const oslo = new MemorySite('oslo', { members: atOslo, dial: [paris.address] });
  atOslo.put(parisId, 'paris', old.identity);
  atParis.put(oslo.store.siteId, 'oslo', oslo.key.identity);
  const invite = paris.syncer.invite(60_000);
  const next = await makeNextKey(await makeNextKey(old));
  paris.syncer.useKey(next);
  sites.push(oslo);
  oslo.address = await oslo.syncer.start();
  await oslo.linked('paris');
  // The other way round, too: oslo answers.
  oslo.syncer.remove('paris');
  paris.syncer.add(oslo.address);
  await paris.linked('oslo');
  // Oslo hears of the key: whoever comes with the old one is a stranger from then on.
  atOslo.put(parisId, 'paris', next.identity);
  const thief = await site('paris', { siteId: parisId, key: old, members: new MemoryMembers(), dial: [oslo.address] });
  await thief.until(
    'refused',
    () =>
      thief.log.lines.some((line) => /knows no site with the key/.test(line)) ||
      thief.syncer.peers().some(({ lastError }) => /knows no site|no site of the volume/.test(lastError ?? '')),
  );
  assert.ok(paris.peer('oslo'));
  // An invite names the key that its host had, and is as good as before.
  const guest = { key: keyOf('guest'), siteId: '12'.repeat(16), site: 'rome', volumeId: '' };
  const grant = await redeemInvite(invite, guest);
  assert.equal(grant.identity, next.identity);
  assert.equal(parseInvite(invite).identity, old.identity);
});
