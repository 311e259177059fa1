// verdict.ts — what must be true when everything was healed: one digest, one tree, nothing lost, repositories whole, weft fsck clean.
// Each check returns what is wrong, as lines of text; none: it holds.

import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { runChecked } from '../sites/command.js';
import { linkCountViolations } from '../sites/tree-invariants.js';
import { treeDifferences, type TreeSnapshot } from '../sites/tree-snapshot.js';
import type { Ledger } from './ledger.js';
import { HOME, SHARED } from './load-messages.js';
import type { Member } from './member.js';
import { readTree } from './tree-thread.js';

const POLL_MS = 1000;
const FSCK_TIMEOUT_MS = 900_000;
const MAX_LINES = 20;
/** Commands side by side. */
const AT_ONCE = 4;

/** Waits until all show one digest and lack nothing. */
export async function quiet(members: readonly Member[], timeoutMs: number): Promise<string[]> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const synced = await Promise.allSettled(members.map(({ site }) => site.sync()));
    const states = await Promise.all(members.map(({ site }) => site.status()));
    const digests = new Set(states.map(({ digest }) => digest));
    const lacking = states.filter(
      ({ missingObjects, peers }) =>
        missingObjects > 0 || peers.some(({ state, behindCommits }) => state === 'connected' && behindCommits > 0),
    );
    if (digests.size === 1 && lacking.length === 0) return [];
    if (performance.now() > deadline) {
      return [
        `after ${timeoutMs / 60_000} minutes of quiet there are ${digests.size} digests, and ${lacking.length} sites lack something`,
        ...states.map(({ site, digest, missingObjects, peers }) =>
          JSON.stringify({ site, digest, missingObjects, peers }),
        ),
        ...synced
          .filter(({ status }) => status === 'rejected')
          .map((end) => String((end as PromiseRejectedResult).reason)),
      ];
    }
    await sleep(POLL_MS);
  }
}

/** All members show the same; `weft status` says so of digests, this looks at the trees themselves. */
export async function sameTrees(members: readonly Member[]): Promise<{ tree: TreeSnapshot; wrong: string[] }> {
  const [first, ...others] = members;
  const tree = await readTree(first!.site.mountpoint);
  const wrong = linkCountViolations(tree).slice(0, MAX_LINES);
  for (const { name, site } of others) {
    const other = { name, tree: await readTree(site.mountpoint) };
    wrong.push(...treeDifferences({ name: first!.name, tree }, other));
  }
  return { tree, wrong };
}

/** Directories that one site alone worked on hold exactly what it was told is stored. */
export function keptAreas(ledger: Ledger, tree: TreeSnapshot): string[] {
  const wrong: string[] = [];
  for (const [area, { files }] of ledger.areas) {
    const root = `${HOME}/${area}`;
    for (const [path, sha256] of files) {
      const entry = tree.get(`${root}/${path}`);
      if (!entry) wrong.push(`${root}/${path} is lost`);
      else if (entry.content !== sha256) wrong.push(`${root}/${path} is not what was written`);
    }
    for (const [path, { type }] of tree) {
      if (type !== 'file' || !path.startsWith(`${root}/`) || path.startsWith(`${root}/repository/`)) continue;
      if (!files.has(path.slice(root.length + 1))) wrong.push(`${path} was removed, or never written`);
    }
  }
  return wrong.slice(0, MAX_LINES);
}

/** Repositories that one site alone worked on, at another site. */
export async function wholeRepositories(ledger: Ledger, member: Member): Promise<string[]> {
  const wrong: string[] = [];
  const env = { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_SYSTEM: '/dev/null', GIT_OPTIONAL_LOCKS: '0' };
  for (const [area, { head }] of ledger.areas) {
    if (head === null) continue;
    const directory = join(member.site.mountpoint, HOME, area, 'repository');
    const git = (...args: string[]): Promise<string> =>
      runChecked('git', ['-C', directory, ...args], { env, timeoutMs: FSCK_TIMEOUT_MS });
    try {
      await git('fsck', '--full', '--strict', '--no-progress');
      const found = (await git('rev-parse', 'HEAD')).trim();
      if (found !== head) wrong.push(`${directory} is at ${found}, not at ${head}`);
      const changed = (await git('status', '--porcelain')).trim();
      if (changed !== '') wrong.push(`${directory} is not as it was committed:\n${changed}`);
    } catch (error) {
      wrong.push((error as Error).message);
    }
  }
  return wrong;
}

/** Every version of a file that all worked on is shown, or in the history of some name. */
export async function keptVersions(ledger: Ledger, tree: TreeSnapshot, member: Member): Promise<string[]> {
  const shown = new Set([...tree.values()].map(({ content }) => content));
  const paths = [...tree.keys()].filter((path) => path.startsWith(`${SHARED}/`));
  const asked = new Set([...paths, ...[...ledger.seen].map((path) => `${SHARED}/${path}`)]);
  const lengths = new Set<number>();
  const left = [...asked];
  const wrong: string[] = [];
  const ask = async (): Promise<void> => {
    for (let path = left.pop(); path !== undefined; path = left.pop()) {
      const { code, stdout, stderr } = await member.site.weft(
        ['history', join(member.site.mountpoint, path), '--json', '--limit', '1000000'],
        { timeoutMs: FSCK_TIMEOUT_MS },
      );
      // The name of a conflict copy is nobody's doing, and forgotten once it is not shown.
      if (code !== 0 && stderr.includes('nothing ever had this name')) continue;
      if (code !== 0) wrong.push(stderr.trim());
      else for (const { size } of JSON.parse(stdout) as { size: number | null }[]) if (size !== null) lengths.add(size);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, ask));
  if (wrong.length > 0) return wrong.slice(0, MAX_LINES);
  return ledger.shared
    .filter(({ bytes, sha256 }) => !shown.has(sha256) && !lengths.has(bytes))
    .map(
      ({ area, path, bytes }) =>
        `${SHARED}/${path} as ${area} wrote it (${bytes} bytes) is neither shown nor in history`,
    )
    .slice(0, MAX_LINES);
}

export async function cleanStates(members: readonly Member[]): Promise<string[]> {
  const wrong: string[] = [];
  for (const { name, site } of members) {
    const { code, stdout, stderr } = await site.weft(['fsck', site.mountpoint, '--data'], {
      timeoutMs: FSCK_TIMEOUT_MS,
    });
    if (code !== 0) wrong.push(`weft fsck at ${name}: exit code ${code}\n${stdout}${stderr}`);
    for (const row of await site.peers()) {
      if (row.quarantined > 0) wrong.push(`${name} took ${row.quarantined} changes of ${row.site} nowhere`);
    }
    const errors = site.logTroubles(Infinity).filter((line) => !line.startsWith('{"level":40,'));
    wrong.push(...errors.slice(-3).map((line) => `${name} logged ${line}`));
  }
  return wrong;
}
