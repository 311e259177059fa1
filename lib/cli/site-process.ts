// site-process.ts — the life of one site in this process: lock, state, mount, control socket, until it is unmounted.
// The wiring between the command line and lib/daemon; the same in the background and in the foreground.
// Invariant: a state directory made here is removed again when the site could not start, and never once it was mounted.

import { chooseSocketPath } from '../daemon/control-socket-path.js';
import { ControlServer } from '../daemon/control-server.js';
import type { Daemon, DaemonModule, Log } from '../daemon/daemon-interface.js';
import { StateDirectory } from '../daemon/state-directory.js';
import { StateLock } from '../daemon/state-lock.js';
import { StateRegistry } from '../daemon/state-registry.js';
import { Failure, messageOf } from './failure.js';
import type { SiteJob, SiteReport } from './site-job.js';
import { explainDisk } from './state-disk.js';

const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
type StopSignal = (typeof STOP_SIGNALS)[number];

/**
 * Runs a site until it is unmounted: by the control socket, by a signal, or from outside. Reports progress and `ready`;
 * rejects when it could not start or ended badly. `module` is lib/daemon/daemon.ts.
 */
export async function runSite(
  job: SiteJob,
  module: DaemonModule,
  log: Log,
  report: (message: SiteReport) => void,
): Promise<void> {
  const signals = new StopSignals();
  const lock = await StateLock.acquire(job.directory);
  try {
    // Under the lock, and before anything may be discarded: another command may have made a site here meanwhile.
    if (job.kind !== 'mount') StateDirectory.reserve(job.directory);
    const interrupted = signals.next().then((): never => {
      throw new Failure('interrupted before the volume was mounted');
    });
    const { state, daemon } = await Promise.race([mountSite(job, module, log, report), interrupted]).catch(
      (error: unknown) => {
        if (job.kind !== 'mount') StateDirectory.discard(job.directory);
        throw explainDisk(job.directory, error, job.kind === 'mount');
      },
    );
    signals.keep();
    await serveSite(state, daemon, signals, log, report);
  } finally {
    signals.close();
    lock.release();
  }
}

async function mountSite(
  job: SiteJob,
  module: DaemonModule,
  log: Log,
  report: (message: SiteReport) => void,
): Promise<{ state: StateDirectory; daemon: Daemon }> {
  const state = await prepareState(job, module, log, report);
  return { state, daemon: await module.startDaemon(state, log) };
}

async function prepareState(
  job: SiteJob,
  module: DaemonModule,
  log: Log,
  report: (message: SiteReport) => void,
): Promise<StateDirectory> {
  switch (job.kind) {
    case 'create': {
      const state = StateDirectory.create(job.directory, job.config);
      await module.createVolume(state, log);
      return state;
    }
    case 'join': {
      let state: StateDirectory | undefined;
      const makeState: Parameters<DaemonModule['joinVolume']>[2] = (config) =>
        (state = StateDirectory.create(job.directory, config));
      await module.joinVolume(
        job.invite,
        job.draft,
        makeState,
        (progress) => report({ kind: 'progress', progress }),
        log,
      );
      if (!state) throw new Error('the volume was joined without a state directory');
      return state;
    }
    case 'mount': {
      const state = StateDirectory.open(job.directory);
      state.saveConfig({ ...state.config(), ...job.changes });
      return state;
    }
  }
}

async function serveSite(
  state: StateDirectory,
  daemon: Daemon,
  signals: StopSignals,
  log: Log,
  report: (message: SiteReport) => void,
): Promise<void> {
  const { volume, site, mountpoint, listen } = state.config();
  let control;
  try {
    control = await ControlServer.listen(daemon, chooseSocketPath(state.directory), log);
    new StateRegistry().record({ mountpoint, directory: state.directory });
  } catch (error) {
    await control?.close();
    await daemon.stop(true);
    throw error;
  }
  try {
    log.info({ volume, site, mountpoint, listen }, 'mounted');
    const { missingBytes: toFetchBytes } = await daemon.transfer();
    report({ kind: 'ready', site: { volume, site, mountpoint, listen, logPath: state.logPath, toFetchBytes } });
    await Promise.race([control.stopped, daemon.ended, stopOnSignals(daemon, signals, log)]);
    log.info({ mountpoint }, 'unmounted');
  } finally {
    await control.close();
  }
}

/**
 * Resolves when a signal ended the site. Ctrl-C asks like `weft umount` does, and a second one insists; the others come
 * from a system that will not ask twice, so a mount that is in use is detached at once.
 */
async function stopOnSignals(daemon: Daemon, signals: StopSignals, log: Log): Promise<void> {
  let asked = false;
  for (;;) {
    const signal = await signals.next();
    log.info({ signal }, 'unmounting');
    if (asked) return void (await daemon.stop(true));
    try {
      return void (await daemon.stop(false));
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'could not unmount');
      if (signal !== 'SIGINT') return void (await daemon.stop(true));
      log.warn({}, 'Ctrl-C again unmounts all the same');
      asked = true;
    }
  }
}

/** The signals that ask this process to end, one after the other. */
class StopSignals {
  private readonly arrived: StopSignal[] = [];
  private waiter: ((signal: StopSignal) => void) | null = null;
  private readonly receive = (signal: NodeJS.Signals): void => {
    const waiter = this.waiter;
    this.waiter = null;
    if (waiter) waiter(signal as StopSignal);
    else this.arrived.push(signal as StopSignal);
  };

  constructor() {
    for (const signal of STOP_SIGNALS) process.on(signal, this.receive);
  }

  /** The next signal, or one that was kept. Only one waits at a time. */
  next(): Promise<StopSignal> {
    const signal = this.arrived.shift();
    if (signal !== undefined) return Promise.resolve(signal);
    return new Promise((resolve) => (this.waiter = resolve));
  }

  /** Whoever waits gives up: the next signal is kept for the next call of {@link next}. */
  keep(): void {
    this.waiter = null;
  }

  close(): void {
    for (const signal of STOP_SIGNALS) process.off(signal, this.receive);
  }
}
