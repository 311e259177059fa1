// targets.ts — the directories that are compared: on the local filesystem, through bindfs over one, in a fresh volume.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { run, runChecked } from '../sites/command.js';
import type { Cluster } from '../sites/cluster.js';
import { filesystemType } from '../sites/mounts.js';
import type { Place } from './measurements.js';

export interface Target {
  readonly place: Place;
  readonly directory: string;
  /** For people, e.g. `ext4` or `bindfs over ext4`. */
  readonly description: string;
}

/** Opens the wanted places inside the cluster's directory; its close() takes them down. bindfs is left out when not installed. */
export async function openTargets(cluster: Cluster, wanted: ReadonlySet<Place>): Promise<Target[]> {
  const localType = filesystemType(cluster.directory);
  const targets: Target[] = [];
  if (wanted.has('local')) {
    const directory = cluster.scratch('local');
    targets.push({ place: 'local', directory: await workplace(directory, directory), description: localType });
  }
  if (wanted.has('bindfs') && (await isInstalled('bindfs'))) {
    const [below, mountpoint] = [cluster.scratch('below-bindfs'), cluster.scratch('bindfs')];
    await runChecked('bindfs', [below, mountpoint]);
    const directory = await workplace(mountpoint, below);
    targets.push({ place: 'bindfs', directory, description: `bindfs over ${localType}` });
  }
  if (wanted.has('weft')) {
    const site = cluster.addSite('weft');
    await site.create('bench');
    const directory = await workplace(site.mountpoint, null);
    targets.push({ place: 'weft', directory, description: `weft, state on ${localType}` });
  }
  return targets;
}

async function isInstalled(program: string): Promise<boolean> {
  const result = await run(program, ['--version']).catch(() => null);
  return result?.code === 0;
}

/**
 * A directory for the runs in `directory`, which shows the local directory `local` if any. ext4 does not use an inode again for a minute
 * after its removal, and steps over all such inodes of a block group one by one: after a round of removals, creating there takes ten
 * times as long. With the top-level attribute (chattr(1)) every directory of a new name (see {@link freshName}) comes to another group.
 */
async function workplace(directory: string, local: string | null): Promise<string> {
  const path = join(directory, 'bench');
  mkdirSync(path);
  if (local !== null) await run('chattr', ['+T', join(local, 'bench')]).catch(() => null);
  return path;
}

let names = 0;

/** A name that no run had before. */
export function freshName(): string {
  return `run-${process.pid}-${names++}`;
}
