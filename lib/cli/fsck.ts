// fsck.ts — `weft fsck [MOUNTPOINT]`: checks what a site stores, names the files that damage shows in, and repairs.
// Exit codes are those of fsck(8): 0 clean, 1 repaired, 4 some faults are left, 8 the check could not be made, 16 wrong usage.

import type { CommandModule } from 'yargs';
import type { DamagedData } from '../daemon/daemon-interface.js';
import { exitCodeOf, type Fault, type FsckReport } from '../daemon/fsck-report.js';
import type { StateDirectory } from '../daemon/state-directory.js';
import { StateLock } from '../daemon/state-lock.js';
import { ControlClient } from './control-client.js';
import { findSite } from './known-site.js';
import { ProgressLine, progressText } from './progress-line.js';
import { withJson, withState } from './site-options.js';
import { explainDisk } from './state-disk.js';
import { countText, groupDigits, nameText, sizeText } from './text-table.js';

interface Options {
  mountpoint: string | undefined;
  state: string | undefined;
  data: boolean;
  repair: boolean;
  progress: boolean;
  json: boolean;
}

/** What the daemon is asked to repair at a time: a request has to fit its line. */
const DAMAGED_PER_REQUEST = 300;

export const fsckCommand: CommandModule<object, Options> = {
  command: 'fsck [mountpoint]',
  describe: 'check what a site stores, and repair it',
  builder: (parser) =>
    withJson(withState(parser))
      .positional('mountpoint', { type: 'string', describe: 'without it: the volume of the working directory' })
      .option('data', { type: 'boolean', default: false, describe: 'read and verify all file content too' })
      .option('repair', {
        type: 'boolean',
        default: false,
        describe: 'put right what can be, with the help of linked sites',
      })
      .option('progress', {
        type: 'boolean',
        default: false,
        describe: 'progress on stderr, even when that is no terminal',
      }),
  handler: async ({ mountpoint, state: stateOption, data, repair, progress, json }) => {
    const state = findSite(mountpoint ?? '.', stateOption);
    const line = ProgressLine.onStderr(progress);
    try {
      const report = await check(state, data, repair, (what, done, total) =>
        line.show(progressText(what, done, total)),
      );
      line.clear();
      process.stdout.write(json ? `${JSON.stringify(asText(report), null, 2)}\n` : describeReport(report, repair));
      process.exitCode = report.exitCode;
    } catch (error) {
      // The tree is made anew beside the state, to be compared with it.
      throw explainDisk(state.directory, error, true);
    } finally {
      line.clear();
    }
  },
};

async function check(
  state: StateDirectory,
  data: boolean,
  repair: boolean,
  tell: (what: string, done: number, total: number | null) => void,
): Promise<FsckReport> {
  // Loaded here: other verbs need no SQLite.
  const { fsck } = await import('../daemon/fsck.js');
  const { directory } = state;
  const common = { directory, config: state.config(), data, repair, tell };
  const client = await ControlClient.connect(directory);
  if (client) {
    try {
      return await fsck({ ...common, daemon: (damaged) => askRepair(client, damaged) });
    } finally {
      client.close();
    }
  }
  const lock = await StateLock.acquire(directory);
  try {
    return await fsck({ ...common, daemon: null });
  } finally {
    lock.release();
  }
}

async function askRepair(client: ControlClient, { objects, changes }: DamagedData): Promise<DamagedData> {
  const left: DamagedData = { objects: [], changes: [] };
  for (let at = 0; at < Math.max(objects.length, changes.length); at += DAMAGED_PER_REQUEST) {
    const end = at + DAMAGED_PER_REQUEST;
    const answer = await client.request('repair', { objects: objects.slice(at, end), changes: changes.slice(at, end) });
    left.objects.push(...answer.objects);
    left.changes.push(...answer.changes);
  }
  return left;
}

/** Names are bytes; text has to be something that can be printed. */
function asText(report: FsckReport): FsckReport {
  return { ...report, faults: report.faults.map((fault) => ({ ...fault, paths: fault.paths.map(nameText) })) };
}

export function describeReport(report: FsckReport, repair: boolean): string {
  const { checked, faults, volume } = report;
  const lines = faults.flatMap((fault) => describeFault(fault));
  const content = checked.bytes > 0 ? `, ${sizeText(checked.bytes)} of content` : '';
  const what =
    `${countText(checked.changes, 'change')}, ${countText(checked.inodes, 'inode')}, ${groupDigits(checked.entries)} entries, ` +
    `${countText(checked.objects, 'object')}${content}`;
  const left = faults.filter((fault) => !fault.repaired).length;
  if (exitCodeOf(faults) === 0) lines.push(`${volume}: clean (${what})`);
  else if (repair)
    lines.push(`${volume}: ${countText(faults.length - left, 'fault')} repaired, ${left} left (${what})`);
  else lines.push(`${volume}: ${countText(faults.length, 'fault')} (${what})`);
  return `${lines.join('\n')}\n`;
}

function describeFault(fault: Fault): string[] {
  const { what, paths, repaired, remedy } = fault;
  const head = `${fault.class}: ${nameText(what)}${repaired ? ' (repaired)' : ''}`;
  return [head, ...paths.map((path) => `  in ${nameText(path)}`), ...(remedy === '' ? [] : [`  remedy: ${remedy}`])];
}
