// attribute-conflicts.ts — which permissions, owners and extended attributes were set at several sites at once to different values.
// Invariant: what nobody changed, and what all changed to the same, is no conflict; so a chmod to the mode that a file has makes
// none. A pure reading of one inode's registers. What is shown meanwhile is inode-attributes.ts's: bits merged, else the later.

import { formatMode, formatModeWithoutSetId, parseXattr, XATTR_PREFIX } from './fields.js';
import { attributesOf, xattrOf } from './inode-attributes.js';
import type { Entry, Inode } from './inode.js';

export interface Setting {
  readonly entry: Entry;
  /** Undefined: removed. */
  readonly value: string | undefined;
}

export interface Settings {
  readonly kind: 'mode' | 'owner' | 'group' | 'attribute';
  /** The name of an extended attribute. */
  readonly attribute: string | undefined;
  /** One of each value, the one that is shown (or has the greatest part in it) first. Two or more. */
  readonly settings: readonly Setting[];
  /** What the file has. */
  readonly shown: string | undefined;
}

/** Whether several wrote to a register at once, of which nobody has seen all. */
export function isContested(inode: Inode, field: string): boolean {
  return (inode.registers.get(field)?.length ?? 0) > 1;
}

/** Whether several wrote to an attribute at once; whether they disagree is not looked at. Cheap. */
export function hasContestedAttributes(inode: Inode): boolean {
  for (const [field, entries] of inode.registers) if (entries.length > 1 && isAttribute(field)) return true;
  return false;
}

/** The registers of attributes that are in conflict, sorted. */
export function contestedAttributes(inode: Inode): string[] {
  if (!hasContestedAttributes(inode)) return [];
  const fields = [...inode.registers.keys()].filter((field) => isAttribute(field));
  return fields.filter((field) => distinct(inode, field).length > 1).toSorted();
}

/** @param field one of {@link contestedAttributes} */
export function settingsOf(inode: Inode, field: string): Settings {
  const attribute = field.startsWith(XATTR_PREFIX) ? field.slice(XATTR_PREFIX.length) : undefined;
  const settings = distinct(inode, field);
  if (attribute !== undefined) return { kind: 'attribute', attribute, settings, shown: xattrOf(inode, attribute) };
  const { mode, uid, gid } = attributesOf(inode);
  if (field === 'mode') return { kind: 'mode', attribute, settings, shown: formatPermissions(mode) };
  if (field === 'uid') return { kind: 'owner', attribute, settings, shown: String(uid) };
  return { kind: 'group', attribute, settings, shown: String(gid) };
}

/** As chmod(1) takes them: four octal digits. */
export function formatPermissions(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

function isAttribute(field: string): boolean {
  return field === 'mode' || field === 'uid' || field === 'gid' || field.startsWith(XATTR_PREFIX);
}

function distinct(inode: Inode, field: string): Setting[] {
  const entries = inode.registers.get(field) ?? [];
  if (entries.length < 2) return [];
  let settings = entries.flatMap((entry): Setting[] => {
    if (field === 'mode') {
      // Who dropped set-id bits by a chown or a write, or set the mode that was there, chose no permissions.
      const mode = (entry.value as number) % 65536;
      const isChoice = entry.value !== formatMode(mode, mode) && entry.value !== formatModeWithoutSetId(mode);
      return isChoice ? [{ entry, value: formatPermissions(mode) }] : [];
    }
    return [{ entry, value: field.startsWith(XATTR_PREFIX) ? parseXattr(entry.value) : String(entry.value) }];
  });
  // Set beats remove.
  settings = [
    ...settings.filter(({ value }) => value !== undefined),
    ...settings.filter(({ value }) => value === undefined),
  ];
  return settings.filter(({ value }, i) => settings.findIndex((other) => other.value === value) === i);
}
