// text-table.ts — rows of text in aligned columns, for what scripts print.

/**
 * Lays out rows under a heading. Columns listed in `right` are aligned right; a row shorter than the heading leaves its last columns
 * empty. Lines carry no trailing blanks and no final newline.
 */
export function textTable(
  heading: readonly string[],
  rows: readonly (readonly string[])[],
  right: ReadonlySet<number> = new Set(),
): string {
  const widths = heading.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  return [heading, ...rows]
    .map((row) =>
      widths
        .map((width, column) => {
          const cell = row[column] ?? '';
          return right.has(column) ? cell.padStart(width) : cell.padEnd(width);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
