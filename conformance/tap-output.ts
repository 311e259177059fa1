// tap-output.ts — reads what a test program prints in the Test Anything Protocol (TAP), as prove(1) does: an assertion fails when it says
// `not ok`, or was announced and never came. `# TODO` and `# SKIP` behind an assertion are words of that protocol, not notes about
// this file: they are the two of section "Directives" of the TAP specification, versions 12 and 13 (testanything.org).

export interface TapResult {
  /** Assertions that were announced by the plan `1..N`; null when there was no plan. */
  readonly planned: number | null;
  /** Those with the directive `# TODO` too, `ok` or `not ok`: the test program says that it knows of this failure. */
  readonly passed: readonly number[];
  /** Those with the directive `# SKIP`; they count as passed too. */
  readonly skipped: readonly number[];
  readonly failed: readonly TapFailure[];
}

export interface TapFailure {
  readonly number: number;
  /** What the program said about it. */
  readonly message: string;
}

const ASSERTION = /^(not )?ok\b(?:\s+(\d+))?(?:\s*-?\s*(.*))?$/;

/** Parses a program's standard output. Announced assertions that never came are failures. */
export function parseTap(text: string): TapResult {
  let planned: number | null = null;
  let next = 1;
  const passed: number[] = [];
  const skipped: number[] = [];
  const failed: TapFailure[] = [];
  for (const line of text.split('\n')) {
    const plan = /^1\.\.(\d+)/.exec(line);
    if (plan) {
      planned = Number(plan[1]);
      continue;
    }
    const assertion = ASSERTION.exec(line);
    if (!assertion) continue;
    const number = assertion[2] === undefined ? next : Number(assertion[2]);
    next = number + 1;
    const message = assertion[3] ?? '';
    // TAP's directives, in any case of letters.
    const directive = /#\s*(TODO|SKIP)/i.exec(message)?.[1]?.toUpperCase();
    if (directive === 'SKIP') skipped.push(number);
    if (assertion[1] === undefined || directive === 'TODO') passed.push(number);
    else failed.push({ number, message });
  }
  const seen = new Set([...passed, ...failed.map(({ number }) => number)]);
  for (let number = 1; number <= (planned ?? 0); number++) {
    if (!seen.has(number)) failed.push({ number, message: 'announced, but never came' });
  }
  return { planned, passed, skipped, failed };
}
