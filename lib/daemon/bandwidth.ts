// bandwidth.ts — the limits of a site's transfers: kept in site.json, changed while it runs, in force by the local time of day.

import { limitsAt } from '../sync/transfer-limits.js';
import type { DayPart, LimitRule, TransferLimits } from '../sync/transfer-limits.js';
import type { SiteState } from './daemon-interface.js';

/** For one part of the day, or always. What is left out stays. */
export interface LimitChange {
  readonly between: DayPart | null;
  readonly upBytesPerS?: number | null;
  readonly downBytesPerS?: number | null;
}

export interface LimitReport {
  readonly rules: readonly LimitRule[];
  /** What holds now. */
  readonly now: TransferLimits;
}

export interface BandwidthControl {
  report(): LimitReport;
  /** `none`: no limits any more. */
  change(change: LimitChange | 'none'): void;
}

export class Bandwidth implements BandwidthControl {
  private rules: readonly LimitRule[];

  constructor(
    private readonly state: SiteState,
    private readonly wallMs: () => number,
    private readonly changed: () => void,
  ) {
    this.rules = state.config().limits ?? [];
  }

  /** What holds now. */
  now(): TransferLimits {
    const date = new Date(this.wallMs());
    return limitsAt(this.rules, date.getHours() * 60 + date.getMinutes());
  }

  report(): LimitReport {
    return { rules: this.rules, now: this.now() };
  }

  change(change: LimitChange | 'none'): void {
    this.rules = change === 'none' ? [] : afterChange(this.rules, change);
    const { limits: _, ...config } = this.state.config();
    this.state.saveConfig(this.rules.length === 0 ? config : { ...config, limits: [...this.rules] });
    this.changed();
  }
}

function afterChange(rules: readonly LimitRule[], { between, ...limits }: LimitChange): LimitRule[] {
  const isSame = (rule: LimitRule): boolean => rule.between?.from === between?.from && rule.between?.to === between?.to;
  const before = rules.find(isSame) ?? { upBytesPerS: null, downBytesPerS: null };
  const rule: LimitRule = { between, upBytesPerS: before.upBytesPerS, downBytesPerS: before.downBytesPerS, ...limits };
  const others = rules.filter((other) => !isSame(other));
  const isEmpty = rule.upBytesPerS === null && rule.downBytesPerS === null;
  return [...others, ...(isEmpty ? [] : [rule])].toSorted((a, b) => (a.between?.from ?? -1) - (b.between?.from ?? -1));
}
