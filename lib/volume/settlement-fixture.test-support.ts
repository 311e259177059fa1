// settlement-fixture.test-support.ts — pairs of volumes in conflict, and what settles a conflict, for tests.

import assert from 'node:assert/strict';
import { after } from 'node:test';
import { type Conflict, type ConflictKind, listConflicts } from '../crdt/conflicts.js';
import { ObjectKind } from '../chunks/object-kind.js';
import { encodeManifest, inlineManifest } from '../chunks/manifest.js';
import { conflictId } from './conflict-id.js';
import type { Settled } from './settlement.js';
import { USER, VolumeFixture } from './volume-fixture.test-support.js';

/** Removed at the end. */
export const open: VolumeFixture[] = [];
after(() => open.forEach((fixture) => fixture.remove()));

/** Two sites that share what `start` makes, do what `act` does each on its own, and merge. */
export async function merged(
  start: (site: VolumeFixture) => void,
  act: (one: VolumeFixture, other: VolumeFixture) => void,
): Promise<[VolumeFixture, VolumeFixture]> {
  const one = VolumeFixture.create();
  open.push(one);
  const other = await one.join();
  open.push(other);
  start(one);
  await one.mergeWith(other);
  act(one, other);
  await one.mergeWith(other);
  return [one, other];
}

export function conflictsOf({ volume }: VolumeFixture): Conflict[] {
  volume.fold();
  return listConflicts(volume.journal.store, volume.journal.actors);
}

export function only(site: VolumeFixture, kind: ConflictKind): Conflict {
  const [conflict, ...more] = conflictsOf(site);
  assert.deepEqual([conflict?.kind, more.length], [kind, 0]);
  return conflict!;
}

export function resolve(site: VolumeFixture, conflict: Conflict, keep: string, text?: string): Settled {
  let content = null;
  if (text !== undefined) {
    const bytes = encodeManifest(inlineManifest(Buffer.from(text)));
    content = { manifest: site.volume.objects.put(ObjectKind.manifest, bytes), size: Buffer.byteLength(text) };
  }
  return site.volume.settlement.resolve({
    id: conflictId(conflict),
    directory: conflict.at.parent,
    keep,
    merged: content,
  });
}

/** Every path below a directory, with the text of files. */
export function tree(site: VolumeFixture, path = ''): Record<string, string> {
  const all: Record<string, string> = {};
  for (const name of site.list(path)) {
    const at = `${path}/${name}`;
    const isDirectory = (site.volume.files.getattr(site.resolve(at)).mode & 0o170000) === 0o040000;
    all[at] = isDirectory ? 'directory' : site.text(at);
    if (isDirectory) Object.assign(all, tree(site, at));
  }
  return all;
}

export async function assertSettled(one: VolumeFixture, other: VolumeFixture): Promise<void> {
  await one.mergeWith(other);
  assert.equal(one.digest, other.digest);
  for (const site of [one, other]) assert.deepEqual(conflictsOf(site), []);
}

/** A file that both sites wrote to, the other one later. */
export function writtenAtBoth(path = '/plan'): Promise<[VolumeFixture, VolumeFixture]> {
  return merged(
    (site) => {
      if (path.lastIndexOf('/') > 0) site.mkdir(path.slice(0, path.lastIndexOf('/')));
      site.write(path, 'base');
    },
    (one, other) => {
      one.write(path, 'of one');
      other.write(path, 'of other, later');
    },
  );
}

/** Both set an owner or group, the mode and an attribute of /x. */
export function attributesSetAtBoth(id: 'uid' | 'gid'): Promise<[VolumeFixture, VolumeFixture]> {
  return merged(
    (site) => void site.write('/x', 'base'),
    (a, b) => {
      for (const [i, site] of [a, b].entries()) {
        const ino = site.resolve('/x');
        site.volume.files.setattr(ino, { [id]: 10 + i }, USER, undefined);
        site.volume.files.setattr(ino, { mode: i === 0 ? 0o664 : 0o645 }, USER, undefined);
        site.volume.files.setxattr(ino, 'user.a', Buffer.from(`of ${i}`), 0, false);
      }
    },
  );
}

/** /x was moved into /y, and /y into /x. */
export function movedIntoEachOther(): Promise<[VolumeFixture, VolumeFixture]> {
  return merged(
    (site) => {
      for (const path of ['/x', '/y']) site.mkdir(path);
      site.write('/x/in-x', 'x');
      site.write('/y/in-y', 'y');
    },
    (a, b) => {
      a.rename('/x', '/y/z');
      b.rename('/y', '/x/w');
    },
  );
}
