#!/usr/bin/env node
// fuzz.ts — `make fuzz MINUTES=10`: feeds every decoder of bytes from outside with what is almost right, and prints what it found.
// Exit code 0: nothing; 1: something, with the input in hex for scripts/fuzz/corpus; 2: wrong usage.

import { parseArgs } from 'node:util';
import { groupDigits, renderTable } from '../lib/cli/text-table.js';
import { readCorpus } from './fuzz/corpus.js';
import { type Finding, Fuzzer } from './fuzz/fuzzer.js';
import { TARGETS } from './fuzz/targets.js';
import { runMain, UsageError } from './sites/main-program.js';

const USAGE = `usage: fuzz [--minutes N] [--only NAME]… [--seed N] [--input HEX]
  --minutes N  in all, shared among the decoders (default 1)
  --only NAME  one of: ${TARGETS.map(({ name }) => name).join(' ')}
  --seed N     what decides the inputs (default: from the clock)
  --input HEX  one input, to one decoder, and what comes of it`;

const SLICE = 200;
/** Of one decoder: most are the same. */
const MAX_FINDINGS = 5;

interface Options {
  readonly minutes: number;
  readonly only: readonly string[];
  readonly seed: number;
  readonly input: string | undefined;
}

function readOptions(): Options | null {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '1' },
      only: { type: 'string', multiple: true, default: [] },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      input: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  const unknown = values.only.find((name) => TARGETS.every((target) => target.name !== name));
  if (unknown !== undefined) throw new UsageError(`--only ${unknown}: no decoder is called so`);
  if (!(Number(values.minutes) > 0)) throw new UsageError(`--minutes ${values.minutes} is no number of minutes`);
  if (values.input !== undefined && values.only.length !== 1)
    throw new UsageError('--input is for one decoder: --only');
  return { minutes: Number(values.minutes), only: values.only, seed: Number(values.seed), input: values.input };
}

async function work({ minutes, only, seed, input }: Options): Promise<number> {
  const targets = TARGETS.filter(({ name }) => only.length === 0 || only.includes(name));
  if (input !== undefined) {
    console.log(targets[0]!.run(Buffer.from(input, 'hex')));
    return 0;
  }
  const fuzzers = targets.map((target) => new Fuzzer(target, seed, readCorpus(target.name)));
  const findings = new Map<string, Finding[]>();
  for (const fuzzer of fuzzers) {
    for (const kept of readCorpus(fuzzer.target.name)) note(findings, fuzzer.try(kept));
  }
  const endMs = performance.now() + minutes * 60_000;
  while (performance.now() < endMs) {
    for (const fuzzer of fuzzers) for (let i = 0; i < SLICE; i++) note(findings, fuzzer.step());
  }
  const rows = fuzzers.map(({ target, executions, paths }) => [
    target.name,
    groupDigits(executions),
    groupDigits(paths),
    groupDigits(findings.get(target.name)?.length ?? 0),
    target.what,
  ]);
  console.log(renderTable([['DECODER', 'INPUTS', 'ANSWERS', 'FINDINGS', 'OF'], ...rows]));
  console.log(`seed ${seed}, ${minutes} minutes`);
  for (const { target, error, input: found } of [...findings.values()].flat()) {
    console.log(`\n${target}: ${error}\n  fuzz --only ${target} --input ${found.toString('hex')}`);
  }
  return findings.size === 0 ? 0 : 1;
}

/** The place in the program. */
function where(error: string): string {
  return error.split('\n').slice(1, 3).join();
}

function note(findings: Map<string, Finding[]>, finding: Finding | undefined): void {
  if (finding === undefined) return;
  const known = findings.get(finding.target) ?? [];
  findings.set(finding.target, known);
  if (known.length < MAX_FINDINGS && !known.some(({ error }) => where(error) === where(finding.error)))
    known.push(finding);
}

process.exitCode = await runMain(USAGE, readOptions, work);
