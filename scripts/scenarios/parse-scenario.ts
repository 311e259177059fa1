// parse-scenario.ts — reads a scenario file. Every mistake that can be seen without running it is found here, named by file and line:
// unknown sites and words, links to nowhere, work at a site that was killed, a history that ends with a dead site.

import { basename } from 'node:path';
import { parseAction } from './parse-action.js';
import { parseExpectation } from './parse-expectation.js';
import type { Scenario, StageName, Step } from './scenario.js';
import { ScenarioError, tokenize, type Token } from './tokens.js';

const SITE_NAME = /^[a-z][a-z0-9]*$/;
const MAX_SITES = 8;

/** Statements that are free text to the end of the line. */
const REMARK = /^\s*(row|published|theirs|real-only|simulator-only):\s*(.*?)\s*$/;

/** Parses the text of one scenario file. Throws {@link ScenarioError}. */
export function parseScenario(file: string, text: string): Scenario {
  const parser = new Parser();
  const lines = text.split('\n');
  for (const [index, line] of lines.entries()) {
    try {
      const remark = REMARK.exec(line);
      if (remark) {
        parser.remark(remark[1]!, remark[2]!);
        continue;
      }
      const tokens = tokenize(line);
      if (tokens.length > 0) parser.statement(tokens, { line: index + 1, source: line.trim() });
    } catch (error) {
      throw new ScenarioError(file, index + 1, (error as Error).message);
    }
  }
  try {
    parser.end();
  } catch (error) {
    throw new ScenarioError(file, lines.length, (error as Error).message);
  }
  return {
    name: basename(file, '.scenario'),
    file,
    sites: parser.sites,
    links: parser.links ?? everyPair(parser.sites),
    disks: parser.disks,
    steps: parser.steps,
    rows: parser.rows,
    published: parser.published,
    only: parser.only,
  };
}

type Place = Pick<Step, 'line' | 'source'>;

class Parser {
  sites: string[] = [];
  links: [string, string][] | null = null;
  readonly steps: Step[] = [];
  readonly disks = new Map<string, number>();
  readonly rows: string[] = [];
  readonly published: { readonly where: string; readonly theirs: string[] }[] = [];
  only: { readonly stage: StageName; readonly reason: string } | null = null;
  private readonly dead = new Set<string>();
  private isCut = false;

  remark(kind: string, text: string): void {
    if (text === '') throw new Error(`${kind}: says nothing; write it on the same line`);
    if (this.steps.length > 0) throw new Error(`${kind}: belongs before the first step`);
    switch (kind) {
      case 'row':
        this.rows.push(text);
        break;
      case 'published':
        this.published.push({ where: text, theirs: [] });
        break;
      case 'theirs': {
        const last = this.published.at(-1);
        if (!last) throw new Error('theirs: belongs after published:');
        last.theirs.push(text);
        break;
      }
      default:
        if (this.only) throw new Error(`there is ${this.only.stage}-only: already, and no stage is left`);
        this.only = { stage: kind === 'real-only' ? 'real' : 'simulator', reason: text };
    }
  }

  statement(tokens: readonly Token[], place: Place): void {
    const [first, ...rest] = tokens as [Token, ...Token[]];
    if (first.text === 'sites:') return this.readSites(rest);
    if (this.sites.length === 0) throw new Error('the first statement is sites: NAME NAME…');
    if (first.text === 'links:') return this.readLinks(rest);
    if (first.text.endsWith(':') && !first.quoted) return this.readAction(first.text.slice(0, -1), rest, place);
    switch (first.text) {
      case 'partition':
        this.steps.push({ step: 'partition', groups: this.groups(rest), ...place });
        this.isCut = true;
        break;
      case 'heal':
      case 'sync':
        if (rest.length > 0) throw new Error(`write ${first.text}, alone`);
        if (first.text === 'heal' && !this.isCut) throw new Error('nothing is cut here: write partition before heal');
        if (first.text === 'heal') this.isCut = false;
        this.steps.push({ step: first.text, ...place });
        break;
      case 'kill':
      case 'restart':
        this.readLife(first.text, rest, place);
        break;
      case 'clock':
        this.readClock(rest, place);
        break;
      case 'disk':
        this.readDisk(rest, place);
        break;
      case 'expect':
      case 'await':
        this.readExpect(rest, first.text === 'await', place);
        break;
      default:
        throw new Error(
          `unknown statement ${first.text}; there are SITE: ACTION, partition, heal, sync, kill, restart, clock, disk, expect, await`,
        );
    }
  }

  end(): void {
    const silent = this.published.find(({ theirs }) => theirs.length === 0);
    if (silent) throw new Error(`published: ${silent.where} says nothing of what others did: add theirs: lines`);
    if (this.sites.length === 0) throw new Error('no statement; the first is sites: NAME NAME…');
    for (const site of this.dead) throw new Error(`${site} is dead at the end: add restart ${site}`);
  }

  private readSites(words: readonly Token[]): void {
    if (this.sites.length > 0) throw new Error('sites: stands once, at the start');
    const names = words.map((word) => word.text);
    const odd = names.find((name) => !SITE_NAME.test(name));
    if (odd !== undefined) throw new Error(`"${odd}" is no name of a site; use lower-case letters and digits`);
    if (new Set(names).size < names.length) throw new Error('a site is named twice');
    if (names.length < 2 || names.length > MAX_SITES) throw new Error(`name 2 to ${MAX_SITES} sites`);
    this.sites = names;
  }

  private readLinks(words: readonly Token[]): void {
    if (this.links !== null || this.steps.length > 0) throw new Error('links: stands once, right after sites:');
    const links = words.map((word): [string, string] => {
      const [a, b, ...more] = word.text.split('-').map((name) => this.known(name));
      if (a === undefined || b === undefined || more.length > 0 || a === b) {
        throw new Error(`"${word.text}" is no link; write it like ${this.sites[0]}-${this.sites[1]}`);
      }
      return this.sites.indexOf(a) < this.sites.indexOf(b) ? [a, b] : [b, a];
    });
    for (const [index, site] of this.sites.entries()) {
      const reachable = index === 0 || links.some(([, later]) => later === site);
      if (!reachable) throw new Error(`${site} has no link to a site that is listed before it, so it cannot join`);
    }
    this.links = links;
  }

  private readAction(site: string, words: readonly Token[], place: Place): void {
    this.alive(this.known(site));
    const fails = words[0]?.text === 'fails';
    if (fails && !/^E[A-Z0-9]+$/.test(words[1]?.text ?? ''))
      throw new Error('write fails ERRNO ACTION, e.g. fails ENOENT rm x');
    const action = parseAction(fails ? words.slice(2) : words);
    if (action.do === 'lock' && this.only?.stage !== 'real')
      throw new Error('lock works on real mounts only: add a line real-only: REASON at the top');
    if (action.do === 'fill' && action.killAfter !== null) this.dead.add(site);
    this.steps.push({ step: 'act', site, action, failsWith: fails ? words[1]!.text : null, ...place });
  }

  private readLife(step: 'kill' | 'restart', words: readonly Token[], place: Place): void {
    const [word, ...more] = words;
    if (!word || more.length > 0) throw new Error(`write ${step} SITE`);
    const site = this.known(word.text);
    if (step === 'kill') {
      this.alive(site);
      this.dead.add(site);
    } else if (!this.dead.delete(site)) {
      throw new Error(`${site} runs: only a site that was killed is restarted`);
    }
    this.steps.push({ step, site, ...place });
  }

  private readClock(words: readonly Token[], place: Place): void {
    const [site, by, ...more] = words;
    const seconds = /^([+-]\d+)(s|m|h|d)$/.exec(by?.text ?? '');
    if (!site || !seconds || more.length > 0) throw new Error('write clock SITE +90s, or -10m, +3h, -1d');
    if (this.only?.stage !== 'simulator')
      throw new Error('clock works in the simulator only: add a line simulator-only: REASON at the top');
    const bySeconds = Number(seconds[1]) * { s: 1, m: 60, h: 3600, d: 86_400 }[seconds[2] as 's' | 'm' | 'h' | 'd'];
    this.steps.push({ step: 'clock', site: this.alive(this.known(site.text)), bySeconds, ...place });
  }

  /** The first time, before anything happens, it gives the site a disk; later it makes that larger or smaller. */
  private readDisk(words: readonly Token[], place: Place): void {
    const [site, size, ...more] = words;
    if (!site || !/^\d+M$/.test(size?.text ?? '') || more.length > 0) throw new Error('write disk SITE 200M');
    if (this.only?.stage !== 'real')
      throw new Error('disk works on real mounts only: add a line real-only: REASON at the top');
    const name = this.known(site.text);
    const megabytes = parseInt(size!.text, 10);
    if (this.steps.length === 0) this.disks.set(name, megabytes);
    else if (this.disks.has(name)) this.steps.push({ step: 'disk', site: name, megabytes, ...place });
    else throw new Error(`${name} has no disk of its own: write disk ${name} SIZE before the first step too`);
  }

  private readExpect(words: readonly Token[], isAwaited: boolean, place: Place): void {
    const first = words[0];
    const named = first?.text.endsWith(':') && !first.quoted ? first.text.slice(0, -1) : null;
    const sites = named === null ? null : named.split(',').map((name) => this.alive(this.known(name)));
    const expectation = parseExpectation(named === null ? words : words.slice(1));
    this.steps.push({ step: 'expect', sites, expectation, isAwaited, ...place });
  }

  /** `partition` alone: every site by itself; `partition a | b c`: groups, which must name every site once. */
  private groups(words: readonly Token[]): string[][] {
    if (words.length === 0) return this.sites.map((site) => [site]);
    const groups: string[][] = [[]];
    for (const word of words) {
      if (word.text === '|') groups.push([]);
      else groups.at(-1)!.push(this.known(word.text));
    }
    const named = groups.flat();
    const every = named.length === this.sites.length && new Set(named).size === named.length;
    if (!every || groups.length < 2 || groups.some((group) => group.length === 0)) {
      throw new Error(`name every site once, in groups: partition ${this.sites[0]} | ${this.sites.slice(1).join(' ')}`);
    }
    return groups;
  }

  private known(site: string): string {
    if (!this.sites.includes(site)) throw new Error(`unknown site ${site}; there are ${this.sites.join(', ')}`);
    return site;
  }

  private alive(site: string): string {
    if (this.dead.has(site)) throw new Error(`${site} was killed: restart ${site} first`);
    return site;
  }
}

function everyPair(sites: readonly string[]): [string, string][] {
  return sites.flatMap((a, index) => sites.slice(index + 1).map((b): [string, string] => [a, b]));
}
