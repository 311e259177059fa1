// site-thread.ts — the thread that owns a volume: opens it, mounts it and serves the kernel until the mount ends.
// With the kernel driver it runs one synchronous loop and never returns to its event loop; without a mount (while a join fetches
// the tree) and with the fuse-native driver it lives on the event loop.

import { closeSync, openSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { startFuseNative } from '../fuse/fuse-native-driver.js';
import { openSession, type Session } from '../fuse/session.js';
import { type SitePort, SiteServer } from './site-server.js';
import { Load, ThreadPriority } from './thread-priority.js';
import type { SiteThreadData, ToSite } from './thread-protocol.js';

const data = workerData as SiteThreadData;
const port = parentPort!;
const sitePort: SitePort = {
  postMessage: (message) => port.postMessage(message),
  next: () => receiveMessageOnPort(port)?.message as ToSite | undefined,
};
const SLICE_MS = 2;

function serveKernel(site: SiteServer): void {
  const { config } = data;
  const session = openSession({
    fileSystem: site.volume.files,
    mountpoint: config.mountpoint,
    options: config.mountOptions,
    source: config.volume,
    log: site.log,
  });
  site.attach(session.kernelCache, {
    drain: () => session.drain(),
    resume: (ids) => session.resume(ids),
    fail: (ids) => session.fail(ids, 'EIO'),
    requestCounts: () => session.requestCounts(),
    get cachesSettled() {
      return session.cachesSettled;
    },
  });
  if (canPassThrough(session)) site.volume.allowPassthrough();
  site.post({ type: 'ready', wakeFd: session.takeWakeFd(), replayed: site.volume.replayedRecords });
  runSession(site, session);
  site.close();
  session.close();
  site.post({ type: 'ended', error: null });
}

/** Whether the kernel takes files of the state directory to read and write by itself. */
function canPassThrough(session: Session): boolean {
  const path = join(data.stateDirectory, 'passthrough.probe');
  const fd = openSync(path, 'w+', 0o600);
  try {
    return session.supportsPassthrough(fd);
  } finally {
    closeSync(fd);
    unlinkSync(path);
  }
}

/** Returns when nobody uses the mount any more, or nobody shall. */
function runSession(site: SiteServer, session: Session): void {
  const load = new Load();
  const priority = new ThreadPriority(load);
  session.run({
    onWake: (isOver) => site.takeMessages(isOver),
    background: (isOver) => {
      priority.merges(site.volume.remote.waiting, performance.now());
      return site.background(isOver);
    },
    restMs: () => priority.restMs,
    workMeanwhile: () => site.volume.workMeanwhile(),
    nextTimeoutMs: () => site.nextTimeoutMs,
    onAbsent: (ids, node) => site.absent(ids, node),
    get stop() {
      return site.sessionEnds;
    },
  });
  priority.end();
  load.close();
}

/** Messages by events, background work by timers. */
function serveEventLoop(site: SiteServer): void {
  let scheduled = false;
  const schedule = (delayMs: number): void => {
    if (scheduled || site.stopped) return;
    scheduled = true;
    const run = (): void => {
      scheduled = false;
      if (site.stopped) return;
      const endMs = performance.now() + SLICE_MS;
      if (site.background(() => performance.now() >= endMs)) schedule(0);
      else if (site.nextTimeoutMs >= 0) schedule(site.nextTimeoutMs);
    };
    if (delayMs === 0) setImmediate(run);
    else setTimeout(run, delayMs).unref();
  };
  port.on('message', (message: ToSite) => {
    site.take(message);
    if (site.stopped) port.close();
    else schedule(0);
  });
}

async function start(): Promise<void> {
  const site = new SiteServer(data, sitePort);
  if (data.mount && data.config.driver === 'kernel') {
    serveKernel(site);
    return;
  }
  serveEventLoop(site);
  if (data.mount) await serveFuseNative(site);
  site.post({ type: 'ready', wakeFd: null, replayed: site.volume.replayedRecords });
}

async function serveFuseNative(site: SiteServer): Promise<void> {
  const { mountpoint, mountOptions, volume } = data.config;
  const mount = await startFuseNative({
    fileSystem: site.volume.files,
    mountpoint,
    options: mountOptions,
    source: volume,
    log: site.log,
    onAbsent: (ids) => site.absent(ids),
  });
  void mount.ended.then(() => {
    site.close();
    site.stopped = true;
    site.post({ type: 'ended', error: null });
    port.close();
  });
}

start().catch((error: unknown) => {
  port.postMessage({ type: 'ended', error: (error as Error).message });
});
