// conflicts.test.ts — every kind of conflict between two real mounts: how the command line lists it, settles it and takes that back.
// The steps share one volume and build on each other, in order. Needs root and /dev/fuse.

import assert from 'node:assert/strict';
import { chmodSync, chownSync, existsSync, linkSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Site } from '../scripts/sites/site.js';
import { must, outcome } from './posix/libc.js';
import { getxattr, listxattr, removexattr, setxattr } from './posix/path-calls.js';
import { at, weft, Team } from './team.test-support.js';

interface Side {
  readonly site: string;
  readonly path: string | null;
  readonly time: string;
  readonly size: number | null;
  readonly user: string | null;
  readonly value: string | null;
}

/** What the README says that `weft conflicts --json` prints. */
interface Row {
  readonly volume: string;
  readonly id: string;
  readonly kind: string;
  readonly path: string;
  readonly sites: readonly string[];
  readonly shown: Side;
  readonly hidden: Side;
  readonly attribute: string | null;
  readonly reason: string;
  readonly choices: readonly string[];
}

describe('conflicts', () => {
  const team = new Team('weft-conflicts');
  const { cluster, paris, oslo } = team;

  before(() => team.found());
  after(() => team.close());

  const text = (site: Site, path: string): string => readFileSync(at(site, path), 'utf8');

  async function list(site: Site, path = ''): Promise<Row[]> {
    return JSON.parse(await weft(site, 'conflicts', at(site, path), '--json')) as Row[];
  }

  async function conflict(site: Site, kind: string, path: string): Promise<Row> {
    const rows = (await list(site, path)).filter((row) => row.kind === kind);
    assert.equal(rows.length, 1, `${kind} at ${path}: ${JSON.stringify(await list(site), null, 1)}`);
    return rows[0]!;
  }

  /** What `getfattr -n user.weft.conflicts` prints of a directory. */
  function conflictsXattr(directory: string): string {
    const value = Buffer.alloc(65_536);
    return value.toString('utf8', 0, must('getxattr', getxattr(directory, 'user.weft.conflicts', value)));
  }

  test('every kind is listed, the same at both sites, with who, when, what is shown and what is hidden', async () => {
    for (const path of ['red', 'blue', 'd', 'from']) mkdirSync(at(paris, path));
    for (const path of ['plan', 'edited', 'moved', 'renamed', 'from/a', 'modes'])
      writeFileSync(at(paris, path), 'base\n');
    chmodSync(at(paris, 'modes'), 0o644);
    await cluster.apart(() => {
      writeFileSync(at(oslo, 'plan'), 'plan of oslo\n');
      writeFileSync(at(oslo, 'new'), 'new at oslo\n');
      writeFileSync(at(oslo, 'edited'), 'edited at oslo\n');
      renameSync(at(oslo, 'moved'), at(oslo, 'd/moved'));
      renameSync(at(oslo, 'renamed'), at(oslo, 'renamed-at-oslo'));
      renameSync(at(oslo, 'red'), at(oslo, 'blue/red'));
      chmodSync(at(oslo, 'modes'), 0o664);
      chownSync(at(oslo, 'd'), 1, 0);
      writeFileSync(at(paris, 'plan'), 'plan of paris\n');
      writeFileSync(at(paris, 'new'), 'new at paris\n');
      rmSync(at(paris, 'edited'));
      rmSync(at(paris, 'moved'));
      renameSync(at(paris, 'renamed'), at(paris, 'renamed-at-paris'));
      renameSync(at(paris, 'blue'), at(paris, 'red/blue'));
      chmodSync(at(paris, 'modes'), 0o645);
      chownSync(at(paris, 'd'), 2, 0);
    });
    const rows = await list(paris);
    assert.deepEqual(await list(oslo), rows);
    assert.deepEqual(rows.map(({ kind }) => kind).toSorted(), [
      'copy',
      'mode',
      'move-deferred',
      'moved-elsewhere',
      'name',
      'owner',
      'removed-elsewhere',
      'revived',
    ]);
    for (const site of [paris, oslo]) assert.equal((await site.status()).conflicts, rows.length);

    const copy = rows.find(({ kind }) => kind === 'copy')!;
    assert.deepEqual(copy.sites, ['paris', 'oslo']);
    assert.deepEqual(
      [copy.shown.path, copy.shown.site, copy.shown.size, copy.shown.user],
      ['/plan', 'paris', 'plan of paris\n'.length, 'root'],
    );
    assert.match(copy.hidden.path!, /^\/plan\.~oslo-[a-z2-7]{4}$/);
    assert.equal(text(paris, copy.hidden.path!), 'plan of oslo\n');
    assert.ok(copy.hidden.time <= copy.shown.time);
    assert.ok(Math.abs(Date.parse(copy.shown.time) - Date.now()) < 300_000, copy.shown.time);
    assert.deepEqual(copy.choices, ['paris', 'oslo', 'both', 'merge']);

    const table = await weft(oslo, 'conflicts');
    assert.match(table, new RegExp(`^${copy.id}  copy  /plan\\.~oslo-`, 'm'));
    assert.match(table, /^ {2}shown +\/plan +at paris +root +20\d\d-.* 14 B$/m);
    assert.match(table, /written at oslo while paris wrote another version/);
    assert.match(table, new RegExp(`weft resolve ${copy.id} --keep paris\\|oslo\\|both\\|merge`));
  });

  test('a directory tells of the conflicts in it by an attribute', async () => {
    const lines = conflictsXattr(oslo.mountpoint);
    for (const { id, kind } of await list(oslo)) {
      if (kind !== 'removed-elsewhere') assert.match(lines, new RegExp(`^${id} ${kind} `, 'm'));
    }
    assert.match(conflictsXattr(at(oslo, 'd')), /^[0-9a-f]{12} removed-elsewhere moved: removed at paris/);
    assert.equal(conflictsXattr(at(oslo, 'from')), '');
    assert.equal(listxattr(at(oslo, 'd')), 0);
    assert.equal(outcome(setxattr(at(oslo, 'd'), 'user.weft.conflicts', Buffer.from('x'))), 'EPERM');
    assert.equal(outcome(removexattr(at(oslo, 'd'), 'user.weft.conflicts')), 'EPERM');
  });

  test('what weft resolve is told wrong it says, and changes nothing', async () => {
    const { id } = await conflict(paris, 'copy', 'plan');
    const rows = await list(paris);
    for (const [args, says] of [
      [['resolve', id, '--keep', 'rome'], /--keep rome: choose one of paris, oslo, both, merge/],
      [['resolve', 'feedbeef', '--keep', 'oslo'], /no conflict is feedbeef/],
      [['resolve', id, '--undo'], /nothing settled here/],
      [['resolve', id, '--keep', 'merge', '--from', join(cluster.directory, 'absent')], /absent/],
    ] as const) {
      const { code, stderr } = await paris.weft(args, { cwd: paris.mountpoint });
      assert.equal(code, 1);
      assert.match(stderr, says);
    }
    assert.deepEqual(await list(paris), rows);
  });

  test('the other version of a file, seen at once at both sites through names that were open and cached; and undone', async () => {
    const before = readdirSync(paris.mountpoint).toSorted();
    const row = await conflict(paris, 'copy', 'plan');
    for (const site of [paris, oslo]) assert.equal(text(site, 'plan'), 'plan of paris\n');
    const { ino } = statSync(at(paris, 'plan'));
    const said = await weft(paris, 'resolve', row.id, '--keep', 'oslo');
    assert.equal(said, `/plan: is as written at oslo (weft resolve ${row.id} --undo takes it back)\n`);
    assert.equal(text(paris, 'plan'), 'plan of oslo\n');
    assert.equal(statSync(at(paris, 'plan')).ino, ino);
    assert.equal(existsSync(at(paris, row.hidden.path!)), false);
    await cluster.settle();
    assert.equal(text(oslo, 'plan'), 'plan of oslo\n');
    assert.equal(existsSync(at(oslo, row.hidden.path!)), false);
    assert.deepEqual(await list(oslo, 'plan'), []);

    assert.match(await weft(paris, 'conflicts', '--settled'), new RegExp(`^${row.id}  copy  oslo`, 'm'));
    assert.equal(await weft(paris, 'resolve', row.id, '--undo'), 'undone: /plan: is as written at oslo\n');
    await cluster.settle();
    for (const site of [paris, oslo]) {
      assert.equal(text(site, 'plan'), 'plan of paris\n');
      assert.equal(text(site, row.hidden.path!), 'plan of oslo\n');
      assert.deepEqual(readdirSync(site.mountpoint).toSorted(), before);
    }
    rmSync(at(oslo, row.hidden.path!));
  });

  test('a merged content from a file of the volume, or from anywhere', async () => {
    writeFileSync(at(paris, 'from/merged'), 'new at both\n');
    const name = await conflict(paris, 'name', 'new');
    await weft(paris, 'resolve', name.id, '--keep', 'merge', '--from', at(paris, 'from/merged'));
    await cluster.settle();
    assert.equal(text(oslo, 'new'), 'new at both\n');
    assert.equal(existsSync(at(oslo, name.hidden.path!)), false);

    await cluster.apart(() => {
      writeFileSync(at(oslo, 'plan'), 'again oslo\n');
      linkSync(at(paris, 'plan'), at(paris, 'from/link'));
      writeFileSync(at(paris, 'plan'), 'again paris\n');
    });
    const large = join(cluster.directory, 'large');
    writeFileSync(large, 'of both '.repeat(300_000));
    const copy = await conflict(oslo, 'copy', 'plan');
    await weft(oslo, 'resolve', copy.id, '--keep', 'merge', '--from', large);
    await cluster.settle();
    for (const path of ['plan', 'from/link']) {
      for (const site of [paris, oslo]) assert.equal(text(site, path), 'of both '.repeat(300_000));
    }
    assert.equal(existsSync(at(paris, copy.hidden.path!)), false);
  });

  test('what was removed or moved at one site: either side', async () => {
    await weft(oslo, 'resolve', (await conflict(oslo, 'revived', 'edited')).id, '--keep', 'oslo');
    const moved = await conflict(oslo, 'removed-elsewhere', 'd');
    await weft(oslo, 'resolve', moved.id, '--keep', 'paris');
    assert.equal(existsSync(at(oslo, 'd/moved')), false);
    await weft(oslo, 'resolve', moved.id, '--undo');
    assert.equal(text(oslo, 'd/moved'), 'base\n');
    const renamed = await conflict(paris, 'moved-elsewhere', 'renamed-at-paris');
    assert.equal(renamed.hidden.path, '/renamed-at-oslo');
    await weft(paris, 'resolve', renamed.id, '--keep', 'oslo');
    const deferred = await conflict(paris, 'move-deferred', '');
    const { site: loser } = deferred.hidden;
    assert.notEqual(deferred.shown.site, loser);
    await weft(paris, 'resolve', deferred.id, '--keep', loser);
    await cluster.settle();
    for (const site of [paris, oslo]) {
      assert.equal(text(site, 'edited'), 'edited at oslo\n');
      assert.equal(text(site, 'd/moved'), 'base\n');
      assert.equal(text(site, 'renamed-at-oslo'), 'base\n');
      assert.ok(existsSync(at(site, loser === 'paris' ? 'red/blue' : 'blue/red')));
    }
  });

  test('permissions and owners', async () => {
    assert.equal(statSync(at(oslo, 'modes')).mode & 0o777, 0o665);
    await weft(oslo, 'resolve', (await conflict(oslo, 'mode', 'modes')).id, '--keep', 'paris');
    assert.equal(statSync(at(oslo, 'modes')).mode & 0o777, 0o645);
    const owner = await conflict(oslo, 'owner', 'd');
    assert.deepEqual([owner.shown.value, owner.hidden.value], ['2', '1']);
    await weft(oslo, 'resolve', owner.id, '--keep', 'oslo');
    await cluster.settle();
    assert.equal(statSync(at(paris, 'modes')).mode & 0o777, 0o645);
    assert.equal(statSync(at(paris, 'd')).uid, 1);
  });

  test('nothing is left, and a restart and a third site bring nothing back', async () => {
    for (const site of [paris, oslo]) assert.equal(await weft(site, 'conflicts'), 'no conflicts\n');
    for (const site of await team.startAnew()) {
      assert.deepEqual(await list(site), []);
      assert.equal((await site.status()).conflicts, 0);
    }
  });
});
