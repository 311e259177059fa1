// secure-links.test.ts — real daemons, and somebody hostile on the wire between them: what can be read, changed, replayed or passed off
// there; and how sites come to know each other's keys. Needs root and /dev/fuse.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { formatInvite, parseInvite } from '../lib/sync/invite.js';
import { makeSiteKey } from '../lib/sync/site-key.js';
import { Cluster } from '../scripts/sites/cluster.js';
import type { Site } from '../scripts/sites/site.js';
import { TappedWire } from './tapped-wire.js';

function addressOf(site: string): { host: string; port: number } {
  const [host, port] = site.split(':') as [string, string];
  return { host, port: Number(port) };
}

function logOf(site: Site): string {
  return readFileSync(join(site.state, 'daemon.log'), 'utf8');
}

async function logSays(site: Site, what: RegExp): Promise<void> {
  await site.statusUntil(`logged: ${what.source}`, () => what.test(logOf(site)));
}

/** The same invite, to be redeemed elsewhere. */
function redirected(invite: string, address: string): string {
  return formatInvite({ ...parseInvite(invite), addresses: [address] });
}

describe('secure links', () => {
  const cluster = new Cluster('weft-secure');
  const paris = cluster.addSite('paris');
  const oslo = cluster.addSite('oslo');
  const wires: TappedWire[] = [];
  const invites: string[] = [];
  /** Something that cannot be compressed away. */
  const content = randomBytes(6000).toString('hex');
  let listen = '';
  let observed: TappedWire;

  async function tapped(opening: Promise<TappedWire>): Promise<TappedWire> {
    const wire = await opening;
    wires.push(wire);
    return wire;
  }
  async function inviteOf(site: Site): Promise<string> {
    const invite = await site.invite();
    invites.push(invite);
    return invite;
  }

  before(async () => {
    await paris.create('confidential-volume');
    listen = (await paris.status()).listen;
    observed = await tapped(TappedWire.observer(listen));
    await oslo.join(redirected(await inviteOf(paris), observed.address));
  });
  after(async () => {
    for (const wire of wires) await wire.close();
    await cluster.close();
  });

  test('who reads along sees no name, no content and no secret', async () => {
    writeFileSync(join(paris.mountpoint, 'payroll-of-june.ods'), content);
    writeFileSync(join(oslo.mountpoint, 'letter-to-the-board.txt'), content.slice(100));
    await cluster.settle();
    assert.equal(readFileSync(join(oslo.mountpoint, 'payroll-of-june.ods'), 'utf8'), content);
    const bytes = observed.everything;
    assert.ok(bytes.length > 6000, 'both the join and the link went this way');
    const { secret, id } = parseInvite(invites[0]!);
    const secrets: Record<string, Buffer | string> = {
      'the name of a file': 'payroll',
      'the name of another file': 'letter-to-the-board',
      content: content.slice(3000, 3032),
      'content as bytes': Buffer.from(content.slice(3000, 3032), 'hex'),
      'the volume': 'confidential',
      'the site': 'paris',
      'the secret of the invite': Buffer.from(secret),
      'the id of the invite': id,
    };
    for (const site of [paris, oslo]) {
      const { siteId, volumeId } = JSON.parse(readFileSync(join(site.state, 'site.json'), 'utf8')) as Record<
        string,
        string
      >;
      secrets[`the site id of ${site.name}`] = Buffer.from(siteId!, 'hex');
      secrets['the volume id'] = Buffer.from(volumeId!, 'hex');
      secrets['the volume id as text'] = volumeId!;
      const key = /PRIVATE KEY-----\n(.+)\n/.exec(readFileSync(join(site.state, 'site.key'), 'utf8'))![1]!;
      secrets[`the private key of ${site.name}`] = Buffer.from(key, 'base64').subarray(-32);
    }
    for (const [what, needle] of Object.entries(secrets)) assert.equal(bytes.includes(needle), false, what);
  });

  test('a man in the middle with a key of his own gets nothing through, and both sites say why', async () => {
    const key = await makeSiteKey();
    const impostor = await tapped(TappedWire.impostor(listen, key));
    const rome = cluster.addSite('rome');
    const invite = await inviteOf(paris);
    await assert.rejects(rome.join(redirected(invite, impostor.address)), /not that of the site that gave the invite/);
    assert.equal(existsSync(join(rome.state, 'site.json')), false);
    await oslo.addPeer(impostor.address);
    const { peers } = await oslo.statusUntil('refused', (status) =>
      status.peers.some((peer) => peer.address === impostor.address && peer.lastError !== null),
    );
    const refused = peers.find(({ address }) => address === impostor.address)!;
    assert.equal(refused.state, 'unreachable');
    assert.match(
      refused.lastError!,
      new RegExp(`has the key ${key.identity.slice(0, 16)}…, which this site knows of no site`),
    );
    await logSays(paris, new RegExp(`"identity":"${key.identity}".*a site that is no member was refused`));
    writeFileSync(join(oslo.mountpoint, 'payroll-of-july.ods'), content);
    await oslo.sync();
    const said = impostor.everything.toString('latin1');
    assert.match(said, /GET \/ HTTP\/1\.1/, 'he does read what he is told');
    assert.match(said, /the other end knows no site with the key/);
    assert.doesNotMatch(said, /payroll|confidential|paris|oslo|rome/);
    assert.equal(said.includes(content.slice(3000, 3032)), false);
    await oslo.removePeer(impostor.address);
    // The invite was not used up by that.
    await rome.join(invite);
    await cluster.settle();
    assert.equal(readFileSync(join(rome.mountpoint, 'payroll-of-july.ods'), 'utf8'), content);
  });

  test('recorded bytes that are sent again are refused', async () => {
    const before = { sites: (await paris.status()).peers.length, log: logOf(paris).length };
    const [joining, linking] = observed.recordings;
    for (const { fromDialler } of [joining!, linking!]) {
      const socket = connect(addressOf(listen))
        .on('error', () => {})
        .resume();
      for (const bytes of fromDialler) socket.write(bytes);
      await once(socket, 'close');
    }
    await logSays(paris, /a connection was refused: its handshake failed/);
    const since = logOf(paris).slice(before.log);
    assert.doesNotMatch(since, /"linked"|a guest joined/);
    assert.equal((await paris.status()).peers.length, before.sites);
  });

  test('an earlier version of TLS is refused, and so is one without a key', async () => {
    const old = connectTls({ ...addressOf(listen), rejectUnauthorized: false, maxVersion: 'TLSv1.2' });
    const [error] = (await once(old, 'error')) as [Error];
    assert.match(error.message, /alert protocol version/);
    await logSays(paris, /it does not speak TLS 1\.3/);
    const keyless = connectTls({ ...addressOf(listen), rejectUnauthorized: false })
      .on('error', () => {})
      .resume();
    await once(keyless, 'close');
    await logSays(paris, /a connection that showed no key was refused/);
  });

  test('an invite that is used, expired, or of another volume is refused, and both sites say why', async () => {
    const guest = cluster.addSite('guest');
    await assert.rejects(guest.join(invites[0]!), /this invite was used already; ask for a new one at site "paris"/);
    await logSays(paris, /this invite was used already.*a guest was refused/);
    const brief = await paris.invite('1s');
    invites.push(brief);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await assert.rejects(guest.join(brief), /this invite expired at .*; ask for a new one at site "paris"/);
    const other = cluster.addSite('other');
    await other.create('other-volume');
    const foreign = await inviteOf(other);
    await assert.rejects(oslo.addPeer(foreign), /of another volume than the one that site "oslo" holds/);
    await logSays(other, /of another volume.*a guest was refused/);
    await oslo.addPeer((await other.status()).listen);
    await logSays(other, /a site that is no member was refused/);
    await oslo.removePeer((await other.status()).listen);
    await guest.join(foreign);
  });

  test('sites that joined at a third one link themselves directly, by name, while it is away', async () => {
    const rome = cluster.site('rome');
    await cluster.settle([paris, oslo, rome]);
    await rome.addPeer('oslo');
    await rome.statusUntil('linked', ({ peers }) =>
      peers.some((peer) => peer.site === 'oslo' && peer.state === 'connected'),
    );
    await paris.umount();
    writeFileSync(join(rome.mountpoint, 'without-paris'), 'x');
    await rome.sync();
    assert.equal(readFileSync(join(oslo.mountpoint, 'without-paris'), 'utf8'), 'x');
    const bergen = cluster.addSite('bergen');
    await bergen.join(await inviteOf(rome));
    assert.equal(readFileSync(join(bergen.mountpoint, 'without-paris'), 'utf8'), 'x');
    await paris.mount();
    await oslo.statusUntil('linked', ({ peers }) =>
      peers.some((peer) => peer.site === 'paris' && peer.state === 'connected'),
    );
    await cluster.settle([paris, oslo, rome, bergen]);
    assert.equal((await paris.status()).digest, (await bergen.status()).digest);
  });

  test('a volume whose sites have no keys yet is introduced to itself by an invite, and loses nothing', async () => {
    const [here, there] = [cluster.site('other'), cluster.site('guest')];
    await cluster.settle([here, there]);
    for (const site of [here, there]) {
      await site.umount();
      rmSync(join(site.state, 'site.key'));
    }
    await here.mount();
    await there.mount();
    writeFileSync(join(here.mountpoint, 'made-here'), 'x');
    writeFileSync(join(there.mountpoint, 'made-there'), 'x');
    const { peers } = await there.statusUntil('refused', (status) =>
      status.peers.some((peer) => peer.lastError !== null),
    );
    assert.match(
      peers.map(({ lastError }) => lastError).join(),
      /weft invite at the one site, weft link add MOUNTPOINT INVITE at/,
    );
    await there.addPeer(await inviteOf(here));
    await there.statusUntil('linked', (status) => status.peers.some(({ state }) => state === 'connected'));
    await cluster.settle([here, there]);
    for (const site of [here, there])
      assert.deepEqual(readdirSync(site.mountpoint).toSorted(), ['made-here', 'made-there']);
  });

  test('no secret is in a log or on a command line, and keys are for their owner alone', () => {
    for (const site of cluster.sites.values()) {
      if (!existsSync(join(site.state, 'site.key'))) continue;
      const keyFile = join(site.state, 'site.key');
      assert.equal(statSync(keyFile).mode & 0o777, 0o600);
      const key = /PRIVATE KEY-----\n(.+)\n/.exec(readFileSync(keyFile, 'utf8'))![1]!;
      const told = logOf(site) + readFileSync(`/proc/${site.daemonPid}/cmdline`, 'latin1');
      assert.equal(told.includes(key), false, site.name);
      for (const invite of invites) {
        const { secret } = parseInvite(invite);
        // Of the token, the part that is the secret alone.
        for (const needle of [invite.split('.').at(-1)!.slice(52, 76), Buffer.from(secret).toString('hex')]) {
          assert.equal(told.includes(needle), false, site.name);
        }
      }
    }
  });
});
