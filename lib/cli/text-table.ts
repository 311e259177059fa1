// text-table.ts — columns for people, and the text they hold: counts, sizes, file names.
// File names are bytes (latin1 strings inside Weft); here they become what a terminal can show without obeying it.

/**
 * Aligned columns, two spaces apart, no trailing blanks and no final newline. The first row is the heading, if there is one. The first
 * `left` columns are aligned left, the others right; a row may lack its last columns.
 */
export function renderTable(rows: readonly (readonly string[])[], left = Infinity): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, widthOf(cell));
  }
  return rows
    .map((row) =>
      row
        .map((cell, column) => {
          const blanks = ' '.repeat(widths[column]! - widthOf(cell));
          return column < left ? cell + blanks : blanks + cell;
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Characters, not UTF-16 units. Wide (East Asian) characters count once. */
function widthOf(text: string): number {
  return [...text].length;
}

/** 1204 → "1 204" */
export function groupDigits(count: number): string {
  return String(count).replaceAll(/\B(?=(\d{3})+$)/g, ' ');
}

/** 1 → "1 change", 1204 → "1 204 changes" */
export function countText(count: number, noun: string): string {
  return `${groupDigits(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** 18432 → "18 KiB" */
export function sizeText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let unit = 0;
  let value = bytes;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/**
 * A file name or path (latin1 string of its bytes) as text: UTF-8 where the bytes are that, `\xNN` for other bytes and
 * for control characters, which must not reach a terminal. Text that no bytes stand for comes back as it is.
 */
export function nameText(bytes: string): string {
  if (/[\u0100-\uffff]/.test(bytes)) return bytes.replaceAll(/\p{Cc}/gu, escaped);
  const raw = Buffer.from(bytes, 'latin1');
  let text;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(raw);
  } catch {
    // Not UTF-8: the ASCII part stays readable.
    return bytes.replaceAll(/[^\x20-\x7e]/g, escaped);
  }
  return text.replaceAll(/\p{Cc}/gu, escaped);
}

function escaped(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
}
