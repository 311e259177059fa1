import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { formatInvite, INVITE_SECRET_BYTES } from '../sync/invite.js';
import { runCommandLine } from './command-line.js';
import { UsageError } from './failure.js';
import { Scratch } from './spawn-weft.test-support.js';

const VERBS = [
  'create',
  'join',
  'mount',
  'umount',
  'invite',
  'status',
  'sync',
  'link',
  'journal',
  'limit',
  'content',
  'pin',
  'unpin',
  'evict',
  'peers',
  'role',
  'retire',
  'rename-site',
  'key',
  'conflicts',
  'resolve',
  'history',
  'restore',
  'undelete',
  'snapshot',
  'gc',
  'backup',
  'restore-site',
  'fsck',
  'doctor',
  'bench',
  'completion',
];
const INVITE = formatInvite({
  addresses: ['127.0.0.1:1'],
  identity: 'ab'.repeat(32),
  volume: 'team',
  id: 'aaaaaaaa',
  secret: Buffer.alloc(INVITE_SECRET_BYTES),
});

let scratch: Scratch;
const earlierHome = process.env['WEFT_HOME'];
before(() => {
  scratch = new Scratch();
  process.env['WEFT_HOME'] = scratch.home;
});
after(() => {
  scratch.remove();
  if (earlierHome === undefined) delete process.env['WEFT_HOME'];
  else process.env['WEFT_HOME'] = earlierHome;
});

/** Two at a time: these are processes. */
async function forEach<T>(cases: readonly T[], check: (one: T) => Promise<void>): Promise<void> {
  const queue = [...cases];
  const work = async (): Promise<void> => {
    for (let one = queue.shift(); one !== undefined; one = queue.shift()) await check(one);
  };
  await Promise.all([work(), work()]);
}

test('weft --help lists the verbs that work, and no others', async () => {
  const { code, stdout } = await scratch.weft(['--help']);
  assert.equal(code, 0);
  const listed = [...stdout.matchAll(/^ {2}weft ([\w-]+)/gm)].map((match) => match[1]);
  assert.deepEqual(listed, VERBS);
});

test('every verb has --help', async () => {
  await forEach(VERBS, async (verb) => {
    const { code, stdout, stderr } = await scratch.weft([verb, '--help']);
    assert.equal(code, 0, verb);
    assert.match(stdout, new RegExp(`^weft ${verb}`), verb);
    assert.equal(stderr, '', verb);
  });
});

test('wrong usage is named', async () => {
  const cases: [string[], RegExp][] = [
    [[], /which verb/],
    [['frobnicate'], /frobnicate/],
    [['resolve'], /weft resolve <id>/],
    [['resolve', '1'], /--keep SITE/],
    [['resolve', '1', '--keep', 'merge'], /--from FILE/],
    [['resolve', '1', '--keep', 'oslo', '--from', 'x'], /--from FILE/],
    [['resolve', '1', '--undo', '--keep', 'oslo'], /--undo takes no --keep/],
    [['conflicts', 'x', '--settled'], /--settled takes no path/],
    [['create', 'team'], /weft create <volume> <mountpoint>/],
    [['create', 'team', '/mnt', 'more'], /more/],
    [['create', 'team', '/mnt', '--bogus'], /bogus/],
    [['create', '../up', '/mnt'], /no volume name/],
    [['create', 'team', '/mnt', '--site', 'a b'], /no site name/],
    [['create', 'team', '/mnt', '--site', 'a', '--site', 'b'], /--site is given twice/],
    [['create', 'team', '/mnt', '--listen', '7420'], /HOST:PORT/],
    [['create', 'team', '/mnt', '--listen', 'h:70000'], /HOST:PORT/],
    [['create', 'team', '/mnt', '--driver', 'nfs'], /Invalid values:\s+Argument: driver/],
    [['create', 'team', '/mnt', '--state'], /state/],
    [['create', 'team', '/mnt', '-o', 'ro,colour=red'], /'colour=red'/],
    [['join', 'hello', '/mnt'], /no invite/],
    [['join', INVITE.slice(0, -1), '/mnt'], /cut off or mistyped/],
    [['sync'], /--wait/],
    [['sync', '--wait', '--timeout', 'soon'], /no duration/],
    [['link', 'cut', '/mnt'], /pause/],
    [['link', 'add', '/mnt'], /HOST:PORT/],
    [['link', 'remove', '/mnt'], /site name/],
    [['invite', '/mnt', '--expires', '-1h'], /duration|expires/],
    [['daemon'], /weft create/],
  ];
  for (const [args, says] of cases) {
    await assert.rejects(runCommandLine(args), (error: Error) => {
      assert.ok(error instanceof UsageError, `${args.join(' ')}: ${error.stack}`);
      assert.match(error.message, says, args.join(' '));
      return true;
    });
  }
});

test('what the machine refuses is named with the remedy', async () => {
  const full = scratch.folder('full');
  const file = join(full, 'file');
  writeFileSync(file, '');
  const taken = scratch.folder('taken-state');
  writeFileSync(join(taken, 'diary.txt'), '');
  const empty = scratch.folder('empty');
  const cases: [string[], RegExp][] = [
    [['create', 'team', join(scratch.directory, 'absent')], /does not exist: mkdir -p/],
    [['create', 'team', full], /not empty/],
    [['create', 'team', file], /no directory/],
    [['create', 'team', join(file, 'below')], /below a file/],
    [['create', 'team', '/proc'], /busy/],
    [['create', 'team', empty, '--state', taken], /diary\.txt.*--state/],
    [['create', 'team', empty, '--state', join(empty, 'state')], /lie in each other/],
    [['join', INVITE, full], /not empty/],
    [['mount', empty], /no volume is known/],
    [['umount', empty], /not in a volume known here/],
    [['status', empty], /not in a volume known here/],
    [['invite', empty], /not in a volume known here/],
    [['conflicts', empty], /not in a volume known here/],
    [['sync', '--wait'], /no volume is mounted here/],
    [['resolve', '1', '--keep', 'oslo'], /no volume is mounted here/],
    [['resolve', '1', '--keep', 'merge', '--from', empty], /no regular file/],
    [['resolve', '1', '--keep', 'merge', '--from', join(empty, 'absent')], /absent/],
    [['status', '--state', empty], /holds no site/],
  ];
  for (const [args, says] of cases) {
    await assert.rejects(runCommandLine(args), (error: Error) => {
      assert.ok(!(error instanceof UsageError), `${args.join(' ')}: ${error.message}`);
      assert.match(error.message, says, args.join(' '));
      return true;
    });
  }
});

test('exit 2 for wrong usage, 1 for what fails, with one line on stderr and nothing on stdout', async () => {
  const cases: [string[], number][] = [
    [[], 2],
    [['frobnicate'], 2],
    [['create', 'team', '/mnt', '--bogus'], 2],
    [['create', 'team', '/mnt', '--driver', 'nfs'], 2],
    [['create', 'team', join(scratch.directory, 'absent')], 1],
    [['umount', scratch.directory], 1],
  ];
  await forEach(cases, async ([args, expected]) => {
    const { code, stdout, stderr } = await scratch.weft(args);
    assert.equal(code, expected, `${args.join(' ')}: ${stderr}`);
    assert.match(stderr, /^weft: [^\n]+\n$/);
    assert.equal(stdout, '');
  });
});

test('weft status with no volumes', async () => {
  assert.match((await scratch.weft(['status'])).stdout, /weft create/);
  assert.deepEqual(JSON.parse((await scratch.weft(['status', '--json'])).stdout), []);
});

test('weft doctor --json reports each check; its exit code says whether all needed is there', async () => {
  const { code, stdout, stderr } = await scratch.weft(['doctor', '--json']);
  const results = JSON.parse(stdout) as { check: string; state: string; remedy: string | null }[];
  assert.ok(results.length >= 9);
  const problems = results.filter((result) => result.state === 'problem');
  assert.equal(code, problems.length === 0 ? 0 : 1, stderr);
  for (const result of results) assert.equal(result.remedy === null, result.state === 'ok', result.check);
});

test('a shell completion script is printed', async () => {
  const { code, stdout } = await scratch.weft(['completion']);
  assert.equal(code, 0);
  assert.match(stdout, /complete.*weft/);
});
