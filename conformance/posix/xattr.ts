// xattr.ts — extended attributes (xattr(7)): who may use which namespace on what, XATTR_CREATE and REPLACE, sizes and lists.

import { as, type Caller, CALLERS, GID, IS_ROOT, modeFor, OWNER, permits, READ, ROOT, UID, WRITE } from './callers.js';
import { close, fgetxattr, fsetxattr } from './file-calls.js';
import { must, type Result } from './libc.js';
import {
  chmod,
  getxattr,
  lgetxattr,
  link,
  listxattr,
  llistxattr,
  lremovexattr,
  lsetxattr,
  O_PATH,
  O_RDONLY,
  open,
  removexattr,
  rename,
  setxattr,
  XATTR_CREATE,
  XATTR_REPLACE,
} from './path-calls.js';
import { lstat } from './stat.js';
import { type Kind, KINDS, make } from './things.js';
import type { Part, Trial } from './trial.js';

const VALUE = Buffer.from('the value');
const OTHER_VALUE = Buffer.from('another');

/** An attribute's value, or null. */
function valueOf(path: string, name: string): string | null {
  const into = Buffer.alloc(70_000);
  const length = lgetxattr(path, name, into);
  return length < 0 ? null : into.toString('latin1', 0, length);
}

/** Names without those that a security module gives to every file. */
function namesOf(path: string): string[] {
  const into = Buffer.alloc(70_000);
  const length = must('llistxattr', llistxattr(path, into));
  const names = into.toString('latin1', 0, length).split('\0').slice(0, -1);
  return names.filter((name) => !/^security\.(selinux|SMACK64.*|ima|evm|apparmor)$/.test(name)).toSorted();
}

export const xattrPart: Part = {
  syscalls: ['setxattr', 'getxattr', 'listxattr', 'removexattr', 'lsetxattr', 'lgetxattr', 'lremovexattr', 'fsetxattr'],
  run(trial) {
    for (const caller of CALLERS) {
      for (const kind of KINDS) checkNamespaces(trial, kind, caller);
      for (let bits = 0; bits < 8; bits++) {
        checkUser(trial, 'file', caller, bits);
        checkUser(trial, 'directory', caller, bits);
      }
    }
    checkSticky(trial);
    for (const kind of ['file', 'directory'] as const) {
      checkFlags(trial, kind);
      checkSizes(trial, kind);
      checkNames(trial, kind);
      checkList(trial, kind);
    }
    checkDescriptors(trial);
    checkLasting(trial);
  },
};

/** xattr(7): user attributes only of files and directories; trusted ones only by root; security ones are read by all. */
function checkNamespaces(trial: Trial, kind: Kind, caller: Caller): void {
  const root = caller === ROOT;
  const has = kind === 'file' || kind === 'directory';
  const cases: readonly [name: string, set: string, get: string][] = [
    ['user.a', has ? 'ok' : 'EPERM', has ? 'ENODATA' : 'ENODATA'],
    ['trusted.a', root ? 'ok' : 'EPERM', 'ENODATA'],
    ['security.a', root ? 'ok' : 'EPERM', 'ENODATA'],
    ['unknown.a', 'EOPNOTSUPP', 'EOPNOTSUPP'],
    ['user.', has ? 'EINVAL' : 'EPERM', has ? 'EINVAL' : 'ENODATA'],
    ['noprefix', 'EOPNOTSUPP', 'EOPNOTSUPP'],
    ['', 'ERANGE', 'ERANGE'],
  ];
  for (const [name, set, get] of cases) {
    const path = make(kind, trial.name(), { mode: 0o777 });
    const what = `'${name}' of a ${kind}`;
    trial.about('lgetxattr');
    trial.refuses(what, get, [path], () => lgetxattr(path, name), caller);
    trial.about('lremovexattr');
    const remove = set === 'ok' ? 'ENODATA' : set;
    trial.refuses(`missing ${what}`, remove, [path], () => lremovexattr(path, name), caller);
    trial.about('lsetxattr');
    if (!trial.decides(what, set, [path], () => lsetxattr(path, name, VALUE), caller)) {
      trial.equal(`${what}, by ${caller.name}: the list`, namesOf(path).join(), '');
      continue;
    }
    trial.equal(`${what}, by ${caller.name}: the value`, valueOf(path, name), VALUE.toString());
    trial.equal(`${what}, by ${caller.name}: the list`, namesOf(path).join(), name);
    trial.about('lremovexattr');
    trial.answers(
      `${what}, by ${caller.name}`,
      'ok',
      as(caller, () => lremovexattr(path, name)),
    );
    trial.equal(`${what}, by ${caller.name}: the value`, valueOf(path, name), null);
  }
  trial.step(() => checkReserved(trial, kind, caller));
}

/** What only root writes: the others do not see trusted attributes, and read security ones. */
function checkReserved(trial: Trial, kind: Kind, caller: Caller): void {
  const root = caller === ROOT;
  trial.about('lgetxattr');
  const path = make(kind, trial.name(), { mode: 0 });
  must('trusted', lsetxattr(path, 'trusted.b', VALUE));
  must('security', lsetxattr(path, 'security.b', VALUE));
  trial.answers(
    `trusted of a ${kind}, by ${caller.name}`,
    root ? 'ok' : 'ENODATA',
    as(caller, () => lgetxattr(path, 'trusted.b')),
  );
  trial.answers(
    `security of a ${kind}, by ${caller.name}`,
    'ok',
    as(caller, () => lgetxattr(path, 'security.b')),
  );
  trial.about('listxattr');
  const into = Buffer.alloc(1000);
  const length = as(caller, () => llistxattr(path, into));
  trial.answers(`of a ${kind} of mode 0, by ${caller.name}`, 'ok', length);
  const listed = into.toString('latin1', 0, Math.max(0, length)).split('\0');
  trial.equal(`of a ${kind}, by ${caller.name}: trusted is listed`, listed.includes('trusted.b'), root);
  trial.equal(`of a ${kind}, by ${caller.name}: security is listed`, listed.includes('security.b'), true);
}

function checkUser(trial: Trial, kind: 'file' | 'directory', caller: Caller, bits: number): void {
  const mode = modeFor(caller, bits);
  const path = make(kind, trial.name(), { mode: 0o777 });
  must('setxattr', setxattr(path, 'user.there', VALUE));
  must('chmod', chmod(path, mode));
  const permissions = { uid: UID, gid: GID, mode, directory: kind === 'directory' };
  const [reads, writes] = [READ, WRITE].map((wanted) => (permits(caller, permissions, wanted) ? 'ok' : 'EACCES'));
  const what = `of a ${kind}, the caller has ${bits}`;
  trial.about('getxattr', 'user');
  trial.decides(what, reads!, [path], () => getxattr(path, 'user.there'), caller);
  trial.about('setxattr', 'user');
  trial.decides(`new ${what}`, writes!, [path], () => setxattr(path, 'user.new', VALUE), caller);
  trial.decides(`existing ${what}`, writes!, [path], () => setxattr(path, 'user.there', OTHER_VALUE), caller);
  const value = writes === 'ok' ? OTHER_VALUE : VALUE;
  must('chmod', chmod(path, 0o777));
  trial.equal(`existing ${what}, by ${caller.name}: the value`, valueOf(path, 'user.there'), value.toString());
  must('chmod', chmod(path, mode));
  trial.about('removexattr', 'user');
  trial.decides(what, writes!, [path], () => removexattr(path, 'user.there'), caller);
  trial.about('listxattr', 'user');
  trial.answers(
    `${what}, by ${caller.name}`,
    'ok',
    as(caller, () => listxattr(path)),
  );
}

/** In a sticky directory's own user attributes only its owner writes (xattr_permission). */
function checkSticky(trial: Trial): void {
  trial.about('setxattr', 'user of a sticky directory');
  for (const caller of CALLERS) {
    const path = make('directory', trial.name(), { mode: 0o1777 });
    const expected = caller === ROOT || caller.uid === UID ? 'ok' : 'EPERM';
    trial.decides('mode 1777', expected, [path], () => setxattr(path, 'user.a', VALUE), caller);
    const file = make('file', trial.name(), { mode: 0o1777 });
    trial.answers(
      `a sticky file, by ${caller.name}`,
      'ok',
      as(caller, () => setxattr(file, 'user.a', VALUE)),
    );
  }
}

function checkFlags(trial: Trial, kind: Kind): void {
  trial.about('setxattr', `${kind}, flags`);
  for (const namespace of IS_ROOT ? ['user', 'trusted', 'security'] : ['user']) {
    const path = make(kind, trial.name());
    const name = `${namespace}.a`;
    const set = (value: Buffer, flags: number) => (): Result => setxattr(path, name, value, flags);
    trial.refuses(`${namespace}: XATTR_REPLACE of nothing`, 'ENODATA', [path], set(VALUE, XATTR_REPLACE));
    trial.equal(`${namespace}: the list`, namesOf(path).join(), '');
    trial.answers(`${namespace}: XATTR_CREATE of nothing`, 'ok', set(VALUE, XATTR_CREATE)());
    trial.refuses(`${namespace}: XATTR_CREATE of something`, 'EEXIST', [path], set(OTHER_VALUE, XATTR_CREATE));
    trial.equal(`${namespace}: the value stays, it`, valueOf(path, name), VALUE.toString());
    trial.answers(`${namespace}: XATTR_REPLACE of something`, 'ok', set(OTHER_VALUE, XATTR_REPLACE)());
    trial.equal(`${namespace}: the value`, valueOf(path, name), OTHER_VALUE.toString());
    trial.refuses(`${namespace}: both flags`, ['EEXIST', 'EINVAL'], [path], set(VALUE, XATTR_CREATE | XATTR_REPLACE));
    trial.refuses(`${namespace}: an unknown flag`, 'EINVAL', [path], set(VALUE, 4));
    trial.answers(`${namespace}: no value`, 'ok', set(Buffer.alloc(0), 0)());
    trial.equal(`${namespace}: no value: it`, valueOf(path, name), '');
    trial.answers(`${namespace}: any bytes`, 'ok', set(Buffer.from([0, 255, 0, 10, 128]), 0)());
    trial.equal(`${namespace}: any bytes: they`, valueOf(path, name), '\0\xff\0\n\x80');
  }
}

const BLOCK = 4096;

function checkSizes(trial: Trial, kind: Kind): void {
  trial.about('setxattr', `${kind}, sizes`);
  const path = make(kind, trial.name());
  for (const size of [1, 10, 100, 255, 256, 1000, 2000, 3000, BLOCK - 200]) {
    const value = Buffer.alloc(size, `${size} `);
    trial.answers(`${size} bytes`, 'ok', setxattr(path, 'user.sized', value));
    trial.equal(`${size} bytes: length`, getxattr(path, 'user.sized'), size);
    trial.equal(`${size} bytes: the value`, valueOf(path, 'user.sized'), value.toString('latin1'));
    trial.about('getxattr', `${kind}, sizes`);
    trial.answers(
      `${size} bytes into one less`,
      size === 1 ? 'ok' : 'ERANGE',
      getxattr(path, 'user.sized', Buffer.alloc(size - 1)),
    );
    trial.equal(`${size} bytes into as many`, getxattr(path, 'user.sized', Buffer.alloc(size)), size);
    trial.equal(`${size} bytes into more`, getxattr(path, 'user.sized', Buffer.alloc(size + 50)), size);
    trial.about('setxattr', `${kind}, sizes`);
  }
  // Up to what the kernel passes on, where the filesystem takes it; ext4 with 4 KiB blocks does not.
  trial.refuses('65,537 bytes', 'E2BIG', [path], () => setxattr(path, 'user.sized', Buffer.alloc(65_537)));
  trial.answers('65,536 bytes', ['ok', 'ENOSPC'], setxattr(path, 'user.large', Buffer.alloc(65_536, 7)));
  const length = getxattr(path, 'user.large');
  trial.holds('65,536 bytes: all or nothing', length === 65_536 || length < 0, () => `${length}`);
}

function checkNames(trial: Trial, kind: Kind): void {
  trial.about('setxattr', `${kind}, names`);
  const path = make(kind, trial.name());
  const longest = `user.${'n'.repeat(250)}`;
  trial.answers('255 bytes', 'ok', setxattr(path, longest, VALUE));
  trial.equal('255 bytes: the value', valueOf(path, longest), VALUE.toString());
  trial.refuses('256 bytes', 'ERANGE', [path], () => setxattr(path, `${longest}n`, VALUE));
  trial.refuses('300 bytes', 'ERANGE', [path], () => setxattr(path, `user.${'n'.repeat(295)}`, VALUE));
  trial.refuses('a null pointer', 'EFAULT', [path], () => setxattr(path, null, VALUE));
  for (const name of ['user.a b', 'user./', 'user.\xff\xfe', 'user.a.b.c', 'user.=', 'user.user.a', 'user.\n']) {
    trial.answers(JSON.stringify(name), 'ok', setxattr(path, name, VALUE));
    trial.equal(`${JSON.stringify(name)}: the value`, valueOf(path, name), VALUE.toString());
  }
  trial.equal('the case counts', valueOf(path, 'user.A b'), null);
}

function checkList(trial: Trial, kind: Kind): void {
  trial.about('listxattr', kind);
  const path = make(kind, trial.name());
  trial.equal('nothing: names', namesOf(path).length, 0);
  const names = Array.from({ length: 40 }, (_, i) => `user.name ${i}`);
  for (const name of names) must('setxattr', setxattr(path, name, Buffer.from('v')));
  trial.equal('40 names', namesOf(path).join(), names.toSorted().join());
  const length = must('listxattr', listxattr(path));
  trial.equal('as many bytes as there are', listxattr(path, Buffer.alloc(length)), length);
  trial.answers('one byte less', 'ERANGE', listxattr(path, Buffer.alloc(length - 1)));
  trial.about('removexattr', kind);
  for (const name of names.slice(0, 20)) trial.answers(name, 'ok', removexattr(path, name));
  trial.equal('20 names are left', namesOf(path).join(), names.slice(20).toSorted().join());
  trial.refuses('what is gone', 'ENODATA', [path], () => removexattr(path, names[0]!));
}

function checkDescriptors(trial: Trial): void {
  trial.about('fsetxattr');
  for (const kind of ['file', 'directory'] as const) {
    const path = make(kind, trial.name(), { mode: 0o600 });
    const fd = must('open', open(path, O_RDONLY));
    trial.answers(`a ${kind} open for reading`, 'ok', fsetxattr(fd, 'user.a', VALUE));
    trial.equal(`a ${kind}: its length`, fgetxattr(fd, 'user.a'), VALUE.length);
    for (const caller of CALLERS) {
      const expected = caller === ROOT || caller.uid === OWNER.uid ? 'ok' : 'EACCES';
      trial.decides(`a ${kind} of mode 600`, expected, [path], () => fsetxattr(fd, 'user.b', VALUE), caller);
    }
    must('close', close(fd));
    trial.refuses(`a closed descriptor of a ${kind}`, 'EBADF', [path], () => fsetxattr(fd, 'user.a', VALUE));
    const pathOnly = must('open', open(path, O_PATH));
    trial.refuses(`an O_PATH descriptor of a ${kind}`, 'EBADF', [path], () => fsetxattr(pathOnly, 'user.a', VALUE));
    must('close', close(pathOnly));
  }
}

/** Attributes belong to the inode. */
function checkLasting(trial: Trial): void {
  trial.about('getxattr', 'of the inode');
  const path = make('file', trial.name());
  const [second, third] = [trial.name(), trial.name()];
  must('setxattr', setxattr(path, 'user.a', VALUE));
  must('link', link(path, second));
  trial.equal('by another name', valueOf(second, 'user.a'), VALUE.toString());
  must('rename', rename(path, third));
  trial.equal('after rename', valueOf(third, 'user.a'), VALUE.toString());
  must('setxattr', setxattr(third, 'user.a', OTHER_VALUE));
  trial.equal('by the other name after a change', valueOf(second, 'user.a'), OTHER_VALUE.toString());
  const over = make('file', trial.name());
  must('setxattr', setxattr(over, 'user.b', VALUE));
  must('rename', rename(third, over));
  trial.equal('of what replaced another: the list', namesOf(over).join(), 'user.a');
  trial.equal('links', lstat(over).nlink, 2);
}
