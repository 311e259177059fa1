// fsbench.test.ts — the C program compiles without warnings, measures every operation, and leaves nothing behind.

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../sites/command.js';
import { projectRoot } from '../sites/project-root.js';
import { compileFsbench, parseMeasurements, runFsbench } from './fsbench.js';
import { SINGLE_METADATA } from './report.js';

test('every group runs on a plain directory', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'weft-fsbench-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const source = join(projectRoot(), 'scripts/bench/fsbench.c');
  const strict = await run('cc', ['-Wall', '-Wextra', '-Werror', '-fsyntax-only', source]);
  assert.equal(strict.stderr, '');
  const program = await compileFsbench(directory);
  const measure = async (group: string, ...args: string[]): Promise<string[]> => {
    const measurements = await runFsbench(program, [group, join(directory, 'work'), ...args]);
    return measurements.map(({ operation }) => operation);
  };
  const single = [...(await measure('metadata', '20')), ...(await measure('directories', '20'))];
  assert.deepEqual(single.toSorted(), SINGLE_METADATA.toSorted());
  assert.deepEqual(await measure('small', '20'), ['4k create+write', '4k open+read', '4k write+fsync']);
  assert.equal((await measure('large', '20', String(4 << 20))).length, 5);
  assert.deepEqual(await measure('processes', '10', '8'), ['8 processes']);
  assert.equal((await measure('directory', '50')).length, 4);
  assert.deepEqual(readdirSync(directory), ['fsbench']);
  await assert.rejects(runFsbench(program, ['wibble', join(directory, 'work'), '1']), /usage: fsbench/);
});

test('a missing compiler is named with the remedy', async (t) => {
  const before = process.env['CC'];
  t.after(() => {
    if (before === undefined) delete process.env['CC'];
    else process.env['CC'] = before;
  });
  process.env['CC'] = 'no-such-compiler';
  await assert.rejects(compileFsbench(tmpdir()), /no C compiler \(tried no-such-compiler\): install one/);
});

test('a line that is no measurement is named', () => {
  assert.throws(() => parseMeasurements('create\tfast\tus\n'), /no measurement: "create\\tfast\\tus"/);
});
