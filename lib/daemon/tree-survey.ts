// tree-survey.ts — what takes a look at the whole tree, its digest and its size; or at all of its conflicts. On threads of their own.
// Invariant: a survey is of one commit, at least as new as the one asked for. The site thread takes no part, so that a look at a
// million files delays no local call. The answer is kept until there is a newer commit.

import { Worker } from 'node:worker_threads';
import type { LocatedConflict } from './conflict-rows.js';

/** Costs a look at every inode and entry. */
export interface Survey {
  /** 64 hex digits; equal at two sites exactly when they show the same tree. */
  readonly digest: string;
  readonly inodes: number;
  readonly conflicts: number;
  /** Where content is fetched on demand: bytes of the files that are shown and not here; null: not looked for. */
  readonly absentBytes: number | null;
}

/** What a thread is asked for, and what it answers. Conflicts cost what is in conflict, not what there is. */
export interface Surveys {
  readonly tree: Survey;
  readonly conflicts: readonly LocatedConflict[];
}

export interface SurveyThreadData {
  readonly stateDirectory: string;
  readonly what: keyof Surveys;
  /** Whether what is shown and not here is to be counted, which costs a look at each manifest that is here. */
  readonly countsAbsent: boolean;
}

export class TreeSurvey {
  private readonly tree = new LatestAnswer(() => this.take('tree'));
  private readonly conflicts = new LatestAnswer(() => this.take('conflicts'));

  constructor(
    private readonly stateDirectory: string,
    private readonly isOnDemand: () => boolean,
  ) {}

  /** @param commit the number of the last commit; so for conflicts */
  at(commit: number): Promise<Survey> {
    return this.tree.at(commit);
  }

  conflictsAt(commit: number): Promise<readonly LocatedConflict[]> {
    return this.conflicts.at(commit);
  }

  private take<What extends keyof Surveys>(what: What): Promise<Surveys[What]> {
    const workerData: SurveyThreadData = {
      stateDirectory: this.stateDirectory,
      what,
      countsAbsent: this.isOnDemand(),
    };
    return new Promise((resolve, reject) => {
      const worker = new Worker(new URL('tree-survey-thread.js', import.meta.url), { workerData });
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', (code) => reject(new Error(`the survey of the tree ended with code ${code}`)));
    });
  }
}

/** The answer about the latest commit that was asked about. */
class LatestAnswer<T> {
  private last: { commit: number; answer: Promise<T> } | null = null;

  constructor(private readonly take: () => Promise<T>) {}

  at(commit: number): Promise<T> {
    if (this.last?.commit !== commit) {
      const answer = this.take();
      this.last = { commit, answer };
      answer.catch(() => (this.last = null));
    }
    return this.last.answer;
  }
}
