import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Manifest } from '../chunks/manifest.js';
import type { OpenFile } from './open-files.js';
import { ReadAhead } from './read-ahead.js';

const CHUNK_BYTES = 1 << 20;

/** A file of 100 chunks of 1 MiB, named by their numbers. */
function bench(held: ReadonlySet<string> = new Set()) {
  const extents = Array.from({ length: 100 }, (_, i) => ({
    offset: i * CHUNK_BYTES,
    length: CHUNK_BYTES,
    chunk: `${i}`,
  }));
  const manifest = { size: 100 * CHUNK_BYTES, extents } as unknown as Manifest;
  const asked: string[] = [];
  const objects = { has: (id: string) => held.has(id), keepsAll: false, missingCount: () => 0 };
  const ahead = new ReadAhead(objects, (ids) => asked.push(...ids));
  const file = {} as OpenFile;
  const read = (chunk: number, count = 1): string[] => {
    asked.length = 0;
    ahead.note(file, manifest, chunk * CHUNK_BYTES, count * CHUNK_BYTES);
    return [...asked];
  };
  return { read, objects };
}

test('who reads on is read ahead of, further each time, and nothing is asked for twice', () => {
  const { read } = bench();
  const asked = Array.from({ length: 40 }, (_, i) => read(i)).flat();
  assert.deepEqual(asked, [...new Set(asked)]);
  assert.deepEqual(asked.slice(0, 3), ['1', '2', '3']);
  assert.ok(asked.length >= 45 && asked.length <= 56, `${asked.length} chunks`);
});

test('a reader here and there is not read ahead of', () => {
  const { read } = bench();
  assert.deepEqual(
    [50, 10, 80, 30].map((chunk) => read(chunk)),
    [[], [], [], []],
  );
});

test('the kernel reads ahead in pieces that come in another order', () => {
  const { read } = bench();
  const asked = [0, 2, 1, 3, 5, 4, 6, 7].map((chunk) => read(chunk)).flat();
  assert.ok(asked.includes('9') && asked.length === new Set(asked).size);
});

test('what is held is not asked for, and nothing where all of it is', () => {
  const { read } = bench(new Set(['1', '3']));
  assert.deepEqual(read(0), []);
  assert.deepEqual(read(1), ['2']);
  const all = bench();
  all.objects.keepsAll = true;
  assert.deepEqual(
    [0, 1, 2].map((chunk) => all.read(chunk)),
    [[], [], []],
  );
});

test('the end of a file is not read over', () => {
  const { read } = bench();
  for (let chunk = 90; chunk < 100; chunk++) for (const id of read(chunk)) assert.ok(Number(id) < 100);
});
