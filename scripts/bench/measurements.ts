// measurements.ts — what was measured, by operation and place, and the statistics that the report prints.

/** 'us': microseconds per operation; 's': seconds; 'MB/s': megabytes (10^6) per second. */
export type Unit = 'us' | 's' | 'MB/s';

/** Where an operation was measured. */
export const PLACES = ['local', 'bindfs', 'weft'] as const;
export type Place = (typeof PLACES)[number];

export interface Measurement {
  readonly operation: string;
  readonly unit: Unit;
  readonly value: number;
}

export interface Row {
  readonly operation: string;
  readonly unit: Unit;
  /** Medians; absent where it was not measured. */
  readonly medians: Readonly<Partial<Record<Place, number>>>;
}

/** Collects measurements; rows come out in the order in which operations were first seen. */
export class Measurements {
  private readonly samples = new Map<string, { unit: Unit; values: Map<Place, number[]> }>();

  add(place: Place, { operation, unit, value }: Measurement): void {
    let entry = this.samples.get(operation);
    if (!entry) this.samples.set(operation, (entry = { unit, values: new Map() }));
    const values = entry.values.get(place) ?? [];
    values.push(value);
    entry.values.set(place, values);
  }

  rows(): Row[] {
    return [...this.samples].map(([operation, { unit, values }]) => ({
      operation,
      unit,
      medians: Object.fromEntries([...values].map(([place, samples]) => [place, median(samples)])),
    }));
  }
}

/** Middle value, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** Linear between the two nearest ranks; `percent` from 0 to 100. */
export function percentile(values: readonly number[], percent: number): number {
  if (values.length === 0) throw new Error('no values');
  const sorted = values.toSorted((a, b) => a - b);
  const rank = ((sorted.length - 1) * percent) / 100;
  const below = sorted[Math.floor(rank)]!;
  return below + (sorted[Math.ceil(rank)]! - below) * (rank % 1);
}

export function geometricMean(values: readonly number[]): number {
  if (values.length === 0) throw new Error('no values');
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/** Time at the first place over time at the second, below 1 when the first is faster; null when one is missing. */
export function timeRatio(row: Row, place: Place, against: Place): number | null {
  const [a, b] = [row.medians[place], row.medians[against]];
  if (a === undefined || b === undefined) return null;
  return row.unit === 'MB/s' ? b / a : a / b;
}
