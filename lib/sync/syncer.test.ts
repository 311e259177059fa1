// syncer.test.ts — whole sites over real sockets on this machine: links come and go, and nothing is lost.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseInvite, formatInvite } from './invite.js';
import { redeemInvite } from './join.js';
import type { Guest } from './join.js';
import { equal, keyOf, MemoryMembers, MemorySite } from './memory-site.test-support.js';
import { systemClock } from './system-clock.js';
import { covers } from './version-vector.js';

const sites: MemorySite[] = [];

async function site(...args: ConstructorParameters<typeof MemorySite>): Promise<MemorySite> {
  const started = await MemorySite.start(...args);
  sites.push(started);
  return started;
}

afterEach(async () => {
  await Promise.all(sites.splice(0).map((started) => started.syncer.stop()));
});

after(() => {
  assert.deepEqual(
    process.getActiveResourcesInfo().filter((resource) => resource.startsWith('TCP')),
    [],
  );
});

test('two sites that wrote while apart hold the same once linked', async () => {
  const paris = await site('paris');
  for (let i = 0; i < 20; i++) await paris.write(50_000);
  const oslo = new MemorySite('oslo', { dial: [paris.address] });
  for (let i = 0; i < 20; i++) await oslo.write(50_000);
  sites.push(oslo);
  await oslo.syncer.start();
  assert.ok(await oslo.syncer.waitSettled(5000));
  assert.ok(await paris.syncer.waitSettled(5000));
  assert.ok(equal(paris, oslo));
  const status = paris.peer('oslo')!;
  assert.deepEqual(
    { ...status, rttMs: 0, receivingBytesPerS: 0, sendingBytesPerS: 0 },
    {
      site: 'oslo',
      siteId: oslo.store.siteId,
      address: status.address,
      state: 'connected',
      behindCommits: 0,
      aheadCommits: 0,
      aheadBytes: 0,
      keepsAll: true,
      missingObjects: 0,
      receivingBytesPerS: 0,
      sendingBytesPerS: 0,
      lastError: null,
      rttMs: 0,
      lastSeenMs: null,
    },
  );
  assert.ok(status.rttMs !== null && status.rttMs < 1000);
});

test('a small file is at the peer within milliseconds', async () => {
  const paris = await site('paris');
  const oslo = await site('oslo', { dial: [paris.address] });
  await oslo.linked('paris');
  const delaysMs: number[] = [];
  for (let i = 0; i < 50; i++) {
    const startMs = performance.now();
    const arrived = new Promise<void>((resolve) => {
      oslo.store.onAdvanced = () => {
        oslo.syncer.advanced();
        if (equal(paris, oslo)) resolve();
      };
    });
    await paris.write(10_000);
    await arrived;
    delaysMs.push(performance.now() - startMs);
  }
  const median = delaysMs.toSorted((a, b) => a - b)[25]!;
  assert.ok(median < 20, `${median} ms`);
});

test('a middle site passes everything on between two that do not know each other', async () => {
  const middle = await site('middle');
  const east = await site('east', { dial: [middle.address] });
  await middle.linked('east');
  const west = await site('west', { dial: [middle.address] });
  await middle.linked('west');
  for (let i = 0; i < 10; i++) await Promise.all([east.write(200_000), west.write(200_000)]);
  await west.until('all three are equal', () => equal(west, middle, east));
  assert.equal(east.peer('west'), undefined);
  // Heard of by name all the same: a user may add the link.
  west.syncer.add('east');
  await east.linked('west');
});

test('a paused link carries nothing, both sides say so, and resuming brings everything at once', async () => {
  const paris = await site('paris');
  const oslo = await site('oslo', { dial: [paris.address] });
  for (const [here, there] of [
    [paris, oslo],
    [oslo, paris],
  ] as const) {
    await paris.linked('oslo');
    await oslo.linked('paris');
    here.syncer.pause(there.store.siteName);
    await there.until('the peer is told', () => there.peer(here.store.siteName)?.state === 'paused');
    assert.equal(here.peer(there.store.siteName)?.state, 'paused');
    assert.match(there.peer(here.store.siteName)!.lastError!, new RegExp(`paused at site "${here.store.siteName}"`));
    await Promise.all([paris.write(1000), oslo.write(1000)]);
    await sleep(300);
    assert.ok(!equal(paris, oslo));
    assert.equal(paris.peer('oslo')!.aheadCommits, 1);
    assert.ok(paris.peer('oslo')!.aheadBytes > 0);
    assert.ok(await here.syncer.waitSettled(500), 'a paused peer is not waited for');
    here.syncer.resume(there.store.siteName);
    assert.ok(await here.syncer.waitSettled(3000));
    assert.ok(equal(paris, oslo));
    assert.equal(here.peer(there.store.siteName)?.state, 'connected');
  }
});

test('a paused peer is redialled every second, seems connected for a moment, and both sites log it each time', async () => {
  // Twenty times as fast, so that a second is twenty.
  const fast = {
    ...systemClock,
    setTimer: (delayMs: number, fire: () => void) => systemClock.setTimer(delayMs / 20, fire),
  };
  const paris = await site('paris');
  const oslo = await site('oslo', { dial: [paris.address], clock: fast });
  await paris.linked('oslo');
  await oslo.linked('paris');
  paris.syncer.pause('oslo');
  await oslo.until('told', () => oslo.peer('paris')?.state === 'paused');
  let connected = 0;
  oslo.syncer.on('changed', () => (connected += oslo.peer('paris')?.state === 'connected' ? 1 : 0));
  await sleep(1000);
  assert.equal(connected, 0, 'an attempt is no link');
  const closings = (lines: string[]): number => lines.filter((line) => line.startsWith('link closed')).length;
  const attempts = closings(oslo.log.lines) - 1;
  assert.ok(attempts >= 3 && attempts <= 14, `${attempts} attempts in 20 s`);
  assert.equal(closings(oslo.log.told), 1, oslo.log.told.join('\n'));
  assert.equal(closings(paris.log.told), 1, paris.log.told.join('\n'));
  assert.equal(oslo.peer('paris')?.state, 'paused');
  paris.syncer.resume('oslo');
  await paris.until('linked at once', () => paris.peer('oslo')?.state === 'connected', 500);
  await oslo.until('linked at once', () => oslo.peer('paris')?.state === 'connected', 500);
});

test('a site that begins its links anew several times is linked again within a second each time, not after ever longer', async () => {
  const paris = await site('paris');
  const oslo = await site('oslo', { dial: [paris.address] });
  for (let round = 0; round < 6; round++) {
    await oslo.linked('paris');
    await paris.linked('oslo');
    const renewing = round % 2 === 0 ? paris : oslo;
    renewing.syncer.reconnect();
    await oslo.until('cut', () => oslo.peer('paris')?.state !== 'connected', 1000);
    await oslo.until(`linked again, round ${round}`, () => oslo.peer('paris')?.state === 'connected', 1000);
  }
});

test('pausing all links refuses whoever comes, until one or all are resumed', async () => {
  const hub = await site('hub');
  const a = await site('a', { dial: [hub.address] });
  await hub.linked('a');
  hub.syncer.pause(null);
  const b = await site('b', { dial: [hub.address] });
  await b.until('b is refused', () => b.peer('hub')?.state === 'paused');
  assert.equal(hub.peer('a')?.state, 'paused');
  hub.syncer.resume('a');
  await a.linked('hub');
  assert.equal(hub.peer('b')?.state, 'paused');
  hub.syncer.resume(null);
  await b.linked('hub');
});

test('sites that dial each other end up with one connection', async () => {
  for (let round = 0; round < 5; round++) {
    const paris = new MemorySite('paris', { listen: '127.0.0.1:0' });
    const oslo = new MemorySite('oslo', { listen: '127.0.0.1:0' });
    sites.push(paris, oslo);
    const [parisAddress, osloAddress] = await Promise.all([paris.syncer.start(), oslo.syncer.start()]);
    paris.syncer.add(osloAddress);
    oslo.syncer.add(parisAddress);
    await paris.write(100_000);
    await Promise.all([paris.linked('oslo'), oslo.linked('paris')]);
    assert.ok(await paris.syncer.waitSettled(5000));
    await paris.write(100_000);
    await oslo.until('equal', () => equal(paris, oslo));
    assert.equal(paris.syncer.peers().length, 1);
    const links = paris.log.lines.filter((line) => line.startsWith('linked')).length;
    const closed = paris.log.lines.filter((line) => line.startsWith('link closed') && !line.includes('duplicate'));
    assert.ok(links <= 2 && closed.length === 0, paris.log.lines.join('\n'));
  }
});

test('a peer that restarts is linked again at once, whoever dials usually', async () => {
  const paris = await site('paris');
  const oslo = await site('oslo', { dial: [paris.address] });
  await paris.linked('oslo');
  await paris.write(1000);
  assert.ok(await paris.syncer.waitSettled(3000));
  const known = paris.syncer.known();
  await paris.syncer.stop();
  sites.splice(sites.indexOf(paris), 1);
  await oslo.until('paris is gone', () => oslo.peer('paris')?.state === 'unreachable');
  assert.ok(await oslo.syncer.waitSettled(500));
  const again = await site('paris', { siteId: paris.store.siteId, listen: paris.address, known });
  await again.linked('oslo');
  assert.equal(again.syncer.peers().length, 1);
  assert.equal(oslo.syncer.peers().length, 1);
  assert.ok(await again.syncer.waitSettled(3000));
  assert.equal(again.store.log.length, 1);
});

test('what is known of peers outlives a restart: names, what they hold, and pauses', async () => {
  const paris = await site('paris');
  const oslo = await site('oslo', { dial: [paris.address] });
  await paris.linked('oslo');
  await paris.write(1000);
  assert.ok(await paris.syncer.waitSettled(3000));
  oslo.syncer.pause(null);
  await paris.until('told', () => paris.peer('oslo')?.state === 'paused');
  const { store, syncer } = oslo;
  const again = new MemorySite('oslo', { siteId: store.siteId, dial: syncer.dialled(), known: syncer.known() });
  assert.equal(again.peer('paris')?.state, 'paused');
  assert.deepEqual(
    again.syncer.peers().map(({ address, behindCommits }) => [address, behindCommits]),
    [[paris.address, 1]],
  );
  sites.push(again);
  await again.syncer.start();
  await sleep(100);
  assert.equal(again.peer('paris')?.state, 'paused');
  again.syncer.resume('paris');
  await again.until('equal', () => equal(paris, again));
});

test('a peer that is linked already and added is dialled once it is lost', async () => {
  const paris = await site('paris');
  const oslo = await site('oslo', { dial: [paris.address] });
  await paris.linked('oslo');
  paris.syncer.add('oslo');
  assert.deepEqual(paris.syncer.dialled(), [oslo.address]);
  await oslo.syncer.stop();
  await site('oslo', { siteId: oslo.store.siteId, listen: oslo.address });
  await paris.until('linked anew', () => paris.log.lines.filter((line) => line.startsWith('linked')).length === 2);
});

test('a removed peer stops dialling, and either side can restore the link', async () => {
  const paris = await site('paris');
  const oslo = await site('oslo', { dial: [paris.address] });
  await paris.linked('oslo');
  paris.syncer.remove('oslo');
  await oslo.until('oslo is told', () => oslo.peer('paris')?.state === 'unreachable');
  assert.match(oslo.peer('paris')!.lastError!, /removed at site "paris".*weft link add/);
  assert.deepEqual(oslo.syncer.dialled(), []);
  await sleep(300);
  assert.deepEqual(paris.syncer.peers(), []);
  oslo.syncer.add('paris');
  await paris.linked('oslo');
  assert.deepEqual(oslo.syncer.dialled(), [paris.address]);
});

test('a wait for settlement has peers commit what they hold, and gives up in time', async () => {
  const paris = await site('paris');
  const oslo = await site('oslo', { dial: [paris.address] });
  await paris.linked('oslo');
  let flushed = 0;
  oslo.store.flush = async () => {
    flushed++;
    await oslo.write(5000);
  };
  assert.ok(await paris.syncer.waitSettled(3000));
  assert.equal(flushed, 1);
  assert.ok(equal(paris, oslo));
  oslo.store.flush = () => new Promise(() => {});
  assert.equal(await paris.syncer.waitSettled(50), false);
});

test('a wait for settlement ends with what was there when it began, although both sites are written to all the time', async () => {
  const paris = await site('paris');
  const oslo = await site('oslo', { dial: [paris.address] });
  await paris.linked('oslo');
  const work = { ends: false };
  const writers = [paris, oslo].map(async (each) => {
    while (!work.ends) {
      await each.store.commit(each.actor);
      await new Promise(setImmediate);
    }
  });
  try {
    for (let round = 0; round < 3; round++) {
      await paris.write(1000);
      const written = new Map(paris.store.vector());
      assert.ok(await paris.syncer.waitSettled(5000));
      assert.ok(covers(oslo.store.vector(), written));
      assert.ok(!equal(paris, oslo), 'there is news already');
    }
  } finally {
    work.ends = true;
    await Promise.all(writers);
  }
  assert.ok(await paris.syncer.waitSettled(5000));
  assert.ok(equal(paris, oslo));
});

/** Somebody that has a key, and is no site yet. */
function guest(site = 'oslo', volumeId = ''): Guest {
  const siteId = randomBytes(16).toString('hex');
  return { key: keyOf(siteId), siteId, site, volumeId };
}

test('a guest joins by its invite, once, and is told why not the second time', async () => {
  const paris = await site('paris', { members: new MemoryMembers() });
  const invite = paris.syncer.invite(60_000);
  const first = guest();
  const grant = await redeemInvite(invite, first);
  assert.deepEqual([grant.volumeId, grant.volumeName, grant.address], ['volume-1', 'team', paris.address]);
  assert.deepEqual(grant.peers, [{ siteId: paris.store.siteId, site: 'paris', address: paris.address }]);
  const used = /this invite was used already; ask for a new one at site "paris"/;
  await assert.rejects(redeemInvite(invite, guest()), used);
  await assert.rejects(
    redeemInvite(paris.syncer.invite(-1), guest()),
    /this invite expired at .*; ask for a new one at site "paris"/,
  );
  const told = paris.log.told.join('\n');
  assert.match(told, /this invite was used already/, 'the refusal is said at both ends');
  assert.match(told, /this invite expired at/);
  const members = new MemoryMembers();
  members.put(paris.store.siteId, 'paris', grant.identity);
  const oslo = await site('oslo', { dial: [grant.address], siteId: first.siteId, members });
  await oslo.linked('paris');
});

test('an invite with a wrong secret, or of an unknown site, is refused with the remedy, and is not used up by that', async () => {
  const paris = await site('paris');
  const invite = parseInvite(paris.syncer.invite(60_000));
  const forged = formatInvite({ ...invite, secret: Buffer.alloc(16, 1) });
  await assert.rejects(redeemInvite(forged, guest()), /wrong, used or expired; ask for a new one/);
  const unknown = formatInvite({ ...invite, id: '00000000' });
  await assert.rejects(redeemInvite(unknown, guest()), /wrong, used or expired; ask for a new one/);
  assert.match(paris.log.told.join('\n'), /a guest was refused .*the invite is not accepted/);
  const nobody = formatInvite({ ...invite, addresses: ['127.0.0.1:1'] });
  await assert.rejects(redeemInvite(nobody, guest()), /nothing listens at 127.0.0.1:1; is the site up there/);
  const other = await site('other');
  const elsewhere = formatInvite({ ...invite, addresses: [other.address] });
  await assert.rejects(redeemInvite(elsewhere, guest()), /is not that of the site that gave the invite/);
  const wrongVolume = redeemInvite(formatInvite(invite), guest('oslo', 'volume-2'));
  await assert.rejects(wrongVolume, /of another volume than the one that site "oslo" holds/);
  const addresses = ['127.0.0.1:1', other.address, ...invite.addresses];
  const grant = await redeemInvite(formatInvite({ ...invite, addresses }), guest());
  assert.deepEqual([grant.volumeName, grant.address], ['team', paris.address]);
});

test('two sites that do not know each other are not linked, both say why, and an invite introduces them', async () => {
  const paris = await site('paris', { members: new MemoryMembers() });
  const oslo = await site('oslo', { members: new MemoryMembers(), dial: [paris.address] });
  await oslo.until('refused', () => oslo.peer(paris.address)?.lastError != null);
  assert.match(
    oslo.peer(paris.address)!.lastError!,
    /has the key [0-9a-f]{16}…, which this site knows of no site of the volume.*weft link add MOUNTPOINT INVITE/,
  );
  await paris.until('told', () => /a site that is no member was refused/.test(paris.log.told.join('\n')));
  assert.deepEqual(paris.syncer.peers(), []);
  await oslo.syncer.introduce(paris.syncer.invite(60_000));
  await oslo.linked('paris');
  await paris.linked('oslo');
});

test('a site that only one of two knows is not let in by the other, and reads why', async () => {
  const knowing = new MemoryMembers();
  const paris = await site('paris', { members: new MemoryMembers() });
  knowing.put(paris.store.siteId, 'paris', paris.key.identity);
  const oslo = await site('oslo', { members: knowing, dial: [paris.address] });
  await oslo.write(100);
  await oslo.until('told', () =>
    /the other end knows no site with the key/.test(oslo.peer(paris.address)?.lastError ?? ''),
  );
  assert.deepEqual(paris.syncer.peers(), []);
  assert.equal(paris.store.log.length, 0);
});

test('a site that is retired while it is linked hears of it, is forgotten, and is not let in again', async () => {
  const members = new MemoryMembers();
  const paris = await site('paris', { members });
  const theirs = new MemoryMembers();
  theirs.put(paris.store.siteId, 'paris', paris.key.identity);
  const oslo = await site('oslo', { dial: [paris.address], members: theirs });
  members.put(oslo.store.siteId, 'oslo', oslo.key.identity);
  await oslo.linked('paris');
  members.retire(oslo.store.siteId);
  paris.syncer.membersChanged();
  await paris.until('forgotten', () => paris.syncer.peers().length === 0);
  await oslo.until('told', () => /was retired from the volume/.test(oslo.peer('paris')?.lastError ?? ''));
  await oslo.write(100);
  await sleep(500);
  assert.equal(paris.store.log.length, 0);
  assert.throws(() => paris.syncer.pause('oslo'), /no peer is called "oslo"/);
});

test('a member that says to be another one is found out', async () => {
  const members = new MemoryMembers();
  const oslo = await site('oslo', { members });
  const berlin = await site('berlin', { members });
  const thief = await site('oslo', { siteId: oslo.store.siteId, key: keyOf('thief'), members });
  members.put('f'.repeat(32), 'thief', keyOf('thief').identity);
  members.put(oslo.store.siteId, 'oslo', oslo.key.identity);
  thief.syncer.add(berlin.address);
  await berlin.until('found out', () => /said hello as .* on a connection of f{32}/.test(berlin.log.lines.join('\n')));
  assert.notEqual(berlin.peer('oslo')?.state, 'connected');
});

test('sites that claimed one slot while apart are linked: which goes on in another one is settled by their changes', async () => {
  const paris = await site('paris', { slot: 3 });
  const oslo = await site('oslo', { slot: 3, dial: [paris.address] });
  await oslo.linked('paris');
});

test('a copy of a site is told that it is one', async () => {
  const paris = await site('paris');
  const oslo = await site('oslo', { dial: [paris.address] });
  await paris.linked('oslo');
  const copy = await site('oslo', { dial: [paris.address], siteId: oslo.store.siteId });
  await copy.linked('paris');
  await oslo.until('the first is told', () =>
    /if its state directory was copied/.test(oslo.peer('paris')?.lastError ?? ''),
  );
});

test('a site that dials itself is told so', async () => {
  const paris = await site('paris');
  assert.throws(() => paris.syncer.add(paris.address), /is this site itself/);
  paris.syncer.add(paris.address.replace('127.0.0.1', 'localhost'));
  await paris.until('told', () => /dialled itself/.test(paris.syncer.peers()[0]?.lastError ?? ''));
});

test('names of peers that nobody knows and addresses that are none are refused with what would do', async () => {
  const paris = await site('paris');
  const oslo = await site('oslo', { dial: [paris.address] });
  await paris.linked('oslo');
  assert.throws(() => paris.syncer.pause('olso'), /no peer is called "olso"; known are: oslo/);
  assert.throws(() => paris.syncer.add('nowhere'), /no site is called "nowhere": weft peers lists .* HOST:PORT/);
  assert.throws(() => paris.syncer.add('nowhere:x'), /"nowhere:x" is no address; write HOST:PORT/);
  await site('oslo', { dial: [paris.address] });
  await paris.until(
    'both are linked',
    () => paris.syncer.peers().every(({ state }) => state === 'connected') && paris.syncer.peers().length === 2,
  );
  assert.throws(() => paris.syncer.pause('oslo'), /several peers are called "oslo"; name one by its site id/);
  paris.syncer.pause(oslo.store.siteId);
  await assert.rejects(
    site('rome', { listen: paris.address }),
    /in use by another program; choose another port with --listen/,
  );
});

test('a change that a peer cannot take ends the link with the reason at both ends, and the site goes on', async () => {
  const paris = await site('paris');
  const oslo = await site('oslo', { dial: [paris.address] });
  await paris.linked('oslo');
  oslo.store.ingest = () => Promise.reject(new Error('change 1 of abc: hash mismatch'));
  await paris.write(10);
  await paris.until('told', () =>
    /"oslo" could not take what site "paris" sent: change 1 of abc/.test(paris.peer('oslo')?.lastError ?? ''),
  );
  assert.match(oslo.peer('paris')!.lastError!, /hash mismatch/);
  delete (oslo.store as Partial<typeof oslo.store>).ingest;
  await oslo.until('converged', () => equal(paris, oslo));
});

test('a peer that falls silent is found out within ten seconds', async () => {
  // Time runs tenfold for this site's timers.
  const fast = { ...systemClock, setTimer: (ms: number, fire: () => void) => systemClock.setTimer(ms / 10, fire) };
  const paris = await site('paris');
  const oslo = await site('oslo', { dial: [paris.address], clock: fast });
  await oslo.linked('paris');
  await sleep(1200);
  assert.equal(oslo.peer('paris')?.state, 'connected', 'an idle peer is not a dead one');
  const { createServer, connect } = await import('node:net');
  const [host, port] = paris.address.split(':') as [string, string];
  let silent = false;
  const wires: import('node:net').Socket[] = [];
  const proxy = createServer((inbound) => {
    const outbound = connect(Number(port), host);
    wires.push(inbound, outbound);
    inbound.on('data', (data) => silent || outbound.write(data)).on('error', () => {});
    outbound.on('data', (data) => silent || inbound.write(data)).on('error', () => {});
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => proxy.once('listening', resolve));
  const rome = await site('rome', { dial: [`127.0.0.1:${(proxy.address() as { port: number }).port}`], clock: fast });
  await rome.linked('paris');
  silent = true;
  const startMs = performance.now();
  await rome.until('found out', () => /nothing was heard/.test(rome.peer('paris')?.lastError ?? ''), 2000);
  assert.ok(performance.now() - startMs <= 1050, `${performance.now() - startMs} ms`);
  for (const wire of wires) wire.destroy();
  await new Promise((resolve) => proxy.close(resolve));
});
