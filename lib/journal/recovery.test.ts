import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { IntentLog } from './intent-log.js';
import { JournalReader } from './journal-reader.js';
import { Journal } from './journal.js';
import { assertOracleAgrees } from './oracle.js';
import { checkState } from './schema.js';
import { temporaryDirectory } from './temporary-directory.js';

const LINES_OF_LIVES = 3;
const KILLS_PER_LINE = 11;
const SITE = fileURLToPath(new URL('recovery-site.js', import.meta.url));

/** xorshift32; replay a run with WEFT_SEED. */
function randomness(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** Runs the site until it acknowledged so many operations, and kills it. @returns what it acknowledged: number → inode number */
async function runAndKill(
  directory: string,
  actor: string,
  foldOps: number,
  operations: number,
): Promise<Map<number, number>> {
  const site = spawn(process.execPath, [SITE, directory, actor, String(foldOps)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(site, 'exit');
  const acknowledged = new Map<number, number>();
  try {
    for await (const line of createInterface({ input: site.stdout })) {
      const [number, ino] = line.split(' ').map(Number) as [number, number];
      // The last line may be cut off by the kill, and is then not whole.
      if (Number.isInteger(ino)) acknowledged.set(number, ino);
      if (acknowledged.size === operations) site.kill('SIGKILL');
    }
  } finally {
    site.kill('SIGKILL');
    await exited;
  }
  assert.equal(site.signalCode, 'SIGKILL', 'the site ended by itself');
  return acknowledged;
}

async function liveAndDie(directory: string, random: (below: number) => number): Promise<void> {
  const inos = new Map<number, number>();
  let last = 0;
  for (let life = 0; life < KILLS_PER_LINE; life++) {
    const actor = (life + 16).toString(16).repeat(16);
    const acknowledged = await runAndKill(directory, actor, [2, 20, 200][life % 3]!, 1 + random(300));
    for (const [number, ino] of acknowledged) {
      assert.ok(!inos.has(number), `operation ${number} was acknowledged in two lives`);
      inos.set(number, ino);
      last = Math.max(last, number);
    }
    last = verify(directory, inos, last);
  }
  assert.equal(new Set(inos.values()).size, inos.size, 'an inode number was used twice');

  const journal = Journal.open(directory);
  const reader = JournalReader.open(directory);
  const changes = reader.changesAfter(new Map(), Infinity).map(({ bytes }) => bytes);
  assertOracleAgrees(changes, journal.store, journal.actors);
  reader.close();
  journal.close();
}

/** What is on disk is operations 1 … n without a hole, n at least the last acknowledged one. @returns n */
function verify(directory: string, inos: Map<number, number>, last: number): number {
  const journal = Journal.open(directory);
  const log = IntentLog.open(join(directory, 'log'), journal.foldedLsn);
  try {
    assert.deepEqual(checkState(journal.db), []);
    const folded = Number(journal.meta('last number') ?? 0);
    assert.equal(folded, journal.foldedLsn, 'the state and the position folded into it belong together');
    for (let number = 1; number <= folded; number++) {
      const dirent = journal.store.lookup(1, `file-${number}`);
      assert.ok(dirent, `operation ${number} is lost`);
      const acknowledgedIno = inos.get(number);
      if (acknowledgedIno === undefined) inos.set(number, dirent.ino);
      else assert.equal(dirent.ino, acknowledgedIno);
      assert.equal(journal.store.inode(dirent.ino)!.registers.get('mode')![0]!.value, number);
    }
    assert.equal(journal.store.lookup(1, `file-${folded + 1}`), undefined);
    if (folded > 0) assert.equal(journal.store.inode(1)!.registers.get('times')![0]!.value, String(folded));

    let next = folded + 1;
    for (const { lsn, payload } of log.recover(journal.foldedLsn)) {
      assert.equal(lsn, next);
      assert.equal(payload.readDoubleLE(0), next);
      const ino = payload.readDoubleLE(8);
      assert.equal(inos.get(next) ?? ino, ino);
      inos.set(next, ino);
      next++;
    }
    assert.ok(next > last, `operation ${last} was acknowledged, recovery ends at ${next - 1}`);

    return next - 1;
  } finally {
    log.close();
    journal.close();
  }
}

test('every acknowledged operation survives SIGKILL at any moment, and recovery has no hole', async (t) => {
  const seed = Number(process.env['WEFT_SEED'] ?? Date.now() % 2 ** 31);
  t.diagnostic(`WEFT_SEED=${seed}`);
  const directory = temporaryDirectory(t);
  const random = randomness(seed);
  const lines = Array.from({ length: LINES_OF_LIVES }, (_, i) =>
    liveAndDie(join(directory, String(i)), randomness(random(2 ** 31))),
  );
  await Promise.all(lines);
});
