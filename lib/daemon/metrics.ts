// metrics.ts — figures of a running site for Prometheus, over HTTP on the loopback interface: docs/metrics.md says what each means.
// Invariant: off unless asked for, never on an address that other machines reach (names of sites are in it), and never in the way: what a
// scrape takes is what `weft status` takes without the tree, and a scrape that comes while one is answered waits for that one.
// Spec: https://prometheus.io/docs/instrumenting/exposition_formats/

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { formatAddress, isLoopback, parseAddress } from '../sync/address.js';
import type { PeerStatus } from '../sync/roster.js';

/** What is asked of a site for one scrape. */
export interface Measured {
  readonly volume: string;
  readonly site: string;
  readonly siteId: string;
  readonly peers: readonly PeerStatus[];
  readonly journalBytes: number;
  readonly contentBytes: number;
  readonly missingObjects: number;
  /** Commits of this run, and those of them that are on stable storage. */
  readonly commits: number;
  readonly durableCommits: number;
  /** Requests of the kernel, by name. */
  readonly requests: Readonly<Record<string, number>>;
  /** Changes set aside, by the site that sent them. */
  readonly quarantined: ReadonlyMap<string, number>;
}

const PATH = '/metrics';

export class MetricsServer {
  private constructor(private readonly server: Server) {}

  /** Listens at HOST:PORT. Rejects with an Error that names the remedy. */
  static async listen(address: string, measure: () => Promise<Measured>): Promise<MetricsServer> {
    if (!isLoopback(address)) throw new Error(`${address}: metrics are served on this machine alone`);
    const exposition = await Exposition.load(measure);
    const server = createServer({ maxHeaderSize: 4096, requestTimeout: 10_000 }, (request, response) => {
      if (request.method !== 'GET' || request.url !== PATH) {
        response.writeHead(404, { 'content-type': 'text/plain' }).end(`only ${PATH} is here\n`);
        return;
      }
      exposition.text().then(
        ({ text, type }) => response.writeHead(200, { 'content-type': type }).end(text),
        (error: Error) => response.writeHead(503, { 'content-type': 'text/plain' }).end(`${error.message}\n`),
      );
    });
    server.maxConnections = 16;
    const { host, port } = parseAddress(address);
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) =>
        reject(new Error(`metrics cannot be served at ${address} (${error.code}): choose another port with --metrics`)),
      );
      server.listen({ host, port }, () => resolve());
    });
    server.unref();
    return new MetricsServer(server);
  }

  /** HOST:PORT, with the port that was chosen. */
  get address(): string {
    const { address, port } = this.server.address() as AddressInfo;
    return formatAddress({ host: address, port });
  }

  close(): Promise<void> {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }
}

class Exposition {
  private running: Promise<{ text: string; type: string }> | null = null;

  private constructor(private readonly collect: () => Promise<{ text: string; type: string }>) {}

  /** prom-client is loaded by those who ask for metrics alone. */
  static async load(measure: () => Promise<Measured>): Promise<Exposition> {
    const { collectDefaultMetrics, Counter, Gauge, Registry } = await import('prom-client');
    const registry = new Registry();
    collectDefaultMetrics({ register: registry, prefix: 'weft_' });
    const registers = [registry];
    const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
      new Gauge<L>({ name: `weft_${name}`, help, labelNames, registers });
    const info = gauge('site_info', 'Which site this is; always 1.', ['volume', 'site', 'site_id']);
    const journal = gauge('journal_bytes', 'Bytes of all changes.');
    const content = gauge('content_bytes', 'Bytes of file content as stored here.');
    const missing = gauge('missing_objects', 'Objects wanted and not held here.');
    const undurable = gauge('undurable_commits', 'Commits not on stable storage yet.');
    const connected = gauge('peer_connected', 'Whether a site is linked: 1 or 0.', ['peer']);
    const ahead = gauge('peer_ahead_changes', 'Changes that a peer has not acknowledged.', ['peer']);
    const aheadBytes = gauge('peer_ahead_bytes', 'Bytes of these.', ['peer']);
    const behind = gauge('peer_behind_changes', 'Changes that a peer has and this site lacks.', ['peer']);
    const peerMissing = gauge('peer_missing_objects', 'Objects that a peer waits for.', ['peer']);
    const roundTrip = gauge('peer_round_trip_seconds', 'Round-trip time of the link.', ['peer']);
    const seen = gauge('peer_last_seen_timestamp_seconds', 'When a peer that is not linked last was.', ['peer']);
    const byPeer = [connected, ahead, aheadBytes, behind, peerMissing, roundTrip, seen];
    const commits = new Counter({ name: 'weft_commits_total', help: 'Commits of this run.', registers });
    const requests = new Counter({
      name: 'weft_requests_total',
      help: 'Requests of the kernel, by operation.',
      labelNames: ['operation'],
      registers,
    });
    const quarantined = new Counter({
      name: 'weft_quarantined_changes_total',
      help: 'Changes that were taken nowhere, by the site that sent them.',
      labelNames: ['site_id'],
      registers,
    });
    return new Exposition(async () => {
      const measured = await measure();
      const { volume, site, siteId: site_id } = measured;
      info.reset();
      info.set({ volume, site, site_id }, 1);
      journal.set(measured.journalBytes);
      content.set(measured.contentBytes);
      missing.set(measured.missingObjects);
      undurable.set(measured.commits - measured.durableCommits);
      for (const metric of byPeer) metric.reset();
      for (const { site: peer, ...status } of measured.peers) {
        connected.set({ peer }, status.state === 'connected' ? 1 : 0);
        ahead.set({ peer }, status.aheadCommits);
        aheadBytes.set({ peer }, status.aheadBytes);
        behind.set({ peer }, status.behindCommits);
        peerMissing.set({ peer }, status.missingObjects);
        if (status.rttMs !== null) roundTrip.set({ peer }, status.rttMs / 1000);
        if (status.lastSeenMs !== null) seen.set({ peer }, status.lastSeenMs / 1000);
      }
      commits.reset();
      commits.inc(measured.commits);
      requests.reset();
      for (const [operation, count] of Object.entries(measured.requests)) requests.inc({ operation }, count);
      quarantined.reset();
      for (const [from, count] of measured.quarantined) quarantined.inc({ site_id: from }, count);
      return { text: await registry.metrics(), type: registry.contentType };
    });
  }

  text(): Promise<{ text: string; type: string }> {
    this.running ??= this.collect().finally(() => (this.running = null));
    return this.running;
  }
}
