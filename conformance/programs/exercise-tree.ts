// exercise-tree.ts — run as a program: `exercise-tree DIRECTORY SHARED SEED OPERATIONS`. Performs the same random operation on a directory
// and on its model, again and again; ends with what differed, and the seed. SHARED is for what others do at the same time: files go
// through it under names of this process's own, so that its directory changes under everyone's feet.

import assert from 'node:assert/strict';
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { exchangeNames, readXattrs, removeXattr, setXattr } from '../../scripts/sites/system-calls.js';
import {
  ModelError,
  TreeModel,
  type ModelDirectory,
  type ModelFile,
  type ModelInode,
  type Path,
} from './tree-model.js';

const NAMES = ['a', 'b', 'c', 'd', 'e', 'long'.repeat(50), 'ümlaut', ' '];
const IS_ROOT = process.getuid!() === 0;
const XATTRS = ['user.one', 'user.two', IS_ROOT ? 'trusted.three' : 'user.three'];
const MAX_DEPTH = 6;
const MAX_FILE_BYTES = 300_000;

const [directory, shared, seedText, operationsText] = process.argv.slice(2);
assert.ok(operationsText !== undefined, 'usage: exercise-tree DIRECTORY SHARED SEED OPERATIONS');
const seed = Number(seedText);
const model = new TreeModel();
const history: string[] = [];
/** Files that are open, removed ones too. */
const handles: { readonly descriptor: number; readonly file: ModelFile }[] = [];

let state = seed >>> 0;
/** From 0 to below `limit` (mulberry32). */
function below(limit: number): number {
  state = (state + 0x6d2b79f5) >>> 0;
  let t = state;
  t = Math.imul(t ^ (t >>> 15), t | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) % limit;
}

function oneOf<T>(values: readonly T[]): T {
  return values[below(values.length)]!;
}

function at(path: Path): string {
  return join(directory!, ...path);
}

/** Any path: usually one whose parent exists, now and then one below a file, or below nothing. */
function anyPath(): Path {
  const path: string[] = [];
  let inode: ModelInode | undefined = model.root;
  while (path.length < MAX_DEPTH) {
    const entries: [string, ModelInode][] = inode?.type === 'directory' ? [...inode.entries] : [];
    const known: [string, ModelInode] | undefined = entries.length > 0 && below(4) > 0 ? oneOf(entries) : undefined;
    const name = known?.[0] ?? oneOf(NAMES);
    path.push(name);
    // The kernel would follow a symbolic link in the middle; the model does not.
    if (known?.[1].type === 'symlink') break;
    if (inode?.type === 'directory') inode = inode.entries.get(name);
    else inode = undefined;
    if (inode?.type === 'symlink' || (inode?.type !== 'directory' && below(8) > 0) || below(3) === 0) break;
  }
  return path;
}

function somePath(accept: (inode: ModelInode) => boolean): Path | null {
  const found: Path[] = [];
  const visit = (inode: ModelDirectory, path: Path): void => {
    for (const [name, child] of inode.entries) {
      const childPath = [...path, name];
      if (accept(child)) found.push(childPath);
      if (child.type === 'directory') visit(child, childPath);
    }
  };
  visit(model.root, []);
  return found.length === 0 ? null : oneOf(found);
}

function isFile(inode: ModelInode): boolean {
  return inode.type === 'file';
}

function someBytes(): Buffer {
  const length = below(6) === 0 ? below(MAX_FILE_BYTES / 3) : below(5000);
  const bytes = Buffer.alloc(length);
  for (let index = 0; index < length; index += 97) bytes[index] = below(256);
  return bytes;
}

/** Both do it; both must succeed, or fail alike. */
function both(text: string, expected: () => void, actual: () => void): void {
  history.push(text);
  const [should, does] = [outcome(expected), outcome(actual)];
  assert.equal(does, should, text);
}

function outcome(perform: () => void): string {
  try {
    perform();
    return 'done';
  } catch (error) {
    if (error instanceof ModelError) return error.code;
    const code = (error as NodeJS.ErrnoException).code;
    if (code === undefined || code.startsWith('ERR_')) throw error;
    return code;
  }
}

function shown(path: Path): string {
  return path.map((name) => name.slice(0, 8)).join('/');
}

const operations: readonly (() => void)[] = [
  function create(): void {
    const path = anyPath();
    const keep = below(3) === 0 && handles.length < 12;
    let file: ModelFile | null = null;
    both(
      `create ${shown(path)}`,
      () => (file = model.create(path)),
      () => {
        const descriptor = openSync(at(path), 'wx+', 0o644);
        if (keep && file !== null) handles.push({ descriptor, file });
        else closeSync(descriptor);
      },
    );
  },
  function mkdir(): void {
    const path = anyPath();
    both(
      `mkdir ${shown(path)}`,
      () => model.mkdir(path),
      () => mkdirSync(at(path), 0o755),
    );
  },
  function symlink(): void {
    const path = anyPath();
    const target = 't'.repeat(1 + below(below(10) === 0 ? 4000 : 60));
    both(
      `symlink ${shown(path)}`,
      () => model.symlink(target, path),
      () => symlinkSync(target, at(path)),
    );
  },
  function link(): void {
    const [existing, path] = [anyPath(), anyPath()];
    both(
      `link ${shown(existing)} ${shown(path)}`,
      () => model.link(existing, path),
      () => linkSync(at(existing), at(path)),
    );
  },
  function unlink(): void {
    const path = anyPath();
    both(
      `unlink ${shown(path)}`,
      () => model.unlink(path),
      () => unlinkSync(at(path)),
    );
  },
  function rmdir(): void {
    const path = anyPath();
    both(
      `rmdir ${shown(path)}`,
      () => model.rmdir(path),
      () => rmdirSync(at(path)),
    );
  },
  function rename(): void {
    const [source, target] = [anyPath(), anyPath()];
    both(
      `rename ${shown(source)} ${shown(target)}`,
      () => model.rename(source, target),
      () => renameSync(at(source), at(target)),
    );
  },
  function exchange(): void {
    const [first, second] = [anyPath(), anyPath()];
    both(
      `exchange ${shown(first)} ${shown(second)}`,
      () => model.exchange(first, second),
      () => exchangeNames(Buffer.from(at(first)), Buffer.from(at(second))),
    );
  },
  function write(): void {
    const path = somePath(isFile);
    if (path === null) return;
    const file = model.file(path);
    const [data, offset] = [someBytes(), below(Math.min(file.content.length * 2 + 100, MAX_FILE_BYTES))];
    both(
      `write ${shown(path)} ${offset}+${data.length}`,
      () => model.write(file, offset, data),
      () => {
        const descriptor = openSync(at(path), 'r+');
        assert.equal(writeSync(descriptor, data, 0, data.length, offset), data.length);
        if (below(20) === 0) fsyncSync(descriptor);
        closeSync(descriptor);
      },
    );
  },
  function writeThroughHandle(): void {
    if (handles.length === 0) return;
    const { descriptor, file } = oneOf(handles);
    const [data, offset] = [someBytes(), below(Math.min(file.content.length + 100, MAX_FILE_BYTES))];
    both(
      `write to a handle ${offset}+${data.length}`,
      () => model.write(file, offset, data),
      () => {
        assert.equal(writeSync(descriptor, data, 0, data.length, offset), data.length);
      },
    );
  },
  function truncate(): void {
    const path = somePath(isFile);
    if (path === null) return;
    const size = below(2) === 0 ? 0 : below(MAX_FILE_BYTES);
    both(
      `truncate ${shown(path)} ${size}`,
      () => model.truncate(model.file(path), size),
      () => truncateSync(at(path), size),
    );
  },
  function truncateHandle(): void {
    if (handles.length === 0) return;
    const { descriptor, file } = oneOf(handles);
    const size = below(20_000);
    both(
      `truncate a handle ${size}`,
      () => model.truncate(file, size),
      () => ftruncateSync(descriptor, size),
    );
  },
  function closeHandle(): void {
    if (handles.length === 0) return;
    const [{ descriptor, file }] = handles.splice(below(handles.length), 1) as [(typeof handles)[number]];
    history.push('close a handle');
    checkHandle(descriptor, file);
    closeSync(descriptor);
  },
  function openHandle(): void {
    const path = somePath(isFile);
    if (path === null || handles.length >= 12) return;
    both(
      `open ${shown(path)}`,
      () => {},
      () => handles.push({ descriptor: openSync(at(path), 'r+'), file: model.file(path) }),
    );
  },
  function chmod(): void {
    const path = somePath(({ type }) => type !== 'symlink');
    if (path === null) return;
    // A plain user needs the owner's bits, and loses set-id bits where it writes.
    const mode = IS_ROOT ? below(0o10000) : below(0o2000) | 0o700;
    both(
      `chmod ${shown(path)} ${mode.toString(8)}`,
      () => {
        const inode = model.find(path);
        if (inode.type !== 'symlink') inode.mode = mode;
      },
      () => chmodSync(at(path), mode),
    );
  },
  function times(): void {
    const path = somePath(({ type }) => type !== 'symlink');
    if (path === null) return;
    const seconds = below(4_000_000_000) - 1_000_000_000;
    const time = new Date(seconds * 1000); // Node takes a negative number for now
    both(
      `utimes ${shown(path)} ${seconds}`,
      () => {
        const inode = model.find(path);
        if (inode.type !== 'symlink') inode.mtime = seconds;
      },
      () => lutimesSync(at(path), time, time),
    );
  },
  function setXattribute(): void {
    const path = somePath(({ type }) => type !== 'symlink');
    if (path === null) return;
    const [name, value] = [oneOf(XATTRS), 'v'.repeat(below(below(5) === 0 ? 1000 : 40))];
    both(
      `setxattr ${shown(path)} ${name}`,
      () => {
        const inode = model.find(path);
        if (inode.type !== 'symlink') inode.xattrs.set(name, value);
      },
      () => setXattr(Buffer.from(at(path)), name, Buffer.from(value)),
    );
  },
  function removeXattribute(): void {
    const path = somePath(({ type }) => type !== 'symlink');
    if (path === null) return;
    const name = oneOf(XATTRS);
    both(
      `removexattr ${shown(path)} ${name}`,
      () => {
        const inode = model.find(path);
        if (inode.type !== 'symlink' && !inode.xattrs.delete(name)) throw new ModelError('ENODATA');
      },
      () => removeXattr(Buffer.from(at(path)), name),
    );
  },
  function checkOne(): void {
    const path = anyPath();
    const expected = outcome(() => model.find(path));
    history.push(`stat ${shown(path)}`);
    assert.equal(
      outcome(() => lstatSync(at(path))),
      expected,
      `stat ${shown(path)}`,
    );
    if (expected === 'done') check(model.find(path), path);
  },
  function throughShared(): void {
    const path = somePath(isFile);
    if (path === null) return;
    history.push(`to the shared directory and back: ${shown(path)}`);
    const other = join(shared!, `${seed}-${below(10)}`);
    renameSync(at(path), other);
    assert.equal(existsSync(at(path)), false);
    renameSync(other, at(path));
    // Its parent's time changed, and the name left for a moment.
    const parent = model.find(path.slice(0, -1));
    if (parent.type === 'directory') parent.mtime = null;
  },
];

function checkHandle(descriptor: number, file: ModelFile): void {
  const content = Buffer.alloc(file.content.length + 1);
  let length = 0;
  for (let read; (read = readSync(descriptor, content, length, content.length - length, length)) > 0;) length += read;
  assert.equal(length, file.content.length, 'length read through a handle');
  assert.ok(content.subarray(0, length).equals(file.content), 'content read through a handle');
}

function check(inode: ModelInode, path: Path): void {
  const stat = lstatSync(at(path));
  const name = shown(path) || 'the root';
  if (inode.type === 'symlink') {
    assert.ok(stat.isSymbolicLink(), `${name} is no symbolic link`);
    assert.equal(readlinkSync(at(path)), inode.target, name);
    assert.equal(stat.nlink, inode.links, `nlink of ${name}`);
    return;
  }
  if (path.length > 0) assert.equal((stat.mode & 0o7777).toString(8), inode.mode.toString(8), `mode of ${name}`);
  if (inode.mtime !== null) assert.equal(Math.floor(stat.mtimeMs / 1000), inode.mtime, `mtime of ${name}`);
  const xattrs = [...readXattrs(Buffer.from(at(path)))].map(([key, value]) => [key, value.toString()]);
  assert.deepEqual(
    xattrs,
    [...inode.xattrs].toSorted(([a], [b]) => (a < b ? -1 : 1)),
    `xattrs of ${name}`,
  );
  if (inode.type === 'file') {
    assert.ok(stat.isFile(), `${name} is no file`);
    assert.equal(stat.nlink, inode.links, `nlink of ${name}`);
    assert.equal(stat.size, inode.content.length, `size of ${name}`);
    assert.ok(readFileSync(at(path)).equals(inode.content), `content of ${name}`);
  } else {
    assert.ok(stat.isDirectory(), `${name} is no directory`);
    assert.deepEqual(readdirSync(at(path)).toSorted(), [...inode.entries.keys()].toSorted(), `entries of ${name}`);
  }
}

function checkAll(inode: ModelInode, path: Path): void {
  check(inode, path);
  if (inode.type === 'directory') for (const [name, child] of inode.entries) checkAll(child, [...path, name]);
}

process.umask(0o022);
try {
  for (let count = 0; count < Number(operationsText); count++) {
    oneOf(operations)();
    if (count % 500 === 0) checkAll(model.root, []);
  }
  checkAll(model.root, []);
  for (const { descriptor, file } of handles) {
    checkHandle(descriptor, file);
    closeSync(descriptor);
  }
} catch (error) {
  console.error(`seed ${seed}, after ${history.length} operations: ${(error as Error).message}`);
  console.error(history.slice(-25).join('\n'));
  process.exitCode = 1;
}
