// site-disk.ts — the disk of one simulated site, over all lives of its process: when it is full, when it fails, and what it kept.

import { DiskImage } from './disk-image.js';
import { type DiskBehaviour, type DiskCall, type Errno, setBehaviour } from './disk-faults.js';
import type { Random } from './random.js';
import { copyState } from './state-copy.js';
import type { Totals } from './totals.js';

/**
 * `scarce`: nothing is kept that is not needed, and new files do not go past the site; `guarded`: there is room for what is under way, and
 * statfs(2) says that there is no more; `quota`: there is room for commits alone, and statfs(2) says that there is plenty; `really`: not
 * one block.
 */
export type Fullness = 'no' | 'scarce' | 'guarded' | 'quota' | 'really';

const FREE_BYTES: Readonly<Record<Fullness, number>> = {
  no: 2 ** 42,
  scarce: 2 ** 29,
  guarded: 0,
  quota: 2 ** 42,
  really: 0,
};

export class SiteDisk implements DiskBehaviour {
  fullness: Fullness = 'no';
  image: DiskImage | null;
  /** Calls that failed in the present life of the site. */
  refusals = 0;
  private failing: DiskCall | undefined;
  private until = 0;

  /** @param isRemembered whether power may fail: costs a copy of what is synced */
  constructor(
    public directory: string,
    isRemembered: boolean,
    private readonly totals: Totals,
    private readonly clock: { readonly fileTimeNs: bigint },
    /** See {@link DiskBehaviour.moment}. */
    readonly moment: () => void,
    /** Chooses what is lost by a sync that fails. */
    private readonly random: Random,
  ) {
    this.image = isRemembered ? DiskImage.durable(directory) : null;
    setBehaviour(directory, this);
  }

  get fileTimeNs(): bigint {
    return this.clock.fileTimeNs;
  }

  get freeBytes(): number {
    return FREE_BYTES[this.fullness];
  }

  get looksFull(): boolean {
    return this.freeBytes === 0;
  }

  /** The n-th call of this kind from now fails, once. */
  failLater(call: DiskCall, n: number): void {
    this.failing = call;
    this.until = n;
  }

  /** Whatever was wrong with it is not any more. */
  repair(): void {
    this.fullness = 'no';
    this.failing = undefined;
  }

  /** Does what the disk does by itself, however full it is. */
  byItself(act: () => void): void {
    const { fullness, failing } = this;
    this.repair();
    try {
      act();
    } finally {
      this.fullness = fullness;
      this.failing = failing;
    }
  }

  refuse(call: DiskCall): Errno | undefined {
    const takesRoom = call === 'create' || call === 'write';
    if (this.fullness === 'really' && (takesRoom || call === 'commit')) return this.refused('ENOSPC');
    if (this.fullness === 'quota' && takesRoom) return this.refused('EDQUOT');
    if (call !== this.failing || --this.until > 0) return undefined;
    this.failing = undefined;
    return this.refused('EIO');
  }

  private refused(code: Errno): Errno {
    this.refusals++;
    this.totals.add(`disk faults: ${code}`);
    return code;
  }

  giveUp(path: string): void {
    this.image?.failed(this.random, path);
  }

  /** Copies the state as a process leaves it that is killed now. */
  copyTo(directory: string): DiskImage | null {
    copyState(this.directory, directory);
    return this.image && this.image.copiedTo(directory);
  }

  /** Copies the state as power loss leaves it. */
  loseTo(random: Random, directory: string): DiskImage | null {
    this.image!.lose(random, directory);
    return DiskImage.durable(directory);
  }

  /** The site goes on from a copy. */
  moveTo(directory: string, image: DiskImage | null): void {
    this.directory = directory;
    this.image = image;
    this.refusals = 0;
    setBehaviour(directory, this);
  }

  /** Nobody uses this directory any more. */
  static forget(directory: string): void {
    setBehaviour(directory, undefined);
  }
}
