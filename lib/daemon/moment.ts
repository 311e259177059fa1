// moment.ts — moments as people write them: `2h`, `3d`, `2026-11-21T06:00`, `2026-11-21T06:00:30Z`, `2026-11-21`.
// Without a zone they are of the local time zone of the daemon; a date alone is its first moment.

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
};
const AGO = /^(\d{1,6}(?:\.\d{1,3})?)([smhdw])$/;
const ABSOLUTE = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?(Z|[+-]\d\d:?\d\d)?)?$/;

/** What a message may say of how moments are written. */
export const MOMENT_EXAMPLES = '2h, 3d or 2026-11-21T06:00';

/** Whether it says how long ago, and so means another moment each time. */
export function isRelative(text: string): boolean {
  return AGO.test(text);
}

/** Microseconds since 1970, as stamps are; undefined for what is no moment. */
export function parseMoment(text: string, nowMs: number): number | undefined {
  const ago = AGO.exec(text);
  if (ago) return Math.round((nowMs - Number(ago[1]) * UNIT_MS[ago[2]!]!) * 1000);
  const match = ABSOLUTE.exec(text);
  if (!match) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0));
  const parts = [year!, month! - 1, day!, hour!, minute!, second!] as const;
  const zone = match[8];
  const asUtcMs = Date.UTC(...parts);
  // 31 February is no date.
  const check = new Date(asUtcMs);
  if (check.getUTCMonth() !== parts[1] || check.getUTCDate() !== parts[2] || hour! > 23 || minute! > 59 || second! > 59)
    return undefined;
  const wholeMs = zone === undefined ? new Date(...parts).getTime() : asUtcMs - offsetMs(zone);
  return wholeMs * 1000 + Number((match[7] ?? '').padEnd(6, '0'));
}

function offsetMs(zone: string): number {
  if (zone === 'Z') return 0;
  const digits = zone.replace(':', '');
  const minutes = Number(digits.slice(1, 3)) * 60 + Number(digits.slice(3, 5));
  return (digits.startsWith('-') ? -minutes : minutes) * 60_000;
}
