// member.ts — one site of the run: its host on the network, its clock, its daemon, the process that works on its mount, its backups.
// Invariant: the daemon runs whenever `isUp`; should it not, that is its own fault.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from '../namespaces/switched-network.js';
import { isRunning } from '../sites/processes.js';
import type { Site } from '../sites/site.js';
import type { WrongClock } from '../sites/wrong-clock.js';
import type { Load } from './load.js';

const PORT = 7420;
const POLL_MS = 500;

export class Member {
  isUp = false;
  load: Load | null = null;
  /** The directories that weft backup made, the latest last. */
  readonly backups: string[] = [];
  /** Members whose address this one dials. */
  readonly dials = new Set<string>();
  private generation = 0;
  private backupCount = 0;

  constructor(
    readonly name: string,
    readonly host: Host,
    readonly site: Site,
    /** null: there is no way to set it. */
    readonly clock: WrongClock | null,
    private readonly directory: string,
  ) {}

  get address(): string {
    return `${this.host.address}:${PORT}`;
  }

  get listening(): readonly string[] {
    return ['--listen', this.address];
  }

  /** A directory that nobody worked on before. */
  freshArea(): string {
    return this.generation++ === 0 ? this.name : `${this.name}-${this.generation}`;
  }

  /** Whether the daemon ended although nobody ended it. */
  get died(): boolean {
    const pid = this.site.daemonPid;
    return this.isUp && (pid === null || !isRunning(pid));
  }

  async kill(): Promise<void> {
    this.isUp = false;
    await this.site.kill();
  }

  async mount(): Promise<void> {
    await this.site.mount();
    this.isUp = true;
    this.load?.go(true);
  }

  async umount(): Promise<void> {
    await this.load?.pause();
    this.isUp = false;
    await this.site.umount();
  }

  async backUp(): Promise<void> {
    const backup = join(this.directory, `${this.name}.backup${this.backupCount++}`);
    await this.site.weftChecked(['backup', this.site.mountpoint, backup]);
    this.backups.push(backup);
    while (this.backups.length > 2) rmSync(this.backups.shift()!, { recursive: true });
  }

  /** The state directory is lost, and a backup takes its place. */
  async restore(backup: string): Promise<void> {
    rmSync(this.site.state, { recursive: true });
    const { mountpoint, state } = this.site;
    await this.site.weftChecked(['restore-site', backup, mountpoint, '--state', state, ...this.listening]);
    await this.site.noteDaemon();
    this.isUp = true;
    this.dials.clear();
  }

  async dial(other: Member): Promise<void> {
    if (this.dials.has(other.name) || other.name === this.name) return;
    await this.site.addPeer(other.address);
    this.dials.add(other.name);
  }

  /** Until another member durably has all that this one has. False: not within the time. */
  async handOver(other: Member, timeoutMs: number): Promise<boolean> {
    const deadline = performance.now() + timeoutMs;
    while (performance.now() < deadline) {
      const { peers, unsharedBytes } = await this.site.status();
      const row = peers.find(({ site }) => site === other.name);
      if (row?.state === 'connected' && row.aheadCommits === 0 && unsharedBytes === 0) return true;
      await sleep(POLL_MS);
    }
    return false;
  }
}
