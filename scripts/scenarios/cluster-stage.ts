// cluster-stage.ts — real sites with real mounts for a scenario, joined as its links say.

import { mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from '../sites/cluster.js';
import { run } from '../sites/command.js';
import type { StatusReport } from '../sites/site.js';
import { MountedTree } from './mounted-tree.js';
import type { Scenario } from './scenario.js';
import type { SiteTree } from './site-tree.js';
import type { ListedConflict, Stage } from './stage.js';

/**
 * A file that was closed becomes a version a little later. Between the work of two sites this much time passes, so that the order of
 * stamps, which decides conflicts, is the order of lines.
 */
const BETWEEN_SITES_MS = 40;

export class ClusterStage implements Stage {
  private groups: readonly (readonly string[])[];

  private constructor(
    readonly cluster: Cluster,
    private readonly scenario: Scenario,
  ) {
    this.groups = [scenario.sites];
  }

  /** Creates the volume at the first site, joins the others, and waits until every link is up. On failure the cluster stays open. */
  static async open(cluster: Cluster, scenario: Scenario): Promise<ClusterStage> {
    const stage = new ClusterStage(cluster, scenario);
    for (const [index, name] of scenario.sites.entries()) {
      const site = cluster.addSite(name);
      const diskMegabytes = scenario.disks.get(name);
      if (diskMegabytes !== undefined) {
        mkdirSync(site.state);
        await mount(['-t', 'tmpfs', '-o', `size=${diskMegabytes}m`, 'weft-scenario', site.state]);
      }
      if (index === 0) {
        await site.create(scenario.name);
        continue;
      }
      const [inviter, ...others] = stage.neighbours(name).filter((peer) => scenario.sites.indexOf(peer) < index);
      await site.join(await cluster.site(inviter!).invite());
      for (const other of others) await site.addPeer((await cluster.site(other).status()).listen);
    }
    await stage.linksUp();
    await stage.sync();
    return stage;
  }

  tree(site: string): SiteTree {
    return new MountedTree(this.cluster.site(site).mountpoint);
  }

  pause(): Promise<void> {
    return sleep(BETWEEN_SITES_MS);
  }

  isAlive(site: string): boolean {
    return this.cluster.site(site).daemonPid !== null;
  }

  async digest(site: string): Promise<string> {
    return (await this.cluster.site(site).status()).digest;
  }

  async conflicts(site: string): Promise<readonly ListedConflict[]> {
    const [rows, { conflicts }] = await Promise.all([
      this.cluster.site(site).conflicts(),
      this.cluster.site(site).status(),
    ]);
    if (rows.length !== conflicts)
      throw new Error(`weft status counts ${conflicts} conflicts, weft conflicts lists ${rows.length}`);
    // Paths are printed as text, from the root of the volume.
    return rows.map(({ path, kind, reason }) => ({ path: latin1(path.slice(1)), kind, reason: latin1(reason) }));
  }

  setClock(): void {
    throw new Error('the clock of this machine is left alone: clock works in the simulator only');
  }

  setDisk(site: string, megabytes: number): Promise<void> {
    return mount(['-o', `remount,size=${megabytes}m`, this.cluster.site(site).state]);
  }

  troubles(): string[] {
    return [];
  }

  troublesAtEnd(): string[] {
    return [];
  }

  async partition(groups: readonly (readonly string[])[]): Promise<void> {
    await this.sync();
    await this.regroup(groups);
  }

  async heal(): Promise<void> {
    await this.regroup([this.scenario.sites]);
    await this.sync();
  }

  async sync(): Promise<void> {
    for (const group of this.groups) {
      const alive = group.filter((name) => this.isAlive(name));
      if (alive.length > 1) await this.cluster.settle(alive.map((name) => this.cluster.site(name)));
    }
  }

  async kill(site: string): Promise<void> {
    await this.cluster.site(site).kill();
  }

  async restart(name: string): Promise<void> {
    const site = this.cluster.site(name);
    await site.mount();
    for (const peer of this.neighbours(name)) {
      if (this.canReach(name, peer)) await site.resume(peer);
      else await site.pause(peer);
    }
    await this.linksUp();
  }

  private async regroup(groups: readonly (readonly string[])[]): Promise<void> {
    const before = this.groups;
    this.groups = groups;
    const changed = this.scenario.links.filter(
      (link) => before.some((group) => link.every((name) => group.includes(name))) !== this.canReach(...link),
    );
    await Promise.all(
      this.scenario.sites
        .filter((name) => this.isAlive(name))
        .map(async (name) => {
          const site = this.cluster.site(name);
          // Both ends of a link: neither may dial the other.
          for (const link of changed.filter((each) => each.includes(name))) {
            const peer = link[0] === name ? link[1] : link[0];
            if (this.canReach(...link)) await site.resume(peer);
            else await site.pause(peer);
          }
        }),
    );
    await this.linksUp();
  }

  /** Waits until every link is in the state that it should be in. */
  private async linksUp(): Promise<void> {
    const alive = this.scenario.sites.filter((name) => this.isAlive(name));
    await Promise.all(
      alive.map((name) => {
        const expected = this.neighbours(name)
          .filter((peer) => this.isAlive(peer))
          .map((peer) => ({ peer, state: this.canReach(name, peer) ? 'connected' : 'paused' }));
        const shown = expected.map(({ peer, state }) => `${state} ${state === 'connected' ? 'to' : 'from'} ${peer}`);
        const holds = (status: StatusReport): boolean =>
          expected.every(({ peer, state }) => status.peers.some((each) => each.site === peer && each.state === state));
        return this.cluster.site(name).statusUntil(shown.join(', '), holds);
      }),
    );
  }

  private neighbours(name: string): string[] {
    return this.scenario.links.filter((link) => link.includes(name)).map(([a, b]) => (a === name ? b : a));
  }

  private canReach(a: string, b: string): boolean {
    return this.groups.some((group) => group.includes(a) && group.includes(b));
  }
}

function latin1(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

async function mount(args: readonly string[]): Promise<void> {
  const { code, stderr } = await run('mount', args);
  if (code !== 0) throw new Error(`mount ${args.join(' ')}: ${stderr.trim()}`);
}
