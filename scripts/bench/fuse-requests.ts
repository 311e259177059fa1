// fuse-requests.ts — counts the requests that the kernel sends for each operation of fsbench, by the kernel's own tracepoint
// fuse:fuse_request_send (Linux 6.11+, root). Nothing in a daemon takes part, so any FUSE filesystem can be counted.

import { existsSync, mkdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../sites/command.js';
import type { Cluster } from '../sites/cluster.js';

/** By operation, then by opcode (`LOOKUP`): how many requests. */
export type RequestCounts = ReadonlyMap<string, ReadonlyMap<string, number>>;

const BUFFER_KIB_PER_CPU = 16_384;

export class RequestTrace {
  private constructor(private readonly instance: string) {}

  /** Null where the kernel has no such tracepoint, or does not let this user trace. */
  static async open(cluster: Cluster): Promise<RequestTrace | null> {
    const mounted = '/sys/kernel/tracing';
    let root = mounted;
    if (!existsSync(join(mounted, 'events'))) {
      root = cluster.scratch('tracefs');
      const result = await run('mount', ['-t', 'tracefs', 'tracefs', root]);
      if (result.code !== 0) return null;
    }
    const instance = join(root, 'instances', `weft-bench-${process.pid}`);
    if (!existsSync(join(root, 'events/fuse/fuse_request_send'))) return null;
    mkdirSync(instance);
    writeFileSync(join(instance, 'buffer_size_kb'), String(BUFFER_KIB_PER_CPU));
    writeFileSync(join(instance, 'events/fuse/fuse_request_send/enable'), '1');
    return new RequestTrace(instance);
  }

  /** File that fsbench writes its marks to. */
  get marker(): string {
    return join(this.instance, 'trace_marker');
  }

  /** Requests to the mount that holds `directory` while `work` ran. */
  async count(directory: string, work: () => Promise<void>): Promise<RequestCounts> {
    writeFileSync(join(this.instance, 'trace'), '');
    await work();
    // A FUSE connection is named by its mount's device number; anonymous devices have major 0, so this is the minor.
    return countRequests(readFileSync(join(this.instance, 'trace'), 'latin1'), statSync(directory).dev);
  }

  close(): void {
    rmdirSync(this.instance);
  }
}

/** Counts by operation in the text of a trace, between the marks `fsbench:NAME` and `fsbench:end`. */
export function countRequests(trace: string, connection: number): RequestCounts {
  const counts = new Map<string, Map<string, number>>();
  let operation: Map<string, number> | null = null;
  for (const line of trace.split('\n')) {
    const mark = /tracing_mark_write: fsbench:(.*)$/.exec(line)?.[1];
    if (mark === 'end') {
      operation = null;
    } else if (mark !== undefined) {
      operation = counts.get(mark) ?? new Map<string, number>();
      counts.set(mark, operation);
    }
    const request = /fuse_request_send: connection (\d+) .*\(FUSE_(\w+)\)/.exec(line);
    if (operation && request && Number(request[1]) === connection) {
      operation.set(request[2]!, (operation.get(request[2]!) ?? 0) + 1);
    }
  }
  return counts;
}
