// host-checks.ts — what this machine must have for Weft to run, each as one check with its remedy.
// A check never throws and changes nothing that stays. It tries the thing itself where it can (opens /dev/fuse, loads the
// module, writes a file) instead of guessing from versions. `note` is for what only some uses need.

import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { dataHome } from '../daemon/state-directory.js';
import { messageOf, oneLine, shellWord } from './failure.js';
import { sizeText } from './text-table.js';

export interface CheckResult {
  check: string;
  state: 'ok' | 'note' | 'problem';
  /** What was found. */
  detail: string;
  /** What to do about it; null when all is well. */
  remedy: string | null;
}

type Outcome = Omit<CheckResult, 'check'>;

const MIN_NODE = [20, 19] as const;
const MIN_FREE_BYTES = 256 * 1024 * 1024;
const COMFORTABLE_FREE_BYTES = 2 * 1024 * 1024 * 1024;

const CHECKS: readonly [name: string, check: () => Outcome | Promise<Outcome>][] = [
  ['Node.js', checkNode],
  ['/dev/fuse', checkDevice],
  ['mounting', checkMounting],
  ['allow_other', checkAllowOther],
  ['better-sqlite3', () => checkModule('better-sqlite3', 'problem', tryDatabase)],
  ['koffi', () => checkModule('koffi', 'problem', tryForeignCall)],
  ['fuse-native', () => checkModule('fuse-native', 'note', async () => void (await import(moduleName('fuse-native'))))],
  ['state directory', checkStateDirectory],
  ['disk space', checkDiskSpace],
  ['clock', () => checkClock(Date.now(), programTimeMs())],
];

export async function checkHost(): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  for (const [check, run] of CHECKS) {
    let outcome: Outcome;
    try {
      outcome = await run();
    } catch (error) {
      outcome = problem(
        `the check itself failed: ${oneLine(messageOf(error))}`,
        'report this with the output of weft doctor --json',
      );
    }
    results.push({ check, ...outcome });
  }
  return results;
}

function ok(detail: string): Outcome {
  return { state: 'ok', detail, remedy: null };
}

function note(detail: string, remedy: string): Outcome {
  return { state: 'note', detail, remedy };
}

function problem(detail: string, remedy: string): Outcome {
  return { state: 'problem', detail, remedy };
}

function checkNode(): Outcome {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const enough = major > MIN_NODE[0] || (major === MIN_NODE[0] && minor >= MIN_NODE[1]);
  if (enough) return ok(`${process.version} at ${process.execPath}`);
  return problem(`${process.version} is too old`, `install Node.js ${MIN_NODE.join('.')} or newer`);
}

function checkDevice(): Outcome {
  if (process.platform !== 'linux') {
    return note(`no Linux FUSE device on ${process.platform}`, 'mount with --driver fuse-native');
  }
  try {
    closeSync(openSync('/dev/fuse', 'r+'));
    return ok('can be opened');
  } catch (error) {
    switch ((error as NodeJS.ErrnoException).code) {
      case 'ENOENT':
      case 'ENODEV':
      case 'ENXIO':
        return problem(
          'does not exist or has no driver',
          'sudo modprobe fuse; in a container start it with --device /dev/fuse --cap-add SYS_ADMIN',
        );
      case 'EACCES':
      case 'EPERM':
        return problem(
          'you may not open it',
          'sudo chmod 666 /dev/fuse; in a container start it with --device /dev/fuse',
        );
      default:
        return problem(messageOf(error), 'sudo modprobe fuse');
    }
  }
}

function checkMounting(): Outcome {
  if (process.getuid?.() === 0) {
    if (hasCapability(CAP_SYS_ADMIN)) return ok('as root, by mount(2)');
    return problem('root without CAP_SYS_ADMIN', 'start the container with --cap-add SYS_ADMIN --device /dev/fuse');
  }
  const program = findProgram('fusermount3');
  const remedy = 'install it: apt install fuse3, or dnf install fuse3';
  if (program === undefined) return problem('fusermount3 was not found', remedy);
  if ((statSync(program).mode & 0o4000) === 0 && !hasCapability(CAP_SYS_ADMIN)) {
    return problem(`${program} is not set-uid root`, `sudo chmod u+s ${shellWord(program)}, or install fuse3 again`);
  }
  return ok(`as a user, by ${program}`);
}

function checkAllowOther(): Outcome {
  if (process.getuid?.() === 0) return ok('root may mount with -o allow_other');
  const path = '/etc/fuse.conf';
  const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
  if (lines.some((line) => line.trim() === 'user_allow_other')) return ok(`user_allow_other is set in ${path}`);
  return note(
    `user_allow_other is not set in ${path}: other users cannot see your mounts`,
    `only if they should: echo user_allow_other | sudo tee -a ${path}, then mount with -o allow_other`,
  );
}

async function checkModule(name: string, whenMissing: 'note' | 'problem', use: () => Promise<void>): Promise<Outcome> {
  try {
    await use();
    return ok('loads and works');
  } catch (error) {
    const [reason = ''] = messageOf(error).split('\n');
    const remedy =
      whenMissing === 'note'
        ? `only for --driver fuse-native: apt install libfuse2, then npm rebuild ${name}`
        : `npm rebuild ${name} with this Node.js; to compile it, it needs python3, make and g++`;
    return { state: whenMissing, detail: `does not load: ${reason}`, remedy };
  }
}

/** Keeps the compiler from demanding types of an optional package. */
function moduleName(name: string): string {
  return name;
}

async function tryDatabase(): Promise<void> {
  const { default: Database } = await import('better-sqlite3');
  const database = new Database(':memory:');
  database.prepare('SELECT sqlite_version()').get();
  database.close();
}

async function tryForeignCall(): Promise<void> {
  const { default: koffi } = await import('koffi');
  const getpid = koffi.load(null).func('int getpid()') as () => number;
  if (getpid() !== process.pid) throw new Error('getpid() answers wrongly');
}

function checkStateDirectory(): Outcome {
  const home = dataHome();
  const existing = nearestExisting(home);
  try {
    const probe = mkdtempSync(join(existing, '.weft-doctor-'));
    rmSync(probe, { recursive: true });
    return ok(existing === home ? `${home} can be written` : `${home} can be made`);
  } catch (error) {
    return problem(
      `${existing} cannot be written (${(error as NodeJS.ErrnoException).code})`,
      `make ${shellWord(home)} yours: sudo install -d -o "$(id -un)" ${shellWord(home)}, or give --state DIR`,
    );
  }
}

function checkDiskSpace(): Outcome {
  const existing = nearestExisting(dataHome());
  const { bavail, bsize } = statfsSync(existing);
  const freeBytes = bavail * bsize;
  const detail = `${sizeText(freeBytes)} free at ${existing}`;
  const remedy = `free some, or give --state DIR on a larger disk`;
  if (freeBytes < MIN_FREE_BYTES) return problem(detail, remedy);
  return freeBytes < COMFORTABLE_FREE_BYTES ? note(detail, remedy) : ok(detail);
}

/** "Latest" between sites means what people expect only while clocks are sane; a clock before this program was made is not. */
export function checkClock(nowMs: number, programMs: number): Outcome {
  const remedy = 'set the clock: sudo timedatectl set-ntp true';
  const now = new Date(nowMs);
  if (nowMs < programMs) return problem(`it says ${now.toISOString()}, before this program was installed`, remedy);
  if (now.getUTCFullYear() > 2100) return problem(`it says ${now.toISOString()}`, remedy);
  return ok(now.toISOString());
}

function programTimeMs(): number {
  return statSync(new URL(import.meta.url)).mtimeMs;
}

const CAP_SYS_ADMIN = 21n;

/** Effective capabilities, from proc_pid_status(5). */
function hasCapability(bit: bigint): boolean {
  if (!existsSync('/proc/self/status')) return process.getuid?.() === 0;
  const match = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'));
  return match !== null && ((BigInt(`0x${match[1]}`) >> bit) & 1n) === 1n;
}

function findProgram(name: string): string | undefined {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/bin', '/bin', '/usr/local/bin'];
  return directories
    .filter((directory) => directory !== '')
    .map((directory) => join(directory, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

function nearestExisting(path: string): string {
  return existsSync(path) ? path : nearestExisting(dirname(path));
}
