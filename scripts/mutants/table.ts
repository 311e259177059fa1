// table.ts — every merge rule, tie-break and durability step of the product, with the text that switches it off in the built program.
// Rules are those of lib/crdt/MERGE.md, in its order; steps those of ARCHITECTURE.md's invariants. `from` occurs once in the file.
// Not here is that a change waits for those that it builds on: links deliver in an order in which none has to, but for sites that were
// closed and changes that are held back as malformed. The simulator has neither; journal.test.ts and quarantine.test.ts deliver out of order.

export interface Mutant {
  readonly rule: string;
  /** Below dist/lib. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

export const MUTANTS: readonly Mutant[] = [
  // ── which write wins ──
  {
    rule: 'winner: the highest stamp',
    file: 'crdt/register.js',
    from: 'a.stamp - b.stamp ||',
    to: 'b.stamp - a.stamp ||',
  },
  {
    rule: 'winner: of one stamp the actor id, not what a site calls it',
    file: 'crdt/ids.js',
    from: 'this.id(a) < this.id(b) ? -1 : 1',
    to: 'a - b',
  },
  {
    rule: 'winner: a stamp is above those seen',
    file: 'crdt/stamp.js',
    from: 'if (stampUs > this.#last)',
    to: 'if (stampUs < 0)',
  },
  {
    rule: 'a write overwrites what it saw',
    file: 'crdt/register.js',
    from: '!pred.some((op) => sameOp(op, entry))',
    to: 'true',
  },
  // ── names ──
  {
    rule: 'two new files of one name: both are shown',
    file: 'crdt/names.js',
    from: 'losers.push(claimant);',
    to: 'hidden.push(claimant);',
  },
  {
    rule: 'equal files are shown as one: content is compared',
    file: 'crdt/names.js',
    from: 'a.head?.manifest !== b.head?.manifest || ',
    to: '',
  },
  {
    rule: 'equal files are shown as one: attributes are compared',
    file: 'crdt/names.js',
    from: 'a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid',
    to: 'false',
  },
  {
    rule: 'equal files are shown as one: the next write settles both',
    file: 'crdt/local-writes.js',
    from: 'if (rivals[0]?.ino !== ino)',
    to: 'if (true)',
  },
  {
    rule: 'file, directory: the directory keeps the name',
    file: 'crdt/placement.js',
    from: 'Number(b.directory) - Number(a.directory) ||',
    to: '',
  },
  {
    rule: 'a removed file that returns does not take a name from another',
    file: 'crdt/placement.js',
    from: 'Number(a.revived) - Number(b.revived) ||',
    to: '',
  },
  {
    rule: 'a suffix names who wrote what lost',
    file: 'crdt/names.js',
    from: '${sites.of(entry.actor)}-',
    to: 'x-',
  },
  {
    rule: 'of a removed file that returns the suffix names who wrote its data',
    file: 'crdt/placement.js',
    from: 'unseen && claimOf(inode.ino, last.link, last.value, unseen, true',
    to: 'unseen && claimOf(inode.ino, last.link, last.value, last.entry, true',
  },
  {
    rule: 'a suffixed name is cut to 255 bytes',
    file: 'crdt/names.js',
    from: 'cutBytes(base, NAME_MAX - suffix.length) + suffix',
    to: 'base + suffix',
  },
  {
    rule: 'a suffix that is taken gets more characters',
    file: 'crdt/names.js',
    from: 'named.has(name) || isClaimed(name)',
    to: 'named.has(name)',
  },
  {
    rule: 'what lies beside a name keeps its suffix when the name is removed',
    file: 'crdt/local-writes.js',
    from: 'ino === claim.ino || ino === except || shown === null || tree.store.copy(ino)',
    to: 'true',
  },
  {
    rule: 'two links of one file at one name are one entry',
    file: 'crdt/names.js',
    from: 'claimant.ino === winner.ino || losers',
    to: 'false || losers',
  },
  // ── directories ──
  {
    rule: 'new directories of one name are one',
    file: 'crdt/merged-directories.js',
    from: 'member.birth && member.ino !== canonical ? canonical : undefined',
    to: 'undefined',
  },
  {
    rule: 'a directory that was moved is not merged with what has its name',
    file: 'crdt/merged-directories.js',
    from: 'member.birth && member.ino !== canonical',
    to: 'member.ino !== canonical',
  },
  {
    rule: 'merged directories stay merged when one is renamed',
    file: 'crdt/local-writes.js',
    from: "mergedByName(tree, canonical).map((ino) => ({ ino, field: 'into', value: formatInto(canonical) }))",
    to: '[]',
  },
  {
    rule: 'a cycle of moves is broken',
    file: 'crdt/directory-tree.js',
    from: 'const latest = cycle.reduce((a, b) => (this.#isLater(b, a, cursors) ? b : a));\n            cursors.set(latest, (cursors.get(latest) ?? 0) + 1);\n            toWalk.push(start, latest);\n        }\n        for (const [ino, cursor] of cursors)\n            if ((before',
    to: 'continue;\n        }\n        for (const [ino, cursor] of cursors)\n            if ((before',
  },
  {
    rule: 'a cycle of moves: the latest falls back',
    file: 'crdt/directory-tree.js',
    from: '(compareEntries(first.entry, second.entry, this.#actors) || a - b) > 0',
    to: '(compareEntries(first.entry, second.entry, this.#actors) || a - b) < 0',
  },
  {
    rule: 'a move that fell back goes where it was before',
    file: 'crdt/placement.js',
    from: "value.kind === 'place' && value.prev",
    to: 'false',
  },
  {
    rule: 'a move that fell back goes to its birth place at last',
    file: 'crdt/placement.js',
    from: "if (born && born.name !== '')",
    to: 'if (false)',
  },
  {
    rule: 'a deferred move takes effect when what blocks it goes',
    file: 'crdt/directory-tree.js',
    from: 'for (const ino of before.keys())\n            cursors.set(ino, 0);',
    to: '',
  },
  {
    rule: 'create into, removal of, a directory: it returns',
    file: 'crdt/liveness.js',
    from: 'const alive = this.#isSupported(ino);',
    to: 'const alive = false;',
  },
  {
    rule: 'of a removed tree only the path to what returns does',
    file: 'crdt/liveness.js',
    from: 'const alive = this.#isSupported(ino);',
    to: 'const alive = true;',
  },
  {
    rule: 'rename, removal of a directory: the rename wins',
    file: 'crdt/placement.js',
    from: 'entries?.some(({ value }) => !isTombstone(value)) ?? false',
    to: 'entries?.every(({ value }) => !isTombstone(value)) ?? false',
  },
  // ── files ──
  {
    rule: 'rename, unlink of a file: the rename wins',
    file: 'crdt/placement.js',
    from: 'const entry = entries.find(({ value }) => !isTombstone(value));\n        if (entry) {\n            const value = parseLink(entry.value);\n            claims.push',
    to: 'const entry = entries.every(({ value }) => !isTombstone(value)) ? entries[0] : undefined;\n        if (entry) {\n            const value = parseLink(entry.value);\n            claims.push',
  },
  {
    rule: 'rename, rename of a file: the later',
    file: 'crdt/placement.js',
    from: 'const entry = entries.find(({ value }) => !isTombstone(value));\n        if (entry) {\n            const value = parseLink(entry.value);\n            claims.push',
    to: 'const entry = entries.findLast(({ value }) => !isTombstone(value));\n        if (entry) {\n            const value = parseLink(entry.value);\n            claims.push',
  },
  {
    rule: 'a file that returns has the name that was removed last',
    file: 'crdt/placement.js',
    from: 'compareEntries(entry, last.entry, actors) > 0',
    to: 'compareEntries(entry, last.entry, actors) < 0',
  },
  {
    rule: 'write, write: the other version lies beside it',
    file: 'crdt/copies.js',
    from: 'shown.push(head);',
    to: '',
  },
  {
    rule: 'a write overwrites the version that it goes on from, and no other',
    file: 'volume/publishing.js',
    from: "field: 'head', value, bases: draft.bases",
    to: "field: 'head', value",
  },
  {
    rule: 'a write leaves the copies beside the file',
    file: 'crdt/local-writes.js',
    from: 'heads.length < 2 ? heads : headsLike(inode, attributesOf(inode).head)',
    to: 'heads',
  },
  {
    rule: 'write, write: equal versions are one',
    file: 'crdt/copies.js',
    from: '[heads[0], ...shown].some((better) => isSameContent(better, head))',
    to: 'false',
  },
  {
    rule: 'a copy that became a file is shown once',
    file: 'crdt/copies.js',
    from: 'isBorn(head.copyIno, store) || ',
    to: '',
  },
  {
    rule: 'write, unlink: the data win',
    file: 'crdt/placement.js',
    from: 'return unseen && claimOf',
    to: 'return undefined && claimOf',
  },
  {
    rule: 'a removal says which versions it had seen',
    file: 'crdt/inode-attributes.js',
    from: 'cites.add(formatOp(counter, actors.id(actor)));\n        for',
    to: 'for',
  },
  {
    rule: 'only the removal of the last name does away with versions',
    file: 'crdt/local-writes.js',
    from: 'if (isLast)\n            return draft;',
    to: 'return draft;',
  },
  // ── attributes ──
  {
    rule: 'chmod, chmod: bit by bit',
    file: 'crdt/inode-attributes.js',
    from: 'if (values.length < 2)',
    to: 'if (values.length < 99)',
  },
  {
    rule: 'chmod, chmod: the stricter wins',
    file: 'crdt/inode-attributes.js',
    from: 'undecided ? bit === STICKY : changedToSet',
    to: 'undecided ? bit !== STICKY : changedToSet',
  },
  {
    rule: 'chown drops set-id bits from a concurrent chmod',
    file: 'crdt/fields.js',
    from: 'return formatMode(mode | SET_ID_BITS, mode & ~SET_ID_BITS);',
    to: 'return formatMode(mode, mode & ~SET_ID_BITS);',
  },
  {
    rule: 'an owner that stays is no write',
    file: 'volume/inode-changes.js',
    from: '!isSame || isContested(inode, field)',
    to: 'true',
  },
  {
    rule: 'xattr: set beats remove',
    file: 'crdt/inode-attributes.js',
    from: 'if (value !== undefined)\n            return value;\n    }\n    return undefined;',
    to: 'return value;\n    }\n    return undefined;',
  },
  {
    rule: 'explicit time, write: the later',
    file: 'crdt/inode-attributes.js',
    from: 'times.stamp > head.stamp ||',
    to: 'times.stamp < head.stamp ||',
  },
  // ── merges of content ──
  {
    rule: 'write, write under a policy: one version',
    file: 'crdt/merge-policy.js',
    from: "return isMergePolicy(text) ? text : 'copy';",
    to: "return 'copy';",
  },
  {
    rule: 'a merge names the versions that are in it',
    file: 'crdt/fields.js',
    from: "return merged ? `${value} ${merged.join(',')}` : value;",
    to: 'return value;',
  },
  {
    rule: 'a merge is nothing new to who removed what it is made of',
    file: 'crdt/placement.js',
    from: 'return merged.length === 0 ||',
    to: 'return true ||',
  },
  {
    rule: 'a removal of a merge cites what it is made of',
    file: 'crdt/inode-attributes.js',
    from: 'for (const op of mergedIn(value))\n            cites.add(op);',
    to: '',
  },
  {
    rule: 'merges of the same versions at two sites: nothing is added twice',
    file: 'volume/version-merge.js',
    from: 'yield* mergeVersionContents(policy, common, reader, depth + 1)',
    to: 'reader.content(common[0])',
  },
  {
    rule: 'a policy is inherited from the directories above',
    file: 'crdt/merge-policy.js',
    from: 'if (parent === undefined)',
    to: 'if (true)',
  },
  {
    rule: 'a policy that is set later merges the copies that there are',
    file: 'volume/content-merges.js',
    from: 'policyChanged(ino) {',
    to: 'policyChanged(ino) {\n        return;',
  },
  {
    rule: 'append: what both added',
    file: 'chunks/merge-append.js',
    from: '...earlier.pieces, ...later.slice(base.size, later.size)',
    to: '...later.pieces',
  },
  {
    rule: 'ranges: what both changed is not merged',
    file: 'chunks/merge-ranges.js',
    from: ' || overlap(inA, inB)',
    to: '',
  },
  {
    rule: 'text: what both changed is not merged',
    file: 'chunks/merge-text.js',
    from: 'return undefined;\n        for (const number of ok)',
    to: 'continue;\n        for (const number of ok)',
  },
  // ── what a crash leaves ──
  {
    rule: 'operations are in the intent log',
    file: 'volume/commits.js',
    from: 'this.log.append(RECORD.writes, this.scratch.view());',
    to: '',
  },
  {
    rule: 'the bytes of small drafts are in the intent log',
    file: 'volume/drafts.js',
    from: 'this.record(RECORD.data, draft.ino, time, 0, offset, data.length, data);\n            content.write(offset, data);',
    to: 'content.write(offset, data);',
  },
  {
    rule: 'the ranges of large drafts are in the intent log',
    file: 'volume/drafts.js',
    from: 'this.record(RECORD.extent, draft.ino, time, 0, offset, data.length, NOTHING);',
    to: '',
  },
  {
    rule: 'the log is kept for open drafts',
    file: 'volume/folding.js',
    from: 'Math.min(this.journal.foldedLsn, this.drafts.logFloor - 1)',
    to: 'this.journal.foldedLsn',
  },
  {
    rule: 'recovered operations compete as of when they were made',
    file: 'volume/commits.js',
    from: 'this.recoveredUs = timeUs;',
    to: ';',
  },
  {
    rule: 'inode numbers are reserved before they are used',
    file: 'journal/journal.js',
    from: 'this.write(foldedLsn, sequenceLimit);',
    to: 'this.write(foldedLsn, this.sequences.unused);',
  },
  // ── power loss ──
  {
    rule: 'fsync: the log is synced',
    file: 'volume/drafts.js',
    from: 'this.syncContent(draft);\n        this.stable.sync(draft.baseCommit);',
    to: 'this.syncContent(draft);',
  },
  {
    rule: 'fsync: the working copy is synced',
    file: 'volume/drafts.js',
    from: 'if (isShared || draft.unsyncedFile)\n                    this.syncFile(draft);',
    to: '',
  },
  {
    rule: 'fsync: the version below is synced',
    file: 'volume/stable-storage.js',
    from: 'Math.max(commit, this.remoteCommit)',
    to: 'this.remoteCommit',
  },
  {
    rule: 'fsync: what other sites changed before is synced',
    file: 'volume/stable-storage.js',
    from: 'Math.max(commit, this.remoteCommit)',
    to: 'commit',
  },
  {
    rule: 'the log ends before operations on what power loss took',
    file: 'journal/intent-log.js',
    from: 'if (follows && baseless >= 0) {',
    to: 'if (false) {',
  },
  {
    rule: 'objects that power loss took leave the index',
    file: 'chunks/object-store.js',
    from: 'if (!this.isIntact(object))',
    to: 'if (false)',
  },
  {
    rule: 'versions whose bytes power loss took are given up',
    file: 'volume/lost-versions.js',
    from: 'if (gone.size === 0)',
    to: 'if (gone.size >= 0)',
  },
  {
    rule: 'a change is sent only when it is durable',
    file: 'daemon/durable-commits.js',
    from: 'await this.sync([...new Set(batch.flatMap(({ unsynced }) => unsynced))]);',
    to: '',
  },
  {
    rule: 'log records go when their commit is durable',
    file: 'volume/folding.js',
    from: 'this.committed();\n',
    to: 'this.committed();\n            this.log.release(Math.min(this.journal.foldedLsn, this.drafts.logFloor - 1));\n',
  },
  // ── bytes that the kernel writes past the site ──
  {
    rule: 'past the site: all opens of a file go the same way',
    file: 'volume/file-contents.js',
    from: 'sibling && !sibling.backed ? undefined : this.backingOf',
    to: 'this.backingOf',
  },
  {
    rule: 'past the site: who opens what is open sees the version that it shows',
    file: 'volume/file-contents.js',
    from: 'sibling?.backed ? sibling.version : this.shownVersion(ino);\n        if (flags',
    to: 'this.shownVersion(ino);\n        if (flags',
  },
  {
    rule: 'past the site: who truncates what is open goes on from the version that it shows',
    file: 'volume/file-contents.js',
    from: 'sibling?.backed ? sibling.version : undefined',
    to: 'undefined',
  },
  {
    rule: 'past the site: the log says that the kernel may write to a local file',
    file: 'volume/drafts.js',
    from: 'this.clock.nowUs()) * NS_PER_US;\n        this.recordShare(draft);',
    to: 'this.clock.nowUs()) * NS_PER_US;',
  },
  {
    rule: 'past the site: after a crash the bytes tell, and not the time, whether the kernel wrote',
    file: 'volume/draft-recovery.js',
    from: 'this.drafts.refreshRecovered(draft);',
    to: 'this.drafts.refresh(draft);',
  },
  {
    rule: 'past the site: at the last close the bytes tell, and not the time, whether the kernel wrote',
    file: 'volume/drafts.js',
    from: 'seen && seen.mtimeNs >= draft.sharedAtNs',
    to: 'false && seen.mtimeNs >= draft.sharedAtNs',
  },
  {
    rule: 'past the site: what a worker may have read too early is read once more',
    file: 'volume/drafts.js',
    from: 'else if (draft.ingesting !== 0)',
    to: 'else if (false)',
  },
  {
    rule: 'past the site: the log says that a local file was given back',
    file: 'volume/drafts.js',
    from: 'this.record(RECORD.givenBack,',
    to: 'this.record(draft.dirty ? RECORD.whole : RECORD.synced,',
  },
  {
    rule: 'past the site: a local file that is used again is empty',
    file: 'volume/spare-files.js',
    from: 'content.empty();',
    to: ';',
  },
  {
    rule: 'past the site: a local file that was synced is not used again',
    file: 'volume/drafts.js',
    from: 'syncFile(draft) {\n        draft.isSpare = false;',
    to: 'syncFile(draft) {',
  },
  {
    rule: 'past the site: a local file of which a version is made is not used again',
    file: 'volume/publishing.js',
    from: 'draft.isSpare = false;',
    to: '',
  },
  {
    rule: 'past the site: fsync of a small new file puts its bytes into the log',
    file: 'volume/drafts.js',
    from: 'this.record(RECORD.whole,',
    to: 'false && this.record(RECORD.whole,',
  },
  {
    rule: 'past the site: what fsync put into the log is not written over what followed it',
    file: 'volume/recovery.js',
    from: '(kind === RECORD.whole && !this.powerLoss)',
    to: 'false',
  },
  {
    rule: 'past the site: fsync syncs the local file each time',
    file: 'volume/drafts.js',
    from: 'if (isShared || draft.unsyncedFile)',
    to: 'if (draft.unsyncedFile)',
  },
  {
    rule: 'past the site: what a sync of the local file makes old in the log is not written over it',
    file: 'volume/drafts.js',
    from: 'if (isShared && isInLog)',
    to: 'if (false)',
  },
  {
    rule: 'past the site: after power loss a new local file counts only if fsync covered it',
    file: 'volume/recovery.js',
    from: ' || draft.isUnproven',
    to: '',
  },
  {
    rule: 'past the site: after power loss a local file below a version counts only if fsync covered it',
    file: 'volume/recovery.js',
    from: '|| draft.synced || !',
    to: '|| draft.seen || !',
  },
  {
    rule: 'past the site: what is opened with O_SYNC is synced as of then',
    file: 'volume/file-contents.js',
    from: 'if (flags & O_DSYNC)',
    to: 'if (false)',
  },
  {
    rule: 'past the site: what is written with O_SYNC counts as synced after each version',
    file: 'volume/publishing.js',
    from: 'this.core.openFiles.isWrittenSynced(draft.ino)',
    to: 'false',
  },
  {
    rule: 'past the site: a new file with O_SYNC goes through the site',
    file: 'volume/file-contents.js',
    from: '(flags & O_DSYNC) !== 0',
    to: 'false',
  },
  // ── exchange ──
  {
    rule: 'a change is held by a peer when the peer says so',
    file: 'sync/change-stream.js',
    from: 'this.inFlight.set(actor, seq);\n            if (seq > (this.told',
    to: 'this.inFlight.set(actor, seq);\n            this.acknowledged.set(actor, seq);\n            if (seq > (this.told',
  },
  {
    rule: 'what a lost link was asked for is asked of another',
    file: 'sync/object-fetch.js',
    from: 'for (const id of this.asked.keys())\n            this.unask(link, id);\n        for (const [id, links]',
    to: 'for (const [id, links]',
  },
  {
    rule: 'the chunks of a manifest are wanted',
    file: 'volume/arrivals.js',
    from: 'this.objects.want(chunk, ObjectKind.chunk, length);\n            }',
    to: ';\n            }',
  },
  {
    rule: 'no change comes into an open commit',
    file: 'volume/background-work.js',
    from: 'this.folding.foldAll();\n            this.remote.apply(isOver);',
    to: 'this.remote.apply(isOver);',
  },
  {
    rule: 'the kernel hears of entries that others changed',
    file: 'volume/core.js',
    from: 'this.kernel.invalidateEntry(change.parent, change.name);',
    to: ';',
  },
  {
    rule: 'damaged objects are not served',
    file: 'chunks/pack-record.js',
    from: 'verifyObject(',
    to: '((..._) => {})(',
  },
  {
    rule: 'who lacks what was dropped is offered the base',
    file: 'sync/peer-session.js',
    from: 'const lacksBase = !covers(this.stream.inFlight, here.floor);',
    to: 'const lacksBase = false;',
  },
  {
    rule: 'an entry that the other side overwrote does not come back with its base',
    file: 'crdt/state-merge.js',
    from: '!own.hasSeen(entry)',
    to: 'true',
  },
  {
    rule: 'what was written while away outlives the base of another site',
    file: 'crdt/state-merge.js',
    from: '|| !other.hasSeen(entry)',
    to: '',
  },
  {
    rule: 'a change says where those stand that it builds on',
    file: 'journal/journal.js',
    from: 'if (said && this.floor.covers(said))',
    to: 'if (false)',
  },
];
