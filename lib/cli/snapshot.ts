// snapshot.ts — `weft snapshot create NAME | list | delete NAME | keep [MOUNTPOINT]`: named moments of the whole tree, and how much of the
// past is kept. What is there to see is in `.weft/snapshots` in the root of the mount, by name or by moment.

import { join } from 'node:path';
import type { CommandModule } from 'yargs';
import { UNLIMITED } from '../daemon/history-interface.js';
import type { Keeping, Retention, SnapshotList } from '../daemon/history-interface.js';
import type { StateDirectory } from '../daemon/state-directory.js';
import type { ControlClient } from './control-client.js';
import { parseDurationMs } from './duration.js';
import { UsageError } from './failure.js';
import { findSite, withDaemon } from './known-site.js';
import { withJson, withState } from './site-options.js';
import { parseSizeBytes } from './size.js';
import { nameText, renderTable, sizeText } from './text-table.js';
import { timeText } from './time-text.js';

const ACTIONS = ['create', 'list', 'delete', 'keep'] as const;

interface Options {
  action: (typeof ACTIONS)[number];
  name: string | undefined;
  mountpoint: string | undefined;
  age: string | undefined;
  count: string | undefined;
  space: string | undefined;
  here: boolean;
  state: string | undefined;
  json: boolean;
}

export const snapshotCommand: CommandModule<object, Options> = {
  command: 'snapshot <action> [name] [mountpoint]',
  describe: 'create, list and delete named moments of the tree; keep: how much of the past is kept',
  builder: (parser) =>
    withJson(withState(parser))
      .option('age', {
        type: 'string',
        requiresArg: true,
        describe: 'keep: old versions for so long (30d), all or unset',
      })
      .option('count', {
        type: 'string',
        requiresArg: true,
        describe: 'keep: so many old versions of a file, all or unset',
      })
      .option('space', {
        type: 'string',
        requiresArg: true,
        describe: 'keep: so much in old versions (10G), all or unset',
      })
      .option('here', {
        type: 'boolean',
        default: false,
        describe: 'keep: limits of this site alone, before those of the volume',
      })
      .positional('action', { choices: ACTIONS, demandOption: true })
      .positional('name', { type: 'string', describe: 'of the snapshot; list and keep: the mountpoint' })
      .positional('mountpoint', { type: 'string', describe: 'without it: the volume of the working directory' }),
  handler: async (options) => {
    const { action, name, mountpoint, state: stateOption, json } = options;
    const isNamed = action === 'create' || action === 'delete';
    if (isNamed && name === undefined)
      throw new UsageError(`weft snapshot ${action} needs a name: weft snapshot ${action} NAME`);
    if (!isNamed && mountpoint !== undefined)
      throw new UsageError(`weft snapshot ${action} takes no name, only a mountpoint`);
    const limits = limitsOf(options);
    const state = findSite((isNamed ? mountpoint : name) ?? '.', stateOption);
    await withDaemon(state, async (daemon) => {
      if (action === 'create') await create(daemon, state, name!, json);
      else if (action === 'delete') await daemon.request('deleteSnapshot', { name: name! });
      else if (action === 'list') print(await daemon.request('snapshots', {}), state, json);
      else await keep(daemon, limits, options.here, json);
    });
  },
};

async function create(daemon: ControlClient, state: StateDirectory, name: string, json: boolean): Promise<void> {
  await daemon.request('createSnapshot', { name });
  const path = pathOf(name, state);
  process.stdout.write(json ? `${JSON.stringify({ name, path }, null, 2)}\n` : `snapshot ${name}: ${path}\n`);
}

function pathOf(name: string, state: StateDirectory): string {
  return join(state.config().mountpoint, '.weft', 'snapshots', name);
}

function print({ snapshots, isHidden }: SnapshotList, state: StateDirectory, json: boolean): void {
  const rows = snapshots.map(({ name, site, stamp }) => ({ name, site, stamp, path: pathOf(name, state) }));
  if (json) {
    const printed = rows.map(({ name, site, stamp, path }) => ({
      name,
      site,
      time: new Date(stamp / 1000).toISOString(),
      path,
    }));
    process.stdout.write(`${JSON.stringify(printed, null, 2)}\n`);
    return;
  }
  const cells = rows.map(({ name, site, stamp, path }) => [nameText(name), timeText(stamp / 1000), site, path]);
  if (rows.length === 0)
    process.stdout.write('no snapshots; any moment can be entered without one, e.g. .weft/snapshots/2h\n');
  else process.stdout.write(`${renderTable([['NAME', 'TIME', 'SITE', 'PATH'], ...cells])}\n`);
  if (isHidden) process.stdout.write('the tree has an entry .weft of its own: rename it to enter snapshots\n');
}

/** Limits that were given: a number, or null for `unset`. */
type Limits = { readonly [limit in keyof Retention]: number | null };

function limitsOf({ action, age, count, space, here }: Options): Limits {
  const given = [age, count, space].some((value) => value !== undefined);
  if (action !== 'keep' && (given || here))
    throw new UsageError('--age, --count, --space and --here are for weft snapshot keep');
  return {
    ...(age === undefined
      ? {}
      : { age: limitOf(age, UNLIMITED.age, (text) => Math.round(parseDurationMs(text, '--age') / 1000)) }),
    ...(count === undefined ? {} : { count: limitOf(count, UNLIMITED.count, parseCount) }),
    ...(space === undefined
      ? {}
      : { bytes: limitOf(space, UNLIMITED.bytes, (text) => parseSizeBytes(text, '--space')) }),
  };
}

function limitOf(text: string, all: number, parse: (text: string) => number): number | null {
  if (text === 'unset') return null;
  return text === 'all' ? all : parse(text);
}

function parseCount(text: string): number {
  if (!/^\d{1,9}$/.test(text))
    throw new UsageError(
      `--count ${JSON.stringify(text)} is no number of versions: write for example 100, all or unset`,
    );
  return Number(text);
}

/** What was not given stays as it is. Without anything to set it only tells. */
async function keep(daemon: ControlClient, limits: Limits, here: boolean, json: boolean): Promise<void> {
  const where = here ? 'site' : 'volume';
  if (Object.keys(limits).length > 0) {
    const { keep: before } = await daemon.request('snapshots', {});
    const entries = Object.entries({ ...before[where], ...limits }).filter(([, limit]) => limit !== null);
    await daemon.request('keep', { where, retention: Object.fromEntries(entries) as Retention });
  }
  const { keep: after } = await daemon.request('snapshots', {});
  if (json) process.stdout.write(`${JSON.stringify(after, null, 2)}\n`);
  else process.stdout.write(`${keepTable(after)}\n`);
}

export function keepTable({ volume, site, inForce }: Keeping): string {
  const rows = [limitRow('volume', volume), limitRow('this site', site), limitRow('in force here', inForce)];
  return renderTable([['OLD VERSIONS', 'AGE', 'COUNT', 'SPACE'], ...rows]);
}

function limitRow(who: string, { age, count, bytes }: Retention): string[] {
  return [
    who,
    limitText(age, UNLIMITED.age, ageText),
    limitText(count, UNLIMITED.count, String),
    limitText(bytes, UNLIMITED.bytes, sizeText),
  ];
}

function limitText(limit: number | undefined, all: number, text: (limit: number) => string): string {
  if (limit === undefined) return '-';
  return limit >= all ? 'all' : text(limit);
}

function ageText(seconds: number): string {
  for (const [unit, length] of [
    ['d', 86_400],
    ['h', 3600],
    ['m', 60],
  ] as const)
    if (seconds % length === 0 && seconds > 0) return `${seconds / length}${unit}`;
  return `${seconds}s`;
}
