// duels.ts — the rows of lib/crdt/MERGE.md, and what a crash may cut in two, as short histories: what is there, what two or three sites
// then do to it without knowing of each other, and what somebody does with the result.
// Random calls alone make most of these situations once in thousands of schedules. Names are few, so what one duel leaves is in the
// way of the next; a step that has become impossible is an error like any other.

import type { Random } from './random.js';
import { type Step, step } from './step.js';
import type { Scene } from './workload.js';

/** A step, or what is decided when its turn comes: undefined when there is nothing to do. */
export type Choice = Step | ((scenes: readonly Scene[]) => Step | undefined);

type Words = readonly [verb: string, ...words: (string | number)[]];

const FILES = ['e', 'f', 'g'];
const DIRECTORIES = ['s', 't', 'u'];
const MODES = [0o600, 0o640, 0o644, 0o666, 0o755, 0o777, 0o1777, 0o700];
const LINES = 6;

/** One duel being put together. */
class Duel {
  readonly choices: Choice[] = [];
  /** The sites, in random order: two at least. */
  readonly one: string;
  readonly other: string;
  readonly third: string | undefined;

  constructor(
    readonly random: Random,
    private readonly sites: readonly string[],
    /** A mark that nobody has written. */
    readonly mark: (site: string) => string,
  ) {
    [this.one, this.other, this.third] = random.shuffled(sites) as [string, string, string?];
  }

  say(site: string, ...[verb, ...words]: Words): void {
    this.choices.push(step(site, verb, ...words));
  }

  wait(fromMs: number, toMs: number): void {
    this.say('', 'wait', Math.ceil(this.random.logUniform(fromMs, toMs)));
  }

  /** All learn of everything. */
  meet(): void {
    this.say('', 'heal');
    this.wait(900, 4_000);
  }

  /** Nobody hears of the others. */
  part(): void {
    this.say('', 'partition', ...this.sites.flatMap((name) => [name, '|']).slice(0, -1));
  }

  /** Each site does its part; who is first is left to chance. */
  race(...parts: readonly (readonly [site: string, calls: readonly Words[]])[]): void {
    const left = parts.map(([site, calls]) => ({ site, calls: [...calls] })).filter(({ calls }) => calls.length > 0);
    while (left.length > 0) {
      const next = this.random.pick(left)!;
      this.say(next.site, ...next.calls.shift()!);
      if (next.calls.length === 0) left.splice(left.indexOf(next), 1);
      if (this.random.chance(0.25)) this.wait(1, 3_000);
    }
  }

  /** Two do something at the same time, apart. */
  apart(ones: readonly Words[], others: readonly Words[], thirds: readonly Words[] = []): void {
    if (this.random.chance(0.85) || ones.length + others.length > 2) this.part();
    const third = this.third === undefined ? [] : [[this.third, thirds] as const];
    this.race([this.one, ones], [this.other, others], ...third);
    this.meet();
  }

  pick<T>(...values: readonly T[]): T {
    return this.random.pick(values)!;
  }

  chance(probability: number): boolean {
    return this.random.chance(probability);
  }

  anyone(): string {
    return this.random.pick(this.sites)!;
  }

  size(): number {
    const kind = this.random.next();
    if (kind < 0.8) return Math.ceil(this.random.logUniform(10, 3_000));
    return kind < 0.9 ? 70_000 : 200_000;
  }

  write(site: string, path: string): Words {
    return this.chance(0.12) ? ['write', path, '<same:0>', 40] : ['write', path, this.mark(site), this.size()];
  }

  /** Somebody does something with what came of a name. */
  touchResult(path: string): void {
    const { random } = this;
    const times = random.below(3);
    for (let i = 0; i < times; i++) {
      const site = this.anyone();
      this.choices.push((scenes) => {
        const copy = this.copyOf(scenes, site, path);
        const calls: Words[] = [
          ['rm', path],
          ['mv', path, random.pick(FILES)!],
          this.write(site, path),
          ['patch', path, -1, this.mark(site), 30],
          ['chmod', path, '640'],
          ['setxattr', path, 'user.y', this.mark(site)],
          ['truncate', path, 5],
        ];
        if (copy !== undefined) {
          calls.push(['rm', copy], ['mv', copy, path], this.write(site, copy), ['mv', copy, random.pick(FILES)!]);
          calls.push(['chmod', copy, '640'], ['rm', path], ['mv', path, random.pick(FILES)!]);
        }
        return step(site, ...random.pick(calls)!);
      });
      if (random.chance(0.5)) this.wait(1, 2_000);
    }
  }

  /** What a site shows beside a path for a conflict about it. */
  copyOf(scenes: readonly Scene[], site: string, path: string): string | undefined {
    const process = scenes.find(({ name }) => name === site)?.process;
    return this.random.pick(
      (process?.paths() ?? []).map(([found]) => found).filter((found) => found.startsWith(`${path}.~`)),
    );
  }
}

type Row = (duel: Duel) => void;

const ROWS: readonly (readonly [weight: number, row: Row])[] = [
  [3, createAndCreate],
  [3, twins],
  [2, createAndMakeDirectory],
  [4, makeDirectoryTwice],
  [2, moveDirectoryOnto],
  [4, writeAndWrite],
  [4, writeAndRemove],
  [4, changeInRemovedTree],
  [2, attributesAndRemove],
  [3, renameAndRemove],
  [3, renameTwice],
  [2, renameToOneName],
  [5, cycle],
  [4, cycleOfThree],
  [4, severalNames],
  [2, replaceAndWrite],
  [4, changeModes],
  [3, dropSetId],
  [2, changeOwners],
  [3, changeXattrs],
  [2, changeTimes],
  [2, exchangeAndAnything],
  [5, mergeContents],
  [2, mergeTwice],
  [2, copiesOfCopies],
  [3, openMeanwhile],
  [3, takenSuffix],
  [3, killedBeforeFold],
  [3, draftInOldLog],
  [3, lostLink],
];
const FAULT_ROWS: readonly (readonly [weight: number, row: Row])[] = [...ROWS, [14, syncedThenPowerLost]];

/** The steps of one row. */
export function duel(
  random: Random,
  sites: readonly string[],
  hasFaults: boolean,
  mark: (site: string) => string,
): Choice[] {
  const rows = hasFaults ? FAULT_ROWS : ROWS;
  const weights = Object.fromEntries(rows.map(([weight], i) => [String(i), weight]));
  const made = new Duel(random, sites, mark);
  rows[Number(random.weighted(weights))]![1](made);
  return made.choices;
}

// ── names ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

function createAndCreate(d: Duel): void {
  const f = d.pick(...FILES);
  d.say(d.one, 'rm', f);
  d.meet();
  const all = [d.one, d.other, ...(d.third ? [d.third] : [])];
  const [ones, others, thirds] = all.map((site) => [d.write(site, f)]) as [Words[], Words[], Words[]?];
  d.apart(ones, others, thirds);
  d.touchResult(f);
}

function twins(d: Duel): void {
  const f = d.pick(...FILES);
  d.say(d.one, 'rm', f);
  d.meet();
  const twin = (): Words[] => {
    const made: Words[] = [['twin', f, '<same:0>', d.pick('644', '644', '600')]];
    if (d.chance(0.15)) made.push(['setxattr', f, 'user.x', d.pick('v', 'w')]);
    if (d.chance(0.15)) made.push(['chown', f, 1001, 1000]);
    return made;
  };
  d.apart(twin(), twin());
  d.touchResult(f);
}

function createAndMakeDirectory(d: Duel): void {
  const name = d.pick(...DIRECTORIES);
  d.say(d.one, 'rmr', name);
  d.meet();
  d.apart(
    [d.pick(d.write(d.one, name), ['symlink', 'to', name], ['mkfifo', name])],
    [
      ['mkdir', name],
      ['write', `${name}/e`, d.mark(d.other), 20],
    ],
  );
  if (d.chance(0.5)) d.say(d.anyone(), 'mv', name, d.pick(...DIRECTORIES));
}

function makeDirectoryTwice(d: Duel): void {
  const [s, t] = d.random.shuffled(DIRECTORIES) as [string, string];
  d.say(d.one, 'rmr', s);
  d.meet();
  const make = (site: string, inside: string): Words[] => [
    ['mkdir', s],
    ['write', `${s}/${inside}`, d.mark(site), 20],
    ...(d.chance(0.3) ? ([['mkdir', `${s}/u`]] as Words[]) : []),
  ];
  d.apart(make(d.one, 'e'), make(d.other, d.pick('e', 'f')), d.chance(0.3) ? make(d.anyone(), 'g') : []);
  const move: Words = ['mv', s, t];
  if (d.chance(0.5)) d.apart([move], [d.pick<Words>(['write', `${s}/g`, d.mark(d.other), 20], ['rmr', s], move)]);
  else d.say(d.anyone(), ...d.pick<Words>(move, move, ['rmr', s], ['mkdir', `${s}/t`], ['chmod', s, '700']));
  if (d.chance(0.4)) d.say(d.anyone(), 'mkdir', s);
  if (d.chance(0.4)) d.say(d.anyone(), 'write', `${t}/e`, d.mark(d.one), 20);
}

function moveDirectoryOnto(d: Duel): void {
  const [s, t, u] = d.random.shuffled(DIRECTORIES) as [string, string, string];
  d.say(d.one, 'rmr', s);
  d.say(d.one, 'mkdir', t);
  d.say(d.one, 'write', `${t}/e`, d.mark(d.one), 20);
  if (d.chance(0.4)) d.say(d.one, 'mkdir', u);
  d.meet();
  d.apart(
    [['mv', t, s]],
    d.pick<Words[]>(
      [
        ['mkdir', s],
        ['write', `${s}/f`, d.mark(d.other), 20],
      ],
      [['mv', u, s]],
    ),
  );
  if (d.chance(0.5)) d.say(d.anyone(), ...d.pick<Words>(['rmr', s], ['mv', s, u]));
}

// ── files ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

function writeAndWrite(d: Duel): void {
  const f = d.pick(...FILES);
  d.say(d.one, ...d.write(d.one, f));
  d.meet();
  const change = (site: string): Words[] => [
    d.pick<Words>(d.write(site, f), d.write(site, f), ['patch', f, 3, d.mark(site), 20], ['truncate', f, 4]),
  ];
  d.apart(change(d.one), change(d.other), d.third && d.chance(0.5) ? change(d.third) : []);
  d.touchResult(f);
}

function writeAndRemove(d: Duel): void {
  const f = d.pick(...FILES);
  d.say(d.one, ...d.write(d.one, f));
  d.meet();
  const again = d.pick<Words[]>(
    [],
    [d.write(d.one, f)],
    [d.write(d.one, f)],
    [['mkdir', f]],
    [['mv', d.pick(...FILES), f]],
  );
  const write = d.pick<Words>(
    d.write(d.other, f),
    ['patch', f, -1, d.mark(d.other), 20],
    ['save', f, d.mark(d.other), 30],
  );
  d.apart([['rm', f], ...again], [write], d.chance(0.2) ? [['rm', f]] : []);
  d.touchResult(f);
}

function changeInRemovedTree(d: Duel): void {
  const [s, t] = d.random.shuffled(DIRECTORIES) as [string, string];
  d.say(d.one, 'mkdir', s);
  d.say(d.one, 'mkdir', `${s}/u`);
  d.say(d.one, 'write', `${s}/u/e`, d.mark(d.one), 20);
  d.say(d.one, 'write', `${s}/f`, d.mark(d.one), 20);
  d.meet();
  const again = d.pick<Words[]>([], [], [['mkdir', s]], [d.write(d.one, s)]);
  const change = d.pick<Words>(
    ['write', `${s}/u/e`, d.mark(d.other), 30],
    ['write', `${s}/u/g`, d.mark(d.other), 30],
    ['chmod', `${s}/u/e`, '600'],
    ['setxattr', `${s}/f`, 'user.x', 'late'],
    ['mkdir', `${s}/u/t`],
    ['mv', d.pick(...FILES), `${s}/u/f`],
    ['mv', t, `${s}/u/t`],
    ['mv', `${s}/u`, t],
    ['mv', s, t],
  );
  d.apart([['rmr', s], ...again], [change], d.chance(0.3) ? [['rmr', s]] : []);
  if (d.chance(0.6))
    d.say(
      d.anyone(),
      ...d.pick<Words>(['rmr', s], ['mv', s, t], ['write', `${s}/u/e`, d.mark(d.one), 20], ['mkdir', s]),
    );
}

function attributesAndRemove(d: Duel): void {
  const f = d.pick(...FILES);
  d.say(d.one, ...d.write(d.one, f));
  d.meet();
  const change = d.pick<Words>(
    ['chmod', f, '600'],
    ['touch', f, 1_100_000_000],
    ['setxattr', f, 'user.x', 'late'],
    ['chown', f, 1001, 1001],
  );
  d.apart([['rm', f]], [change]);
}

function renameAndRemove(d: Duel): void {
  const isFile = d.chance(0.5);
  const [name, to] = d.random.shuffled(isFile ? FILES : DIRECTORIES) as [string, string];
  if (isFile) d.say(d.one, ...d.write(d.one, name));
  else {
    d.say(d.one, 'rmr', to);
    d.say(d.one, 'mkdir', name);
    if (d.chance(0.5)) d.say(d.one, 'write', `${name}/e`, d.mark(d.one), 20);
  }
  d.meet();
  d.apart([[isFile ? 'rm' : 'rmr', name]], [['mv', name, to]]);
}

function renameTwice(d: Duel): void {
  const isFile = d.chance(0.5);
  const [name, to, or] = d.random.shuffled(isFile ? FILES : DIRECTORIES) as [string, string, string];
  if (isFile) d.say(d.one, ...d.write(d.one, name));
  else {
    d.say(d.one, 'rmr', to);
    d.say(d.one, 'mkdir', name);
    d.say(d.one, 'write', `${name}/e`, d.mark(d.one), 20);
    if (d.chance(0.5)) d.say(d.one, 'mkdir', or);
  }
  d.meet();
  const elsewhere = isFile || d.chance(0.5) ? or : `${or}/${name}`;
  d.apart([['mv', name, to]], [['mv', name, elsewhere]], d.chance(0.3) ? [[isFile ? 'rm' : 'rmr', name]] : []);
  if (d.chance(0.3)) d.say(d.anyone(), 'mv', d.pick(to, elsewhere), name);
}

function renameToOneName(d: Duel): void {
  const [f, g, h] = d.random.shuffled(FILES) as [string, string, string];
  for (const name of [f, g, h]) d.say(d.one, ...d.write(d.one, name));
  d.meet();
  d.apart([['mv', f, h]], [['mv', g, h]]);
  d.touchResult(h);
}

function severalNames(d: Duel): void {
  const [f, g, h] = d.random.shuffled(FILES) as [string, string, string];
  d.say(d.one, 'rm', g);
  d.say(d.one, ...d.write(d.one, f));
  d.say(d.one, 'ln', f, g);
  if (d.chance(0.3)) d.say(d.one, 'rm', h);
  d.meet();
  const change = d.pick<Words[]>(
    [['rm', g]],
    [['rm', g]],
    [d.write(d.other, g)],
    [['ln', g, h]],
    [['mv', h, g]],
    [
      ['rm', f],
      ['rm', g],
    ],
  );
  const removal = d.pick<Words[]>(
    [['rm', f]],
    [['rm', f]],
    [['ln', f, h]],
    [
      ['rm', f],
      ['rm', g],
    ],
  );
  d.apart(removal, change, d.chance(0.2) ? [d.write(d.anyone(), f)] : []);
}

function replaceAndWrite(d: Duel): void {
  const [f, g] = d.random.shuffled(FILES) as [string, string];
  d.say(d.one, ...d.write(d.one, f));
  d.say(d.one, ...d.write(d.one, g));
  d.meet();
  const save = (site: string): Words => ['save', f, d.mark(site), d.size()];
  d.apart(
    [d.pick<Words>(['mv', g, f], save(d.one))],
    [d.pick<Words>(d.write(d.other, f), save(d.other))],
    d.third && d.chance(0.4) ? [save(d.third)] : [],
  );
  d.touchResult(f);
}

function copiesOfCopies(d: Duel): void {
  const f = d.pick(...FILES);
  d.say(d.one, ...d.write(d.one, f));
  d.meet();
  d.apart([d.write(d.one, f)], [d.write(d.other, f)]);
  d.part();
  for (const site of [d.one, d.other])
    d.choices.push((scenes) => {
      const copy = d.copyOf(scenes, site, f);
      if (copy === undefined) return undefined;
      const calls: Words[] = [d.write(site, copy), ['rm', copy], ['mv', copy, f], ['chmod', copy, '600']];
      return step(site, ...d.pick(...calls, d.write(site, copy)));
    });
  d.meet();
  d.touchResult(f);
}

/** A file has the very name that a conflict copy would get: somebody copied it from where the conflict is known already. */
function takenSuffix(d: Duel): void {
  const { third } = d;
  const f = d.pick(...FILES);
  if (third === undefined) return createAndCreate(d);
  d.say(d.one, 'rm', f);
  if (d.chance(0.5)) d.say(d.one, ...d.write(d.one, f));
  d.meet();
  d.say('', 'partition', third, '|', d.one, d.other);
  d.race([d.one, [d.write(d.one, f)]], [d.other, [d.write(d.other, f)]]);
  d.wait(900, 4_000);
  d.choices.push((scenes) => {
    const copy = d.copyOf(scenes, d.one, f);
    return copy === undefined ? undefined : step(third, 'write', copy, d.mark(third), 25);
  });
  d.meet();
  d.touchResult(f);
}

function openMeanwhile(d: Duel): void {
  const f = d.pick(...FILES);
  d.say(d.one, ...d.write(d.one, f));
  d.meet();
  d.say(d.one, 'open', 'h3', f);
  const put = (): Words => ['put', 'h3', d.pick(-1, 3), d.mark(d.one), d.size()];
  const change = d.pick<Words[]>([d.write(d.other, f)], [['rm', f]], [['save', f, d.mark(d.other), 30]]);
  if (d.chance(0.5)) d.say(d.one, ...put());
  d.say(d.other, ...change[0]!);
  d.wait(1, 3_000);
  if (d.chance(0.2)) d.say(d.one, 'rm', f);
  d.say(d.one, ...put());
  if (d.chance(0.4)) d.say(d.one, 'fsync', 'h3');
  d.say(d.one, 'close', 'h3');
  d.meet();
  d.touchResult(f);
}

// ── cycles ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

function cycle(d: Duel): void {
  const [s, t, u] = d.random.shuffled(DIRECTORIES) as [string, string, string];
  for (const name of [s, t, u]) d.say(d.one, 'mkdir', name);
  d.say(d.one, 'write', `${s}/e`, d.mark(d.one), 20);
  // So that where they were before is not where they were born.
  const [atS, atT] = [d.chance(0.5) ? `${u}/${s}` : s, d.chance(0.5) ? `${u}/${t}` : t];
  if (atS !== s) d.say(d.one, 'mv', s, atS);
  if (atT !== t) d.say(d.one, 'mv', t, atT);
  d.meet();
  const also = d.pick<Words[]>([], [], [['mv', atS, `${s}2`]], [['mv', atT, `${u}/2`]]);
  d.apart([['mv', atS, `${atT}/${s}`]], [['mv', atT, `${atS}/${t}`]], also);
  // What blocks a deferred move goes, or somebody does something else with what fell back.
  const chosen = [s, t, `${u}/${s}`, `${u}/${t}`, `${s}/${t}`, `${t}/${s}`, atS, atT];
  const times = d.random.below(4);
  for (let i = 0; i < times; i++) {
    const from = d.pick(...chosen);
    d.say(
      d.anyone(),
      ...d.pick<Words>(['mv', from, d.pick(s, `${u}/${t}`, `${u}/2`, '3')], ['mv', from, '3'], ['rmr', from]),
    );
    d.wait(1, 1_500);
  }
  if (d.chance(0.5)) for (const name of ['3', `${s}2`]) d.say(d.one, 'rmr', name);
}

function cycleOfThree(d: Duel): void {
  const [s, t, u] = d.random.shuffled(DIRECTORIES) as [string, string, string];
  for (const name of [s, t, u]) d.say(d.one, 'mkdir', name);
  d.meet();
  const first: Words[] = d.chance(0.4) ? [['mv', s, `${s}2`]] : [];
  const from = first.length > 0 ? `${s}2` : s;
  d.apart(
    [...first, ['mv', from, `${t}/${s}`]],
    d.pick<Words[]>([['mv', t, `${u}/${t}`]], [['mv', s, `${u}/${s}`]], [['mv', t, `${s}/${t}`]]),
    d.pick<Words[]>([['mv', u, `${s}/${u}`]], [['mv', t, `${s}/${t}`]]),
  );
  for (const name of [s, t, u])
    if (d.chance(0.4)) d.say(d.anyone(), ...d.pick<Words>(['rmr', name], ['mv', name, '3'], ['mkdir', name]));
  d.wait(1, 1_500);
  if (d.chance(0.5)) for (const name of ['3', `${s}2`]) d.say(d.one, 'rmr', name);
}

// ── attributes ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

function subject(d: Duel): string {
  const name = d.chance(0.7) ? d.pick(...FILES) : d.pick(...DIRECTORIES);
  if (FILES.includes(name)) d.say(d.one, ...d.write(d.one, name));
  else d.say(d.one, 'mkdir', name);
  return name;
}

function changeModes(d: Duel): void {
  const name = subject(d);
  const chmod = (): Words => ['chmod', name, d.pick(...MODES).toString(8)];
  d.say(d.one, ...chmod());
  d.meet();
  const part = (): Words[] => (d.chance(0.5) ? [chmod(), chmod()] : [chmod()]);
  d.apart(part(), part(), d.chance(0.3) ? part() : []);
}

function dropSetId(d: Duel): void {
  const f = d.pick(...FILES);
  d.say(d.one, ...d.write(d.one, f));
  d.say(d.one, 'chmod', f, d.pick('2755', '4755'));
  d.meet();
  const drop = d.pick<Words>(['chown', f, 1001 + d.random.below(2), 1000], d.write(d.one, f), [
    'patch',
    f,
    -1,
    d.mark(d.one),
    20,
  ]);
  d.apart([drop], [['chmod', f, d.pick('6755', '6755', '4755', '2755', '755')]]);
}

function changeOwners(d: Duel): void {
  const name = subject(d);
  d.meet();
  const chown = (): Words => ['chown', name, 1000 + d.random.below(3), 1000 + d.random.below(3)];
  d.apart([chown()], [chown()]);
}

function changeXattrs(d: Duel): void {
  const name = subject(d);
  if (d.chance(0.7)) d.say(d.one, 'setxattr', name, 'user.x', 'before');
  d.meet();
  const change = (site: string): Words =>
    d.chance(0.5) ? ['setxattr', name, 'user.x', d.mark(site)] : ['removexattr', name, 'user.x'];
  d.apart([change(d.one)], [change(d.other)], d.third && d.chance(0.3) ? [change(d.third)] : []);
}

function changeTimes(d: Duel): void {
  const f = d.pick(...FILES);
  d.say(d.one, ...d.write(d.one, f));
  d.meet();
  const touch = (): Words => ['touch', f, 1_000_000_000 + d.random.below(1_000_000_000)];
  d.apart([touch()], [d.pick(d.write(d.other, f), touch())]);
}

function exchangeAndAnything(d: Duel): void {
  const [f, g, h] = d.random.shuffled(FILES) as [string, string, string];
  const s = d.pick(...DIRECTORIES);
  d.say(d.one, ...d.write(d.one, f));
  if (d.chance(0.5)) d.say(d.one, ...d.write(d.one, g));
  else {
    d.say(d.one, 'rm', g);
    d.say(d.one, 'mkdir', s);
  }
  d.meet();
  const second = d.pick(g, s);
  const change = d.pick<Words>(
    d.write(d.other, f),
    ['rm', f],
    ['mv', f, h],
    ['mv', second, h],
    ['exchange', f, second],
    ['rmr', second],
  );
  d.apart([['exchange', f, second]], [change]);
}

// ── contents ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A file with a policy, of its own or of its directory. */
function governed(d: Duel, policy: string): string {
  const s = d.pick(...DIRECTORIES);
  const inherits = d.chance(0.3);
  const path = inherits ? `${s}/e` : d.pick(...FILES);
  if (inherits) {
    d.say(d.one, 'mkdir', s);
    d.say(d.one, 'setxattr', s, 'user.weft.merge', policy);
  }
  d.say(d.one, 'rm', path);
  return path;
}

/** The changes that two or three make to one file so that its policy can merge them, mostly. */
function changes(d: Duel, policy: string, path: string, base: readonly string[]): (site: string) => Words {
  const open = d.random.shuffled([0, 1, 2, 3, 4, 5]);
  return (site) => {
    const mark = d.mark(site);
    if (policy === 'append') return ['append', path, mark, d.size()];
    const place = d.chance(0.85) ? open.pop()! : d.random.below(LINES);
    if (policy === 'ranges') return ['patch', path, 200 * place, mark, 30 + d.random.below(100)];
    const changed = base.toSpliced(place, d.random.below(2), ...(d.chance(0.8) ? [mark] : []));
    return ['lines', path, changed.join(',')];
  };
}

function mergeContents(d: Duel): void {
  const policy = d.pick('append', 'append', 'ranges', 'text');
  const path = governed(d, policy);
  const base = Array.from({ length: LINES }, () => d.mark(d.one));
  const isOwn = FILES.includes(path);
  if (policy === 'text' || d.chance(0.3)) d.say(d.one, 'lines', path, base.join(','));
  else d.say(d.one, 'write', path, base[0]!, d.chance(0.1) ? 100_000 : 1_300);
  // Now and then the policy comes when the copies are there.
  const isLate = isOwn && d.chance(0.3);
  if (isOwn && !isLate) d.say(d.one, 'setxattr', path, 'user.weft.merge', policy);
  d.meet();
  const change = changes(d, policy, path, base);
  d.apart([change(d.one)], [change(d.other)], d.third && d.chance(0.5) ? [change(d.third)] : []);
  if (isLate) {
    d.say(d.anyone(), 'setxattr', path, 'user.weft.merge', policy);
    d.wait(1, 2_000);
  }
  if (d.chance(0.5)) d.apart([change(d.one)], [change(d.other)]);
  if (d.chance(0.2)) d.say(d.anyone(), 'rm', path);
}

/** Two sites merge the same versions, or more than the same, and somebody removes the file meanwhile. */
function mergeTwice(d: Duel): void {
  const { third } = d;
  const policy = d.pick('append', 'text');
  const path = governed(d, policy);
  const base = Array.from({ length: LINES }, () => d.mark(d.one));
  d.say(d.one, 'lines', path, base.join(','));
  if (FILES.includes(path)) d.say(d.one, 'setxattr', path, 'user.weft.merge', policy);
  d.meet();
  const change = changes(d, policy, path, base);
  d.part();
  d.race([d.one, [change(d.one)]], [d.other, [change(d.other)]], ...(third ? [[third, [change(third)]] as const] : []));
  if (third) {
    // Some know of all versions, some of two.
    d.say('', 'partition', third, '|', d.one, d.other);
    d.wait(900, 3_000);
    if (d.chance(0.5)) d.say(d.anyone(), ...d.pick<Words>(['rm', path], change(d.one)));
    d.say('', 'partition', d.one, '|', d.other, third);
    d.wait(900, 3_000);
  } else {
    d.say('', 'heal');
    d.wait(1, 100);
  }
  if (d.chance(0.4)) d.say(d.anyone(), ...d.pick<Words>(['rm', path], change(d.other)));
  d.meet();
}

// ── what a crash cuts in two ──────────────────────────────────────────────────────────────────────────────────────────────────

/** What a site did is folded by its next life, when others did something to the same long after. */
function killedBeforeFold(d: Duel): void {
  const f = d.pick(...FILES);
  d.say(d.one, ...d.write(d.one, f));
  d.meet();
  d.part();
  const change = (site: string): Words =>
    d.pick<Words>(
      ['chmod', f, d.pick('600', '640', '755')],
      ['setxattr', f, 'user.x', d.mark(site)],
      ['mv', f, d.pick(...FILES)],
      ['touch', f, 1_100_000_000],
      d.write(site, f),
    );
  d.say(d.one, ...change(d.one));
  d.say(d.one, 'kill');
  d.wait(10, 5_000);
  d.say(d.other, ...change(d.other));
  d.wait(1, 2_000);
  d.say(d.one, 'restart');
  d.meet();
}

/** What was written to an open file stays where it is in the log, while much else goes through that. */
function draftInOldLog(d: Duel): void {
  const [f, g] = d.random.shuffled(FILES) as [string, string];
  d.say(d.one, ...d.write(d.one, f));
  d.wait(1, 300);
  d.say(d.one, 'open', 'h4', f);
  d.say(d.one, 'put', 'h4', -1, d.mark(d.one), d.chance(0.7) ? 100 : 200_000);
  const count = 3 + d.random.below(3);
  for (let i = 0; i < count; i++) {
    d.say(d.one, 'write', g, d.mark(d.one), 30_000);
    d.wait(20, 600);
  }
  if (d.chance(0.3)) d.say(d.one, 'put', 'h4', 2, d.mark(d.one), 50);
  d.say(d.one, 'kill');
  d.wait(1, 500);
  d.say(d.one, 'restart');
}

/** Links break while large files are fetched. */
function lostLink(d: Duel): void {
  const f = d.pick(...FILES);
  d.meet();
  d.say(d.one, 'write', f, d.mark(d.one), 300_000 + d.random.below(100_000));
  const count = 2 + d.random.below(4);
  for (let i = 0; i < count; i++) {
    d.wait(30, 900);
    d.say('', 'reset', d.one, d.third && d.chance(0.3) ? d.third : d.other);
  }
}

/** Only where power may fail. */
function syncedThenPowerLost(d: Duel): void {
  const [f, g] = d.random.shuffled(FILES) as [string, string];
  const size = (): number =>
    d.chance(0.5) ? Math.ceil(d.random.logUniform(10, 3_000)) : 70_000 + d.random.below(90_000);
  if (d.chance(0.8)) d.say(d.one, 'write', f, d.mark(d.one), size());
  if (d.chance(0.5)) d.wait(1, 1_000);
  d.say(d.one, 'open', 'h5', f);
  const rounds = 1 + d.random.below(3);
  for (let i = 0; i < rounds; i++) {
    d.say(d.one, 'put', 'h5', d.pick(-1, -1, 5), d.mark(d.one), i === 0 ? size() : d.pick(20, 400, size()));
    if (d.chance(0.3)) d.wait(1, 800);
    d.say(d.one, 'fsync', 'h5');
  }
  const count = d.chance(0.5) ? 0 : 1 + d.random.below(3);
  for (let i = 0; i < count; i++) d.say(d.one, 'write', g, d.mark(d.one), 30_000);
  if (d.chance(0.3)) d.say(d.one, 'close', 'h5');
  if (d.chance(0.5)) d.wait(1, 1_000);
  d.say(d.one, 'power');
  d.wait(1, 500);
  d.say(d.one, 'restart');
}
