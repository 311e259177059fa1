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
    targets.push({ place: 'local', directory: cluster.scratch('local'), description: localType });
  }
  if (wanted.has('bindfs') && (await isInstalled('bindfs'))) {
    const [below, mountpoint] = [cluster.scratch('below-bindfs'), cluster.scratch('bindfs')];
    await runChecked('bindfs', [below, mountpoint]);
    targets.push({ place: 'bindfs', directory: mountpoint, description: `bindfs over ${localType}` });
  }
  if (wanted.has('weft')) {
    const site = cluster.addSite('weft');
    await site.create('bench');
    targets.push({ place: 'weft', directory: site.mountpoint, description: `weft, state on ${localType}` });
  }
  return targets.map((target) => ({ ...target, directory: made(join(target.directory, 'bench')) }));
}

async function isInstalled(program: string): Promise<boolean> {
  const result = await run(program, ['--version']).catch(() => null);
  return result?.code === 0;
}

function made(directory: string): string {
  mkdirSync(directory);
  return directory;
}
