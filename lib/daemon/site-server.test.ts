import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { SiteConfig } from './daemon-interface.js';
import { SiteServer } from './site-server.js';
import type { FromSite, ToSite } from './thread-protocol.js';

const CONFIG: SiteConfig = {
  volumeId: 'v',
  volume: 'v',
  siteId: 'a'.repeat(16),
  site: 'oslo',
  mountpoint: '/nowhere',
  listen: '',
  driver: 'kernel',
  mountOptions: [],
  peers: [],
  slot: 1,
};

/** One on a new state directory, and what it says to the main thread. `waiting`: what it finds on its port. */
function serve(t: TestContext, waiting: ToSite[] = []): { site: SiteServer; posted: FromSite[] } {
  const stateDirectory = mkdtempSync(join(tmpdir(), 'weft-site-server-'));
  t.after(() => rmSync(stateDirectory, { recursive: true }));
  const posted: FromSite[] = [];
  const data = { stateDirectory, config: CONFIG, mount: false, actorId: 'b'.repeat(32), afterPowerLoss: false };
  const site = new SiteServer(data, {
    next: () => waiting.shift(),
    postMessage: (message) => void posted.push(message),
  });
  site.take({ type: 'request', id: 1, name: 'createRoot', args: { uid: 0, gid: 0 } });
  return { site, posted };
}

test('a site whose commit failed while it answered a request ends, with that for its reason', (t) => {
  const { site, posted } = serve(t);
  const { db } = site.volume.journal;
  db.exec("create temp trigger full before update on progress begin select raise(rollback, 'no room left'); end");
  const adopt: ToSite = { type: 'request', id: 2, name: 'objects', args: { packed: [], areShared: false } };
  assert.throws(() => site.take(adopt), /no room left/);
  const refused = posted.find((message) => message.type === 'refused');
  assert.equal(refused?.id, 2);
  assert.match(refused.error, /no room left/);
});

test('messages are taken one by one, as long as there is time', (t) => {
  const waiting: ToSite[] = [2, 3, 4].map((id) => ({ type: 'request', id, name: 'fold', args: null }));
  const { site, posted } = serve(t, waiting);
  const taken = (isOver: boolean): { more: boolean; replies: number[] } => {
    const before = posted.length;
    const more = site.takeMessages(() => isOver);
    return { more, replies: posted.slice(before).flatMap((message) => (message.type === 'reply' ? message.id : [])) };
  };
  assert.deepEqual(taken(true), { more: true, replies: [2] });
  assert.deepEqual(taken(false), { more: false, replies: [3, 4] });
  assert.deepEqual(taken(true), { more: false, replies: [] });
  site.close();
});

test('a request that is refused leaves the site as it is', (t) => {
  const { site, posted } = serve(t);
  site.take({ type: 'request', id: 2, name: 'deleteSnapshot', args: { name: 'none' } });
  assert.equal(posted.findLast((message) => message.type === 'refused')?.id, 2);
  site.take({ type: 'request', id: 3, name: 'objects', args: { packed: [], areShared: false } });
  assert.equal(posted.findLast((message) => message.type === 'reply')?.id, 3);
  site.close();
});
