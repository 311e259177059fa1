// play-scenario.test.ts — the player on plain directories in place of sites: one directory for all stands for a volume that merges
// perfectly, a directory for each for one that never syncs.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { MountedTree } from './mounted-tree.js';
import { parseScenario } from './parse-scenario.js';
import { playScenario } from './play-scenario.js';
import type { SiteTree } from './site-tree.js';
import type { ListedConflict, Stage } from './stage.js';

class PlainStage implements Stage {
  readonly calls: string[] = [];
  readonly dead = new Set<string>();
  onHeal: () => void = () => {};

  constructor(private readonly roots: ReadonlyMap<string, string>) {}

  root(site: string): string {
    return this.roots.get(site)!;
  }
  tree(site: string): SiteTree {
    return new MountedTree(this.root(site));
  }
  isAlive(site: string): boolean {
    return !this.dead.has(site);
  }
  async digest(): Promise<string> {
    return 'd1';
  }
  async conflicts(): Promise<readonly ListedConflict[]> {
    return [];
  }
  async pause(): Promise<void> {}
  setClock(): void {}
  async setDisk(): Promise<void> {}
  troubles(): string[] {
    return [];
  }
  troublesAtEnd(): string[] {
    return [];
  }
  async partition(groups: readonly (readonly string[])[]): Promise<void> {
    this.calls.push(`partition ${groups.map((group) => group.join(' ')).join(' | ')}`);
  }
  async heal(): Promise<void> {
    this.calls.push('heal');
    this.onHeal();
  }
  async sync(): Promise<void> {
    this.calls.push('sync');
  }
  async kill(site: string): Promise<void> {
    this.calls.push(`kill ${site}`);
    this.dead.add(site);
  }
  async restart(site: string): Promise<void> {
    this.calls.push(`restart ${site}`);
    this.dead.delete(site);
  }
}

/** Two sites; `shared`: they show one directory. */
function stage(t: TestContext, shared: boolean): PlainStage {
  const root = mkdtempSync(join(tmpdir(), 'weft-play-'));
  t.after(() => rmSync(root, { recursive: true }));
  const roots = ['paris', 'oslo'].map((site): [string, string] => [site, join(root, shared ? 'all' : site)]);
  for (const [, path] of roots) mkdirSync(path, { recursive: true });
  return new PlainStage(new Map(roots));
}

function play(on: Stage, history: string): Promise<string[]> {
  return playScenario(parseScenario('f', `sites: paris oslo\n${history}`), on);
}

test('every action, on a tree that is the same everywhere', async (t) => {
  const on = stage(t, true);
  const failures = await play(
    on,
    `
paris: mkdir d d/e
paris: write d/f "one"
oslo: append d/f " two"
expect cat d/f = "one two"
oslo: save-by-rename d/f "three"
paris: ln d/f d/hard
paris: ln -s f d/soft
expect linked d/f d/hard
expect nlink d/f = 2
expect target d/soft = f
expect type d/soft = symlink
paris: chmod 0640 d/f
expect mode d/hard = 0640
paris: touch -d "2001-09-09T01:46:40.5Z" d/f
expect mtime d/f = 1000000000.5
paris: setxattr d/f user.a "b"
expect xattr d/f user.a = "b"
paris: removexattr d/f user.a
paris: mkfifo d/pipe
expect type d/pipe = fifo
paris: rm d/hard d/pipe d/soft
paris: truncate d/f 2
expect cat d/f = "th"
paris: write g "gee"
paris: exchange g d/f
expect cat g = "th"
paris: mv g d/g
paris: rmdir d/e
paris: fails ENOENT rm nothing
partition
oslo: open h d/g
oslo: put h "TH"
oslo: close h
paris: fill many 20
expect names d = f g
expect exists many/00020 **/g
expect absent many/00021 d/e
expect copies d/? = "gee" "thTH"
expect conflicts = 0
expect same
kill oslo
restart oslo
oslo: rm d/g*
paris: rm -r d many
expect names . =
`,
  );
  assert.deepEqual(failures, []);
  assert.deepEqual(on.calls, ['partition paris | oslo', 'kill oslo', 'restart oslo', 'heal']);
});

test('trees that differ are reported with the attribute', async (t) => {
  const failures = await play(stage(t, false), 'paris: write x "only here"\nexpect oslo: exists x\n');
  assert.match(failures[0]!, /^f:3: expect oslo: exists x\n {4}oslo: nothing fits x; there is nothing$/);
  assert.ok(failures.includes('at the end: x: only at paris'));
  assert.ok(failures.some((failure) => /"only here", written at paris to x, is in no file at oslo/.test(failure)));
});

test('a text that vanishes in the merge is reported with the line that wrote it', async (t) => {
  const on = stage(t, true);
  on.onHeal = () => writeFileSync(join(on.root('paris'), 'x'), 'from oslo');
  const failures = await play(on, 'paris: write x "from paris"\npartition\n');
  assert.deepEqual(failures, [
    'f:2: "from paris", written at paris to x, is in no file at paris',
    'f:2: "from paris", written at paris to x, is in no file at oslo',
  ]);
});

test('a text may live on in another file, and one that was done away with knowingly may be gone', async (t) => {
  const on = stage(t, true);
  on.onHeal = () => renameSync(join(on.root('paris'), 'x'), join(on.root('paris'), 'x.~paris-1234'));
  const history = [
    'paris: write x "kept"',
    'paris: write y "overwritten"',
    'paris: write y "removed"',
    'paris: rm y',
    'paris: write z "replaced"',
    'paris: save-by-rename z "replaced over"',
    'paris: write w "w"',
    'paris: mv w z',
    'paris: ln z z2',
    'paris: rm z',
    'partition',
  ];
  assert.deepEqual(await play(on, history.join('\n')), []);
});

test('an action that fails ends the play and names the line', async (t) => {
  const failures = await play(stage(t, true), 'paris: rm nothing\nparis: mkdir never\n');
  assert.equal(failures.length, 1);
  assert.match(failures[0]!, /^f:2: paris: rm nothing\n {4}ENOENT/);
});

test('an action that was to fail and does not is reported', async (t) => {
  const failures = await play(stage(t, true), 'paris: fails EEXIST mkdir x\n');
  assert.match(failures[0]!, /succeeded, expected EEXIST/);
});

test('a pattern that fits two paths names both', async (t) => {
  const failures = await play(stage(t, true), 'paris: write a1 ""\nparis: write a2 ""\nparis: rm a*\n');
  assert.match(failures[0]!, /a\* must fit one path, it fits a1, a2/);
});

test('a fill that is cut by a kill accounts for the acknowledged files alone', async (t) => {
  const on = stage(t, true);
  assert.deepEqual(await play(on, 'paris: fill d 300 killed after 100\nrestart paris\nexpect exists d/00100\n'), []);
  assert.ok(on.calls.includes('kill paris'));
});
