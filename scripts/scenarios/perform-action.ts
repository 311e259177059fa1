// perform-action.ts — carries out what a person does at one site, with the system calls that the usual programs make.
// It keeps the account of acknowledged texts: what a file held before it is overwritten or removed is discarded knowingly, but only
// once the call succeeded.

import { constants, promises as fs } from 'node:fs';
import { dirname } from 'node:path/posix';
import { exchangeNames, makeFifo, removeXattr, setXattr } from '../sites/system-calls.js';
import { allPaths, namesIn, pathBytes, printable } from '../sites/tree-snapshot.js';
import type { AcknowledgedTexts } from './acknowledged-texts.js';
import { fits, isExact } from './pattern.js';
import type { Action, Pattern } from './scenario.js';

/** How many files `fill` has on their way at once. */
const FILL_WRITERS = 4;

/** One site during a run. */
export interface Workplace {
  readonly site: string;
  /** Where its tree is mounted. */
  readonly root: string;
  /** Line of the scenario, for the account of texts. */
  readonly line: number;
  readonly texts: AcknowledgedTexts;
  /** Descriptors that the site holds open, by the name the scenario gave them. */
  readonly handles: Map<string, { readonly file: fs.FileHandle; readonly path: string }>;
  /** Kills the site's daemon. */
  readonly kill: () => Promise<void>;
}

/** Carries out an action; rejects with the system call's error. */
export async function performAction(at: Workplace, action: Action): Promise<void> {
  const bytes = (path: string): Buffer => pathBytes(at.root, path);
  switch (action.do) {
    case 'mkdir':
      for (const path of action.paths) await fs.mkdir(bytes(path));
      return;
    case 'rmdir':
      for (const path of action.paths) await fs.rmdir(bytes(path));
      return;
    case 'write': {
      const path = onePath(at, action.path);
      return overwrite(at, path, action.text, () => fs.writeFile(bytes(path), Buffer.from(action.text, 'latin1')));
    }
    case 'append': {
      const path = onePath(at, action.path);
      await fs.appendFile(bytes(path), Buffer.from(action.text, 'latin1'));
      return at.texts.wrote(action.text, { ...at, path });
    }
    case 'save-by-rename':
      return saveByRename(at, onePath(at, action.path), action.text);
    case 'edit':
      return edit(at, onePath(at, action.path), action.text, action.replacement);
    case 'overwrite':
      return overwrite(at, action.path, action.text, () => writeAt(bytes(action.path), action.offset, action.text));
    case 'truncate':
      return overwrite(at, action.path, '', () => fs.truncate(bytes(action.path), action.sizeBytes));
    case 'mv':
      return move(at, onePath(at, action.from), action.to);
    case 'exchange':
      return exchangeNames(bytes(action.from), bytes(action.to));
    case 'rm':
      for (const pattern of action.paths) await remove(at, onePath(at, pattern), action.recursive);
      return;
    case 'ln':
      return fs.link(bytes(action.existing), bytes(action.path));
    case 'symlink':
      return fs.symlink(Buffer.from(action.target, 'latin1'), bytes(action.path));
    case 'chmod':
      for (const path of action.paths) await fs.chmod(bytes(path), action.mode);
      return;
    case 'chown':
      for (const path of action.paths) await fs.lchown(bytes(path), action.uid, action.gid);
      return;
    case 'touch':
      for (const path of action.paths) await touch(bytes(path), action.timeSeconds);
      return;
    case 'setxattr':
      return setXattr(bytes(action.path), action.name, Buffer.from(action.value, 'latin1'));
    case 'removexattr':
      return removeXattr(bytes(action.path), action.name);
    case 'mkfifo':
      return makeFifo(bytes(action.path));
    case 'fill':
      return fill(at, action.path, action.count, action.killAfter);
    case 'open': {
      if (at.handles.has(action.handle)) throw new Error(`${at.site} has a handle ${action.handle} already`);
      const file = await fs.open(bytes(action.path), constants.O_RDWR | constants.O_APPEND);
      at.handles.set(action.handle, { file, path: action.path });
      return;
    }
    case 'put': {
      const { file, path } = handle(at, action.handle);
      await file.write(Buffer.from(action.text, 'latin1'));
      return at.texts.wrote(action.text, { ...at, path });
    }
    case 'close':
      await handle(at, action.handle).file.close();
      at.handles.delete(action.handle);
  }
}

/** The path that a pattern stands for: the only one that it fits. */
function onePath(at: Workplace, pattern: Pattern): string {
  if (isExact(pattern)) return pattern.text;
  const matches = allPaths(at.root).filter((path) => fits(pattern, path));
  if (matches.length === 1) return matches[0]!;
  const found = matches.map((path) => printable(path)).join(', ') || 'nothing';
  throw new Error(`${printable(pattern.text)} must fit one path, it fits ${found}`);
}

function handle(at: Workplace, name: string): { readonly file: fs.FileHandle; readonly path: string } {
  const found = at.handles.get(name);
  if (!found) throw new Error(`${at.site} has no open handle ${name}`);
  return found;
}

/** Content of a regular file as latin1, null when there is none. */
async function contentAt(
  path: Buffer,
): Promise<{ readonly text: string; readonly nlink: number; readonly ino: number } | null> {
  const stat = await fs.lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
    throw error;
  });
  if (!stat?.isFile()) return null;
  return { text: await fs.readFile(path, 'latin1'), nlink: stat.nlink, ino: stat.ino };
}

async function overwrite(at: Workplace, path: string, text: string, call: () => Promise<void>): Promise<void> {
  const before = await contentAt(pathBytes(at.root, path));
  await call();
  if (before) at.texts.discarded(before.text);
  at.texts.wrote(text, { ...at, path });
}

async function edit(at: Workplace, path: string, text: string, replacement: string): Promise<void> {
  const file = pathBytes(at.root, path);
  const parts = (await fs.readFile(file, 'latin1')).split(text);
  if (parts.length !== 2) throw new Error(`${printable(path)} holds ${printable(text)} ${parts.length - 1} times`);
  const content = Buffer.from(parts.join(replacement), 'latin1');
  await overwrite(at, path, replacement, () => fs.writeFile(file, content));
}

async function writeAt(path: Buffer, offset: number, text: string): Promise<void> {
  const file = await fs.open(path, 'r+');
  try {
    await file.write(Buffer.from(text, 'latin1'), 0, null, offset);
  } finally {
    await file.close();
  }
}

/** As editors do: a new file beside the old one, flushed, then renamed over it. */
async function saveByRename(at: Workplace, path: string, text: string): Promise<void> {
  const directory = dirname(path);
  const name = `.${path.slice(directory === '.' ? 0 : directory.length + 1)}.new`;
  const beside = directory === '.' ? name : `${directory}/${name}`;
  const file = await fs.open(pathBytes(at.root, beside), 'wx');
  await file.writeFile(Buffer.from(text, 'latin1'));
  await file.sync();
  await file.close();
  at.texts.wrote(text, { ...at, path });
  await move(at, beside, path);
}

async function move(at: Workplace, from: string, to: string): Promise<void> {
  const [source, target] = [pathBytes(at.root, from), pathBytes(at.root, to)];
  const victim = await contentAt(target);
  const moved = await fs.lstat(source);
  await fs.rename(source, target);
  if (victim?.nlink === 1 && victim.ino !== moved.ino) at.texts.discarded(victim.text);
}

async function remove(at: Workplace, path: string, recursive: boolean): Promise<void> {
  const doomed = new Map<number, { readonly text: string; readonly nlink: number; names: number }>();
  const visit = async (bytes: Buffer): Promise<void> => {
    const stat = await fs.lstat(bytes);
    if (stat.isDirectory() && recursive) {
      for (const name of namesIn(bytes)) await visit(Buffer.concat([bytes, Buffer.from(`/${name}`, 'latin1')]));
      await fs.rmdir(bytes);
      return;
    }
    const content = await contentAt(bytes);
    await fs.unlink(bytes);
    if (!content) return;
    const entry = doomed.get(content.ino) ?? { ...content, nlink: content.nlink, names: 0 };
    entry.names++;
    doomed.set(content.ino, entry);
  };
  await visit(pathBytes(at.root, path));
  for (const { text, nlink, names } of doomed.values()) if (names >= nlink) at.texts.discarded(text);
}

async function touch(path: Buffer, timeSeconds: number | null): Promise<void> {
  if (timeSeconds !== null) return fs.utimes(path, timeSeconds, timeSeconds);
  await (await fs.open(path, 'a')).close();
  const now = new Date();
  return fs.utimes(path, now, now);
}

async function fill(at: Workplace, directory: string, count: number, killAfter: number | null): Promise<void> {
  await fs.mkdir(pathBytes(at.root, directory), { recursive: true });
  let [started, acknowledged] = [0, 0];
  let killed: Promise<void> | null = null;
  const writer = async (): Promise<void> => {
    while (started < count && killed === null) {
      const path = `${directory}/${String(++started).padStart(5, '0')}`;
      const text = `${path} from ${at.site}\n`;
      try {
        await fs.writeFile(pathBytes(at.root, path), text, { flag: 'wx' });
      } catch (error) {
        if (killed !== null) return;
        throw error;
      }
      at.texts.wrote(text, { ...at, path });
      if (++acknowledged === killAfter) killed = at.kill();
    }
  };
  await Promise.all(Array.from({ length: FILL_WRITERS }, writer));
  await killed;
}
