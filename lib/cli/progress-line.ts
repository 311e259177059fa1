// progress-line.ts — one line on stderr that says how far a long job is.
// On a terminal it rewrites itself; elsewhere (only when asked for by --progress) it prints a line a second at most.

import { groupDigits } from './text-table.js';

const REDRAW_MS = 100;
const LINE_MS = 1000;

export class ProgressLine {
  private lastMs = Number.NEGATIVE_INFINITY;
  private drawn = false;

  private constructor(
    private readonly output: NodeJS.WriteStream,
    private readonly enabled: boolean,
  ) {}

  /** Enabled when stderr is a terminal, or when `wanted` (--progress). */
  static onStderr(wanted: boolean): ProgressLine {
    return new ProgressLine(process.stderr, wanted || process.stderr.isTTY === true);
  }

  get active(): boolean {
    return this.enabled;
  }

  show(text: string): void {
    if (!this.enabled) return;
    const nowMs = performance.now();
    if (nowMs - this.lastMs < (this.output.isTTY ? REDRAW_MS : LINE_MS)) return;
    this.lastMs = nowMs;
    this.output.write(this.output.isTTY ? `\r\x1b[K${text.slice(0, this.output.columns - 1)}` : `${text}\n`);
    this.drawn = true;
  }

  /** Removes the line from a terminal, before something else is printed. */
  clear(): void {
    if (this.drawn && this.output.isTTY) this.output.write('\r\x1b[K');
    this.drawn = false;
  }
}

/** "1 204 of 5 000 changes…" */
export function progressText(what: string, done: number, total: number | null): string {
  return `${groupDigits(done)}${total === null ? '' : ` of ${groupDigits(total)}`} ${what}…`;
}
