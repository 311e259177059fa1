// latencies.ts — the process that measures local operations (latency-probe.ts), as a bench runs it.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 10;

/** A process that measures latencies until it is told to stop. */
export class LatencyProbe {
  private output = '';

  private constructor(private readonly child: ChildProcess) {
    child.stdout!.setEncoding('utf8').on('data', (text: string) => (this.output += text));
  }

  static async start(directory: string): Promise<LatencyProbe> {
    const script = new URL('latency-probe.js', import.meta.url).pathname;
    const child = spawn(process.execPath, [script, directory], { stdio: ['pipe', 'pipe', 'inherit'] });
    const probe = new LatencyProbe(child);
    while (!probe.output.startsWith('ready\n')) await sleep(POLL_MS);
    return probe;
  }

  /** Every latency, in milliseconds. */
  async stop(): Promise<number[]> {
    const exit = once(this.child, 'exit');
    this.child.stdin!.end();
    const [code] = (await exit) as [number | null];
    if (code !== 0) throw new Error(`the probe of local latencies ended with code ${code}`);
    return JSON.parse(this.output.slice(this.output.indexOf('\n'))) as number[];
  }
}
