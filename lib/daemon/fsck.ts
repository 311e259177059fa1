// fsck.ts — checks everything that a site stores, and repairs what can be: in this process, beside the daemon if one runs.
// Invariant: without `repair` nothing is changed. Of a mounted site only reads are made here; repairs are asked of its daemon, which
// goes on serving. An unmounted one is repaired here, by whoever holds its lock. Rows and tree are compared within one read
// transaction, which keeps SQLite's log from starting over for as long as that takes, and holds up nobody.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ObjectStore } from '../chunks/object-store.js';
import { CorruptionError } from '../codec/bytes.js';
import { Journal } from '../journal/journal.js';
import { misfitOfLog } from '../journal/log-fit.js';
import { checkPageSums, correctPages, hasLog } from '../journal/page-sums.js';
import {
  checkSchema,
  checkState,
  type Connection,
  namePages,
  openDamagedState,
  statePath,
  walPath,
} from '../journal/schema.js';
import type { DamagedData, SiteConfig } from './daemon-interface.js';
import { JournalCheck } from './fsck-journal.js';
import { checkLog } from './fsck-log.js';
import { ObjectCheck } from './fsck-objects.js';
import { rebuildState } from './fsck-rebuild.js';
import { exitCodeOf, type Fault, type FsckReport, type Tell } from './fsck-report.js';
import { TreeCheck } from './fsck-tree.js';

const SCRATCH_PREFIX = 'check-';
const JOIN_REMEDY = 'move the state directory aside and weft join again; what no other site has is lost';

export interface FsckOptions {
  readonly directory: string;
  readonly config: Pick<SiteConfig, 'volume' | 'site' | 'slot' | 'content' | 'wantsDue'>;
  /** Reads every object too. */
  readonly data: boolean;
  readonly repair: boolean;
  /** Has damaged data given up and fetched again; what is still missing comes back. Null: no daemon runs, and the caller holds its lock. */
  readonly daemon: ((damaged: DamagedData) => Promise<DamagedData>) | null;
  readonly tell: Tell;
}

/** @throws Error when the check itself cannot be made: another version, no disk space */
export async function fsck(options: FsckOptions): Promise<FsckReport> {
  const { directory, config, daemon } = options;
  for (const name of readdirSync(directory)) {
    if (name.startsWith(SCRATCH_PREFIX)) rmSync(join(directory, name), { recursive: true, force: true });
  }
  const scratchDirectory = mkdtempSync(join(directory, SCRATCH_PREFIX));
  try {
    const check = new Check(options, scratchDirectory);
    await check.run();
    return {
      volume: config.volume,
      site: config.site,
      stateDirectory: directory,
      mounted: daemon !== null,
      checked: check.checked,
      faults: check.faults,
      exitCode: exitCodeOf(check.faults),
    };
  } finally {
    rmSync(scratchDirectory, { recursive: true, force: true });
  }
}

class Check {
  readonly faults: Fault[] = [];
  readonly checked = { changes: 0, inodes: 0, entries: 0, objects: 0, bytes: 0 };
  /** What the changes say. */
  private scratch!: Journal;

  constructor(
    private readonly options: FsckOptions,
    private readonly scratchDirectory: string,
  ) {}

  async run(): Promise<void> {
    const { directory, daemon, repair } = this.options;
    if (!daemon) {
      this.checkPages();
      checkLog(directory, this.faults, repair);
    }
    if (!this.checkTables()) return;
    const db = this.openState();
    if (!db) return;
    this.scratch = Journal.open(this.scratchDirectory);
    try {
      this.checkFile(db);
      const journal = this.checkContent(db);
      if (!repair) return;
      if (daemon) await this.repairBeside(daemon);
      else this.repairHere(db, this.scratch, journal);
    } finally {
      if (db.open) db.close();
      this.scratch.close();
    }
  }

  private checkPages(): void {
    const path = statePath(this.options.directory);
    const misfit = hasLog(path) ? misfitOfLog(path, walPath(path)) : undefined;
    if (misfit !== undefined) {
      // What SQLite makes of the two is judged change by change, like any damaged state.
      const remedy = 'weft fsck --repair';
      this.faults.push({ class: 'state', what: `state.db: ${misfit}`, paths: [], repaired: false, remedy });
    }
    const verdict = checkPageSums(path);
    if (verdict.kind !== 'damaged') return;
    const repaired = this.options.repair && correctPages(path, verdict);
    const what = `${namePages(verdict)} of state.db changed while nobody had it open`;
    this.faults.push({ class: 'state', what, paths: [], repaired, remedy: repaired ? '' : 'weft fsck --repair' });
  }

  /** False when nothing can be read for what the file says of its tables. */
  private checkTables(): boolean {
    const { directory, repair, daemon } = this.options;
    const repaired = repair && !daemon;
    const modelDirectory = join(this.scratchDirectory, 'model');
    const model = Journal.open(modelDirectory);
    let damaged: string[];
    try {
      new ObjectStore(model.db, join(modelDirectory, 'packs')).close(); // its tables
      damaged = checkSchema(statePath(directory), model.db, repaired);
    } catch (error) {
      // Whatever else is wrong is told by what opens the file next.
      if (error instanceof CorruptionError) return true;
      throw error;
    } finally {
      model.close();
      rmSync(modelDirectory, { recursive: true });
    }
    for (const name of damaged) {
      const remedy = repaired ? '' : daemon ? 'weft umount, then weft fsck --repair' : 'weft fsck --repair';
      this.faults.push({ class: 'state', what: `state.db: ${name} is damaged`, paths: [], repaired, remedy });
    }
    return repaired || damaged.length === 0;
  }

  private openState(): Connection | undefined {
    try {
      return openDamagedState(statePath(this.options.directory));
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      this.faults.push({ class: 'state', what: error.message, paths: [], repaired: false, remedy: JOIN_REMEDY });
      return undefined;
    }
  }

  private checkFile(db: Connection): void {
    let wrong: string[];
    try {
      wrong = checkState(db);
    } catch (error) {
      wrong = [(error as Error).message];
    }
    const remedy = 'weft umount, then weft fsck --repair';
    for (const what of wrong)
      this.faults.push({ class: 'state', what: `state.db: ${what}`, paths: [], repaired: false, remedy });
  }

  private checkContent(db: Connection): JournalCheck {
    const { directory, config, data, tell } = this.options;
    const { faults, checked } = this;
    const faultsBefore = faults.length;
    let journal = new JournalCheck(db, this.scratch, faults);
    journal.run(tell);
    db.exec('begin');
    try {
      if (journal.isOutdated) {
        // Changes that it was to read were dropped: this time none are meanwhile.
        faults.splice(faultsBefore);
        this.scratch.close();
        rmSync(this.scratchDirectory, { recursive: true });
        this.scratch = Journal.open(this.scratchDirectory);
        journal = new JournalCheck(db, this.scratch, faults);
      }
      journal.run(tell); // what was committed meanwhile
      const { scratch } = this;
      const tree = new TreeCheck(db, scratch, journal, faults, tell);
      tree.run();
      db.exec('commit');
      const keepsAll = config.content !== 'on-demand' && !config.wantsDue;
      const objects = new ObjectCheck(db, join(directory, 'packs'), faults, tell, keepsAll);
      objects.run(scratch.store, (ino) => tree.pathOf(ino) ?? pathOfCopy(tree, ino), data);
      Object.assign(checked, { changes: journal.changes, inodes: tree.inodes, entries: tree.entries });
      Object.assign(checked, { objects: objects.objects, bytes: objects.bytes });
    } finally {
      if (db.inTransaction) db.exec('rollback');
    }
    return journal;
  }

  private async repairBeside(daemon: (damaged: DamagedData) => Promise<DamagedData>): Promise<void> {
    const objects = this.faults.flatMap(({ object }) => (object === undefined ? [] : [object]));
    const changes = this.faults.flatMap(({ change }) => (change === undefined ? [] : [change]));
    if (objects.length + changes.length === 0) return;
    const left = await daemon({ objects, changes: [...changes] });
    const missing = new Set(left.objects);
    const lost = new Set(left.changes.map(({ actor, seq }) => `${seq}@${actor}`));
    for (const fault of this.faults) {
      const { object, change } = fault;
      const isBack = object === undefined ? change && !lost.has(`${change.seq}@${change.actor}`) : !missing.has(object);
      if (isBack) Object.assign(fault, { repaired: true, remedy: '' });
    }
  }

  /** Rows are made again as a whole: what is damaged in one place may be elsewhere too. */
  private repairHere(db: Connection, scratch: Journal, journal: JournalCheck): void {
    const { directory, config, tell } = this.options;
    const rebuilds = this.faults.filter(
      (fault) => !fault.repaired && fault.class !== 'log' && fault.object === undefined,
    );
    if (rebuilds.length > 0) {
      if (journal.lost.some(({ hash }) => hash === null)) {
        for (const fault of rebuilds) fault.remedy = JOIN_REMEDY;
        return;
      }
      const { lost } = rebuildState(directory, config.slot, db, scratch, this.scratchDirectory, journal, tell);
      for (const fault of rebuilds) if (!fault.isLost) Object.assign(fault, { repaired: true, remedy: '' });
      for (const what of lost) {
        this.faults.push({
          class: 'row',
          what: `${what} could not be read`,
          paths: [],
          repaired: false,
          remedy: JOIN_REMEDY,
        });
      }
    }
    if (db.open) db.close();
    this.giveUpObjects();
  }

  /** Damaged objects go to the missing ones: linked sites send them when the site is mounted. */
  private giveUpObjects(): void {
    const { directory } = this.options;
    const about = this.faults.filter(({ object }) => object !== undefined);
    if (about.length === 0) return;
    const journal = Journal.open(directory);
    const objects = new ObjectStore(journal.db, join(directory, 'packs'));
    for (const { object } of about) objects.verify(object!);
    objects.reindex(); // another pack may have it
    for (const fault of about) {
      if (objects.verify(fault.object!)) Object.assign(fault, { repaired: true, remedy: '' });
      else fault.remedy = 'weft mount: a linked site that has it sends it again';
    }
    objects.close();
    journal.close();
  }
}

/** A version that lost is shown as a copy, under a number of its own: named for the file that it is a version of. */
function pathOfCopy(tree: TreeCheck, ino: number): string | undefined {
  for (const [copy, { source }] of tree.view.copies) if (source === ino) return tree.pathOf(copy);
  return undefined;
}
