import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { rewriteFile } from './file-rewriting.js';

const PAGES = 600;
const PAGE_BYTES = 4096;
const UNREADABLE = new Set([7, 8, 300]);

test('a site does not start, for one page of a local file that its disk cannot read', { timeout: 20_000 }, (t) => {
  const directory = fs.mkdtempSync(join(tmpdir(), 'weft-rewriting-'));
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
    fs.rmSync(directory, { recursive: true });
  });
  const path = join(directory, 'file');
  const content = Buffer.alloc(PAGES * PAGE_BYTES - 100, 'a page of it ');
  fs.writeFileSync(path, content);
  const { mtimeNs } = fs.statSync(path, { bigint: true });
  const { readSync, writeSync } = fs;
  const written = new Set<number>();
  t.mock.method(fs, 'readSync', (fd: number, buffer: Buffer, from: number, length: number, at: number) => {
    for (const page of UNREADABLE)
      if (at < (page + 1) * PAGE_BYTES && at + length > page * PAGE_BYTES)
        throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO', errno: -5 });
    return readSync(fd, buffer, from, length, at);
  });
  t.mock.method(fs, 'writeSync', (fd: number, buffer: Buffer, from: number, length: number, at: number) => {
    for (let byte = at; byte < at + length; byte += PAGE_BYTES) written.add(Math.floor(byte / PAGE_BYTES));
    return writeSync(fd, buffer, from, length, at);
  });
  syncBuiltinESMExports();

  rewriteFile(path);
  const pages = Array.from({ length: PAGES }, (_, page) => page);
  assert.deepEqual(
    pages.filter((page) => !written.has(page)),
    [...UNREADABLE],
  );
  assert.equal(fs.statSync(path, { bigint: true }).mtimeNs, mtimeNs);
  t.mock.restoreAll();
  assert.ok(fs.readFileSync(path).equals(content));
});
