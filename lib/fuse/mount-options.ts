// mount-options.ts — what `-o` of mount(8) means for a Weft mount.
// Invariant: each option is either applied, or one that mount(8) itself keeps for fstab and that means nothing here, or an error that
// names it. Pure. Flags are MS_* of mount(2); later options win over earlier ones, as in mount(8).

import { MAX_TRANSFER_BYTES } from './init.js';

/** Option → the flag that it sets (positive) or clears (negative). */
const FLAGS: Record<string, number> = {
  ro: 1,
  rw: -1,
  nosuid: 2,
  suid: -2,
  nodev: 4,
  dev: -4,
  noexec: 8,
  exec: -8,
  sync: 16,
  async: -16,
  dirsync: 128,
  nosymfollow: 256,
  symfollow: -256,
  noatime: 1024,
  atime: -1024,
  nodiratime: 2048,
  diratime: -2048,
  relatime: 1 << 21,
  norelatime: -(1 << 21),
  strictatime: 1 << 24,
  nostrictatime: -(1 << 24),
  lazytime: 1 << 25,
  nolazytime: -(1 << 25),
};

/** Flags that fusermount3 takes by name. The others are about times, which the volume keeps. */
const FUSERMOUNT_FLAGS = ['ro', 'nosuid', 'nodev', 'noexec', 'sync', 'dirsync', 'noatime', 'nodiratime', 'nosymfollow'];

/** fstab(5) and mount(8) words for others than the filesystem. */
const IGNORED = new Set(
  'defaults auto noauto nofail _netdev user nouser users nousers owner noowner group nogroup default_permissions'.split(
    ' ',
  ),
);

export interface MountOptions {
  /** MS_* of mount(2). */
  readonly flags: number;
  /** The same flags as fusermount3 spells them. */
  readonly flagNames: readonly string[];
  readonly allowOther: boolean;
  readonly maxReadBytes: number;
  /** Processors may sleep deeply between two calls: slower calls, less power (idle-latency.ts). */
  readonly powerSave: boolean;
  /** The source that df(1) and /proc/self/mounts show; undefined: the caller's choice. */
  readonly fsname: string | undefined;
}

function maxRead(value: string): number {
  const bytes = Number(value);
  if (!Number.isSafeInteger(bytes) || bytes < 4096 || bytes > MAX_TRANSFER_BYTES) {
    throw new Error(`mount option max_read=${value}: give a number of bytes from 4096 to ${MAX_TRANSFER_BYTES}`);
  }
  return bytes;
}

/** Parses options as given with `-o`, each a comma-separated list. Throws an Error naming the option that it does not know. */
export function parseMountOptions(given: readonly string[]): MountOptions {
  let flags = 0;
  let allowOther = false;
  let powerSave = false;
  let maxReadBytes = MAX_TRANSFER_BYTES;
  let fsname: string | undefined;
  for (const option of given.flatMap((list) => list.split(',')).map((word) => word.trim())) {
    const equals = option.indexOf('=');
    const name = equals < 0 ? option : option.slice(0, equals);
    const value = equals < 0 ? undefined : option.slice(equals + 1);
    const flag = value === undefined && Object.hasOwn(FLAGS, name) ? FLAGS[name] : undefined;
    if (option === '') continue;
    else if (flag !== undefined) flags = flag > 0 ? flags | flag : flags & ~-flag;
    else if (name === 'allow_other' && value === undefined) allowOther = true;
    else if (name === 'powersave' && value === undefined) powerSave = true;
    else if (name === 'max_read' && value !== undefined) maxReadBytes = maxRead(value);
    else if (name === 'fsname' && value !== undefined && value !== '') fsname = value;
    else if (IGNORED.has(option) || /^(x-|X-|comment=)/.test(option)) continue;
    else throw new Error(`unknown mount option '${option}': see mount(8) for the ones that every filesystem takes`);
  }
  const flagNames = FUSERMOUNT_FLAGS.filter((name) => (flags & FLAGS[name]!) !== 0);
  return { flags, flagNames, allowOther, maxReadBytes, powerSave, fsname };
}
