import assert from 'node:assert/strict';
import {
  closeSync,
  fdatasyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { rewriteFile } from '../file-rewriting.js';
import { Random } from './random.js';
import { scratchDirectory } from './scratch-directory.js';
import { SiteDisk } from './site-disk.js';
import { Totals } from './totals.js';

const { path: root, remove } = scratchDirectory();
after(remove);

const PAGES = 40;
const PAGE_BYTES = 4096;

test('what a sync failed to write is on the disk after the next one, though nobody wrote it again', () => {
  const state = join(root, 'state-1');
  mkdirSync(state);
  const path = join(state, 'file');
  writeFileSync(path, Buffer.alloc(PAGES * PAGE_BYTES, 'a'));
  const random = new Random('given up');
  const disk = new SiteDisk(state, true, new Totals(), { fileTimeNs: 0n }, () => {}, random.fork('disk'));
  after(() => SiteDisk.forget(state));
  const left = (): string => {
    const target = join(root, 'left');
    disk.loseTo(random, target);
    const bytes = readFileSync(join(target, 'file'));
    rmSync(target, { recursive: true });
    return Array.from({ length: PAGES }, (_, page) => String.fromCodePoint(bytes[page * PAGE_BYTES]!)).join('');
  };

  const fd = openSync(path, 'r+');
  writeSync(fd, Buffer.alloc(PAGES * PAGE_BYTES, 'b'), 0, PAGES * PAGE_BYTES, 0);
  disk.failLater('sync', 1);
  assert.throws(() => fdatasyncSync(fd), { code: 'EIO' });
  fdatasyncSync(fd);
  const lost = left();
  assert.match(lost, /a/);
  assert.equal(left(), lost, 'what is lost is the same each time');

  writeSync(fd, Buffer.alloc(1, 'c'), 0, 1, lost.indexOf('a') * PAGE_BYTES);
  fdatasyncSync(fd);
  assert.equal(left(), lost.replace('a', 'c'), 'a page that is written to is written as a whole');

  const { mtimeNs } = statSync(path, { bigint: true });
  rewriteFile(path);
  assert.equal(left(), lost.replace('a', 'c').replaceAll('a', 'b'));
  assert.equal(statSync(path, { bigint: true }).mtimeNs, mtimeNs);
  closeSync(fd);
});
