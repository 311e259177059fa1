// ledger.ts — what the filesystem acknowledged to the programs of a run, at whatever site: what must be found at the end.

import type { LoadReport } from './load-messages.js';

export interface SharedVersion {
  readonly area: string;
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** A directory that one site alone worked on. */
export interface AreaLedger {
  /** SHA-256 of the content, by path in the area; without the repository. */
  readonly files: Map<string, string>;
  /** Commit of the repository; null: there is none. */
  head: string | null;
}

export class Ledger {
  readonly areas = new Map<string, AreaLedger>();
  readonly shared: SharedVersion[] = [];
  /** Paths in the shared directory that anybody saw. */
  readonly seen = new Set<string>();
  /** How often each kind of step was carried out. */
  readonly steps = new Map<string, number>();
  /** What was shown and should not have been. */
  readonly wrong: string[] = [];

  area(name: string): AreaLedger {
    let area = this.areas.get(name);
    if (!area) this.areas.set(name, (area = { files: new Map(), head: null }));
    return area;
  }

  note(area: string, report: LoadReport): void {
    switch (report.report) {
      case 'stored':
        for (const [path, sha256] of report.files) {
          if (sha256 === null) this.area(area).files.delete(path);
          else this.area(area).files.set(path, sha256);
        }
        break;
      case 'committed':
        this.area(area).head = report.head;
        break;
      case 'shared':
        this.shared.push({ area, path: report.path, bytes: report.bytes, sha256: report.sha256 });
        break;
      case 'seen':
        for (const path of report.paths) this.seen.add(path);
        break;
      case 'did':
        this.steps.set(report.what, (this.steps.get(report.what) ?? 0) + 1);
        break;
      case 'wrong':
        this.wrong.push(`${area}: ${report.what}`);
        break;
      default:
    }
  }
}
