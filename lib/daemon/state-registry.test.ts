import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { someSiteConfig } from './site-config.test-support.js';
import { StateDirectory } from './state-directory.js';
import { realPath, StateRegistry } from './state-registry.js';

let scratch: string;
let home: string;
let registry: StateRegistry;
beforeEach(() => {
  scratch = realpathSync(mkdtempSync(join(tmpdir(), 'weft-registry-')));
  home = join(scratch, 'home');
  registry = new StateRegistry(home);
});
afterEach(() => rmSync(scratch, { recursive: true }));

/** A site with this state directory and mountpoint, recorded unless told otherwise. */
function makeSite(directory: string, mountpoint: string, recorded = true): void {
  mkdirSync(mountpoint, { recursive: true });
  const config = someSiteConfig(mountpoint);
  if (!StateDirectory.isSite(directory)) StateDirectory.create(directory, config);
  if (recorded) registry.record({ mountpoint, directory });
}

test('nothing is known at first, and nothing is created by asking', () => {
  assert.equal(registry.find('/'), undefined);
  assert.deepEqual(registry.all(), []);
  assert.deepEqual(readdirSync(scratch), []);
});

test('a site is found by its mountpoint, from below, relatively, and through symbolic links', () => {
  const mountpoint = join(scratch, 'mnt');
  const directory = join(scratch, 'elsewhere', 'state');
  makeSite(directory, mountpoint);
  mkdirSync(join(mountpoint, 'a/b'), { recursive: true });
  symlinkSync(join(mountpoint, 'a'), join(scratch, 'shortcut'));
  const entry = { mountpoint, directory };
  const earlier = process.cwd();
  try {
    process.chdir(scratch);
    const paths = [
      mountpoint,
      `${mountpoint}/`,
      join(mountpoint, 'a/b'),
      join(mountpoint, 'no/such'),
      'mnt',
      './mnt/a',
    ];
    for (const path of [...paths, 'shortcut', 'shortcut/b', 'shortcut/none']) {
      assert.deepEqual(registry.find(path), entry, path);
    }
  } finally {
    process.chdir(earlier);
  }
  assert.equal(registry.find(scratch), undefined);
  assert.equal(registry.find(`${mountpoint}x`), undefined);
});

test('a link inside one volume that leads to another finds the other', () => {
  const outer = join(scratch, 'outer');
  const other = join(scratch, 'other');
  makeSite(join(scratch, 's1'), outer);
  makeSite(join(scratch, 's2'), other);
  symlinkSync(other, join(outer, 'link'));
  assert.equal(registry.find(join(outer, 'link', 'file'))?.mountpoint, other);
});

test('of nested mountpoints the innermost wins', () => {
  const outer = join(scratch, 'outer');
  const inner = join(outer, 'inner');
  makeSite(join(scratch, 's1'), outer);
  makeSite(join(scratch, 's2'), inner);
  assert.equal(registry.find(join(inner, 'x'))?.mountpoint, inner);
  assert.equal(registry.find(join(outer, 'x'))?.mountpoint, outer);
});

test('an entry whose state is gone counts for nothing, and a new site takes its mountpoint', () => {
  const mountpoint = join(scratch, 'mnt');
  makeSite(join(scratch, 's1'), mountpoint);
  rmSync(join(scratch, 's1'), { recursive: true });
  assert.equal(registry.find(mountpoint), undefined);
  assert.deepEqual(registry.all(), []);
  makeSite(join(scratch, 's2'), mountpoint);
  assert.equal(registry.find(mountpoint)?.directory, join(scratch, 's2'));
});

test('entries of which nothing is left are dropped when another is made', () => {
  makeSite(join(scratch, 's1'), join(scratch, 'm1'));
  rmSync(join(scratch, 's1'), { recursive: true });
  rmSync(join(scratch, 'm1'), { recursive: true });
  makeSite(join(scratch, 's2'), join(scratch, 'm2'));
  assert.equal(readdirSync(join(home, '.mounts')).length, 1);
});

test('all sites are listed, also one in the data home that was never recorded', () => {
  const recorded = { mountpoint: join(scratch, 'b'), directory: join(scratch, 's1') };
  const unrecorded = { mountpoint: join(scratch, 'a'), directory: join(home, 'team') };
  makeSite(recorded.directory, recorded.mountpoint);
  makeSite(unrecorded.directory, unrecorded.mountpoint, false);
  assert.deepEqual(registry.all(), [unrecorded, recorded]);
});

test('a damaged entry is an error that names it', () => {
  const mountpoint = join(scratch, 'mnt');
  makeSite(join(scratch, 's1'), mountpoint);
  const [name] = readdirSync(join(home, '.mounts'));
  writeFileSync(join(home, '.mounts', name!), '{"mountpoint":7}');
  assert.throws(() => registry.find(mountpoint), /\.mounts\/[0-9a-f]+ is damaged: remove it/);
});

test('the real path of what does not exist is that of its ancestors, and the rest', () => {
  symlinkSync(scratch, join(scratch, 'loop'));
  assert.equal(realPath(join(scratch, 'loop/loop/none/x')), join(scratch, 'none/x'));
});
