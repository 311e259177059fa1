// limit.ts — `weft limit MOUNTPOINT [--up 2M] [--down 10M] [--between 08:00-18:00]`: how fast file content goes to and comes from other
// sites; without an option, what is set.

import type { CommandModule } from 'yargs';
import type { LimitChange, LimitReport } from '../daemon/bandwidth.js';
import type { DayPart, TransferLimits } from '../sync/transfer-limits.js';
import { UsageError } from './failure.js';
import { findSite, withDaemon } from './known-site.js';
import { withJson, withState } from './site-options.js';
import { parseSizeBytes } from './size.js';
import { renderTable, sizeText } from './text-table.js';

interface Options {
  mountpoint: string;
  state: string | undefined;
  json: boolean;
  /** Null: no limit. */
  up: number | null | undefined;
  down: number | null | undefined;
  between: DayPart | undefined;
  none: boolean;
}

export const limitCommand: CommandModule<object, Options> = {
  command: 'limit <mountpoint>',
  describe: 'how fast file content is sent and fetched, also by the time of day',
  builder: (parser) =>
    withJson(withState(parser))
      .positional('mountpoint', { type: 'string', demandOption: true, describe: 'or a path below it' })
      .option('up', {
        type: 'string',
        requiresArg: true,
        coerce: (text: string | undefined) => parsedRate(text, '--up'),
        describe: 'send no more than this in a second to all sites together: 500K, 2M; none: no limit',
      })
      .option('down', {
        type: 'string',
        requiresArg: true,
        coerce: (text: string | undefined) => parsedRate(text, '--down'),
        describe: 'fetch no more than this in a second from all sites together; none: no limit',
      })
      .option('between', {
        type: 'string',
        requiresArg: true,
        coerce: (text: string | undefined) => (text === undefined ? undefined : parseDayPart(text)),
        describe: 'the limits hold in this part of each day, local time: 08:00-18:00, 22:00-06:00',
      })
      .option('none', { type: 'boolean', default: false, describe: 'take back all limits' }),
  handler: async ({ mountpoint, state, json, up, down, between, none }) => {
    if (none && (up !== undefined || down !== undefined || between)) throw new UsageError('--none stands alone');
    if (between && up === undefined && down === undefined)
      throw new UsageError('--between needs --up or --down: what is to hold then?');
    const limits: LimitChange = {
      between: between ?? null,
      ...(up === undefined ? {} : { upBytesPerS: up }),
      ...(down === undefined ? {} : { downBytesPerS: down }),
    };
    const change = none ? 'none' : up === undefined && down === undefined ? null : limits;
    const report = await withDaemon(findSite(mountpoint, state), (daemon) => daemon.request('limit', { change }));
    process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : `${describeLimits(report)}\n`);
  },
};

function parsedRate(text: string | undefined, what: string): number | null | undefined {
  if (text === undefined) return undefined;
  if (text === 'none') return null;
  const bytesPerS = parseSizeBytes(text.replace(/\/s$/, ''), what);
  if (bytesPerS < 1024)
    throw new UsageError(
      `${what} ${text}: at least 1K in a second; weft link pause stops all exchange with other sites`,
    );
  return bytesPerS;
}

/** Throws {@link UsageError}. */
export function parseDayPart(text: string): DayPart {
  const match = /^(\d\d?):(\d\d)-(\d\d?):(\d\d)$/.exec(text.trim());
  const [fromHour, fromMinute, toHour, toMinute] = (match ?? []).slice(1).map(Number);
  const from = fromHour! * 60 + fromMinute!;
  const to = toHour! * 60 + toMinute!;
  const isTime = fromMinute! < 60 && toMinute! < 60 && from < 1440 && to <= 1440;
  if (!isTime || from === to)
    throw new UsageError(`--between ${JSON.stringify(text)} is no part of a day: write for example 08:00-18:00`);
  return { from, to };
}

function row(when: string, { upBytesPerS, downBytesPerS }: TransferLimits): string[] {
  return [when, rateText(upBytesPerS), rateText(downBytesPerS)];
}

/** The limits as people read them. */
export function describeLimits({ rules, now }: LimitReport): string {
  if (rules.length === 0) return 'no limits';
  return renderTable([
    ['WHEN', 'UP', 'DOWN'],
    ...rules.map((rule) =>
      row(rule.between ? `${timeText(rule.between.from)}-${timeText(rule.between.to)}` : 'always', rule),
    ),
    row('now', now),
  ]);
}

function rateText(bytesPerS: number | null): string {
  return bytesPerS === null ? 'no limit' : `${sizeText(bytesPerS)}/s`;
}

function timeText(minute: number): string {
  return `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`;
}
