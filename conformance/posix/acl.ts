// acl.ts — POSIX access control lists (acl(5), withdrawn POSIX.1e): who is let in, how list and mode follow each other, inheritance.
// Lists are set as setfacl(1) does, as xattrs in the kernel's format (linux/posix_acl_xattr.h).

import { as, type Caller, CALLERS, GID, GROUP, OTHER, OWNER, possible, ROOT, SUPPLEMENTARY, UID } from './callers.js';
import { close, withUmask } from './file-calls.js';
import { must, type Result } from './libc.js';
import {
  access,
  chmod,
  chown,
  getxattr,
  mkdir,
  mkfifo,
  mknod,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  open,
  removexattr,
  setxattr,
  symlink,
} from './path-calls.js';
import { lstat } from './stat.js';
import { KINDS_WITH_MODE, make } from './things.js';
import type { Part, Trial } from './trial.js';

const ACCESS = 'system.posix_acl_access';
const DEFAULT = 'system.posix_acl_default';
const TAGS = { u: 1, U: 2, g: 4, G: 8, m: 0x10, o: 0x20 } as const;
const NO_ID = 0xffff_ffff;

type Entry = readonly [tag: keyof typeof TAGS, permissions: number, id?: number];

/** u, g, o: owner, group, other; U, G: named user and group with their id; m: mask. */
function acl(entries: readonly Entry[], version = 2): Buffer {
  const bytes = Buffer.alloc(4 + entries.length * 8);
  bytes.writeUInt32LE(version, 0);
  entries.forEach(([tag, permissions, id = NO_ID], i) => {
    bytes.writeUInt16LE(TAGS[tag], 4 + i * 8);
    bytes.writeUInt16LE(permissions, 6 + i * 8);
    bytes.writeUInt32LE(id, 8 + i * 8);
  });
  return bytes;
}

function aclOf(path: string, name: string): string | null {
  const into = Buffer.alloc(10_000);
  const length = getxattr(path, name, into);
  return length < 0 ? null : into.toString('hex', 0, length);
}

function hex(entries: readonly Entry[]): string {
  return acl(entries).toString('hex');
}

export const aclPart: Part = {
  syscalls: ['acl'],
  run(trial) {
    trial.about('acl');
    for (const kind of KINDS_WITH_MODE) {
      checkWhoMaySet(trial, kind);
      checkModeFollows(trial, kind);
    }
    checkAccess(trial);
    checkInvalid(trial);
    checkInheritance(trial);
    checkRemoval(trial);
    checkSetGid(trial);
  },
};

const NAMED: readonly Entry[] = [
  ['u', 6],
  ['U', 4, OTHER.uid],
  ['g', 4],
  ['m', 6],
  ['o', 0],
];

function checkWhoMaySet(trial: Trial, kind: (typeof KINDS_WITH_MODE)[number]): void {
  for (const caller of CALLERS) {
    const path = make(kind, trial.name(), { mode: 0o777 });
    const owner = caller === ROOT || caller.uid === UID;
    const call = (): Result => setxattr(path, ACCESS, acl(NAMED));
    if (trial.decides(`an access list of a ${kind}`, owner ? 'ok' : 'EPERM', [path], call, caller)) {
      trial.equal(`an access list of a ${kind}, by ${caller.name}: it is read back`, aclOf(path, ACCESS), hex(NAMED));
      trial.equal(`an access list of a ${kind}, by ${caller.name}: the mode`, lstat(path).mode, 0o660);
      trial.answers(
        `removing it, by ${caller.name}`,
        'ok',
        as(caller, () => removexattr(path, ACCESS)),
      );
    }
    const right = kind === 'directory' ? (owner ? 'ok' : 'EPERM') : owner ? 'EACCES' : ['EACCES', 'EPERM'];
    const fallback = (): Result => setxattr(path, DEFAULT, acl(NAMED));
    trial.decides(`a default list of a ${kind}`, right, [path], fallback, caller);
  }
}

function checkModeFollows(trial: Trial, kind: (typeof KINDS_WITH_MODE)[number]): void {
  const path = make(kind, trial.name(), { mode: 0o640 });
  trial.equal(`a ${kind} without a list`, aclOf(path, ACCESS), null);
  const cases: readonly [what: string, entries: readonly Entry[], mode: number][] = [
    [
      'with a mask',
      [
        ['u', 7],
        ['U', 7, 5],
        ['g', 1],
        ['m', 5],
        ['o', 2],
      ],
      0o752,
    ],
    [
      'with a named group',
      [
        ['u', 4],
        ['g', 1],
        ['G', 7, 9],
        ['m', 3],
        ['o', 0],
      ],
      0o430,
    ],
    [
      'a mask without named entries',
      [
        ['u', 6],
        ['g', 7],
        ['m', 4],
        ['o', 1],
      ],
      0o641,
    ],
    [
      'with everything',
      [
        ['u', 0],
        ['U', 1, 1],
        ['U', 2, 2],
        ['g', 3],
        ['G', 4, 3],
        ['m', 7],
        ['o', 7],
      ],
      0o077,
    ],
  ];
  for (const [what, entries, mode] of cases) {
    trial.answers(`a list ${what} for a ${kind}`, 'ok', setxattr(path, ACCESS, acl(entries)));
    trial.equal(`a list ${what} for a ${kind}: the mode`, lstat(path).mode.toString(8), mode.toString(8));
    trial.equal(`a list ${what} for a ${kind}: it`, aclOf(path, ACCESS), hex(entries));
    for (const changed of [0o751, 0o000, 0o777]) {
      must('chmod', chmod(path, changed));
      const expected = entries.map(([tag, permissions, id]): Entry => {
        if (tag === 'u') return ['u', changed >> 6];
        if (tag === 'm') return ['m', (changed >> 3) & 7];
        if (tag === 'o') return ['o', changed & 7];
        return id === undefined ? [tag, permissions] : [tag, permissions, id];
      });
      const after = `a list ${what} for a ${kind} after chmod ${changed.toString(8)}`;
      trial.equal(after, aclOf(path, ACCESS), hex(expected));
      trial.equal(`${after}: the mode`, lstat(path).mode.toString(8), changed.toString(8));
    }
  }
  trial.answers(
    `a list that says what a mode says for a ${kind}`,
    'ok',
    setxattr(
      path,
      ACCESS,
      acl([
        ['u', 6],
        ['g', 4],
        ['o', 2],
      ]),
    ),
  );
  trial.equal(`a list that says what a mode says for a ${kind}: the mode`, lstat(path).mode, 0o642);
  trial.equal(`a list that says what a mode says for a ${kind}: it is not kept`, aclOf(path, ACCESS), null);
}

/** acl(5), Access Check Algorithm. */
function checkAccess(trial: Trial): void {
  for (let bits = 0; bits < 8; bits++) {
    const opposite = ~bits & 7;
    const cases: readonly [what: string, caller: Caller, entries: readonly Entry[], allowed: number][] = [
      [
        'the owner’s entry',
        OWNER,
        [
          ['u', bits],
          ['U', opposite, UID],
          ['g', 7],
          ['m', 7],
          ['o', 7],
        ],
        bits,
      ],
      [
        'a named user’s entry',
        OTHER,
        [
          ['u', 7],
          ['U', bits, OTHER.uid],
          ['g', 7],
          ['m', 7],
          ['o', opposite],
        ],
        bits,
      ],
      // Linux does not look at the list when the mask gives nothing (acl_permission_check): others get what the mode says then.
      [
        'a named user’s entry under a mask',
        OTHER,
        [
          ['u', 7],
          ['U', 7, OTHER.uid],
          ['g', 7],
          ['m', bits],
          ['o', bits && 7],
        ],
        bits,
      ],
      [
        'a named user before the group',
        GROUP,
        [
          ['u', 7],
          ['U', bits, GROUP.uid],
          ['g', opposite],
          ['m', 7],
          ['o', 7],
        ],
        bits,
      ],
      [
        'the group’s entry',
        GROUP,
        [
          ['u', 7],
          ['U', 7, 5],
          ['g', bits],
          ['m', 7],
          ['o', opposite],
        ],
        bits,
      ],
      [
        'the group’s entry under a mask',
        GROUP,
        [
          ['u', 7],
          ['U', 7, 5],
          ['g', 7],
          ['m', bits],
          ['o', 7],
        ],
        bits,
      ],
      [
        'the group by a supplementary one',
        SUPPLEMENTARY,
        [
          ['u', 7],
          ['g', bits],
          ['m', 7],
          ['o', opposite],
        ],
        bits,
      ],
      [
        'a named group’s entry',
        OTHER,
        [
          ['u', 7],
          ['g', opposite],
          ['G', bits, OTHER.gid],
          ['m', 7],
          ['o', opposite],
        ],
        bits,
      ],
      [
        'a named group by a supplementary one',
        SUPPLEMENTARY,
        [
          ['u', 7],
          ['g', 0],
          ['G', bits, 7],
          ['m', 7],
          ['o', 7],
        ],
        bits,
      ],
      [
        'other, not under the mask',
        OTHER,
        [
          ['u', 7],
          ['U', 7, 5],
          ['g', 7],
          ['m', 0],
          ['o', bits],
        ],
        bits,
      ],
      [
        'the owner, not under the mask',
        OWNER,
        [
          ['u', bits],
          ['U', 7, 5],
          ['g', 7],
          ['m', 0],
          ['o', 7],
        ],
        bits,
      ],
    ];
    for (const [what, caller, entries, allowed] of cases) {
      if (possible([caller]).length === 0) continue;
      for (const kind of ['file', 'directory'] as const) {
        const path = make(kind, trial.name(), { mode: 0 });
        must('setxattr', setxattr(path, ACCESS, acl(entries)));
        for (const wanted of [1, 2, 4, 7]) {
          const expected = (allowed & wanted) === wanted ? 'ok' : 'EACCES';
          const result = as(caller, () => access(path, wanted));
          trial.answers(`${what} gives ${bits} of a ${kind}: ${wanted}, by ${caller.name}`, expected, result);
        }
        if (kind === 'directory') continue;
        for (const [flags, wanted] of [
          [O_RDONLY, 4],
          [O_WRONLY, 2],
          [O_RDWR, 6],
        ] as const) {
          const fd = as(caller, () => open(path, flags));
          const expected = (allowed & wanted) === wanted ? 'ok' : 'EACCES';
          trial.answers(`${what} gives ${bits}: open for ${wanted}, by ${caller.name}`, expected, fd);
          if (fd >= 0) must('close', close(fd));
        }
      }
    }
  }
}

function checkInvalid(trial: Trial): void {
  const good = acl(NAMED);
  const cases: readonly [what: string, value: Buffer, errno: string][] = [
    [
      'no group entry',
      acl([
        ['u', 7],
        ['o', 7],
      ]),
      'EINVAL',
    ],
    [
      'no owner entry',
      acl([
        ['g', 7],
        ['o', 7],
      ]),
      'EINVAL',
    ],
    [
      'no other entry',
      acl([
        ['u', 7],
        ['g', 7],
      ]),
      'EINVAL',
    ],
    [
      'a named user without a mask',
      acl([
        ['u', 7],
        ['U', 7, 5],
        ['g', 7],
        ['o', 7],
      ]),
      'EINVAL',
    ],
    [
      'two masks',
      acl([
        ['u', 7],
        ['g', 7],
        ['m', 7],
        ['m', 7],
        ['o', 7],
      ]),
      'EINVAL',
    ],
    [
      'two owners',
      acl([
        ['u', 7],
        ['u', 7],
        ['g', 7],
        ['o', 7],
      ]),
      'EINVAL',
    ],
    [
      'the wrong order',
      acl([
        ['g', 7],
        ['u', 7],
        ['o', 7],
      ]),
      'EINVAL',
    ],
    [
      'permissions of 8',
      acl([
        ['u', 8],
        ['g', 7],
        ['o', 7],
      ]),
      'EINVAL',
    ],
    ['an incomplete entry', good.subarray(0, good.length - 3), 'EINVAL'],
    ['half a header', good.subarray(0, 3), 'EINVAL'],
    ['another version', acl(NAMED, 3), 'EOPNOTSUPP'],
  ];
  for (const kind of ['file', 'directory'] as const) {
    const path = make(kind, trial.name(), { mode: 0o640 });
    for (const [what, value, errno] of cases) {
      trial.refuses(`${what}, for a ${kind}`, errno, [path], () => setxattr(path, ACCESS, value));
      if (kind === 'directory')
        trial.refuses(`${what}, as default`, errno, [path], () => setxattr(path, DEFAULT, value));
    }
    trial.equal(`a ${kind} has no list afterwards`, aclOf(path, ACCESS), null);
  }
}

const DEFAULTS: readonly Entry[] = [
  ['u', 7],
  ['U', 6, 5],
  ['g', 5],
  ['G', 7, 9],
  ['m', 7],
  ['o', 4],
];

/** What a default list gives to something made with a mode (acl(5), Object Creation). */
function inherited(entries: readonly Entry[], mode: number): Entry[] {
  const masked = entries.some(([tag]) => tag === 'm');
  return entries.map(([tag, permissions, id]): Entry => {
    if (tag === 'u') return ['u', permissions & (mode >> 6)];
    if (tag === 'm' || (tag === 'g' && !masked)) return [tag, permissions & (mode >> 3) & 7];
    if (tag === 'o') return ['o', permissions & mode & 7];
    return id === undefined ? [tag, permissions] : [tag, permissions, id];
  });
}

function modeOf(entries: readonly Entry[]): number {
  const of = (wanted: string): number | undefined => entries.find(([tag]) => tag === wanted)?.[1];
  return (of('u')! << 6) | ((of('m') ?? of('g')!) << 3) | of('o')!;
}

function checkInheritance(trial: Trial): void {
  const lists: readonly [string, readonly Entry[]][] = [
    ['named entries', DEFAULTS],
    [
      'what a mode says',
      [
        ['u', 7],
        ['g', 5],
        ['o', 1],
      ],
    ],
    [
      'little',
      [
        ['u', 4],
        ['U', 7, 5],
        ['g', 4],
        ['m', 4],
        ['o', 0],
      ],
    ],
  ];
  const makers: readonly [string, (path: string, mode: number) => Result][] = [
    ['file', (p, mode) => ((fd) => (fd < 0 ? fd : close(fd)))(open(p, O_CREAT | O_WRONLY, mode))],
    ['directory', (p, mode) => mkdir(p, mode)],
    ['fifo', (p, mode) => mkfifo(p, mode)],
    ['socket', (p, mode) => mknod(p, 0o140000 | mode)],
  ];
  for (const [list, entries] of lists) {
    for (const caller of possible([ROOT, OWNER, OTHER])) {
      for (const umask of [0, 0o022, 0o077]) {
        const directory = make('directory', trial.name(), { mode: 0o777 });
        must('setxattr', setxattr(directory, DEFAULT, acl(entries)));
        for (const [kind, call] of makers) {
          for (const mode of [0o777, 0o666, 0o640, 0o000]) {
            const path = `${directory}/${trial.name()}`;
            const what = `${list}: ${kind} of mode ${mode.toString(8)}, umask ${umask.toString(8)}, by ${caller.name}`;
            // The umask does not count where there is a default list.
            const result = withUmask(umask, () => as(caller, () => call(path, mode)));
            if (!trial.answers(what, 'ok', result)) continue;
            const expected = inherited(entries, mode);
            const plain = expected.length === 3;
            trial.equal(`${what}: the mode`, lstat(path).mode.toString(8), modeOf(expected).toString(8));
            trial.equal(`${what}: the access list`, aclOf(path, ACCESS), plain ? null : hex(expected));
            const passedOn = kind === 'directory' ? hex(entries) : null;
            trial.equal(`${what}: the default list`, aclOf(path, DEFAULT), passedOn);
          }
        }
        const path = `${directory}/${trial.name()}`;
        must('symlink', symlink('x', path));
        trial.equal(`${list}: a symlink, umask ${umask.toString(8)}: the mode`, lstat(path).mode, 0o777);
      }
    }
  }
}

function checkRemoval(trial: Trial): void {
  for (const caller of CALLERS) {
    const path = make('directory', trial.name(), { mode: 0o777 });
    must('access', setxattr(path, ACCESS, acl(NAMED)));
    must('default', setxattr(path, DEFAULT, acl(DEFAULTS)));
    const owner = caller === ROOT || caller.uid === UID;
    for (const name of [ACCESS, DEFAULT]) {
      const what = `removing ${name}`;
      if (trial.decides(what, owner ? 'ok' : 'EPERM', [path], () => removexattr(path, name), caller)) {
        trial.equal(`${what}, by ${caller.name}: it`, aclOf(path, name), null);
        trial.equal(`${what}, by ${caller.name}: the mode stays`, lstat(path).mode.toString(8), '660');
        // It is no error to remove what is not there (vfs_remove_acl).
        trial.answers(
          `${what} again, by ${caller.name}`,
          'ok',
          as(caller, () => removexattr(path, name)),
        );
      }
    }
  }
  const path = make('directory', trial.name());
  must('default', setxattr(path, DEFAULT, acl(DEFAULTS)));
  trial.answers('an empty default list removes it', 'ok', setxattr(path, DEFAULT, acl([])));
  trial.equal('after an empty default list', aclOf(path, DEFAULT), null);
}

/** Setting an access list as an owner who is not of the group takes set-group-id, like chmod(2). */
function checkSetGid(trial: Trial): void {
  for (const [caller, kept] of [
    [ROOT, true],
    [OWNER, OWNER.gid === GID],
    [{ ...OWNER, name: 'owner in the group', groups: [GID] }, true],
  ] as const) {
    if (possible([caller]).length === 0) continue;
    for (const kind of ['file', 'directory'] as const) {
      const path = make(kind, trial.name(), { mode: 0o2755 });
      trial.answers(
        `set-group-id of a ${kind}, by ${caller.name}`,
        'ok',
        as(caller, () => setxattr(path, ACCESS, acl(NAMED))),
      );
      const expected = kept ? 0o2660 : 0o660;
      trial.equal(
        `set-group-id of a ${kind}, by ${caller.name}: the mode`,
        lstat(path).mode.toString(8),
        expected.toString(8),
      );
    }
  }
  const path = make('file', trial.name(), { mode: 0o640 });
  must('setxattr', setxattr(path, ACCESS, acl(NAMED)));
  must('chown', chown(path, OTHER.uid, OTHER.gid));
  trial.equal('chown keeps the list', aclOf(path, ACCESS), hex(NAMED));
}
