// load.ts — the process that works on a mount, as the run sees it. Invariant: when pause() resolved, no call of it is under way.

import { type ChildProcess, fork } from 'node:child_process';
import type { LoadCommand, LoadOrders, LoadReport } from './load-messages.js';

/** A call may wait for a daemon that is started anew, or for a machine that is busy. */
const PAUSE_TIMEOUT_MS = 400_000;

export class Load {
  private readonly child: ChildProcess;
  private isBusy = false;
  private turn = 0;
  private isOver = false;
  private onPaused: (() => void)[] = [];

  /**
   * @param home marks the process as one of the cluster, which ends it with itself
   * @param note given each report
   * @param failed a call failed, of which the reason is to be judged; `isPaused`: it was told to pause meanwhile, and does
   */
  constructor(
    readonly orders: LoadOrders,
    home: string,
    note: (report: LoadReport) => void,
    failed: (what: string, isPaused: boolean) => void,
  ) {
    const script = new URL('load-process.js', import.meta.url).pathname;
    this.child = fork(script, [JSON.stringify(orders)], {
      cwd: '/',
      env: { ...process.env, WEFT_HOME: home },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.child.on('message', (message) => {
      const report = message as LoadReport;
      note(report);
      if (report.report === 'failed' && report.turn === this.turn) {
        const isPaused = this.onPaused.length > 0;
        this.settle();
        failed(report.what, isPaused);
      } else if (report.report === 'paused') this.settle();
    });
    this.child.on('exit', (code, signal) => {
      if (!this.isOver) failed(`the process that works there ended: ${signal ?? `exit code ${code}`}`, true);
      this.isOver = true;
      this.settle();
    });
  }

  /** `again`: the mount was gone meanwhile; what was acknowledged is looked at first. */
  go(again: boolean): void {
    if (this.isOver) return;
    this.isBusy = true;
    this.tell({ command: 'go', again, turn: ++this.turn });
  }

  async pause(): Promise<void> {
    if (!this.isBusy || this.isOver) return;
    this.tell({ command: 'pause' });
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`a call on ${this.orders.mountpoint} has not ended after ${PAUSE_TIMEOUT_MS / 1000} s`)),
        PAUSE_TIMEOUT_MS,
      );
      this.onPaused.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** The process ends; nothing of it is under way any more. */
  async end(): Promise<void> {
    await this.pause();
    if (this.isOver) return;
    this.isOver = true;
    const gone = new Promise((resolve) => this.child.once('exit', resolve));
    this.tell({ command: 'end' });
    await gone;
  }

  private tell(command: LoadCommand): void {
    if (this.child.connected) this.child.send(command);
  }

  private settle(): void {
    this.isBusy = false;
    for (const act of this.onPaused.splice(0)) act();
  }
}
