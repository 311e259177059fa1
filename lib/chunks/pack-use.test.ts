import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { listPacks } from './pack-use.js';
import { fallocate } from '../file-calls.js';
import { FALLOC_KEEP_SIZE } from './writable-content.js';

test('what the filesystem sets aside behind a pack that is being written is not what a collection gives back', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'weft-pack-use-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const fd = openSync(join(directory, 'site-0.pack'), 'wx');
  writeSync(fd, Buffer.alloc(5000, 1));
  fallocate(fd, FALLOC_KEEP_SIZE, 0, 1 << 20);
  const { diskBytes } = listPacks(directory, new Map())[0]!;
  closeSync(fd);
  assert.ok(diskBytes >= 5000 && diskBytes < 1 << 16, `${diskBytes} bytes`);
});
