// parse-scenario.test.ts — the language is read as README.md says, and mistakes are named by file and line.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { projectRoot } from '../sites/project-root.js';
import { parseScenario } from './parse-scenario.js';

const SITES = 'sites: paris oslo rome\n';

test('a history becomes steps', () => {
  const scenario = parseScenario(
    'dir/story.scenario',
    `# a comment
sites: paris oslo rome
links: paris-oslo rome-oslo

paris: write x/a "two\\nwords" # and a comment
oslo: fails EEXIST mkdir x
partition paris | oslo rome
rome: mv x.~oslo-* y
expect paris,oslo: names x = a "b*" c*
heal
`,
  );
  assert.equal(scenario.name, 'story');
  assert.deepEqual(scenario.links, [
    ['paris', 'oslo'],
    ['oslo', 'rome'],
  ]);
  assert.deepEqual(
    scenario.steps.map(({ source, ...step }) => (assert.ok(source), step)),
    [
      {
        step: 'act',
        site: 'paris',
        action: { do: 'write', path: { text: 'x/a', quoted: false }, text: 'two\nwords' },
        failsWith: null,
        line: 5,
      },
      { step: 'act', site: 'oslo', action: { do: 'mkdir', paths: ['x'] }, failsWith: 'EEXIST', line: 6 },
      { step: 'partition', groups: [['paris'], ['oslo', 'rome']], line: 7 },
      {
        step: 'act',
        site: 'rome',
        action: { do: 'mv', from: { text: 'x.~oslo-*', quoted: false }, to: 'y' },
        failsWith: null,
        line: 8,
      },
      {
        step: 'expect',
        sites: ['paris', 'oslo'],
        expectation: {
          that: 'names',
          path: 'x',
          patterns: [
            { text: 'a', quoted: false },
            { text: 'b*', quoted: true },
            { text: 'c*', quoted: false },
          ],
        },
        isAwaited: false,
        line: 9,
      },
      { step: 'heal', line: 10 },
    ],
  );
});

test('without links, every pair of sites is linked; without groups, a partition separates all', () => {
  const scenario = parseScenario('s', `${SITES}partition\n`);
  assert.equal(scenario.links.length, 3);
  assert.deepEqual(scenario.steps[0], {
    step: 'partition',
    groups: [['paris'], ['oslo'], ['rome']],
    line: 2,
    source: 'partition',
  });
});

test('echo is write and append with a line break', () => {
  const actions = parseScenario('s', `${SITES}paris: echo one "two three" > x\nparis: echo "four" >> x\n`).steps.map(
    (step) => step.step === 'act' && step.action,
  );
  const path = { text: 'x', quoted: false };
  assert.deepEqual(actions, [
    { do: 'write', path, text: 'one two three\n' },
    { do: 'append', path, text: 'four\n' },
  ]);
});

test('what a scenario is about, where it was published and where it can be played', () => {
  const text = `${SITES}row: write ∥ write
published: Somebody 2020, figure 1 # as printed
theirs: one system lost both
theirs: another kept both
published: Somebody else
theirs: a third lost one
simulator-only: sets clocks
clock oslo -2h
`;
  const { rows, published, only, steps } = parseScenario('s', text);
  assert.deepEqual(rows, ['write ∥ write']);
  assert.deepEqual(published, [
    { where: 'Somebody 2020, figure 1 # as printed', theirs: ['one system lost both', 'another kept both'] },
    { where: 'Somebody else', theirs: ['a third lost one'] },
  ]);
  assert.deepEqual(only, { stage: 'simulator', reason: 'sets clocks' });
  assert.deepEqual(steps, [{ step: 'clock', site: 'oslo', bySeconds: -7200, line: 9, source: 'clock oslo -2h' }]);
});

test('text is bytes: UTF-8 of the file, and escapes', () => {
  const [step] = parseScenario('s', `${SITES}paris: write "Ä\\xff" "\\"\\\\\\t"\n`).steps;
  assert.ok(step?.step === 'act' && step.action.do === 'write');
  assert.equal(step.action.path.text, '\xc3\x84\xff');
  assert.equal(step.action.text, '"\\\t');
});

const MISTAKES: readonly [string, RegExp][] = [
  ['', /^f:1: no statement; the first is sites:/],
  ['paris: mkdir x', /^f:1: the first statement is sites:/],
  ['sites: paris', /^f:1: name 2 to 8 sites/],
  ['sites: paris Oslo', /^f:1: "Oslo" is no name of a site/],
  ['sites: paris paris', /^f:1: a site is named twice/],
  [`${SITES}links: paris-oslo`, /^f:2: rome has no link to a site that is listed before it/],
  [`${SITES}links: paris-bern`, /^f:2: unknown site bern; there are paris, oslo, rome/],
  [`${SITES}bern: mkdir x`, /^f:2: unknown site bern/],
  [`${SITES}\n\nparis: frobnicate x`, /^f:4: unknown action frobnicate; there are mkdir, rmdir,/],
  [`${SITES}paris: constructor x`, /^f:2: unknown action constructor/],
  [`${SITES}paris:`, /^f:2: an action belongs after the site/],
  [`${SITES}paris: write x text`, /^f:2: write write FILE "TEXT"/],
  [`${SITES}paris: write x "text`, /^f:2: column 16: the quote that opens here is not closed/],
  [`${SITES}paris: write x "a\\q"`, /^f:2: column 18: unknown escape \\q/],
  [`${SITES}paris: write x "a"b`, /^f:2: column 19: a blank belongs after the closing quote/],
  [`${SITES}paris: mkdir ../x`, /^f:2: "\.\.\/x" is no path below the mountpoint/],
  [`${SITES}paris: mkdir /x`, /^f:2: "\/x" is no path below the mountpoint/],
  [`${SITES}paris: chmod 99 x`, /^f:2: "99" is no octal mode/],
  [`${SITES}paris: touch -d "noon" x`, /^f:2: "noon" is no date/],
  [`${SITES}paris: fill x 10 killed after 10`, /^f:2: killed after 10 of 10 files is too late/],
  [`${SITES}paris: fails mkdir x`, /^f:2: write fails ERRNO ACTION/],
  [`${SITES}partition paris | oslo`, /^f:2: name every site once/],
  [`${SITES}partition paris oslo rome`, /^f:2: name every site once/],
  [`${SITES}heal`, /^f:2: nothing is cut here: write partition before heal/],
  [`${SITES}paris: cat x`, /^f:2: unknown action cat; write expect SITE: cat FILE = "TEXT" to look into a file/],
  [`${SITES}paris: rename x y`, /^f:2: unknown action rename; write mv FROM TO/],
  [`${SITES}paris: echo x`, /^f:2: write echo "TEXT" > FILE/],
  [`${SITES}paris: lock h`, /^f:2: lock works on real mounts only: add a line real-only: REASON/],
  [`${SITES}clock paris +1h`, /^f:2: clock works in the simulator only: add a line simulator-only: REASON/],
  [`${SITES}disk paris 100M`, /^f:2: disk works on real mounts only/],
  [
    `${SITES}real-only: d\nparis: mkdir x\ndisk paris 100M`,
    /^f:4: paris has no disk of its own: write disk paris SIZE/,
  ],
  [`${SITES}real-only: d\ndisk paris all`, /^f:3: write disk SITE 200M/],
  [`${SITES}simulator-only: clocks\nclock paris 1h`, /^f:3: write clock SITE \+90s/],
  [`${SITES}simulator-only: clocks\nreal-only: locks`, /^f:3: there is simulator-only: already/],
  [`${SITES}paris: mkdir x\nrow: write ∥ write`, /^f:3: row: belongs before the first step/],
  [`${SITES}row:`, /^f:2: row: says nothing/],
  [`${SITES}published: Somebody`, /published: Somebody says nothing of what others did: add theirs: lines/],
  [`${SITES}theirs: lost it`, /^f:2: theirs: belongs after published:/],
  [`${SITES}heal paris`, /^f:2: write heal, alone/],
  [`${SITES}kill paris\nparis: mkdir x\nrestart paris`, /^f:3: paris was killed: restart paris first/],
  [`${SITES}kill paris\n`, /^f:3: paris is dead at the end: add restart paris/],
  [`${SITES}restart paris`, /^f:2: paris runs/],
  [`${SITES}expect`, /^f:2: an expectation is missing/],
  [`${SITES}expect cat x "text"`, /^f:2: write expect cat FILE = "TEXT"/],
  [`${SITES}expect conflicts = many`, /^f:2: write expect conflicts = NUMBER/],
  [`${SITES}expect sunshine`, /^f:2: unknown expectation sunshine/],
  [`${SITES}wibble`, /^f:2: unknown statement wibble/],
];

for (const [text, message] of MISTAKES) {
  test(`mistake: ${JSON.stringify(text.replace(SITES, ''))}`, () => {
    assert.throws(() => parseScenario('f', text), { name: 'ScenarioError', message });
  });
}

test('every scenario in the repository parses and says at its top what a person would see', () => {
  const directory = join(projectRoot(), 'scripts/scenarios');
  const files = readdirSync(directory).filter((name) => name.endsWith('.scenario'));
  assert.ok(files.length >= 14);
  for (const file of files) {
    const text = readFileSync(join(directory, file), 'utf8');
    assert.match(text, /^# \S/, file);
    assert.ok(parseScenario(file, text).steps.length > 0, file);
  }
});
