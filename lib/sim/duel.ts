// duel.ts — one duel being put together: what is there, what two or three sites then do to it without knowing of each other, and what
// somebody does with the result. Which duels there are: duels.ts.
// Names are few, so what one duel leaves is in the way of the next; a step that has become impossible is an error like any other.

import type { Random } from './random.js';
import { type Step, step } from './step.js';
import type { Scene } from './workload.js';

/** A step, or what is decided when its turn comes: undefined when there is nothing to do. */
export type Choice = Step | ((scenes: readonly Scene[]) => Step | undefined);

export type Words = readonly [verb: string, ...words: (string | number)[]];

export const FILES = ['e', 'f', 'g'];
export const DIRECTORIES = ['s', 't', 'u'];

export class Duel {
  readonly choices: Choice[] = [];
  /** The sites, in random order: two at least. */
  readonly one: string;
  readonly other: string;
  readonly third: string | undefined;

  constructor(
    readonly random: Random,
    /** Those that are up. The first of all, if it is, keeps the content that others may give up. */
    readonly sites: readonly string[],
    /** A mark that nobody has written. */
    readonly mark: (site: string) => string,
  ) {
    [this.one, this.other, this.third] = random.shuffled(sites) as [string, string, string?];
  }

  get first(): string {
    return this.sites[0]!;
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
    const times = 1 + random.below(2);
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

  /** Somebody, or two who know nothing of each other, settle conflicts that there are, and maybe take that back. */
  settle(): void {
    const { random } = this;
    this.meet();
    if (random.chance(0.4)) this.part();
    const calls = (): Words[] => {
      const resolve = (): Words => ['resolve', random.below(100), random.below(100)];
      return [
        resolve(),
        ...(random.chance(0.5) ? [resolve()] : []),
        ...(random.chance(0.4) ? [['undo'] as const] : []),
      ];
    };
    this.race([this.one, calls()], [this.other, random.chance(0.5) ? calls() : []]);
    if (random.chance(0.3)) {
      this.meet();
      this.say(this.one, 'undo');
    }
  }

  /** What a site shows beside a path for a conflict about it. */
  copyOf(scenes: readonly Scene[], site: string, path: string): string | undefined {
    const scene = scenes.find(({ name }) => name === site);
    const shown = scene?.isUp ? scene.look() : [];
    return this.random.pick(shown.map(([found]) => found).filter((found) => found.startsWith(`${path}.~`)));
  }
}
