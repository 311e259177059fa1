// fsck-report.ts — what a check of a site's stored data says: faults by class, and the exit code that sums them up.
// The shape is part of the command line's contract (`weft fsck --json`): fields are added, never changed.

/** What kind of stored thing is damaged. */
export type FaultClass =
  /** state.db as a file: its pages, its b-trees. */
  | 'state'
  /** A change in the journal: damaged, out of order, or gone. */
  | 'change'
  /** A row that the changes say otherwise: registers, entries, what is in conflict, where the state ends. */
  | 'row'
  /** Where an object is said to lie. */
  | 'index'
  /** A manifest or chunk in a pack is not what its id says. */
  | 'object'
  /** A version needs an object that is neither held here nor asked of other sites. */
  | 'absent'
  /** The intent log. */
  | 'log';

export interface Fault {
  readonly class: FaultClass;
  /** What is wrong, naming it. */
  readonly what: string;
  /** Files and directories that it shows in, from the volume's root; latin1 characters stand for bytes. Empty: none, or not known. */
  paths: string[];
  repaired: boolean;
  /** What puts it right; '' once it is. */
  remedy: string;
  /** The object that it is about. */
  readonly object?: string;
  /** The bytes are gone here: no local repair brings them back. */
  readonly isLost?: true;
  /** The change that it is about. */
  readonly change?: { readonly actor: string; readonly seq: number };
}

export interface FsckReport {
  readonly volume: string;
  readonly site: string;
  readonly stateDirectory: string;
  readonly mounted: boolean;
  /** What was looked at. */
  readonly checked: { changes: number; inodes: number; entries: number; objects: number; bytes: number };
  readonly faults: Fault[];
  /** Bits as fsck(8) spells them: 1 faults were repaired, 4 some were not. */
  exitCode: number;
}

export const FSCK_REPAIRED = 1;
export const FSCK_UNCORRECTED = 4;
export const FSCK_OPERATIONAL = 8;
export const FSCK_USAGE = 16;

export function exitCodeOf(faults: readonly Fault[]): number {
  const repaired = faults.some((fault) => fault.repaired) ? FSCK_REPAIRED : 0;
  return repaired | (faults.every((fault) => fault.repaired) ? 0 : FSCK_UNCORRECTED);
}

/** Told how far a long check is. */
export type Tell = (what: string, done: number, total: number | null) => void;
