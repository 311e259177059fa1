#!/usr/bin/env node
// soak-two-sites.ts — two mounted sites at work for minutes, with partitions: memory, descriptors and trees are looked at in every round.
// usage: soak-two-sites [--minutes N]. In each round both sites copy trees in and remove them, commit to git repositories,
// edit the same files, use SQLite; the link is cut in the middle and restored. Then both must show one digest.
// Exit code 1: the sites differ, a program failed, the daemon logged an error, or what it holds grew from the first rounds to the last.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Cluster } from '../scripts/sites/cluster.js';
import { runChecked } from '../scripts/sites/command.js';
import type { Site } from '../scripts/sites/site.js';
import { renderTable } from '../lib/cli/text-table.js';
import { snapshotTree, treeDifferences } from '../scripts/sites/tree-snapshot.js';
import { writeSourceTree } from './source-tree.js';

/** From the middle third of the rounds to the last: the first fills caches. */
const MAX_RSS_GROWTH = 1.1;
const MAX_MORE_DESCRIPTORS = 8;

interface Sample {
  readonly site: string;
  readonly round: number;
  readonly rssBytes: number;
  readonly descriptors: number;
  readonly conflicts: number;
}

/** What one site does in a round; `shared` is a directory that both change. */
const WORK = `
  set -euo pipefail
  mkdir -p "$SITE" shared
  cp -a "$SOURCE" "$SITE/copy"
  mkdir "$SITE/repository" && cd "$SITE/repository"
  export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
  export GIT_AUTHOR_NAME=Weft GIT_AUTHOR_EMAIL=weft@example.org GIT_COMMITTER_NAME=Weft GIT_COMMITTER_EMAIL=weft@example.org
  git init -q; cp -r ../copy/real/yargs .; git add .; git commit -q -m one; git gc -q; git fsck --full --strict --no-progress
  cd ../..
  for n in $(seq 60); do
    echo "$SITE $ROUND $n" > "shared/file$((n % 7))"
    echo "$SITE $ROUND $n" > "shared/$SITE.new" && mv "shared/$SITE.new" "shared/saved$((n % 3))"
    mkdir -p "shared/d$((n % 5))" && mv "shared/file$((n % 7))" "shared/d$((n % 5))/" 2> /dev/null || true
    chmod $((600 + n % 8)) shared/* 2> /dev/null || true
  done
  sqlite3 "$SITE/database" 'pragma journal_mode=wal; create table t(a, b); insert into t select value, randomblob(500) from generate_series(1, 2000); delete from t where a % 3 = 0; vacuum;' > /dev/null
  test "$(sqlite3 "$SITE/database" 'pragma integrity_check')" = ok
  find "$SITE" > /dev/null
  grep -rq yargs "$SITE/copy/real/yargs"
  rm -rf "$SITE/copy" "$SITE/repository" "$SITE"/database*
`;

async function work(site: Site, source: string, round: number): Promise<void> {
  await runChecked('bash', ['-c', WORK], {
    cwd: site.mountpoint,
    env: { SITE: site.name, SOURCE: source, ROUND: String(round) },
    timeoutMs: 10 * 60_000,
  });
}

async function sample(site: Site, round: number): Promise<Sample> {
  const { pid, rssBytes, conflicts } = await site.status();
  return { site: site.name, round, rssBytes, descriptors: readdirSync(`/proc/${pid}/fd`).length, conflicts };
}

async function playRound(cluster: Cluster, sites: readonly [Site, Site], source: string, round: number): Promise<void> {
  const [paris, oslo] = sites;
  const working = Promise.allSettled(sites.map((site) => work(site, source, round)));
  await sleep(1000 + (round % 5) * 700);
  await paris.pause();
  await sleep(4000);
  await paris.resume();
  for (const end of await working) if (end.status === 'rejected') throw end.reason;
  // Syncing waits only for sites that can be reached, and the link takes a moment to come back.
  for (const site of sites)
    await site.statusUntil('connected', ({ peers }) => peers.every(({ state }) => state === 'connected'), 60_000);
  await cluster.settle();
  const [here, there] = [await paris.status(), await oslo.status()];
  if (here.digest !== there.digest) {
    const trees = sites.map((site) => ({ name: site.name, tree: snapshotTree(site.mountpoint) }));
    throw new Error(
      `round ${round}: other digests\n${JSON.stringify([here, there])}\n${treeDifferences(trees[0]!, trees[1]!).join('\n')}`,
    );
  }
  // Conflicts are what this makes; they are settled, so that trees do not grow.
  await runChecked('bash', ['-c', 'rm -rf shared/*'], { cwd: paris.mountpoint });
  await cluster.settle();
}

/** What grew more than it may, as sentences. */
function growth(samples: readonly Sample[]): string[] {
  const findings: string[] = [];
  for (const site of new Set(samples.map((one) => one.site))) {
    const counted = samples.filter((one) => one.site === site);
    const third = Math.floor(counted.length / 3);
    if (third === 0) continue;
    const mean = (part: readonly Sample[], of: (one: Sample) => number): number =>
      part.reduce((sum, one) => sum + of(one), 0) / part.length;
    const [first, last] = [counted.slice(-2 * third, -third), counted.slice(-third)];
    const [rss, laterRss] = [mean(first, (one) => one.rssBytes), mean(last, (one) => one.rssBytes)];
    if (laterRss > rss * MAX_RSS_GROWTH) findings.push(`${site}: memory grew from ${mib(rss)} to ${mib(laterRss)}`);
    const [fds, laterFds] = [mean(first, (one) => one.descriptors), mean(last, (one) => one.descriptors)];
    if (laterFds > fds + MAX_MORE_DESCRIPTORS) findings.push(`${site}: descriptors grew from ${fds} to ${laterFds}`);
  }
  return findings;
}

function mib(bytes: number): string {
  return `${Math.round(bytes / (1 << 20))} MiB`;
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' } } });
  const end = Date.now() + Number(values.minutes) * 60_000;
  const cluster = new Cluster('weft-soak');
  try {
    const paris = cluster.addSite('paris');
    const oslo = cluster.addSite('oslo');
    await paris.create('team');
    await oslo.join(await paris.invite());
    const source = join(cluster.directory, 'source');
    writeSourceTree(source);
    const samples: Sample[] = [];
    const findings: string[] = [];
    for (let round = 0; Date.now() < end; round++) {
      await playRound(cluster, [paris, oslo], source, round);
      for (const site of [paris, oslo]) {
        samples.push(await sample(site, round));
        const errors = site.logTroubles(Infinity).filter((line) => !line.startsWith('{"level":40,'));
        findings.push(...errors.map((line) => `${site.name} logged ${line}`));
      }
      const row = samples.slice(-2).map((one) => `${one.site} ${mib(one.rssBytes)} ${one.descriptors} descriptors`);
      console.log(`round ${round}: ${row.join(', ')}`);
      if (findings.length > 0) break;
    }
    findings.push(...growth(samples));
    for (const site of [paris, oslo]) console.log(`${site.name}: ${await sizes(site)}`);
    for (const finding of findings) console.log(finding);
    return findings.length > 0 ? 1 : 0;
  } finally {
    await cluster.close();
  }
}

/** What is left on disk of a volume that is almost empty again. */
async function sizes(site: Site): Promise<string> {
  const names = readdirSync(site.state).filter((name) => existsSync(join(site.state, name)));
  const rows = await Promise.all(
    names.map(async (name) => [name, (await runChecked('du', ['-sh', join(site.state, name)])).split('\t')[0]!]),
  );
  return `state directory\n${renderTable([['FILE', 'SIZE'], ...rows], 1)}`;
}

process.exitCode = await main();
