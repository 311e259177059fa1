// site.ts — one real site of a volume on this machine: its own mountpoint, state directory and daemon, driven by the command line.

import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run, type CommandOptions, type CommandResult } from './command.js';
import { processEnd, signalProcess } from './processes.js';
import type { Watchdog } from './watchdog.js';
import { type Surroundings, weft, weftChecked } from './weft-command.js';

/** What scripts read of `weft status --json`; the contract is in README.md. */
export interface StatusReport {
  readonly site: string;
  readonly listen: string;
  readonly digest: string;
  readonly pid: number;
  readonly conflicts: number;
  readonly content: 'everything' | 'on-demand';
  readonly chunkBytes: number;
  readonly missingObjects: number;
  readonly journalBytes: number;
  readonly journalHeldBy: string | null;
  readonly unsharedBytes: number;
  readonly rssBytes: number;
  readonly peers: readonly {
    readonly site: string;
    readonly state: 'connected' | 'paused' | 'unreachable';
    readonly behindCommits: number;
    readonly aheadCommits: number;
    readonly address: string | null;
    readonly lastError: string | null;
  }[];
}

/** What scripts read of a row of `weft conflicts --json`. */
export interface ConflictReport {
  readonly id: string;
  readonly path: string;
  readonly kind: string;
  readonly reason: string;
}

/** How a site is mounted, and where its programs run. */
export interface Mounting {
  /** As mount(8) spells them. */
  readonly mountOptions: readonly string[];
  readonly driver: string;
  readonly surroundings: Surroundings;
  /** What a command may take; undefined: as usual. */
  readonly timeoutMs?: number;
}

export class Site {
  readonly mountpoint: string;
  readonly state: string;
  /** The daemon's process id while it runs. */
  private pid: number | null = null;

  constructor(
    readonly name: string,
    directory: string,
    private readonly home: string,
    private readonly watchdog: Watchdog,
    private readonly mounting: Mounting,
  ) {
    this.mountpoint = join(directory, name);
    this.state = join(directory, `${name}.state`);
    mkdirSync(this.mountpoint);
  }

  get daemonPid(): number | null {
    return this.pid;
  }

  /** A new volume, mounted here. `flags`: further ones. */
  async create(volume: string, flags: readonly string[] = []): Promise<void> {
    await this.weftChecked(['create', volume, this.mountpoint, ...this.flags(), ...flags]);
    await this.noteDaemon();
  }

  /** Joins the volume of an invite, and mounts it. `flags`: further ones. */
  async join(invite: string, flags: readonly string[] = []): Promise<void> {
    await this.weftChecked(['join', invite, this.mountpoint, ...this.flags(), ...flags]);
    await this.noteDaemon();
  }

  /** Mounts again, after {@link umount} or {@link kill}. `flags`: further ones. */
  async mount(flags: readonly string[] = []): Promise<void> {
    await this.weftChecked(['mount', this.mountpoint, '--state', this.state, ...flags]);
    await this.noteDaemon();
  }

  /** `flags`: further ones. */
  async umount(...flags: readonly string[]): Promise<void> {
    const pid = this.pid;
    await this.weftChecked(['umount', this.mountpoint, ...flags]);
    if (pid !== null) await processEnd(pid, 10_000);
    this.forgetDaemon();
  }

  /** SIGKILLs the daemon and waits until it is gone. The dead mount stays, as after a crash. */
  async kill(): Promise<void> {
    if (this.pid === null) return;
    signalProcess(this.pid, 'SIGKILL');
    await processEnd(this.pid, 10_000);
    this.forgetDaemon();
  }

  /** `expires` as on the command line, e.g. 2h. */
  async invite(expires?: string): Promise<string> {
    const flags = expires === undefined ? [] : ['--expires', expires];
    return (await this.weftChecked(['invite', this.mountpoint, ...flags])).trim();
  }

  status(): Promise<StatusReport> {
    return this.weftJson<StatusReport>(['status', this.mountpoint]);
  }

  conflicts(): Promise<readonly ConflictReport[]> {
    return this.weftJson<readonly ConflictReport[]>(['conflicts', this.mountpoint]);
  }

  /** As `weft role` or, with `retired`, `weft retire`. */
  async setRole(site: string, role: 'read-write' | 'read-only' | 'retired'): Promise<void> {
    const args = role === 'retired' ? ['retire', this.mountpoint, site] : ['role', this.mountpoint, site, role];
    await this.weftChecked(args);
  }

  /** What scripts read of `weft peers --json`. */
  peers(): Promise<
    readonly { readonly site: string; readonly role: string; readonly state: string; readonly quarantined: number }[]
  > {
    return this.weftJson(['peers', this.mountpoint]);
  }

  /** Forgets a peer: its name, or the HOST:PORT that is dialled. */
  async removePeer(peer: string): Promise<void> {
    await this.weftChecked(['link', 'remove', this.mountpoint, peer]);
  }

  /** `weft sync --wait`: returns when all reachable peers and this site have the same. */
  async sync(timeoutMs = this.mounting.timeoutMs ?? 60_000): Promise<void> {
    await this.weftChecked(['sync', '--wait', this.mountpoint], { timeoutMs });
  }

  /** Cuts the link to a peer, or all links. */
  async pause(peer?: string): Promise<void> {
    await this.weftChecked(['link', 'pause', this.mountpoint, ...(peer === undefined ? [] : [peer])]);
  }

  async resume(peer?: string): Promise<void> {
    await this.weftChecked(['link', 'resume', this.mountpoint, ...(peer === undefined ? [] : [peer])]);
  }

  /** Dials a further peer: HOST:PORT, a site's name, or an invite. */
  async addPeer(peer: string): Promise<void> {
    await this.weftChecked(['link', 'add', this.mountpoint, peer]);
  }

  /** Resolves when `accept` holds of the status; rejects with the last status after `timeoutMs`. */
  async statusUntil(
    what: string,
    accept: (status: StatusReport) => boolean,
    timeoutMs = 20_000,
  ): Promise<StatusReport> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const status = await this.status();
      if (accept(status)) return status;
      if (Date.now() > deadline) {
        throw new Error(
          `${this.name}: not ${what} after ${timeoutMs / 1000} s; peers: ${JSON.stringify(status.peers)}`,
        );
      }
      await sleep(50);
    }
  }

  /** Runs `weft ARGS` with a registry of mountpoints that is the cluster's own. */
  weft(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return weft(args, { ...options, env: { ...options.env, ...this.environment } }, this.mounting.surroundings);
  }

  /** Ends the daemon: one that does not end by itself is killed. */
  async end(): Promise<void> {
    if (this.pid === null) return;
    const pid = this.pid;
    const result = await run('umount', [this.mountpoint], { timeoutMs: 10_000 }).catch(() => null);
    const left =
      result?.code === 0 &&
      (await processEnd(pid, 10_000)
        .then(() => true)
        .catch(() => false));
    if (!left) await this.kill();
    this.forgetDaemon();
  }

  /** The last warnings and errors in the daemon's log (pino's JSON lines, level 40 and up), and lines that are no JSON. */
  logTroubles(lines = 10): string[] {
    const log = join(this.state, 'daemon.log');
    if (!existsSync(log)) return [];
    return readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !/^\{"level":[1-3]0,/.test(line))
      .slice(-lines);
  }

  private async weftJson<T>(args: readonly string[]): Promise<T> {
    const text = await this.weftChecked([...args, '--json']);
    try {
      return JSON.parse(text) as T;
    } catch (error) {
      throw new Error(`weft ${args[0]} --json printed no JSON: ${text.slice(0, 400)}`, { cause: error });
    }
  }

  /** {@link weft} for what has to go well; what it printed. */
  weftChecked(args: readonly string[], options: CommandOptions = {}): Promise<string> {
    const { surroundings, timeoutMs } = this.mounting;
    const limits = timeoutMs === undefined ? {} : { timeoutMs };
    return weftChecked(args, { ...limits, ...options, env: this.environment }, surroundings);
  }

  /** Keeps the user's own registry of volumes (see README.md) out of this. */
  private get environment(): Record<string, string> {
    return { WEFT_HOME: this.home };
  }

  private flags(): string[] {
    const { mountOptions, driver } = this.mounting;
    const options = mountOptions.flatMap((option) => ['-o', option]);
    return ['--site', this.name, '--state', this.state, '--driver', driver, ...options];
  }

  /** To be called after a daemon was started by {@link weftChecked}. */
  async noteDaemon(): Promise<void> {
    this.pid = (await this.status()).pid;
    this.watchdog.watch(this.pid);
  }

  private forgetDaemon(): void {
    if (this.pid !== null) this.watchdog.unwatch(this.pid);
    this.pid = null;
  }
}
