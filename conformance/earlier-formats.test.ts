// earlier-formats.test.ts — the state directory of an earlier version of Weft is mounted, and nothing in it is lost.
// The images stay as they are for ever; one is added before SCHEMA_VERSION (lib/journal/schema.ts) is raised. Needs root and /dev/fuse.

import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import Database from 'better-sqlite3';
import { Cluster } from '../scripts/sites/cluster.js';
import type { Site } from '../scripts/sites/site.js';
import { runChecked } from '../scripts/sites/command.js';
import { projectRoot } from '../scripts/sites/project-root.js';
import { at, weft } from './team.test-support.js';

async function unpack(site: Site, image: string): Promise<void> {
  mkdirSync(site.state, { mode: 0o700 });
  await runChecked('tar', ['-xzf', `${projectRoot()}/conformance/images/${image}.tar.gz`, '-C', site.state]);
}

/** Of site paris of a volume `team` with a second site, oslo; written, linked, in conflict, removed and unmounted there. */
describe('a state directory of format 3', () => {
  const cluster = new Cluster('weft-earlier-formats');
  const paris = cluster.addSite('paris');

  before(() => unpack(paris, 'format-3'));
  after(() => cluster.close());

  test('before it is mounted, a check says that mounting brings it up to date', async () => {
    const { code, stderr } = await paris.weft(['fsck', '--state', paris.state]);
    assert.equal(code, 8);
    assert.match(stderr, /of version 3 of the format, .*: weft mount MOUNTPOINT brings it up to date/);
  });

  test('all that it holds is there', async () => {
    await paris.mount();
    assert.deepEqual(readdirSync(paris.mountpoint).toSorted(), ['d', 'link', 'long', 'pipe']);
    assert.deepEqual(readdirSync(at(paris, 'd')).toSorted(), ['plan', 'plan.~paris-cqlt', 'sub']);
    assert.equal(readFileSync(at(paris, 'd/plan'), 'utf8'), 'of oslo\n');
    assert.equal(readFileSync(at(paris, 'd/plan.~paris-cqlt'), 'utf8'), 'of paris\n');
    const lines = Array.from({ length: 20_000 }, (_, i) => `line ${i}\n`);
    assert.equal(readFileSync(at(paris, 'long'), 'utf8'), lines.join(''));
    assert.equal(lstatSync(at(paris, 'd')).mode & 0o7777, 0o751);
    const [plan, second] = [lstatSync(at(paris, 'd/plan')), lstatSync(at(paris, 'd/sub/second-name'))];
    assert.deepEqual([second.ino, second.nlink], [plan.ino, 2]);
    assert.equal(lstatSync(at(paris, 'd/sub')).mtime.toISOString(), '2001-02-03T04:05:06.000Z');
    assert.equal(readlinkSync(at(paris, 'link')), 'd/plan');
    assert.ok(lstatSync(at(paris, 'pipe')).isFIFO());
    assert.match(await runChecked('getfattr', ['-n', 'user.note', at(paris, 'd/plan')]), /user\.note="kept"/);
  });

  test('so are its conflict, its history and its snapshot', async () => {
    assert.deepEqual(
      (await paris.conflicts()).map(({ kind, path }) => [kind, path]),
      [['copy', '/d/plan.~paris-cqlt']],
    );
    assert.equal((await weft(paris, 'history', 'd/plan')).match(/written/g)?.length, 3);
    await weft(paris, 'undelete', 'gone');
    assert.equal(readFileSync(at(paris, 'gone'), 'utf8'), 'gone\n');
    assert.deepEqual(readdirSync(at(paris, '.weft/snapshots/then')).toSorted(), ['d', 'link', 'long', 'pipe']);
    assert.match(await weft(paris, 'snapshot', 'list'), /^then /m);
  });

  test('it is written to, checked and mounted again', async () => {
    writeFileSync(at(paris, 'new'), 'by this version');
    await paris.umount();
    await paris.mount();
    assert.equal(readFileSync(at(paris, 'new'), 'utf8'), 'by this version');
    assert.match(await weft(paris, 'fsck', '--data'), /^team: clean/);
    assert.deepEqual(
      paris.logTroubles().filter((line) => !/this state directory is a copy/.test(line)),
      [],
    );
  });
});

/** Of site paris of a volume `team`: 300 files were removed, the journal was cut off behind that, and three changes came since. */
describe('a state directory of format 6', () => {
  const cluster = new Cluster('weft-format-6');
  const paris = cluster.addSite('paris');

  before(() => unpack(paris, 'format-6'));
  after(() => cluster.close());

  test('all that it holds is there, and what was removed is to be packed', async () => {
    await paris.mount();
    assert.deepEqual(readdirSync(paris.mountpoint).toSorted(), ['d', 'second']);
    assert.deepEqual(readdirSync(at(paris, 'd')).toSorted(), ['kept', 'renamed']);
    assert.equal(readFileSync(at(paris, 'd/renamed'), 'utf8'), 'version 3\n');
    assert.equal(readFileSync(at(paris, 'second'), 'utf8'), 'kept\n');
    assert.match(await runChecked('getfattr', ['-n', 'user.note', at(paris, 'd/kept')]), /user\.note="kept"/);
    await paris.umount();
    const db = new Database(join(paris.state, 'state.db'), { readonly: true });
    assert.equal(db.prepare('select count(*) from removed_due').pluck().get(), 300);
    db.close();
  });

  test('it is written to, checked and mounted again', async () => {
    await paris.mount();
    writeFileSync(at(paris, 'd/kept'), 'by this version');
    await paris.umount();
    await paris.mount();
    assert.equal(readFileSync(at(paris, 'second'), 'utf8'), 'by this version');
    assert.match(await weft(paris, 'fsck', '--data'), /^team: clean/);
  });
});
