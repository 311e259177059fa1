// command.ts — runs programs without blocking the event loop, with a time limit and their output captured.
// A caller that blocks in a system call on a mount cannot end the daemon that hangs it; so everything that touches a mount from
// here is a child process or an asynchronous call.

import { spawn } from 'node:child_process';
import { StringDecoder } from 'node:string_decoder';

export interface CommandResult {
  /** Exit code; null when a signal ended the program. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly cwd?: string;
  /** Of another user, for root. */
  readonly uid?: number;
  readonly gid?: number;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** What it reads from stdin; default nothing. */
  readonly input?: string;
  /** Default 60 s; then the program is killed and the call rejects. */
  readonly timeoutMs?: number;
  /** Called with the process id as soon as the program runs. */
  readonly onStart?: (pid: number) => void;
}

/** Runs a program to its end, whatever its exit code. Rejects when it cannot be started or takes too long. */
export function run(program: string, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const timeoutMs = options.timeoutMs ?? 60_000;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      uid: options.uid,
      gid: options.gid,
      env: { ...process.env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    child.stdin.on('error', () => {}); // it need not read
    child.stdin.end(options.input ?? '');
    const output = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) {
      const decoder = new StringDecoder('utf8');
      child[stream].on('data', (bytes: Buffer) => (output[stream] += decoder.write(bytes)));
    }
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      settle(() => reject(new Error(`${shown(program, args)}: no end after ${timeoutMs / 1000} s\n${output.stderr}`)));
    }, timeoutMs);
    let settled = false;
    function settle(how: () => void): void {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      child.stdout.destroy();
      child.stderr.destroy();
      how();
    }
    child.on('spawn', () => options.onStart?.(child.pid!));
    child.on('error', (error) => settle(() => reject(new Error(`cannot run ${program}: ${error.message}`))));
    child.on('close', (code, signal) => settle(() => resolve({ code, signal, ...output })));
    // A background process that inherited the pipes would hold 'close' back for ever.
    child.on('exit', (code, signal) => {
      setTimeout(() => settle(() => resolve({ code, signal, ...output })), 1000);
    });
  });
}

/** Like {@link run}, and rejects with the program's own words when its exit code is not 0. Resolves to its standard output. */
export async function runChecked(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const result = await run(program, args, options);
  if (result.code !== 0) {
    const end = result.signal === null ? `exit code ${result.code}` : `ended by ${result.signal}`;
    const words = (result.stderr.trim() || result.stdout.trim()).slice(-4000);
    throw new Error(`${shown(program, args)}: ${end}${words ? `\n${words}` : ''}`);
  }
  return result.stdout;
}

function shown(program: string, args: readonly string[]): string {
  const words = [program, ...args].join(' ');
  return words.length > 300 ? `${words.slice(0, 300)}…` : words;
}
