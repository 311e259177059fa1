// totals.ts — what a number of simulations did, counted.

export class Totals {
  private readonly counts = new Map<string, number>();

  add(what: string, count = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + count);
  }

  of(what: string): number {
    return this.counts.get(what) ?? 0;
  }

  addAll(other: Iterable<readonly [string, number]>): void {
    for (const [what, count] of other) this.add(what, count);
  }

  entries(): [string, number][] {
    return [...this.counts].toSorted(([a], [b]) => (a < b ? -1 : 1));
  }
}
