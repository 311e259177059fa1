// time-text.ts — moments as people read them: local time to the second, in the form that `weft restore` and `.weft/snapshots` take.
// What --json prints is ISO 8601 in UTC instead, for programs.

/** `timeMs`: milliseconds since 1970. */
export function timeText(timeMs: number): string {
  const date = new Date(timeMs);
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day}T${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

function two(n: number): string {
  return String(n).padStart(2, '0');
}
