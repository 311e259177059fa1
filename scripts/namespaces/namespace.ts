// namespace.ts — a network namespace of this machine (ip-netns(8)): a network stack of its own for the programs that are started in it.
// Invariant: it is gone when this process ended for any reason but SIGKILL; what a killed one left, the next run removes.
// Programs enter by nsenter(1), not by `ip netns exec`: that gives them mounts of their own, which nobody else would see.

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { run, runChecked } from '../sites/command.js';
import { exitOnSignals } from '../sites/exit-on-signals.js';
import { isRunning } from '../sites/processes.js';

const DIRECTORY = '/run/netns';
const NAME = /^weft-(\d+)-/;
const open = new Set<Namespace>();

export class Namespace {
  /** Opened, it can be given to setns(2). */
  readonly path: string;
  /** What has to stand before a command line to run it in here. */
  readonly entering: readonly string[];

  private constructor(readonly id: string) {
    this.path = `${DIRECTORY}/${id}`;
    this.entering = ['nsenter', `--net=${this.path}`, '--'];
  }

  /** Needs root. `name`: for people. */
  static async create(name: string): Promise<Namespace> {
    cleanUpAtExit();
    const namespace = new Namespace(`weft-${process.pid}-${name}`);
    await runChecked('ip', ['netns', 'add', namespace.id]);
    open.add(namespace);
    await namespace.ip('link set lo up');
    return namespace;
  }

  /** ip(8) in here. */
  async ip(words: string): Promise<void> {
    await runChecked('ip', ['-n', this.id, ...words.split(' ')]);
  }

  /** Runs a program in here to its end; rejects unless it exits with 0. `input`: what it reads. */
  run(program: string, args: readonly string[], input = ''): Promise<string> {
    const [first, ...words] = [...this.entering, program, ...args];
    return runChecked(first!, words, { input });
  }

  /** With all its interfaces. Programs that still run in it keep it alive, unnamed. */
  async delete(): Promise<void> {
    open.delete(this);
    await runChecked('ip', ['netns', 'delete', this.id]);
  }
}

let installed = false;
function cleanUpAtExit(): void {
  if (installed) return;
  installed = true;
  for (const id of existsSync(DIRECTORY) ? readdirSync(DIRECTORY) : []) {
    const owner = NAME.exec(id)?.[1];
    if (owner !== undefined && !isRunning(Number(owner))) execFileSync('ip', ['netns', 'delete', id]);
  }
  process.on('exit', () => {
    for (const { id } of open) execFileSync('ip', ['netns', 'delete', id]);
  });
  exitOnSignals();
}

/** What is missing to have namespaces whose packets can be dropped, in words; null: nothing. */
export async function namespacesLack(): Promise<string | null> {
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  for (const [program, remedy] of [
    ['ip', 'iproute2'],
    ['nsenter', 'util-linux'],
    ['iptables-restore', 'iptables'],
  ] as const) {
    const found = await run(program, ['--version']).catch(() => null);
    if (found === null) return `${program} is missing: install the package ${remedy}`;
  }
  return null;
}
