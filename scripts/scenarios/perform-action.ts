// perform-action.ts — carries out what a person does at one site, with the calls that the usual programs make.
// It keeps the account of acknowledged texts: what a file held before it is overwritten or removed is discarded knowingly, but only
// once the call succeeded.

import { randomBytes } from 'node:crypto';
import { dirname } from 'node:path/posix';
import { printable } from '../sites/tree-snapshot.js';
import type { AcknowledgedTexts } from './acknowledged-texts.js';
import { fits, isExact } from './pattern.js';
import type { Action, Pattern } from './scenario.js';
import { allPaths, below, type OpenFile, type SiteTree } from './site-tree.js';

/** How many files `fill` has on their way at once. */
const FILL_WRITERS = 4;

/** One site during a run. */
export interface Workplace {
  readonly site: string;
  readonly tree: SiteTree;
  /** Line of the scenario, for the account of texts. */
  readonly line: number;
  readonly texts: AcknowledgedTexts;
  /** Descriptors that the site holds open, by the name the scenario gave them. */
  readonly handles: Map<string, { readonly file: OpenFile; readonly path: string }>;
  /** Kills the site's daemon. */
  readonly kill: () => Promise<void>;
}

/** Carries out an action; rejects with the system call's error. */
export async function performAction(at: Workplace, action: Action): Promise<void> {
  const { tree } = at;
  switch (action.do) {
    case 'mkdir':
      for (const path of action.paths) await tree.mkdir(path);
      return;
    case 'rmdir':
      for (const path of action.paths) await tree.rmdir(path);
      return;
    case 'write': {
      const path = await onePath(tree, action.path);
      return overwrite(at, path, action.text, () => tree.write(path, action.text));
    }
    case 'append': {
      const path = await onePath(tree, action.path);
      await tree.append(path, action.text);
      return at.texts.wrote(action.text, { ...at, path });
    }
    case 'save-by-rename':
      return saveByRename(at, await onePath(tree, action.path), action.text);
    case 'edit':
      return edit(at, await onePath(tree, action.path), action.text, action.replacement);
    case 'overwrite': {
      const { path, offset, text } = action;
      return overwrite(at, path, text, () => tree.writeAt(path, offset, text));
    }
    case 'blob':
      // Its bytes are compared like all content; they are no text that could be looked for.
      return tree.create(action.path, randomBytes(action.megabytes << 20).toString('latin1'), false);
    case 'truncate':
      return overwrite(at, action.path, '', () => tree.truncate(action.path, action.sizeBytes));
    case 'mv':
      return move(at, await onePath(tree, action.from), action.to);
    case 'exchange':
      return tree.exchange(action.from, action.to);
    case 'rm':
      for (const pattern of action.paths) await remove(at, await onePath(tree, pattern), action.recursive);
      return;
    case 'ln':
      return tree.link(action.existing, action.path);
    case 'symlink':
      return tree.symlink(action.target, action.path);
    case 'chmod':
      for (const path of action.paths) await tree.chmod(path, action.mode);
      return;
    case 'chown':
      for (const path of action.paths) await tree.chown(path, action.uid, action.gid);
      return;
    case 'touch':
      for (const path of action.paths) await touch(tree, path, action.timeSeconds);
      return;
    case 'setxattr':
      return tree.setxattr(action.path, action.name, action.value);
    case 'removexattr':
      return tree.removexattr(action.path, action.name);
    case 'mkfifo':
      return tree.mkfifo(action.path);
    case 'fill':
      return fill(at, action.path, action.count, action.killAfter);
    case 'open': {
      if (at.handles.has(action.handle)) throw new Error(`${at.site} has a handle ${action.handle} already`);
      at.handles.set(action.handle, { file: await tree.open(action.handle, action.path), path: action.path });
      return;
    }
    case 'put': {
      const { file, path } = handle(at, action.handle);
      await file.append(action.text);
      return at.texts.wrote(action.text, { ...at, path });
    }
    case 'lock':
      return handle(at, action.handle).file.lock();
    case 'close':
      await handle(at, action.handle).file.close();
      at.handles.delete(action.handle);
  }
}

/** The path that a pattern stands for: the only one that it fits. */
async function onePath(tree: SiteTree, pattern: Pattern): Promise<string> {
  if (isExact(pattern)) return pattern.text;
  const matches = (await allPaths(tree)).filter((path) => fits(pattern, path));
  if (matches.length === 1) return matches[0]!;
  const found = matches.map((path) => printable(path)).join(', ') || 'nothing';
  throw new Error(`${printable(pattern.text)} must fit one path, it fits ${found}`);
}

function handle(at: Workplace, name: string): { readonly file: OpenFile; readonly path: string } {
  const found = at.handles.get(name);
  if (!found) throw new Error(`${at.site} has no open handle ${name}: write ${at.site}: open ${name} FILE first`);
  return found;
}

interface FileContent {
  readonly text: string;
  readonly nlink: number;
  readonly inode: number;
}

/** Content of a regular file, null when there is none. */
async function contentAt(tree: SiteTree, path: string): Promise<FileContent | null> {
  const stat = await tree.stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
    throw error;
  });
  if (stat?.type !== 'file') return null;
  return { text: await tree.read(path), nlink: stat.nlink, inode: stat.inode };
}

async function overwrite(at: Workplace, path: string, text: string, call: () => Promise<void>): Promise<void> {
  const before = await contentAt(at.tree, path);
  await call();
  if (before) at.texts.discarded(before.text);
  at.texts.wrote(text, { ...at, path });
}

async function edit(at: Workplace, path: string, text: string, replacement: string): Promise<void> {
  const parts = (await at.tree.read(path)).split(text);
  if (parts.length !== 2) throw new Error(`${printable(path)} holds ${printable(text)} ${parts.length - 1} times`);
  await overwrite(at, path, replacement, () => at.tree.write(path, parts.join(replacement)));
}

/** As editors do: a new file beside the old one, flushed, then renamed over it. */
async function saveByRename(at: Workplace, path: string, text: string): Promise<void> {
  const directory = dirname(path);
  const beside = below(directory, `.${path.slice(directory === '.' ? 0 : directory.length + 1)}.new`);
  await at.tree.create(beside, text, true);
  at.texts.wrote(text, { ...at, path });
  await move(at, beside, path);
}

async function move(at: Workplace, from: string, to: string): Promise<void> {
  const victim = await contentAt(at.tree, to);
  const moved = await at.tree.stat(from);
  await at.tree.rename(from, to);
  if (victim?.nlink === 1 && victim.inode !== moved.inode) at.texts.discarded(victim.text);
}

async function remove(at: Workplace, path: string, recursive: boolean): Promise<void> {
  const { tree } = at;
  const doomed = new Map<number, FileContent & { names: number }>();
  const visit = async (each: string): Promise<void> => {
    if (recursive && (await tree.stat(each)).type === 'directory') {
      for (const name of await tree.list(each)) await visit(below(each, name));
      return tree.rmdir(each);
    }
    const content = await contentAt(tree, each);
    await tree.unlink(each);
    if (!content) return;
    const entry = doomed.get(content.inode) ?? { ...content, names: 0 };
    entry.names++;
    doomed.set(content.inode, entry);
  };
  await visit(path);
  for (const { text, nlink, names } of doomed.values()) if (names >= nlink) at.texts.discarded(text);
}

/** As touch(1): makes the file when there is none. */
async function touch(tree: SiteTree, path: string, timeSeconds: number | null): Promise<void> {
  if (timeSeconds === null) {
    const isThere = await tree.stat(path).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return false;
        throw error;
      },
    );
    if (!isThere) return tree.create(path, '', false);
  }
  return tree.touch(path, timeSeconds);
}

async function fill(at: Workplace, directory: string, count: number, killAfter: number | null): Promise<void> {
  await at.tree.mkdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  let [started, acknowledged] = [0, 0];
  let killed: Promise<void> | null = null;
  const writer = async (): Promise<void> => {
    while (started < count && killed === null) {
      const path = `${directory}/${String(++started).padStart(5, '0')}`;
      const text = `${path} from ${at.site}\n`;
      try {
        await at.tree.create(path, text, false);
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
