// cluster.ts — sites of one volume in a temporary directory that is gone afterwards, whatever happens.
// Invariant: after close(), or after the process ended for any reason but SIGKILL, no daemon, mount or file of the cluster is left.

import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exitOnSignals } from './exit-on-signals.js';
import { detachBelow, mountsBelow } from './mounts.js';
import { processesWithEnvironment, processEnd, signalProcess } from './processes.js';
import { type Mounting, Site } from './site.js';
import { Watchdog } from './watchdog.js';
import { HERE } from './weft-command.js';

const open = new Set<Cluster>();

export class Cluster {
  /** Holds mountpoints, state directories, and whatever else a test wants gone afterwards. */
  readonly directory: string;
  readonly sites = new Map<string, Site>();
  private readonly watchdog = new Watchdog();

  constructor(prefix: string) {
    cleanUpAtExit();
    this.directory = realpathSync(mkdtempSync(join(tmpdir(), `${prefix}-`)));
    // Tests change to other users on the mount; they must be able to get there.
    chmodSync(this.directory, 0o755);
    open.add(this);
  }

  /** Adds a site; it has no volume yet. */
  addSite(name: string, mountOptions: readonly string[] = [], driver = 'kernel'): Site {
    return this.addSiteIn(name, { mountOptions, driver, surroundings: HERE });
  }

  /** {@link addSite}, with a say in where its programs run. */
  addSiteIn(name: string, mounting: Mounting): Site {
    const site = new Site(name, this.directory, this.home, this.watchdog, mounting);
    this.sites.set(name, site);
    return site;
  }

  site(name: string): Site {
    const site = this.sites.get(name);
    if (site === undefined) throw new Error(`no site ${name}`);
    return site;
  }

  /** A plain directory beside the mountpoints. */
  scratch(name: string): string {
    const directory = join(this.directory, name);
    mkdirSync(directory);
    return directory;
  }

  /** Syncs all given sites until changes have crossed every chain of links among them. */
  async settle(sites: readonly Site[] = [...this.sites.values()]): Promise<void> {
    // A change crosses one link per round at least; a chain of n sites has n - 1 links.
    for (let round = 1; round < Math.max(2, sites.length); round++) {
      await Promise.all(sites.map((site) => site.sync()));
    }
  }

  /** What all sites do in `act` they do without knowing of each other. Afterwards they know everything of each other. */
  async apart(act: () => void | Promise<void>): Promise<void> {
    const sites = [...this.sites.values()];
    await this.settle();
    for (const site of sites) await site.pause();
    for (const site of sites)
      await site.statusUntil('cut off', ({ peers }) => peers.every(({ state }) => state === 'paused'));
    try {
      await act();
    } finally {
      for (const site of sites) await site.resume();
    }
    for (const site of sites)
      await site.statusUntil('connected', ({ peers }) => peers.every(({ state }) => state === 'connected'));
    await this.settle();
  }

  /** Where `weft` keeps its registry of mountpoints for this cluster; marks the cluster's processes too. */
  get home(): string {
    return join(this.directory, 'home');
  }

  /** Ends the daemons, and removes everything; with `keep` the files stay where they are, unmounted. */
  async close(keep = false): Promise<void> {
    try {
      await Promise.all([...this.sites.values()].map((site) => site.end()));
    } finally {
      await this.watchdog.close();
      // A daemon that never came so far as to be known.
      for (const pid of this.processes()) {
        signalProcess(pid, 'SIGKILL');
        await processEnd(pid, 10_000);
      }
      await detachBelow(this.directory);
      if (!keep) await rm(this.directory, { recursive: true, force: true });
      open.delete(this);
    }
  }

  /** {@link close} for a process that is about to end: synchronous, and by force. */
  closeNow(): void {
    for (const pid of this.processes()) signalProcess(pid, 'SIGKILL');
    for (const mount of mountsBelow(this.directory)) execFileSync('umount', ['--lazy', mount.mountpoint]);
    rmSync(this.directory, { recursive: true, force: true });
    open.delete(this);
  }

  private processes(): number[] {
    return processesWithEnvironment('WEFT_HOME', this.home);
  }
}

let installed = false;
function cleanUpAtExit(): void {
  if (installed) return;
  installed = true;
  process.on('exit', () => {
    for (const cluster of open) cluster.closeNow();
  });
  exitOnSignals();
}
