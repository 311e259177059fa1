// needed-programs.ts — the programs and libraries that tests use and that not every machine has; on Debian and its relatives, for root,
// they are installed. A test that finds one missing fails: none is left out.

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { run } from '../sites/command.js';

/** Programs by the Debian package that holds them. */
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  acl: ['setfacl'],
  attr: ['getfattr', 'setfattr'],
  'btrfs-progs': ['mkfs.btrfs'],
  coreutils: ['stdbuf'],
  fuse3: ['fusermount3'],
  git: ['git'],
  iproute2: ['ip'],
  iptables: ['iptables-restore'],
  python3: ['python3'],
  'util-linux': ['flock', 'mount', 'unshare'],
};

/** Likewise shared libraries, as ldconfig(8) lists them. */
const LIBRARIES: Readonly<Record<string, string>> = { libfuse2: 'libfuse.so.2' };

const INSTALL_MS = 10 * 60_000;

/** Installs what is missing, and says so. @throws Error that names what could not be, and the remedy */
export async function installNeededPrograms(): Promise<void> {
  const missing = [...missingPrograms(), ...(await missingLibraries())];
  if (missing.length === 0) return;
  const command = `apt-get install ${missing.join(' ')}`;
  if (process.getuid?.() !== 0 || !isOnPath('apt-get')) throw new Error(`the tests need more programs: ${command}`);
  process.stdout.write(`the tests need more programs: ${command}\n`);
  const install = () => aptGet('install', '--yes', '--no-install-recommends', ...missing);
  let trouble = await install();
  if (trouble) {
    // The lists of packages may be missing, or old.
    await aptGet('update');
    trouble = await install();
  }
  if (trouble) throw new Error(`${command} failed: ${trouble}`);
}

/** @returns what it said of its failure, '' when there was none */
async function aptGet(...args: readonly string[]): Promise<string> {
  const { code, stderr } = await run('apt-get', ['-qq', ...args], {
    env: { DEBIAN_FRONTEND: 'noninteractive' },
    timeoutMs: INSTALL_MS,
  });
  return code === 0 ? '' : stderr.trim() || `exit code ${code}`;
}

function missingPrograms(): string[] {
  return Object.entries(PROGRAMS)
    .filter(([, programs]) => !programs.every(isOnPath))
    .map(([name]) => name);
}

async function missingLibraries(): Promise<string[]> {
  const { stdout } = await run('/sbin/ldconfig', ['-p']);
  return Object.entries(LIBRARIES)
    .filter(([, library]) => !stdout.includes(`${library} `))
    .map(([name]) => name);
}

function isOnPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
