// team.test-support.ts — a volume with two real, linked mounts, `weft` as people call it there, and what is on a site's disk, for tests.

import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Cluster } from '../scripts/sites/cluster.js';
import type { Site } from '../scripts/sites/site.js';

export class Team {
  readonly cluster: Cluster;
  readonly paris: Site;
  readonly oslo: Site;

  /** Two sites without a volume, as long as {@link found} was not called. */
  constructor(prefix: string) {
    this.cluster = new Cluster(prefix);
    this.paris = this.cluster.addSite('paris');
    this.oslo = this.cluster.addSite('oslo');
  }

  async found(): Promise<void> {
    await this.paris.create('team');
    await this.oslo.join(await this.paris.invite());
  }

  close(): Promise<void> {
    return this.cluster.close();
  }

  /** One is unmounted and mounted again, the other killed, and a third joins. Returns the three, which know everything of each other. */
  async startAnew(): Promise<readonly Site[]> {
    const { cluster, paris, oslo } = this;
    await oslo.umount();
    await oslo.mount();
    await paris.kill();
    await paris.mount();
    const rome = cluster.addSite('rome');
    await rome.join(await paris.invite());
    await cluster.settle();
    return [paris, oslo, rome];
  }
}

/** Where a path of the tree is at a site. */
export function at(site: Site, path: string): string {
  return join(site.mountpoint, path);
}

/** What the packs of a site take on its disk. They may come and go meanwhile. */
export function packBytes(site: Site): number {
  const packs = join(site.state, 'packs');
  return readdirSync(packs).reduce(
    (sum, name) => sum + (statSync(join(packs, name), { throwIfNoEntry: false })?.blocks ?? 0) * 512,
    0,
  );
}

/** What `weft` prints, called in the mount of a site. */
export async function weft(site: Site, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await site.weft(args, { cwd: site.mountpoint });
  assert.equal(code, 0, `weft ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** What `weft` says when it cannot do what is asked. */
export async function refused(site: Site, ...args: string[]): Promise<string> {
  const { code, stderr } = await site.weft(args, { cwd: site.mountpoint });
  assert.equal(code, 1, `weft ${args.join(' ')}`);
  return stderr;
}
