// private-work.ts — steps in a directory that one site alone works on: saving as editors do, cp, mv, rm, git.
// Invariant: `files` is exactly what the directory holds (but for the repository) between two steps. A step that failed may have done
// anything to what it touches, and to nothing else; {@link PrivateWork.recover} removes that and looks at all the rest.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Random } from '../../lib/sim/random.js';
import { allPaths } from '../sites/tree-snapshot.js';
import type { LoadReport } from './load-messages.js';

const REPOSITORY = 'repository';
const LARGE_BYTES = 1_500_000;
const SMALL_BYTES = 20_000;
const MAX_FILES = 150;
const DIRECTORIES = 5;
const NAMES = 30;
const PROGRAM_TIMEOUT_MS = 300_000;

interface Step {
  readonly what: string;
  /** Paths of the area; with all that is below. */
  readonly touches: readonly string[];
  act(): void;
}

export class PrivateWork {
  private readonly files = new Map<string, string>();
  private head: string | null = null;
  private inDoubt: readonly string[] = [];
  private count = 0;

  constructor(
    private readonly root: string,
    private readonly source: string,
    private readonly random: Random,
    private readonly report: (report: LoadReport) => void,
  ) {}

  /** Throws what the filesystem said. */
  step(): void {
    const step = this.choose();
    this.inDoubt = step.touches;
    mkdirSync(this.root, { recursive: true });
    step.act();
    this.inDoubt = [];
    this.report({ report: 'did', what: step.what });
  }

  /** After a failed step, or when the mount was gone. */
  recover(): void {
    for (const path of this.inDoubt) {
      rmSync(this.at(path), { recursive: true, force: true });
      this.forget(path);
    }
    this.inDoubt = [];
    this.recoverRepository();
    for (const what of this.faults()) this.report({ report: 'wrong', what });
  }

  /** Where the area is not what was acknowledged, as lines of text. */
  faults(): string[] {
    if (!existsSync(this.root)) return this.files.size === 0 ? [] : [`${this.root} is gone`];
    const shown = new Set(allPaths(this.root).filter((path) => !isRepository(path)));
    const faults: string[] = [];
    for (const [path, sha256] of this.files) {
      if (!shown.has(path)) faults.push(`${this.at(path)} is gone`);
      else if (sha256Of(readFileSync(this.at(path))) !== sha256)
        faults.push(`${this.at(path)} is not what was written`);
    }
    for (const path of shown) {
      const isDirectory = [...this.files.keys()].some((file) => file.startsWith(`${path}/`));
      if (!this.files.has(path) && !isDirectory && !/^(d\d+|copy\d+)(\/|$)/.test(path))
        faults.push(`${this.at(path)} was not written`);
    }
    return faults;
  }

  private choose(): Step {
    const some = this.random.pick([...this.files.keys()]);
    const copies = [...new Set([...this.files.keys()].map((path) => path.split('/')[0]!))].filter((name) =>
      name.startsWith('copy'),
    );
    const copy = this.random.pick(copies);
    const isFull = this.files.size >= MAX_FILES;
    const kind = this.random.weighted({ save: 25, write: 20, append: 10, copy: 8, move: 10, remove: 10, git: 10 });
    if (isFull && copy !== undefined) return this.removal(copy);
    if (isFull && some !== undefined) return this.removal(some);
    switch (kind) {
      case 'write':
        return this.writing(this.freshPath());
      case 'append':
        return some === undefined ? this.writing(this.freshPath()) : this.appending(some);
      case 'copy':
        return this.copying(`copy${this.count++}`);
      case 'move':
        if (copy !== undefined && this.random.chance(0.4)) return this.moving(copy, `copy${this.count++}`);
        return some === undefined ? this.saving(this.freshPath()) : this.moving(some, this.freshPath(some));
      case 'remove':
        if (copy !== undefined && this.random.chance(0.5)) return this.removal(copy);
        return some === undefined ? this.saving(this.freshPath()) : this.removal(some);
      case 'git':
        return this.committing();
      default:
        return this.saving(this.freshPath());
    }
  }

  /** As editors save: a new file is made durable, and takes the name. */
  private saving(path: string): Step {
    const beside = `${dirname(path)}/.saving${this.count++}`;
    return {
      what: 'save',
      touches: [path, beside],
      act: () => {
        const content = this.content();
        mkdirSync(dirname(this.at(path)), { recursive: true });
        const fd = openSync(this.at(beside), 'w');
        try {
          writeSync(fd, content);
          fsyncSync(fd);
        } finally {
          closeSync(fd);
        }
        renameSync(this.at(beside), this.at(path));
        this.store(path, sha256Of(content));
      },
    };
  }

  private writing(path: string): Step {
    return {
      what: 'write',
      touches: [path],
      act: () => {
        const content = this.content();
        mkdirSync(dirname(this.at(path)), { recursive: true });
        writeFileSync(this.at(path), content);
        this.store(path, sha256Of(content));
      },
    };
  }

  private appending(path: string): Step {
    return {
      what: 'append',
      touches: [path],
      act: () => {
        const before = readFileSync(this.at(path));
        if (sha256Of(before) !== this.files.get(path))
          this.report({ report: 'wrong', what: `${this.at(path)} is not what was written, while the mount is up` });
        const more = this.content();
        appendFileSync(this.at(path), more);
        this.store(path, sha256Of(Buffer.concat([before, more])));
      },
    };
  }

  private copying(target: string): Step {
    return {
      what: 'cp',
      touches: [target],
      act: () => {
        program('cp', ['-r', this.source, this.at(target)]);
        const stored: [string, string][] = allFiles(this.source).map(([path, sha256]) => [`${target}/${path}`, sha256]);
        for (const [path, sha256] of stored) this.files.set(path, sha256);
        this.report({ report: 'stored', files: stored });
      },
    };
  }

  private moving(from: string, to: string): Step {
    return {
      what: 'mv',
      touches: [from, to],
      act: () => {
        mkdirSync(dirname(this.at(to)), { recursive: true });
        program('mv', [this.at(from), this.at(to)]);
        const moved: [string, string | null][] = [];
        for (const [path, sha256] of this.below(from)) {
          moved.push([path, null], [to + path.slice(from.length), sha256]);
        }
        for (const [path, sha256] of moved) {
          if (sha256 === null) this.files.delete(path);
          else this.files.set(path, sha256);
        }
        this.report({ report: 'stored', files: moved });
      },
    };
  }

  private removal(path: string): Step {
    return {
      what: 'rm',
      touches: [path],
      act: () => {
        program('rm', ['-r', this.at(path)]);
        this.forget(path);
      },
    };
  }

  private committing(): Step {
    const directory = this.at(REPOSITORY);
    return {
      what: 'git',
      touches: [],
      act: () => {
        if (this.head === null) git(this.root, 'init', '-q', REPOSITORY);
        for (let files = 1 + this.random.below(4); files > 0; files--) {
          const path = join(directory, `part${this.random.below(3)}`, `file${this.random.below(12)}`);
          mkdirSync(dirname(path), { recursive: true });
          writeFileSync(path, this.content());
        }
        git(directory, 'add', '.');
        git(directory, 'commit', '-q', '--allow-empty', '-m', `commit ${this.count++}`);
        this.noteHead(git(directory, 'rev-parse', 'HEAD'));
        if (this.random.chance(0.15)) git(directory, 'gc', '-q');
      },
    };
  }

  /** Git may have been stopped anywhere. What it had committed before is there, and it can go on. */
  private recoverRepository(): void {
    const directory = this.at(REPOSITORY);
    if (this.head === null) {
      rmSync(directory, { recursive: true, force: true });
      return;
    }
    for (const path of allPaths(directory)) {
      if (path.startsWith('.git/') && path.endsWith('.lock')) rmSync(join(directory, path));
    }
    const head = git(directory, 'rev-parse', 'HEAD');
    if (head !== this.head && git(directory, 'rev-parse', 'HEAD^') !== this.head) {
      this.report({ report: 'wrong', what: `${directory} is at ${head}, after ${this.head} was acknowledged` });
    }
    git(directory, 'reset', '-q', '--hard');
    git(directory, 'clean', '-fdq');
    this.noteHead(head);
    git(directory, 'fsck', '--full', '--strict', '--no-progress');
  }

  private noteHead(head: string): void {
    this.head = head;
    this.report({ report: 'committed', head });
  }

  private store(path: string, sha256: string): void {
    this.files.set(path, sha256);
    this.report({ report: 'stored', files: [[path, sha256]] });
  }

  private forget(path: string): void {
    const gone = this.below(path).map(([file]): [string, null] => [file, null]);
    for (const [file] of gone) this.files.delete(file);
    this.report({ report: 'stored', files: gone });
  }

  private below(path: string): [path: string, sha256: string][] {
    return [...this.files].filter(([file]) => file === path || file.startsWith(`${path}/`));
  }

  /** Not `other`; it may be that of a file that is there. */
  private freshPath(other?: string): string {
    const path = `d${this.random.below(DIRECTORIES)}/file${this.random.below(NAMES)}`;
    return path === other ? `${path}.moved` : path;
  }

  /** No two alike; a few are large. */
  private content(): Buffer {
    const length = this.random.chance(0.04) ? LARGE_BYTES : 1 + Math.floor(this.random.logUniform(1, SMALL_BYTES));
    const key = createHash('sha256').update(`${this.random.next()}`).digest();
    return Buffer.alloc(length + key.length, Buffer.concat([key, key.subarray(0, 13)]));
  }

  private at(path: string): string {
    return join(this.root, path);
  }
}

function isRepository(path: string): boolean {
  return path === REPOSITORY || path.startsWith(`${REPOSITORY}/`);
}

/** Files below a directory, with the SHA-256 of what they hold. */
function allFiles(root: string): [path: string, sha256: string][] {
  return allPaths(root)
    .filter((path) => lstatSync(join(root, path)).isFile())
    .map((path) => [path, sha256Of(readFileSync(join(root, path)))]);
}

export function sha256Of(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Without the configuration of whoever runs this. */
const GIT_ENVIRONMENT = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_SYSTEM: '/dev/null',
  GIT_AUTHOR_NAME: 'Weft',
  GIT_AUTHOR_EMAIL: 'weft@example.org',
  GIT_COMMITTER_NAME: 'Weft',
  GIT_COMMITTER_EMAIL: 'weft@example.org',
};

/** What git printed. */
export function git(directory: string, ...args: string[]): string {
  return program('git', ['-C', directory, ...args], GIT_ENVIRONMENT).trim();
}

function program(name: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): string {
  const { status, signal, error, stdout, stderr } = spawnSync(name, args, {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    timeout: PROGRAM_TIMEOUT_MS,
  });
  if (error) throw new Error(`${name} ${args.join(' ')}: ${error.message}`, { cause: error });
  if (status !== 0) throw new Error(`${name} ${args.join(' ')}: ${signal ?? `exit code ${status}`}: ${stderr.trim()}`);
  return stdout;
}
