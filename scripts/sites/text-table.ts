// text-table.ts — rows of text in aligned columns, for what scripts print.

/**
 * Lays out rows under a heading. The first `left` columns are aligned left, the others right; a row shorter than the heading leaves its
 * last columns empty. Lines carry no trailing blanks and no final newline.
 */
export function textTable(
  heading: readonly string[],
  rows: readonly (readonly string[])[],
  left = heading.length,
): string {
  const widths = heading.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  return [heading, ...rows]
    .map((row) =>
      widths
        .map((width, column) => {
          const cell = row[column] ?? '';
          return column < left ? cell.padEnd(width) : cell.padStart(width);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
