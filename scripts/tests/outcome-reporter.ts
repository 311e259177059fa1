// outcome-reporter.ts — a reporter for node:test that writes one JSON line per finished test, for run-test-file.ts.
// Suites are not tests; a test that failed only because of its subtests is not counted beside them.

import type { TestEvent } from 'node:test/reporters';

export interface TestOutcome {
  name: string;
  outcome: 'passed' | 'failed' | 'skipped';
}

/** The reporter interface of node:test (`--test-reporter`): events in, text out. */
export default async function* outcomeLines(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of source) {
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue;
    const { name, details, skip, todo } = event.data;
    if (details.type === 'suite') continue;
    if (event.type === 'test:fail' && failureTypeOf(event.data.details.error) === 'subtestsFailed') continue;
    const skipped = (skip !== undefined && skip !== false) || (todo !== undefined && todo !== false);
    const outcome = skipped ? 'skipped' : event.type === 'test:pass' ? 'passed' : 'failed';
    yield `${JSON.stringify({ name, outcome } satisfies TestOutcome)}\n`;
  }
}

function failureTypeOf(error: unknown): unknown {
  return (error as { failureType?: unknown } | null)?.failureType;
}
