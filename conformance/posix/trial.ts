// trial.ts — a run of the suite on one directory: makes assertions about system calls and keeps what came of them.
// An assertion is named by its system call and what it says, the same on every filesystem, so that two runs can be compared line by
// line. Invariant: an assertion never throws; what throws is a preparation that failed, and it ends its part with one failure.

import { as, type Caller, IS_ROOT, ROOT } from './callers.js';
import { limitOf } from './known-limits.js';
import { NeedsRoot, outcome, type Result } from './libc.js';
import { trace } from './stat.js';

/** What a call should answer: 'ok' or the name of an errno; several where POSIX or Linux leave the choice. */
export type Expected = string | readonly string[];

export interface Assertion {
  readonly syscall: string;
  readonly what: string;
  /** Null: it holds; otherwise what came instead. */
  readonly failure: string | null;
  /** Why this filesystem may fail it (known-limits.ts). */
  readonly limit?: string;
}

/** A part of the suite. `run` finds itself in an empty directory of mode 0777 that is removed afterwards. */
export interface Part {
  /** The system calls that it makes assertions about. */
  readonly syscalls: readonly string[];
  readonly run: (trial: Trial) => void;
}

export class Trial {
  readonly assertions: Assertion[] = [];
  private syscall = '';
  private prefix = '';
  private names = 0;

  /**
   * @param filesystem its type, for what it is known not to do
   * @param watched system calls whose assertions count; null: all
   * @param full sizes that take minutes
   */
  constructor(
    private readonly filesystem: string,
    private readonly watched: ReadonlySet<string> | null,
    readonly full: boolean,
  ) {}

  /** What follows is about this system call. */
  about(syscall: string, prefix = ''): void {
    this.syscall = syscall;
    this.prefix = prefix === '' ? '' : `${prefix}: `;
  }

  /** A name that nothing has in this part. */
  name(): string {
    return `n${++this.names}`;
  }

  /**
   * Assertions whose preparation may need root. A plain user leaves out the rest of them from where it does; what is left out is counted
   * by comparing with what root asserts (run-suite.ts).
   */
  step(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof NeedsRoot)) throw error;
    }
  }

  /** A {@link step} that says something about root itself, or needs root throughout. */
  rootStep(work: () => void): void {
    if (IS_ROOT) work();
  }

  /** The base of all other assertions. */
  holds(what: string, truth: boolean, instead: () => string = () => 'it is not so'): boolean {
    if (this.watched === null || this.watched.has(this.syscall)) {
      const failure = truth ? null : instead();
      this.assertions.push(this.limited({ syscall: this.syscall, what: this.prefix + what, failure }));
    }
    return truth;
  }

  private limited(assertion: Assertion): Assertion {
    const limit = limitOf(this.filesystem, assertion.syscall, assertion.what);
    if (limit === undefined) return assertion;
    if (assertion.failure !== null) return { ...assertion, limit };
    return { ...assertion, failure: `holds, though a limit is known: ${limit}` };
  }

  /** A call's answer. */
  answers(what: string, expected: Expected, result: Result): boolean {
    const got = outcome(result);
    const right = typeof expected === 'string' ? got === expected : expected.includes(got);
    const wanted = typeof expected === 'string' ? expected : expected.join(' or ');
    return this.holds(`${what}: ${wanted}`, right, () => `answers ${got}`);
  }

  equal<T extends string | number | bigint | boolean | null>(what: string, actual: T, expected: T): boolean {
    return this.holds(`${what} is ${shown(expected)}`, actual === expected, () => `it is ${shown(actual)}`);
  }

  /** A refused call: its errno, and that nothing about `watched` changed, neither what is there nor mtime and ctime. */
  refuses(what: string, errno: Expected, watched: readonly string[], call: () => Result, caller: Caller = ROOT): void {
    const before = watched.map(trace);
    const result = as(caller, call);
    const by = caller === ROOT ? what : `${what}, by ${caller.name}`;
    this.answers(by, errno, result);
    const after = watched.map(trace);
    this.holds(`${by}: and all stays as it was`, before.join('\n') === after.join('\n'), () =>
      before.flatMap((line, i) => (line === after[i] ? [] : [`${line} became ${after[i]}`])).join('; '),
    );
  }

  /** {@link refuses} or a call that must succeed, whichever is expected. Says whether it succeeded. */
  decides(
    what: string,
    expected: Expected,
    watched: readonly string[],
    call: () => Result,
    caller: Caller = ROOT,
  ): boolean {
    if (expected === 'ok') return this.answers(`${what}, by ${caller.name}`, 'ok', as(caller, call));
    this.refuses(what, expected, watched, call, caller);
    return false;
  }
}

function shown(value: string | number | bigint | boolean | null): string {
  if (typeof value !== 'string') return String(value);
  return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}… (${value.length})` : value);
}
