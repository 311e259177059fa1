// report.ts — the tables that `make bench` prints.

import { renderTable } from '../../lib/cli/text-table.js';
import type { RequestCounts } from './fuse-requests.js';
import { geometricMean, PLACES, timeRatio, type Place, type Row } from './measurements.js';

/** The single metadata operations that the geometric mean is taken over. */
export const SINGLE_METADATA: readonly string[] = [
  'create',
  'stat',
  'stat missing',
  'chmod',
  'rename',
  'link',
  'unlink',
  'mkdir',
  'rmdir',
  'readdir+stat',
];

/** Times of weft over those of another place, over the single metadata operations; null unless all were measured at both. */
export function metadataMean(rows: readonly Row[], against: Place): number | null {
  const ratios = SINGLE_METADATA.map((operation) => {
    const row = rows.find((each) => each.operation === operation);
    return row ? timeRatio(row, 'weft', against) : null;
  });
  return ratios.every((ratio) => ratio !== null) ? geometricMean(ratios) : null;
}

/** How much more one file costs in the large directory than in the small one, by place; from rows named `N files: …`. */
export function directoryGrowth(rows: readonly Row[], small: number, large: number): Row[] {
  const prefix = `${small} files: `;
  return rows
    .filter(({ operation }) => operation.startsWith(prefix))
    .flatMap((row) => {
      const step = row.operation.slice(prefix.length);
      const grown = rows.find(({ operation }) => operation === `${large} files: ${step}`);
      if (!grown) return [];
      const growth: Partial<Record<Place, number>> = {};
      for (const place of PLACES) {
        const [few, many] = [row.medians[place], grown.medians[place]];
        if (few !== undefined && many !== undefined) growth[place] = many / few;
      }
      return [{ operation: step, unit: 'us' as const, medians: growth }];
    });
}

/** Operations side by side with ratios of times. */
export function comparisonTable(rows: readonly Row[], places: readonly Place[]): string {
  const ratios = (['bindfs', 'local'] as const).filter(
    (against) => places.includes(against) && places.includes('weft'),
  );
  const heading = ['OPERATION', 'UNIT', ...places, ...ratios.map((against) => `weft/${against}`)];
  const lines = rows.map((row) => [
    row.operation,
    row.unit === 'us' ? 'µs' : row.unit,
    ...places.map((place) => shown(row.medians[place])),
    ...ratios.map((against) => {
      const ratio = timeRatio(row, 'weft', against);
      return ratio === null ? '-' : ratio.toFixed(2);
    }),
  ]);
  return renderTable([heading, ...lines], 2);
}

export function growthTable(rows: readonly Row[], places: readonly Place[]): string {
  const heading = ['PER FILE', ...places];
  const lines = rows.map((row) => [row.operation, ...places.map((place) => row.medians[place]?.toFixed(2) ?? '-')]);
  return renderTable([heading, ...lines], 1);
}

/** Requests per operation of fsbench; `calls` says how many operations each was. */
export function requestTable(counts: ReadonlyMap<Place, RequestCounts>, calls: (operation: string) => number): string {
  const places = [...counts.keys()];
  const operations = [...new Set([...counts.values()].flatMap((count) => [...count.keys()]))];
  const lines = operations.map((operation) => [
    operation,
    ...places.map((place) => {
      const requests = [...(counts.get(place)!.get(operation) ?? [])].toSorted((a, b) => b[1] - a[1]);
      const rates = requests
        .map(([opcode, count]): [string, number] => [opcode, count / calls(operation)])
        .filter(([, rate]) => rate >= 0.005);
      const total = rates.reduce((sum, [, rate]) => sum + rate, 0);
      return `${total.toFixed(2)}  ${rates.map(([opcode, rate]) => `${opcode} ${rate.toFixed(2)}`).join(', ')}`.trim();
    }),
  ]);
  return renderTable([['REQUESTS PER', ...places], ...lines]);
}

function shown(value: number | undefined): string {
  if (value === undefined) return '-';
  return value >= 1000 ? value.toFixed(0) : value >= 100 ? value.toFixed(1) : value.toFixed(2);
}
