// fleet.ts — the sites of the run and what may happen to them: joins, retirements, kills, restarts, restores, cuts of the network, wrong clocks.
// Invariant: whatever happens, what was acknowledged stays somewhere that it is found again: a site whose state goes has handed it over, and one
// that comes back from a backup works in another directory than before.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../lib/sim/random.js';
import type { Cut, SwitchedNetwork } from '../namespaces/switched-network.js';
import type { Cluster } from '../sites/cluster.js';
import { WrongClock } from '../sites/wrong-clock.js';
import { Ledger } from './ledger.js';
import { Load } from './load.js';
import { LOADS_MAX } from './load-messages.js';
import { Member } from './member.js';

const NAMES = ['paris', 'oslo', 'rome', 'bergen', 'lima', 'cairo', 'delhi', 'quito', 'turin', 'york', 'bonn', 'riga'];
const HAND_OVER_MS = 120_000;
/** The machine is busy with all the others. */
const COMMAND_TIMEOUT_MS = 300_000;
const DOWN_MAX_MS = 3_000;
/** So many others each member dials. */
const DIALS = 2;

export class Fleet {
  readonly members: Member[] = [];
  readonly ledger = new Ledger();
  /** What the product did that it must not. */
  readonly findings: string[] = [];
  private readonly created = new Map<string, Member>();
  private cuts: readonly Cut[] = [];
  private loads = 0;
  private named = 0;
  private isWorking = false;

  constructor(
    private readonly cluster: Cluster,
    private readonly network: SwitchedNetwork,
    private readonly random: Random,
    /** What is copied, outside of the volume. */
    private readonly source: string,
    /** See {@link WrongClock}; null: clocks are right. */
    private readonly clockLibrary: string | null,
    /** Longest wait of a working process between two steps. */
    private readonly pauseMaxMs: number,
  ) {}

  get canStartLoad(): boolean {
    return this.loads < LOADS_MAX;
  }

  async found(): Promise<void> {
    const member = await this.prepare();
    await member.site.create('eight', member.listening);
    this.enter(member);
  }

  async join(): Promise<string> {
    const host = this.random.pick(this.up())!;
    const member = await this.prepare();
    const invite = await host.site.invite();
    await member.site.join(invite, member.listening);
    this.enter(member);
    await this.linkAll();
    return `${member.name} joins by ${host.name}`;
  }

  /** One that hands over what it has, and is put out. */
  async retire(): Promise<string> {
    const [leaver, other] = this.random.shuffled(this.up());
    if (!leaver || !other || !(await this.quiesce(leaver, other))) return 'nobody can be retired now';
    await other.site.setRole(leaver.name, 'retired');
    await leaver.load?.end();
    leaver.isUp = false;
    await leaver.site.umount('--force');
    for (const directory of [leaver.site.state, ...leaver.backups]) rmSync(directory, { recursive: true });
    await this.network.detach(leaver.host);
    this.members.splice(this.members.indexOf(leaver), 1);
    await this.linkAll();
    return `${other.name} retires ${leaver.name}`;
  }

  /** One, or two at once. */
  async kill(): Promise<string> {
    const killed = this.random.shuffled(this.up()).slice(0, this.random.chance(0.2) ? 2 : 1);
    for (const member of killed) await member.kill();
    await sleep(this.random.below(DOWN_MAX_MS));
    await Promise.all(killed.map((member) => member.mount()));
    return `${killed.map(({ name }) => name).join(', ')} got SIGKILL, and came back`;
  }

  async restart(): Promise<string> {
    const member = this.random.pick(this.up())!;
    await member.umount();
    await member.mount();
    return `${member.name} was restarted`;
  }

  async backUp(): Promise<string> {
    const member = this.random.pick(this.up())!;
    await member.backUp();
    return `${member.name} was backed up`;
  }

  /** What a site has made since the backup is with others, and so all of it comes back. */
  async restore(): Promise<string> {
    const member = this.random.pick(this.up().filter(({ backups }) => backups.length > 0));
    const other = this.random.pick(this.up().filter((one) => one !== member));
    if (!member || !other || !this.canStartLoad) return 'nobody has a backup';
    if (!(await this.quiesce(member, other))) return `${member.name} cannot hand over what it has`;
    await member.load?.end();
    if (this.random.chance(0.5)) await member.kill();
    else await member.umount();
    await member.restore(this.random.pick(member.backups)!);
    this.startLoad(member);
    await this.linkAll();
    return `${member.name} is back from a backup`;
  }

  async collect(): Promise<string> {
    const member = this.random.pick(this.up())!;
    await member.site.weftChecked(['gc', member.site.mountpoint, '--run']);
    return `${member.name} collected what nothing needs`;
  }

  /** Groups that cannot reach each other, or some that cannot reach some, one way. */
  async cut(): Promise<string> {
    const names = this.random.shuffled(this.members.map(({ name }) => name));
    if (this.random.chance(0.3)) {
      const pairs = names.flatMap((from) => names.map((to) => ({ from, to }))).filter(({ from, to }) => from !== to);
      await this.setCuts(pairs.filter(() => this.random.chance(0.3)));
      return `${this.cuts.length} directions are cut`;
    }
    const parts = 2 + this.random.below(2);
    const part = new Map(names.map((name, i) => [name, i < parts ? i : this.random.below(parts)]));
    await this.setCuts(
      names.flatMap((from) => names.filter((to) => part.get(to) !== part.get(from)).map((to) => ({ from, to }))),
    );
    const shown = Array.from({ length: parts }, (_, i) => names.filter((name) => part.get(name) === i).join(' '));
    return `apart: ${shown.join(' | ')}`;
  }

  async heal(): Promise<string> {
    await this.setCuts([]);
    return 'all can reach each other';
  }

  /** By up to `maxS` ahead or behind. */
  setClock(maxS: number): string {
    const member = this.random.pick(this.up())!;
    if (!member.clock) return 'no clock can be set';
    const sign = this.random.chance(0.5) ? 1 : -1;
    const offsetS = sign * Math.round(this.random.logUniform(1, maxS));
    member.clock.set(offsetS);
    return `the clock of ${member.name} is ${Math.abs(offsetS)} s ${offsetS < 0 ? 'behind' : 'ahead'}`;
  }

  /** Every clock shows what the one shows that is farthest ahead. */
  alignClocks(): void {
    const ahead = Math.max(0, ...[...this.created.values()].map(({ clock }) => clock?.offsetS ?? 0));
    for (const { clock } of this.members) clock?.set(ahead);
  }

  up(): Member[] {
    return this.members.filter(({ isUp }) => isUp);
  }

  /** Daemons that ended by themselves become findings, and are started again. */
  async watch(): Promise<void> {
    for (const member of this.members.filter(({ died }) => died)) {
      this.findings.push(`the daemon of ${member.name} ended by itself: ${member.site.logTroubles(3).join('\n')}`);
      member.isUp = false;
      await member.site.kill();
      await member.mount();
    }
  }

  /** After something failed half way: all that is down is mounted again, and all work goes on. */
  async revive(): Promise<void> {
    for (const member of this.members.filter(({ isUp }) => !isUp)) {
      await member.site.kill();
      await member.mount();
    }
  }

  startWork(): void {
    this.isWorking = true;
    for (const member of this.members) this.startLoad(member);
  }

  async stopWork(): Promise<void> {
    this.isWorking = false;
    await Promise.all(this.members.map(({ load }) => load?.end()));
  }

  /**
   * Nobody works there any more, and another member has all that it has; it is cut off from the rest meanwhile, so that nothing more comes to
   * be handed over, and these from nobody else, so that the other gets what it lacks. False: not within the time; it works on.
   */
  private async quiesce(member: Member, other: Member): Promise<boolean> {
    await member.load?.pause();
    const before = this.cuts;
    const rest = this.members.filter((one) => one !== member && one !== other).map(({ name }) => name);
    await this.setCuts(
      rest.flatMap((name) => [
        { from: name, to: member.name },
        { from: member.name, to: name },
      ]),
    );
    await member.dial(other);
    const isDone = await member.handOver(other, HAND_OVER_MS);
    await this.setCuts(before);
    if (!isDone) member.load?.go(true);
    return isDone;
  }

  private async setCuts(cuts: readonly Cut[]): Promise<void> {
    this.cuts = cuts;
    await this.network.cut(cuts);
  }

  private async prepare(): Promise<Member> {
    const round = Math.floor(this.named / NAMES.length);
    const name = NAMES[this.named++ % NAMES.length]! + (round === 0 ? '' : String(round + 1));
    const host = await this.network.attach(name);
    const { directory } = this.cluster;
    const clock =
      this.clockLibrary === null ? null : new WrongClock(this.clockLibrary, join(directory, `${name}.clock`));
    const surroundings = { before: host.namespace.entering, env: clock?.environment ?? {} };
    const mounting = { mountOptions: [], driver: 'kernel', surroundings, timeoutMs: COMMAND_TIMEOUT_MS };
    const site = this.cluster.addSiteIn(name, mounting);
    const member = new Member(name, host, site, clock, directory);
    this.created.set(name, member);
    return member;
  }

  private enter(member: Member): void {
    member.isUp = true;
    this.members.push(member);
    if (this.isWorking) this.startLoad(member);
  }

  private startLoad(member: Member): void {
    const area = member.freshArea();
    const orders = {
      mountpoint: member.site.mountpoint,
      area,
      source: this.source,
      seed: `${this.random.hex(8)}/${area}`,
      number: this.loads++,
      pauseMaxMs: this.pauseMaxMs,
    };
    member.load = new Load(
      orders,
      this.cluster.home,
      (report) => this.ledger.note(area, report),
      (what, isPaused) => {
        // One whose daemon was ended is told when it is back.
        if (!member.isUp || member.died) return;
        this.findings.push(`${area}: ${what}`);
        if (!isPaused) member.load?.go(true);
      },
    );
    member.load.go(false);
  }

  /** A ring with chords: no retirement and no restored backup tears it. */
  async linkAll(): Promise<void> {
    const up = this.up();
    await Promise.all(
      up.map(async (member, i) => {
        for (let next = 1; next <= DIALS; next++) await member.dial(up[(i + next) % up.length]!);
      }),
    );
  }
}
