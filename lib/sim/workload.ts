// workload.ts — chooses what happens next in a simulation, and favours what is dangerous: few names and many sites that use them at
// once, moves of directories into each other, files that are open while they change, partitions that are crashes too; and the
// histories of duels.ts in between.
// Invariant: a function of the seed and of what the sites show. It changes nothing itself, but a look at what a site shows is seen there.

import type { Choice } from './duel.js';
import { duel } from './duels.js';
import type { ShownPath } from './observer.js';
import type { Random } from './random.js';
import { type Step, step } from './step.js';

/** What the workload knows of a site. */
export interface Scene {
  readonly name: string;
  readonly isUp: boolean;
  /** What its programs have open. */
  readonly openNames: readonly string[];
  /** Lists all that it shows, which is a step of the history: the site sees then what the kernel did to files meanwhile. */
  readonly look: () => readonly ShownPath[];
}

const FILES = ['a', 'b', 'c'];
const DIRECTORIES = ['p', 'q', 'r'];
const HANDLES = ['h1', 'h2'];
const LONGEST_PATH = 120;
/** What several sites write alike. */
const SAME = '<same:';
const SAME_BYTES = 40;

const CALLS = {
  write: 16,
  patch: 5,
  append: 3,
  truncate: 4,
  allocate: 2,
  storm: 1,
  policy: 1,
  twin: 3,
  save: 8,
  mkdir: 10,
  moveDirectory: 12,
  moveFile: 10,
  rename: 2,
  unlink: 8,
  removeTree: 4,
  rmdir: 2,
  link: 5,
  exchange: 3,
  unnamed: 2,
  symlink: 1,
  mkfifo: 1,
  chmod: 3,
  chown: 2,
  touch: 1,
  xattr: 3,
  settleCopy: 3,
  editCopy: 3,
  resolve: 3,
  undo: 1,
  open: 5,
  create: 3,
  put: 8,
  store: 2,
  cut: 2,
  fsync: 2,
  sync: 3,
  close: 5,
};
type Call = keyof typeof CALLS;
const OPEN_MODES = ['rw', 'rw', 'rw', 'rw', 'sync', 'r'];
const POLICIES = ['copy', 'append', 'append', 'ranges', 'text'];
/** Allocate; allocate beyond the end; make a hole; write zeros. */
const FALLOCATE_MODES = [0, 1, 3, 16];

const EVENTS = {
  wait: 10,
  partition: 5,
  mute: 1,
  reset: 2,
  heal: 4,
  converge: 1.2,
  kill: 4,
  restart: 2,
  clock: 1.5,
  collect: 2,
  evict: 5,
  content: 0.3,
  power: 0,
  full: 0,
  space: 0,
  fail: 0,
  rot: 0,
};
/** Where disks and power fail. */
const EVENTS_WITH_FAULTS = { ...EVENTS, kill: 2, power: 5, full: 1, space: 1.5, fail: 1.5, rot: 1 };
const FULLNESS = { really: 4, quota: 3, guarded: 3, scarce: 2 };
const DISK_CALLS = ['create', 'write', 'sync', 'commit'];

/** How many sites fetch on demand, from the start of a schedule. */
const ON_DEMAND_SHARE = 0.2;

/** How often a duel begins, and how often something else comes between two of its steps. */
const DUEL_SHARE = 0.2;
const INTERRUPTION_SHARE = 0.04;

export class Workload {
  private marks = 0;
  /** What is left of a duel, or of how it begins. */
  private coming: Choice[];
  /** Sites that give content up. */
  private readonly onDemand: string[];

  constructor(
    private readonly random: Random,
    /** Whether disks and power fail. */
    private readonly hasFaults: boolean,
    /** Of all sites. The first keeps everything. */
    names: readonly string[],
  ) {
    const policies = random.fork('on demand');
    this.onDemand = names.slice(1).filter(() => policies.chance(ON_DEMAND_SHARE));
    this.coming = this.onDemand.map((name) => step(name, 'content', 'on-demand'));
  }

  next(scenes: readonly Scene[]): Step {
    const up = scenes.filter(({ isUp }) => isUp);
    if (this.coming.length === 0 && up.length > 1 && this.random.chance(DUEL_SHARE))
      this.coming = duel(
        this.random,
        up.map(({ name }) => name),
        this.hasFaults,
        (site) => this.freshMark(site),
      );
    while (this.coming.length > 0 && !this.random.chance(INTERRUPTION_SHARE)) {
      const choice = this.coming.shift()!;
      const next = typeof choice === 'function' ? choice(scenes) : choice;
      if (next) return next;
    }
    const scene = this.random.pick(up);
    if (!scene || this.random.chance(0.22)) return this.event(scenes);
    const { site, verb, words } = this.call(scene);
    return { site, verb, words };
  }

  // ── what happens to sites ───────────────────────────────────────────────────────────────────────────────────────────────────

  private event(scenes: readonly Scene[]): Step {
    const { random } = this;
    const names = scenes.map(({ name }) => name);
    const one = random.pick(names)!;
    const other = random.pick(names.filter((name) => name !== one))!;
    const kind = random.weighted(this.hasFaults ? EVENTS_WITH_FAULTS : EVENTS);
    switch (kind) {
      case 'wait':
        return step('', 'wait', Math.ceil(random.logUniform(1, 12_000)));
      case 'partition': {
        const shuffled = random.shuffled(names);
        const cut = 1 + random.below(names.length - 1);
        const [left, right] = [shuffled.slice(0, cut), shuffled.slice(cut)];
        if (names.length > 3 && random.chance(0.3))
          return step('', 'partition', ...names.flatMap((n) => [n, '|']).slice(0, -1));
        return step('', 'partition', ...left.toSorted(), '|', ...right.toSorted());
      }
      case 'mute':
      case 'reset':
        return step('', kind, one, other);
      case 'heal':
      case 'converge':
        return step('', kind);
      case 'kill':
      case 'power':
        return random.chance(0.6) ? step(one, kind, 'after', Math.ceil(random.logUniform(1, 60))) : step(one, kind);
      case 'full':
        return step(one, 'full', random.weighted(FULLNESS));
      case 'space':
        return step(one, 'space');
      case 'fail':
        return step(one, 'fail', random.pick(DISK_CALLS)!, Math.ceil(random.logUniform(1, 20)));
      case 'rot':
        return step(one, 'rot', random.below(1_000_000));
      case 'restart':
        return step(scenes.find(({ isUp }) => !isUp)?.name ?? one, 'restart');
      case 'collect':
        return step(one, 'collect');
      case 'evict':
        return step(random.pick(this.onDemand) ?? one, 'evict');
      case 'content':
        return step(one, 'content', random.pick(['everything', 'on-demand'])!);
      case 'clock':
        return step(one, 'clock', Math.round((random.chance(0.5) ? 1 : -1) * random.logUniform(1, 100_000_000)));
    }
  }

  // ── what programs do ────────────────────────────────────────────────────────────────────────────────────────────────────────

  private call({ name: site, openNames: open, look }: Scene): Step {
    const { random } = this;
    const paths = look();
    const files = paths.filter(([, kind]) => kind !== 'd').map(([path]) => path);
    const regular = paths.filter(([, kind]) => kind === 'f').map(([path]) => path);
    const directories = paths.filter(([, kind]) => kind === 'd').map(([path]) => path);
    const copies = regular.filter((path) => path.includes('.~'));
    const at = (names: readonly string[]): string => {
      const parent = random.chance(0.35) ? '' : (random.pick(directories) ?? '');
      const name = random.pick(names)!;
      return parent === '' || parent.length > LONGEST_PATH ? name : `${parent}/${name}`;
    };
    const anything = random.pick(paths)?.[0];
    const file = random.pick(regular) ?? at(FILES);
    const make = (verb: string, ...words: (string | number)[]): Step => step(site, verb, ...words);
    const bytes = (): [string, number] => {
      const mark = this.mark(site);
      return [mark, mark.startsWith(SAME) ? SAME_BYTES : this.size()];
    };
    const call: Call = random.weighted(CALLS);
    switch (call) {
      case 'write':
        return make('write', random.chance(0.5) ? file : at(FILES), ...bytes());
      case 'patch':
        return make('patch', file, Math.floor(random.logUniform(1, 200_000)) - 1, ...bytes());
      case 'append':
        return random.chance(0.5) ? make('append', file, ...bytes()) : make('patch', file, -1, ...bytes());
      case 'allocate':
        return make(
          'allocate',
          file,
          random.pick(FALLOCATE_MODES)!,
          Math.floor(random.logUniform(1, 100_000)) - 1,
          Math.ceil(random.logUniform(1, 100_000)),
        );
      case 'storm':
        return make('storm', file, at(FILES), 2 + random.below(4));
      case 'twin':
        return make('twin', random.pick(FILES)!, `${SAME}0>`, random.pick(['644', '644', '600'])!);
      case 'policy':
        return make('setxattr', anything ?? at(FILES), 'user.weft.merge', random.pick(POLICIES)!);
      case 'truncate':
        return make('truncate', file, random.chance(0.3) ? 0 : Math.floor(random.logUniform(1, 300_000)));
      case 'save':
        return make('save', file, ...bytes());
      case 'mkdir':
        return make('mkdir', at(DIRECTORIES));
      case 'moveDirectory':
        return make('mv', random.pick(directories) ?? at(DIRECTORIES), at(DIRECTORIES));
      case 'moveFile':
        return make('mv', random.pick(files) ?? at(FILES), at(FILES));
      case 'rename':
        return make('mv', anything ?? at(FILES), at([...FILES, ...DIRECTORIES]));
      case 'unlink':
        return make('rm', random.pick(files) ?? at(FILES));
      case 'removeTree':
        return make('rmr', random.pick(directories) ?? at(DIRECTORIES));
      case 'rmdir':
        return make('rmdir', random.pick(directories) ?? at(DIRECTORIES));
      case 'link':
        return make('ln', random.pick(files) ?? at(FILES), at(FILES));
      case 'exchange':
        return make('exchange', anything ?? at(FILES), random.pick(paths)?.[0] ?? at(DIRECTORIES));
      case 'unnamed':
        return make('unnamed', at(FILES), ...bytes());
      case 'symlink':
        return make('symlink', `to-${this.mark(site)}`, at(FILES));
      case 'mkfifo':
        return make('mkfifo', at(FILES));
      case 'chmod':
        return make(
          'chmod',
          anything ?? at(FILES),
          (random.pick([0o600, 0o644, 0o755, 0o4755, 0o2750, 0o777]) ?? 0).toString(8),
        );
      case 'chown':
        return make('chown', anything ?? at(FILES), 1000 + random.below(3), 1000 + random.below(3));
      case 'touch':
        return make('touch', anything ?? at(FILES), 1_000_000_000 + random.below(1_000_000_000));
      case 'xattr':
        return random.chance(0.7)
          ? make('setxattr', anything ?? at(FILES), `user.${random.pick(['x', 'y'])}`, this.mark(site))
          : make('removexattr', anything ?? at(FILES), `user.${random.pick(['x', 'y'])}`);
      case 'settleCopy': {
        const copy = random.pick(copies);
        if (copy === undefined) return make('write', at(FILES), ...bytes());
        return random.chance(0.3) ? make('rm', copy) : make('mv', copy, copy.slice(0, copy.indexOf('.~')));
      }
      case 'editCopy': {
        const copy = random.pick(copies);
        return copy === undefined
          ? make('save', file, ...bytes())
          : make(random.pick(['write', 'save'])!, copy, ...bytes());
      }
      case 'resolve':
        return make('resolve', random.below(100), random.below(100));
      case 'undo':
        return make('undo');
      case 'open':
        return make('open', random.pick(HANDLES)!, file, random.pick(OPEN_MODES)!);
      case 'put':
        if (open.length === 0) return make('open', random.pick(HANDLES)!, file);
        return make('put', random.pick(open)!, random.chance(0.5) ? -1 : random.below(100), ...bytes());
      case 'create':
        return make('create', random.pick(HANDLES)!, at(FILES), random.pick(OPEN_MODES)!);
      case 'store':
        if (open.length === 0) return make('create', random.pick(HANDLES)!, at(FILES));
        return make('store', random.pick(open)!, random.below(2_000), this.mark(site), 20);
      case 'cut':
        if (open.length === 0) return make('open', random.pick(HANDLES)!, file);
        return make('cut', random.pick(open)!, Math.floor(random.logUniform(1, 100_000)) - 1);
      case 'sync':
        return make('sync', file);
      case 'fsync':
      case 'close':
        return open.length === 0 ? make('write', file, ...bytes()) : make(call, random.pick(open)!);
    }
  }

  private mark(site: string): string {
    // Now and then two sites write the very same.
    return this.random.chance(0.06) ? `${SAME}${this.random.below(2)}>` : this.freshMark(site);
  }

  private freshMark(site: string): string {
    return `<${site}:${++this.marks}>`;
  }

  private size(): number {
    const { random } = this;
    const kind = random.next();
    if (kind < 0.75) return Math.floor(random.logUniform(1, 3_000));
    if (kind < 0.9) return 65_530 + random.below(20);
    return Math.floor(random.logUniform(4_000, 400_000));
  }
}
