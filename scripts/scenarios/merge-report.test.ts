// What a person sees of a play: the tables, the reasons, and mistakes that a play finds.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { parseScenario } from './parse-scenario.js';
import { type Played, ScenarioPlayer } from './scenario-player.js';

const player = new ScenarioPlayer(1, true);
after(() => player.close());

function play(history: string): Promise<Played> {
  return player.play(parseScenario('story', `sites: paris oslo\n${history}`), 'simulator');
}

/** Rows of the only table, cells joined by ' | ', suffixes of copies as xxxx. */
async function rows(history: string): Promise<string[]> {
  const { tables, failures } = await play(history);
  assert.deepEqual(failures, []);
  assert.equal(tables.length, 1);
  const [, ...lines] = tables[0]!.split('\n');
  return lines.map((line) =>
    line
      .trim()
      .replace(/(\.~\w+)-\w{4}/g, '$1-xxxx')
      .split(/ {2,}/)
      .join(' | '),
  );
}

test('two versions of a file: what each site showed, what all show, and why', async () => {
  const history = 'paris: write x "old"\npartition\nparis: write x "from paris"\noslo: write x "from oslo"\nheal\n';
  assert.deepEqual(await rows(history), [
    'PATH | BEFORE, paris | BEFORE, oslo | AFTER | WHY',
    'x | "from paris" | "from oslo" | "from oslo" | oslo wrote it last',
    'x.~paris-xxxx | - | - | "from paris" | written at paris while oslo wrote another version',
  ]);
});

test('what one site alone changed has its reason too, and what comes with a directory is not listed', async () => {
  const history = `
paris: mkdir a a/b
paris: write a/b/c "c"
paris: write f "f"
partition
paris: mv a d
oslo: chmod 0600 f
oslo: rm f
oslo: mkdir new
heal
`;
  assert.deepEqual(await rows(history), [
    'PATH | BEFORE, paris | BEFORE, oslo | AFTER | WHY',
    'a | - | directory | - | is at d',
    'd | directory | - | directory | only paris moved it from a',
    'f | "f" | - | - | removed at oslo',
    'new | - | directory | directory | only oslo made it',
    '… and 4 paths with the directory above',
  ]);
});

test('attributes that both changed are shown where they differ, with the rule that merged them', async () => {
  const history = `
paris: write x "x"
paris: chmod 0644 x
partition
paris: chmod 0755 x
oslo: chmod 0640 x
oslo: setxattr x user.a "1"
heal
`;
  assert.deepEqual((await rows(history)).slice(1), [
    'x | "x" 0755 | "x" 0640 user.a=1 | "x" 0751 user.a=1 | mode: bit by bit, the stricter where both changed one; attributes as at oslo',
  ]);
});

test('a merge of contents names the policy', async () => {
  const history = `
paris: mkdir logs
paris: setxattr logs user.weft.merge "append"
paris: echo "start" > logs/x
partition
paris: echo "paris" >> logs/x
oslo: echo "oslo" >> logs/x
heal
`;
  const [, x] = await rows(history);
  assert.equal(x, 'logs/x | "start\\nparis\\n" | "start\\noslo\\n" | "start\\nparis\\noslo\\n" | merged (append)');
});

test('while only one site works there is nothing to tell', async () => {
  assert.deepEqual((await play('paris: write x "x"\nsync\noslo: rm x\n')).tables, []);
});

test('a simulated play is the same whenever it is played', async () => {
  const history = 'partition\nparis: write x "1"\noslo: write x "2"\nheal\n';
  assert.deepEqual((await play(history)).tables, (await play(history)).tables);
});

test('an expectation that does not hold names file, line, site, and what was found', async () => {
  const { failures } = await play('paris: write x "one"\nsync\nexpect cat x = "two"\nexpect conflicts = 1\n');
  assert.deepEqual(failures, [
    'story:4: expect cat x = "two"\n    paris: found "one", expected "two"',
    'story:4: expect cat x = "two"\n    oslo: found "one", expected "two"',
    'story:5: expect conflicts = 1\n    paris: found none',
    'story:5: expect conflicts = 1\n    oslo: found none',
  ]);
});

test('a clock that is a day slow does not lose what its site wrote', async () => {
  const { failures } = await play(`
simulator-only: sets a clock
paris: write x "old"
partition
clock oslo -1d
paris: write x "from paris"
oslo: write x "from oslo"
heal
expect names . = x x.~*
`);
  assert.deepEqual(failures, []);
});

test('of a case that others published, what is shown at the end is told', async () => {
  const { outcome } = await play(`
published: Somebody
theirs: lost one
paris: mkdir empty
partition
paris: write x "from paris"
oslo: write x "from oslo"
heal
`);
  assert.deepEqual(
    outcome.map((line) => line.replace(/~(\w+)-\w{4}/g, '~$1-xxxx')),
    [
      'empty/',
      'x "from oslo"',
      'x.~paris-xxxx "from paris"',
      'conflict: name x.~paris-xxxx: paris and oslo gave one name to different things',
    ],
  );
});
