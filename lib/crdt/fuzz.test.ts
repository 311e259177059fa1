import assert from 'node:assert/strict';
import { test } from 'node:test';
import { check, checkConverged, exchangeAll, randomFrom, shuffledFor } from './convergence.test-support.js';
import type { Random } from './convergence.test-support.js';
import { formatOp, parseHead, parseLink } from './fields.js';
import { isDirectory } from './inode-attributes.js';
import { listConflicts } from './conflicts.js';
import { ROOT_INO, VOLUME_INO } from './ids.js';
import { validateOp, formatKey } from './register-schema.js';
import { SimulatedSite, contentOf } from './simulated-site.test-support.js';

// Sites do random things that clash, exchange changes in random causal order, and must show one tree. SEED=n replays one round,
// FUZZ_ROUNDS=n does more of them.

const ROUNDS = Number(process.env['FUZZ_ROUNDS'] ?? 250);
const FIRST_SEED = process.env['SEED'] === undefined ? undefined : Number(process.env['SEED']);

const DIRECTORY_NAMES = ['a', 'b', 'c'];
const FILE_NAMES = ['x', 'y', 'a'];

interface Paths {
  readonly directories: string[];
  readonly files: string[];
}

function pathsOf(site: SimulatedSite): Paths {
  const directories = [''];
  const files: string[] = [];
  for (const [path, what] of Object.entries(site.tree())) (what === 'd' ? directories : files).push(path);
  return { directories, files };
}

class Workload {
  private contents = 0;
  constructor(private readonly random: Random) {}

  private pick<T>(list: readonly T[]): T | undefined {
    return list[this.random(Math.max(list.length, 1))];
  }

  private content(): string {
    // Now and then the same bytes are written at two sites.
    return this.random(4) === 0 ? `same${this.random(2)}` : `c${++this.contents}`;
  }

  private place(directories: readonly string[], names: readonly string[]): string {
    const directory = this.pick(directories)!;
    return directory === '' ? this.pick(names)! : `${directory}/${this.pick(names)!}`;
  }

  step(site: SimulatedSite): string {
    const { directories, files } = pathsOf(site);
    const file = this.pick(files);
    const directory = this.pick(directories.slice(1));
    const newFile = this.place(directories, FILE_NAMES);
    const newDirectory = this.place(directories, DIRECTORY_NAMES);
    switch (this.random(27)) {
      case 0:
      case 1:
        if (site.find(newFile)) return 'nothing';
        site.create(newFile, this.random(3) === 0 ? 0o600 : 0o644);
        return `create ${newFile}`;
      case 2:
      case 3:
      case 4:
        if (site.find(newDirectory)) return 'nothing';
        site.mkdir(newDirectory);
        return `mkdir ${newDirectory}`;
      case 5:
      case 6:
      case 7: {
        const content = this.content();
        const at = this.random(3) === 0 && !site.find(newFile) ? newFile : file;
        if (at === undefined) return 'nothing';
        site.write(at, content);
        return `write ${at} ${content}`;
      }
      case 8:
      case 9:
        if (file === undefined) return 'nothing';
        site.unlink(file);
        return `unlink ${file}`;
      case 10:
        if (directory === undefined) return 'nothing';
        if (site.store.hasEntries(site.find(directory)!.ino)) site.remove(directory);
        else site.rmdir(directory);
        return `rm -r ${directory}`;
      case 11:
      case 12:
      case 13:
        if (directory === undefined) return 'nothing';
        return this.move(site, directory, this.place(directories, DIRECTORY_NAMES));
      case 14:
      case 15:
        if (file === undefined) return 'nothing';
        return this.move(site, file, newFile);
      case 16:
        if (file === undefined || site.find(newFile)) return 'nothing';
        site.link(file, newFile);
        return `link ${file} ${newFile}`;
      case 17:
        if (file === undefined) return 'nothing';
        site.chmod(file, this.random(2) === 0 ? 0o600 : 0o755);
        return `chmod ${file}`;
      case 18: {
        if (file === undefined || site.find(`${file}.tmp1`) || site.find(`${file}.tmp2`) || file.length > 60)
          return 'nothing';
        const content = this.content();
        site.saveByRename(file, content);
        return `save ${file} ${content}`;
      }
      case 19: {
        // Rename a conflict copy over something.
        const copy = files.find((path) => path.includes('.~'));
        if (copy === undefined) return 'nothing';
        return this.move(site, copy, copy.slice(0, copy.indexOf('.~')));
      }
      case 20: {
        const other = this.pick(files);
        if (file === undefined || other === undefined || other === file || other.length > 60) return 'nothing';
        if (site.find(file)!.ino === site.find(other)!.ino) return 'nothing';
        site.exchange(file, other);
        return `exchange ${file} ${other}`;
      }
      case 21:
        if (site.find(newFile)) return 'nothing';
        site.createUnnamed(newFile, this.content());
        return `tmpfile ${newFile}`;
      case 22: {
        // A name that looks like a suffixed one.
        const suffixed = Object.keys(site.tree()).filter((path) => path.includes('.~') && path.length < 60);
        const name = this.pick(suffixed);
        if (name === undefined) return 'nothing';
        if (this.random(2) === 0) return this.move(site, name, this.place(directories, FILE_NAMES));
        site.remove(name);
        return `rm -r ${name}`;
      }
      case 23: {
        if (this.random(4) > 0) return 'nothing';
        const name = `s${this.random(3)}/`;
        site.renameSite(name);
        return `site ${name}`;
      }
      case 24:
        if (file === undefined) return 'nothing';
        site.utimens(file, this.random(3));
        return `utimens ${file}`;
      case 25: {
        const merged = files.find((path) => site.merge(path));
        return merged === undefined ? 'nothing' : `merge ${merged}`;
      }
      default:
        if (file === undefined) return 'nothing';
        site.setxattr(file, 'user.k', this.random(3) === 0 ? undefined : `v${this.random(2)}`);
        return `setxattr ${file}`;
    }
  }

  /** rename(2), if POSIX lets it. */
  private move(site: SimulatedSite, from: string, to: string): string {
    if (from === to || to.startsWith(`${from}/`) || from.startsWith(`${to}/`)) return 'nothing';
    const source = site.find(from)!;
    const victim = site.find(to);
    if (victim) {
      if (isDirectoryAt(site, from) !== isDirectoryAt(site, to)) return 'nothing';
      if (isDirectoryAt(site, to) && site.store.hasEntries(victim.ino)) return 'nothing';
    }
    if (victim?.ino === source.ino) return 'nothing';
    site.rename(from, to);
    return `rename ${from} ${to}`;
  }
}

function isDirectoryAt(site: SimulatedSite, path: string): boolean {
  const inode = site.store.inode(site.find(path)!.ino);
  return inode !== undefined && isDirectory(inode);
}

function round(seed: number): void {
  const random = randomFrom(seed);
  const log: string[] = [];
  const count = 2 + random(3);
  const sites = Array.from(
    { length: count },
    (_, i) => new SimulatedSite(['oslo', 'paris', 'rome', 'lima'][i]!, i + 1),
  );
  if (random(2) === 0) for (const path of ['a', 'b', 'a/c']) sites[0]!.mkdir(path);
  if (random(2) === 0) for (const path of ['x', 'y']) sites[0]!.write(path, `first ${path}`);
  for (const site of sites) site.receive(sites[0]!.changes);
  const workload = new Workload(random);
  try {
    const steps = 4 + random(30);
    for (let i = 0; i < steps; i++) {
      const site = sites[random(count)]!;
      // Clocks stand still, jump and disagree.
      for (const other of sites) other.nowUs += random(3) * random(3);
      if (random(3) > 0) {
        log.push(`${site.name}: …`);
        log[log.length - 1] = `${site.name}: ${workload.step(site)}`;
      } else {
        const from = sites[(sites.indexOf(site) + 1 + random(count - 1)) % count]!;
        const order = shuffledFor(site, from.changes, random);
        const some = order.slice(0, 1 + random(order.length + 1));
        log.push(`${site.name} <- ${from.name}: ${some.length} of ${order.length}`);
        site.receive(some, random(2) === 0 ? 1 : 1 + random(8));
        if (some.length > 0 && random(3) === 0) {
          site.receiveAgain(some[random(some.length)]!);
          log.push('  again');
        }
      }
      check(site);
    }
    log.push('all to all');
    exchangeAll(sites, random);
    log.push('permutations');
    checkConverged(sites, random);
    checkNothingLost(sites[0]!);
    for (const { writes } of sites[0]!.changes) {
      for (const { ino, field, value } of writes) validateOp(formatKey(ino, field), value);
    }
    settleEverything(sites[0]!);
  } catch (error) {
    (error as Error).message = `SEED=${seed} replays this\n${log.join('\n')}\n${(error as Error).message}`;
    throw error;
  }
}

/**
 * A version that nobody overwrote, and that nobody saw when removing its file, can be read at some path. One that was a copy and
 * became a file of its own is followed there.
 */
function checkNothingLost(site: SimulatedSite): void {
  const gone = new Set<string>();
  const removed = new Set<string>();
  const heads: { op: string; ino: number; content: string; copyIno: number; merged: readonly string[] }[] = [];
  const linked = new Set<number>();
  for (const { actor, writes } of site.changes) {
    for (const { ino, field, value, counter, pred } of writes) {
      if (field.startsWith('link:')) {
        linked.add(ino);
        const link = parseLink(value);
        if (link.kind === 'tombstone') for (const cite of link.cites) removed.add(cite);
      }
      if (field !== 'head') continue;
      for (const op of pred) gone.add(formatOp(op.counter, op.actor));
      const { manifest, copyIno, merged = [] } = parseHead(value);
      heads.push({ op: formatOp(counter, actor), ino, content: contentOf(manifest), copyIno, merged });
    }
  }
  const readable = new Set(Object.values(site.tree()));
  for (const { op, ino, content, copyIno, merged } of heads) {
    // Nobody wrote a merge: it goes with what it is made of.
    const isRemoved = removed.has(op) || (merged.length > 0 && merged.every((part) => removed.has(part)));
    const isFile = heads.some((other) => other.ino === copyIno && other.content === content);
    if (gone.has(op) || isRemoved || !linked.has(ino) || isFile) continue;
    assert.ok(readable.has(content), `${content}, written to inode ${ino}, can be read`);
  }
}

/** rm -r of everything by ordinary calls leaves nothing, and no conflict. */
function settleEverything(site: SimulatedSite): void {
  for (const name of site.list('')) {
    site.remove(name);
    check(site);
  }
  assert.deepEqual(site.tree(), {}, 'everything removed');
  for (const ino of site.store.inodes()) {
    if (ino !== VOLUME_INO && ino !== ROOT_INO) assert.equal(site.store.inode(ino)!.nlink, 0);
  }
  assert.deepEqual(
    listConflicts(site.store, site.actors).filter((conflict) => conflict.kind !== 'move-deferred'),
    [],
  );
}

test('sites that do clashing things at random converge, whatever the order of delivery', () => {
  const base = Math.floor(Math.random() * 2 ** 31);
  if (FIRST_SEED !== undefined) return round(FIRST_SEED);
  for (let i = 0; i < ROUNDS; i++) round((base + i) >>> 0);
});
