// scenario.ts — what a scenario file says, as values: sites, links, and the steps of a history.
// The language is described in README.md beside this file. Paths, texts and targets are latin1 strings of their bytes.

/** A path or a pattern; in quotes, `*`, `?` and `[` stand for themselves. */
export interface Pattern {
  readonly text: string;
  readonly quoted: boolean;
}

/**
 * What a person does at one site: one system call, or the few that the program of that name makes. A pattern stands for the one path
 * that it fits at the time: names of conflict copies are not known beforehand.
 */
export type Action =
  | { readonly do: 'mkdir' | 'rmdir'; readonly paths: readonly string[] }
  | { readonly do: 'write' | 'append' | 'save-by-rename'; readonly path: Pattern; readonly text: string }
  /** Opens the file, puts `replacement` where `text` was, which is there once, and writes all of it again. */
  | { readonly do: 'edit'; readonly path: Pattern; readonly text: string; readonly replacement: string }
  /** A new file of that many random megabytes. */
  | { readonly do: 'blob'; readonly path: string; readonly megabytes: number }
  | { readonly do: 'overwrite'; readonly path: string; readonly offset: number; readonly text: string }
  | { readonly do: 'truncate'; readonly path: string; readonly sizeBytes: number }
  | { readonly do: 'mv'; readonly from: Pattern; readonly to: string }
  | { readonly do: 'exchange'; readonly from: string; readonly to: string }
  | { readonly do: 'rm'; readonly paths: readonly Pattern[]; readonly recursive: boolean }
  | { readonly do: 'ln'; readonly existing: string; readonly path: string }
  | { readonly do: 'symlink'; readonly target: string; readonly path: string }
  | { readonly do: 'chmod'; readonly mode: number; readonly paths: readonly string[] }
  | {
      readonly do: 'chown';
      readonly uid: number | null;
      readonly gid: number | null;
      readonly paths: readonly string[];
    }
  | { readonly do: 'touch'; readonly timeSeconds: number | null; readonly paths: readonly string[] }
  | { readonly do: 'setxattr'; readonly path: string; readonly name: string; readonly value: string }
  | { readonly do: 'removexattr'; readonly path: string; readonly name: string }
  | { readonly do: 'mkfifo'; readonly path: string }
  /** Writes `count` files; with `killAfter` the daemon is killed once that many were acknowledged, while more are on their way. */
  | { readonly do: 'fill'; readonly path: string; readonly count: number; readonly killAfter: number | null }
  | { readonly do: 'open'; readonly handle: string; readonly path: string }
  | { readonly do: 'put'; readonly handle: string; readonly text: string }
  /** Takes the exclusive lock of the open file; fails when another descriptor of this machine has it. */
  | { readonly do: 'lock'; readonly handle: string }
  | { readonly do: 'close'; readonly handle: string };

export type Expectation =
  | { readonly that: 'same' }
  | { readonly that: 'exists' | 'absent'; readonly patterns: readonly Pattern[] }
  | { readonly that: 'cat'; readonly path: string; readonly text: string }
  | { readonly that: 'copies'; readonly pattern: Pattern; readonly texts: readonly string[] }
  | { readonly that: 'names'; readonly path: string; readonly patterns: readonly Pattern[] }
  | { readonly that: 'attribute'; readonly attribute: AttributeName; readonly path: string; readonly value: string }
  | { readonly that: 'xattr'; readonly path: string; readonly name: string; readonly value: string }
  | { readonly that: 'no xattr'; readonly path: string; readonly name: string }
  | { readonly that: 'reads'; readonly handle: string; readonly text: string }
  | { readonly that: 'linked'; readonly paths: readonly string[] }
  /** The kinds of conflict that are listed at the paths that it fits. */
  | { readonly that: 'conflict'; readonly pattern: Pattern; readonly kinds: readonly string[] }
  | { readonly that: 'conflicts'; readonly count: number };

/** Attributes that `expect` compares as text: `0644`, `file`, `2`, `1000:100`, `target/of/symlink`, seconds since 1970. */
export const ATTRIBUTE_NAMES = ['mode', 'type', 'nlink', 'owner', 'target', 'mtime'] as const;
export type AttributeName = (typeof ATTRIBUTE_NAMES)[number];

export type Step = { readonly line: number; readonly source: string } & (
  | { readonly step: 'act'; readonly site: string; readonly action: Action; readonly failsWith: string | null }
  /** Sites in different groups cannot reach each other. */
  | { readonly step: 'partition'; readonly groups: readonly (readonly string[])[] }
  | { readonly step: 'heal' }
  | { readonly step: 'sync' }
  | { readonly step: 'kill' | 'restart'; readonly site: string }
  | { readonly step: 'clock'; readonly site: string; readonly bySeconds: number }
  /** The disk that holds the site's state has that size from now on. */
  | { readonly step: 'disk'; readonly site: string; readonly megabytes: number }
  | {
      readonly step: 'expect';
      readonly sites: readonly string[] | null;
      readonly expectation: Expectation;
      /** It may take a while until it holds. */
      readonly isAwaited: boolean;
    }
);

/** Where a scenario can be played. */
export type StageName = 'simulator' | 'real';

/** A case that others published: where, and what the systems there did. */
export interface Published {
  readonly where: string;
  readonly theirs: readonly string[];
}

export interface Scenario {
  /** The file's name without its ending. */
  readonly name: string;
  readonly file: string;
  readonly sites: readonly string[];
  /** Pairs of sites that dial each other, the one listed first in `sites` first. */
  readonly links: readonly (readonly [string, string])[];
  /** Sites whose state is on a disk of its own, with its first size in megabytes. */
  readonly disks: ReadonlyMap<string, number>;
  readonly steps: readonly Step[];
  /** The rows of lib/crdt/MERGE.md that it plays, by their first column. */
  readonly rows: readonly string[];
  readonly published: readonly Published[];
  /** The one stage that can play it, and why; null: both can. */
  readonly only: { readonly stage: StageName; readonly reason: string } | null;
}
