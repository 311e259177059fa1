import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import yargs from 'yargs';
import { UsageError } from './failure.js';
import { readPlainly } from './plain-call.js';
import { Scratch } from './spawn-weft.test-support.js';
import { VERBS, type Verb } from './verbs.js';

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));

/** The options that yargs gives the verb's handler, without those under which it repeats or adds to them. */
async function readByYargs(command: Verb, words: readonly string[]): Promise<Record<string, unknown>> {
  let given: Record<string, unknown> = {};
  const noting = { ...command, handler: (options: object) => void (given = { ...options }) };
  await yargs()
    .parserConfiguration({ 'boolean-negation': false, 'dot-notation': false })
    .command(noting)
    .strict()
    .exitProcess(false)
    .fail((message, error: unknown) => {
      throw error instanceof Error ? error : new Error(message);
    })
    .parseAsync([String(command.command).split(' ')[0]!, ...words]);
  for (const extra of ['_', '$0', 'f', 'd']) delete given[extra];
  return given;
}

const defined = (values: object): object =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));

test('a plain call is read as yargs reads it', async () => {
  const calls: string[][] = [
    ['status'],
    ['status', '/mnt', '--json'],
    ['status', '--state=/var/x', '17'],
    ['umount', '/mnt', '--force'],
    ['umount', '--force', '/mnt'],
    ['invite', '/mnt', '--expires', '1h'],
    ['sync', '--wait'],
    ['sync', '--wait', '--timeout', '30s', '.'],
    ['link', 'pause', '/mnt'],
    ['link', 'add', '/mnt', '192.0.2.9:7420'],
    ['conflicts', 'a b'],
    ['doctor', '--json'],
    ['create', 'team', '/mnt', '--site', 'paris', '-f'],
    ['create', 'team', '/mnt', '-fd', '--listen', '0.0.0.0:7420', '-o', 'ro,noatime', '-o', 'allow_other'],
    ['mount', '/mnt', '--driver', 'fuse-native', '--progress'],
    ['join', 'weft://h:1/team#x', '/mnt', '--state', '0'],
    ['daemon'],
  ];
  for (const [verb, ...words] of calls) {
    const command = await VERBS.get(verb!)!();
    const values = readPlainly(command, words);
    assert.ok(values, `${verb} ${words.join(' ')} is plain`);
    assert.deepEqual(defined(values), defined(await readByYargs(command, words)), `${verb} ${words.join(' ')}`);
  }
});

test('what is not plainly right is left to yargs', async () => {
  const calls: string[][] = [
    ['status', '--help'],
    ['status', '--version'],
    ['status', '/mnt', 'more'],
    ['status', '--json', '--json'],
    ['status', '--json=false'],
    ['status', '--no-json'],
    ['status', '--', '/mnt'],
    ['status', '--stat', '/x'],
    ['status', '--state'],
    ['status', '--state', '--json'],
    ['status', '-x'],
    ['umount'],
    ['link', 'cut', '/mnt'],
    ['mount', '/mnt', '--driver', 'nfs'],
    ['create', 'team', '/mnt', '--site', 'a', '--site', 'b'],
  ];
  for (const [verb, ...words] of calls) {
    assert.equal(readPlainly(await VERBS.get(verb!)!(), words), null, `${verb} ${words.join(' ')}`);
  }
});

test('a bad value in a plain call is wrong usage', async () => {
  const sync = await VERBS.get('sync')!();
  assert.throws(() => readPlainly(sync, ['--wait', '--timeout', 'soon']), UsageError);
  assert.throws(() => readPlainly(sync, ['--wait', '--state', '']), UsageError);
});

/** Writes the address of every module that is imported to stderr. */
const NOTE_IMPORTS = `data:text/javascript,${encodeURIComponent(`
  import { register } from 'node:module';
  register('data:text/javascript,' + encodeURIComponent(
    'import { writeSync } from "node:fs"; export async function load(url, context, next) { writeSync(2, url + "\\\\n"); return next(url, context); }',
  ));
`)}`;

test('weft status takes 0.2 s of processor time: it loads what it does not use', () => {
  const scratch = new Scratch();
  try {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', NOTE_IMPORTS, MAIN, 'status'], {
      cwd: scratch.directory,
      env: { ...process.env, WEFT_HOME: scratch.home },
      encoding: 'utf8',
    });
    assert.equal(status, 0);
    assert.match(stdout, /no volumes here yet/);
    const urls = stderr.split('\n').filter((line) => line.startsWith('file:'));
    assert.ok(
      urls.some((url) => url.endsWith('/lib/cli/status.js')),
      'imports are noted',
    );
    assert.deepEqual(
      urls.filter((url) => url.includes('/node_modules/')),
      [],
    );
    assert.ok(urls.length < 40, `${urls.length} modules`);
  } finally {
    scratch.remove();
  }
});

test('weft mount takes 0.1 s before it starts the daemon: it loads what only that one uses', () => {
  const module = fileURLToPath(new URL('./start-site.js', import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, ['--import', NOTE_IMPORTS, module], { encoding: 'utf8' });
  assert.equal(status, 0);
  const urls = stderr.split('\n').filter((line) => line.startsWith('file:'));
  assert.ok(
    urls.some((url) => url.endsWith('/lib/cli/background-site.js')),
    'imports are noted',
  );
  assert.deepEqual(
    urls.filter((url) => url.includes('/node_modules/')),
    [],
  );
});
