// chunks-fixture.test-support.ts — what the tests of this folder share: directories, stores and bytes. Not part of the product.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import Database from 'better-sqlite3';
import { ObjectStore } from './object-store.js';
import type { ObjectStoreOptions } from './object-store.js';

/** An empty directory that lives as long as the test. */
export function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'weft-chunks-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Tests with {@link tinyFilesystem} are for root. */
export const skipUnlessRoot = process.getuid?.() === 0 ? false : 'needs root, to mount a tmpfs';

/** A directory on tmpfs, which has files of 8 EiB - 1 and of fallocate(2) only two modes. */
export function tmpfsDirectory(t: TestContext): string {
  const directory = mkdtempSync('/dev/shm/weft-chunks-');
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A mounted tmpfs of `bytes`, unmounted after the test. Needs root. */
export function tinyFilesystem(t: TestContext, bytes: number): string {
  const directory = mkdtempSync(join(tmpdir(), 'weft-chunks-tmpfs-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'weft-test', directory]);
  t.after(() => {
    execFileSync('umount', ['-l', directory]);
    rmSync(directory, { recursive: true, force: true });
  });
  return directory;
}

export interface TestStore {
  readonly store: ObjectStore;
  readonly db: Database.Database;
  readonly databasePath: string;
  readonly objectsDirectory: string;
}

/** An object store on a database of its own, inside an open transaction as in the site thread. */
export function temporaryStore(t: TestContext, options: ObjectStoreOptions = {}): TestStore {
  const directory = temporaryDirectory(t);
  const databasePath = join(directory, 'state.db');
  const objectsDirectory = join(directory, 'objects');
  const db = new Database(databasePath);
  db.pragma('journal_mode = WAL');
  db.exec('BEGIN');
  const store = new ObjectStore(db, objectsDirectory, options);
  t.after(() => {
    store.close();
    db.close();
  });
  return { store, db, databasePath, objectsDirectory };
}

/** Ends the open transaction, so that other connections see what was put, and begins the next. */
export function commit({ store, db }: Pick<TestStore, 'store' | 'db'>): void {
  store.flush();
  db.exec('COMMIT; BEGIN');
}

/** Incompressible bytes, the same for the same seed (xorshift32, Marsaglia 2003). */
export function randomBytes(length: number, seed: number): Buffer {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return Buffer.from(words.buffer, 0, length);
}

/** Bytes that compress well, the same for the same seed. */
export function wordyBytes(length: number, seed: number): Buffer {
  const line = (n: number) => `line ${n} of text number ${seed}: the quick brown fox jumps over the lazy dog\n`;
  let text = '';
  for (let n = 0; text.length < length; n++) text += line(n);
  return Buffer.from(text.slice(0, length), 'latin1');
}
