// program.ts — what a program of this folder is, and the place that it works in.
// A program does what people do with it, and checks itself that the result is right: its run rejects when anything is not. It is run on
// the local filesystem too, so a failure there shows that the check is wrong. It knows nothing of Weft.

import { join } from 'node:path';
import { runChecked } from '../../scripts/sites/command.js';

export interface Program {
  readonly name: string;
  /** What must be installed; the runner says how. */
  readonly needs: readonly Need[];
  /** Writes what both runs start from into a directory on the local filesystem. Not timed. */
  readonly prepare?: (inputs: Place) => Promise<void>;
  /** Works in an empty directory of the filesystem under test; rejects, saying what is wrong, when something is. */
  readonly run: (place: Place) => Promise<void>;
}

export interface Need {
  /** A shell command that succeeds where the thing is installed. */
  readonly probe: string;
  /** The Debian package that holds it. */
  readonly debianPackage: string;
}

/** The need of a command on the PATH. */
export function command(name: string, debianPackage = name): Need {
  return { probe: `command -v ${name}`, debianPackage };
}

export class Place {
  constructor(
    /** Empty at first, on the filesystem under test. */
    readonly directory: string,
    /** What {@link Program.prepare} wrote, on the local filesystem. */
    readonly inputs: string,
    /** For random choices: the same seed, the same choices. */
    readonly seed: number,
    private readonly environment: Readonly<Record<string, string>>,
  ) {}

  at(...parts: string[]): string {
    return join(this.directory, ...parts);
  }

  /**
   * Runs a bash script in the directory, with $INPUTS, $SEED, and `fail MESSAGE` defined; resolves to its standard output. Rejects with
   * the script's own words when any command in it fails.
   */
  async bash(script: string, timeoutMs = 10 * 60_000): Promise<string> {
    const prelude = 'set -euo pipefail; fail() { echo "$*" >&2; exit 1; }\n';
    try {
      return await runChecked('bash', ['-c', prelude + script], {
        cwd: this.directory,
        env: { LC_ALL: 'C', INPUTS: this.inputs, SEED: String(this.seed), ...this.environment },
        timeoutMs,
      });
    } catch (error) {
      throw new Error((error as Error).message.replace(/^bash -c [^]*?: (?=exit code|ended by|no end)/, ''), {
        cause: error,
      });
    }
  }

  /** Runs a script of this folder's build in a process of its own, as everything that touches the place must be. */
  node(script: string, ...args: string[]): Promise<string> {
    return runChecked(process.execPath, [join(import.meta.dirname, script), ...args], {
      cwd: this.directory,
      env: this.environment,
      timeoutMs: 10 * 60_000,
    });
  }
}
