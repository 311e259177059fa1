// plain-user.ts — runs a script of this build as a user who is not root, as root would find one on any machine: with a home directory,
// /dev/fuse as distributions ship it, and on filesystems that fusermount3(1) would mount: nosuid, nodev.
// Invariant: after close(), or the end of the process by anything but SIGKILL, nothing is left of it, and /dev/fuse is as it was.

import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, realpathSync, rmSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { run, runChecked } from './command.js';
import { exitOnSignals } from './exit-on-signals.js';
import { detachBelow, mountsBelow } from './mounts.js';
import { processesWithEnvironment, processEnd, signalProcess } from './processes.js';
import { projectRoot } from './project-root.js';

/** nobody: fusermount3 wants an account. */
const ID = 65_534;
const DEVICE = '/dev/fuse';
/** Marks all processes of the user, daemons that nobody waits for included. */
const MARK = 'WEFT_PLAIN_USER';

export class PlainUser {
  private readonly directory: string;
  /** The user's TMPDIR: below it are mountpoints and what lies beside them. */
  private readonly temporary: string;
  private project = projectRoot();
  private readonly deviceMode: number;
  private readonly atExit = (): void => this.closeNow();

  /** Needs root. */
  static async create(): Promise<PlainUser> {
    const user = new PlainUser();
    try {
      await user.prepare();
      return user;
    } catch (error) {
      await user.close();
      throw error;
    }
  }

  private constructor() {
    exitOnSignals();
    process.on('exit', this.atExit);
    this.directory = realpathSync(mkdtempSync(join(tmpdir(), 'weft-user-')));
    chmodSync(this.directory, 0o755);
    this.temporary = join(this.directory, 'tmp');
    for (const path of [this.temporary, join(this.directory, 'home')]) {
      mkdirSync(path);
      chownSync(path, ID, ID);
    }
    this.deviceMode = statSync(DEVICE).mode;
    chmodSync(DEVICE, 0o666);
  }

  private async prepare(): Promise<void> {
    await bind(this.temporary, this.temporary, 'nosuid,nodev');
    const readable = { uid: ID, gid: ID };
    if ((await run('test', ['-r', join(this.project, 'package.json')], readable)).code === 0) return;
    // The project lies where others do not get, e.g. in root's home.
    const reachable = join(this.directory, 'project');
    mkdirSync(reachable);
    await bind(this.project, reachable, 'ro');
    this.project = reachable;
  }

  /**
   * Runs a compiled script as the user; resolves to its exit code and what it printed. With `shown` that goes to our own output instead.
   */
  script(
    path: string,
    args: readonly string[],
    { shown = false, env = {} }: { shown?: boolean; env?: Readonly<Record<string, string>> } = {},
  ): Promise<{ code: number | null; stdout: string }> {
    const program = join(this.project, relative(projectRoot(), path));
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [program, ...args], {
        uid: ID,
        gid: ID,
        cwd: this.temporary,
        env: { ...process.env, ...env, ...this.environment },
        stdio: ['ignore', shown ? 'inherit' : 'pipe', 'inherit'],
      });
      let stdout = '';
      child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
      child.on('error', (error) =>
        reject(new Error(`cannot run ${process.execPath} as a plain user: ${error.message}`)),
      );
      child.on('close', (code) => resolve({ code, stdout }));
    });
  }

  private get environment(): Record<string, string> {
    const home = join(this.directory, 'home');
    return {
      HOME: home,
      XDG_DATA_HOME: join(home, '.local/share'),
      XDG_RUNTIME_DIR: home,
      TMPDIR: this.temporary,
      USER: 'nobody',
      LOGNAME: 'nobody',
      [MARK]: this.directory,
    };
  }

  async close(): Promise<void> {
    for (const pid of processesWithEnvironment(MARK, this.directory)) {
      signalProcess(pid, 'SIGKILL');
      await processEnd(pid, 10_000);
    }
    await detachBelow(this.directory);
    chmodSync(DEVICE, this.deviceMode);
    await rm(this.directory, { recursive: true, force: true });
    process.off('exit', this.atExit);
  }

  /** {@link close} for a process that is about to end. */
  private closeNow(): void {
    for (const pid of processesWithEnvironment(MARK, this.directory)) signalProcess(pid, 'SIGKILL');
    for (const mount of mountsBelow(this.directory)) execFileSync('umount', ['--lazy', mount.mountpoint]);
    chmodSync(DEVICE, this.deviceMode);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

async function bind(source: string, target: string, options: string): Promise<void> {
  await runChecked('mount', ['--bind', source, target]);
  await runChecked('mount', ['-o', `remount,bind,${options}`, target]);
}
