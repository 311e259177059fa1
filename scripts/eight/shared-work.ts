// shared-work.ts — steps in one directory that all sites work on at once: files are overwritten, replaced, renamed, linked and removed under
// each other. Every content that is written has a length of its own, by which it is found in the history of files later.
// Invariant: this site does away with nothing that it wrote itself within OWN_REST_MS: what was never a version has no history.

import {
  chmodSync,
  closeSync,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Random } from '../../lib/sim/random.js';
import { allPaths } from '../sites/tree-snapshot.js';
import { LOADS_MAX, type LoadReport } from './load-messages.js';
import { sha256Of } from './private-work.js';

/** What others do may come in between. */
const EXPECTED = new Set(['ENOENT', 'EEXIST', 'ENOTEMPTY', 'EISDIR', 'ENOTDIR', 'EINVAL', 'ELOOP', 'EPERM', 'EBUSY']);
const OWN_REST_MS = 3_000;
const FILES = 12;
const DIRECTORIES = 4;
/** More names than that are removed. */
const MAX_PATHS = 60;
const LEAST_BYTES = 100;

export class SharedWork {
  private count = 0;
  private readonly written = new Map<bigint, number>();
  private readonly seen = new Set<string>();

  constructor(
    private readonly root: string,
    private readonly name: string,
    private readonly number: number,
    private readonly random: Random,
    private readonly report: (report: LoadReport) => void,
  ) {}

  /** Throws what the filesystem said, unless others may be the reason. */
  step(): void {
    try {
      mkdirSync(this.root, { recursive: true });
      const paths = allPaths(this.root);
      this.noteSeen(paths);
      this.act(paths);
    } catch (error) {
      if (!EXPECTED.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }

  private act(paths: readonly string[]): void {
    const some = this.random.pick(paths);
    const kind =
      paths.length > MAX_PATHS
        ? 'remove'
        : this.random.weighted({ overwrite: 30, save: 25, remove: 14, move: 14, mkdir: 5, link: 5, chmod: 7 });
    const path = this.freshPath();
    switch (kind) {
      case 'overwrite':
        if (this.mayLose(path)) this.write(path, path);
        break;
      case 'save': {
        const beside = `.saving-${this.name}-${this.count}`;
        if (this.mayLose(path)) this.write(beside, path);
        break;
      }
      case 'remove':
        if (some !== undefined && this.mayLose(some)) rmSync(join(this.root, some), { recursive: true });
        break;
      case 'move':
        if (some !== undefined && this.mayLose(path)) renameSync(join(this.root, some), join(this.root, path));
        break;
      case 'mkdir':
        mkdirSync(join(this.root, `dir${this.random.below(DIRECTORIES)}`));
        break;
      case 'link':
        if (some !== undefined) linkSync(join(this.root, some), join(this.root, path));
        break;
      default:
        if (some !== undefined) chmodSync(join(this.root, some), 0o600 + this.random.below(0o200));
    }
    this.report({ report: 'did', what: `shared ${kind}` });
  }

  private write(path: string, name: string): void {
    const bytes = LEAST_BYTES + this.count * LOADS_MAX + this.number;
    const content = Buffer.alloc(bytes, `${this.name} ${this.count++} of ${this.number}\n`);
    const fd = openSync(join(this.root, path), 'w');
    try {
      const { ino } = fstatSync(fd, { bigint: true });
      this.written.set(ino, performance.now());
      writeSync(fd, content);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    if (path !== name) {
      try {
        renameSync(join(this.root, path), join(this.root, name));
      } catch (error) {
        if (EXPECTED.has((error as NodeJS.ErrnoException).code ?? '')) rmSync(join(this.root, path), { force: true });
        throw error;
      }
    }
    this.noteSeen([name]);
    this.report({ report: 'shared', path: name, bytes, sha256: sha256Of(content) });
  }

  /** False while the path, or something below, is what this site wrote just now. */
  private mayLose(path: string): boolean {
    const full = join(this.root, path);
    const stat = lstatSync(full, { bigint: true, throwIfNoEntry: false });
    if (!stat) return true;
    const inside = stat.isDirectory() ? readdirSync(full).map((name) => join(path, name)) : [];
    const writtenMs = this.written.get(stat.ino) ?? -Infinity;
    return performance.now() - writtenMs > OWN_REST_MS && inside.every((child) => this.mayLose(child));
  }

  private noteSeen(paths: readonly string[]): void {
    const fresh = paths.filter((path) => !this.seen.has(path));
    for (const path of fresh) this.seen.add(path);
    if (fresh.length > 0) this.report({ report: 'seen', paths: fresh });
  }

  private freshPath(): string {
    const name = `file${this.random.below(FILES)}`;
    if (this.random.chance(0.7)) return name;
    const path = `dir${this.random.below(DIRECTORIES)}/${name}`;
    mkdirSync(join(this.root, dirname(path)), { recursive: true });
    return path;
  }
}
