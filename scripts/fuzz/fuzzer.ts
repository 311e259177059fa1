// fuzzer.ts — feeds one decoder with what its grammar makes and with mutations of that, for as long as it is told.
// What makes a decoder answer as it never did before is kept and mutated further: new answers stand for new paths through it.
// Invariant: a run follows from its seed and from how many inputs it is given.

import { Random } from '../../lib/sim/random.js';
import { mutate } from './mutate.js';
import type { Target } from './targets.js';

export interface Finding {
  readonly target: string;
  readonly input: Buffer;
  readonly error: string;
}

const MAX_POOL = 2000;
const MAX_INPUT_BYTES = 64 * 1024;
/** One input takes no longer, however it is made; milliseconds of processor time. */
const SLOW_MS = 1000;
const FRESH_SHARE = 0.2;

export class Fuzzer {
  executions = 0;
  private readonly random: Random;
  private readonly pool: Buffer[];
  private readonly answers = new Set<string>();

  constructor(
    readonly target: Target,
    seed: number,
    corpus: readonly Buffer[],
  ) {
    this.random = new Random(`${target.name} ${seed}`);
    this.pool = [...corpus];
    for (let i = 0; i < 20; i++) this.pool.push(target.generate(this.random));
  }

  /** Different answers so far. */
  get paths(): number {
    return this.answers.size;
  }

  /** Inputs that made a new answer, and what came before. */
  get inputs(): readonly Buffer[] {
    return this.pool;
  }

  /** One input. @returns what is wrong with the answer, if anything is */
  step(): Finding | undefined {
    const { random, pool } = this;
    const pick = (): Buffer => pool[random.below(pool.length)]!;
    const input = random.next() < FRESH_SHARE ? this.target.generate(random) : mutate(pick(), pick(), random);
    return this.try(input.subarray(0, MAX_INPUT_BYTES));
  }

  try(input: Buffer): Finding | undefined {
    this.executions++;
    const before = process.cpuUsage();
    let answer: string;
    try {
      answer = this.target.run(Buffer.from(input));
    } catch (error) {
      const { stack, message } = error as Error;
      return { target: this.target.name, input, error: stack ?? message };
    }
    const { user, system } = process.cpuUsage(before);
    if ((user + system) / 1000 > SLOW_MS) {
      return { target: this.target.name, input, error: `took ${Math.round((user + system) / 1000)} ms` };
    }
    if (this.answers.has(answer)) return undefined;
    this.answers.add(answer);
    if (this.pool.length < MAX_POOL) this.pool.push(Buffer.from(input));
    return undefined;
  }
}
