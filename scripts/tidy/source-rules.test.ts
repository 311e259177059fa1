import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkSource } from './source-rules.js';

/** The messages for a file with a proper header and this body. */
function messages(path: string, body: string): string[] {
  const name = path.split('/').at(-1)!;
  return checkSource(path, `// ${name} — what it is.\n${body}\n`).map((finding) => finding.message);
}

test('imports point downward', () => {
  assert.deepEqual(messages('lib/volume/a.ts', "import { x } from '../crdt/x.js';"), []);
  assert.deepEqual(messages('lib/volume/a.ts', "import { x } from './x.js';"), []);
  assert.deepEqual(messages('lib/crdt/a.ts', "import { x } from '../errno.js';"), []);
  assert.match(
    messages('lib/crdt/a.ts', "import { x } from '../volume/x.js';")[0]!,
    /lib\/crdt must not import lib\/volume/,
  );
  assert.match(messages('lib/fuse/a.ts', "} from '../sync/x.js';")[0]!, /lib\/fuse must not import lib\/sync/);
  assert.match(messages('lib/journal/a.ts', "await import('../chunks/x.js');")[0]!, /must not import lib\/chunks/);
  assert.match(messages('lib/cli/a.ts', "import { x } from '../../scripts/x.js';")[0]!, /must not import scripts/);
  assert.match(messages('lib/cli/a.ts', "import { x } from './y.test-support.js';")[0]!, /for tests/);
  assert.deepEqual(messages('lib/crdt/a.test.ts', "import { x } from '../journal/x.js';"), []);
});

test('pure files take what is impure as arguments', () => {
  const cases: [string, RegExp][] = [
    ["import { readFileSync } from 'node:fs';", /node:fs in a pure file/],
    ["import { createHash } from 'node:crypto';", /node:crypto in a pure file/],
    ["import { syncPath } from '../file-sync.js';", /file-sync\.js in a pure file/],
    ['const t = Date.now();', /Date\.now\( in a pure file: take the time/],
    ['const t = new Date();', /take the time/],
    ['const r = Math.random();', /take random values/],
    ['setTimeout(f, 1);', /timers/],
  ];
  for (const [body, says] of cases) {
    assert.match(messages('lib/crdt/a.ts', body)[0]!, says);
    assert.match(messages('lib/sync/message.ts', body)[0]!, says);
    assert.deepEqual(messages('lib/sync/link.ts', body), []);
    assert.deepEqual(messages('lib/crdt/a.test.ts', body), []);
  }
  assert.deepEqual(messages('lib/crdt/a.ts', '// never Date.now() here'), []);
  assert.deepEqual(messages('lib/crdt/a.ts', "import assert from 'node:assert/strict';"), []);
});

test('a file begins by saying what it is', () => {
  assert.equal(checkSource('lib/x/a.ts', "import 'x';\n").length, 1);
  assert.equal(checkSource('lib/x/a.ts', '#!/usr/bin/env node\n// a.ts — the program.\n').length, 0);
  assert.equal(checkSource('lib/x/a.ts', '// b.ts — copied.\n').length, 1);
  assert.equal(checkSource('lib/x/a.test.ts', "import 'x';\n").length, 0);
});

test('names say what a file is about', () => {
  for (const name of [
    'utils.ts',
    'path-helpers.ts',
    'link-manager.ts',
    'common.ts',
    'index.ts',
    'camelCase.ts',
    'x.spec.ts',
  ]) {
    assert.ok(messages(`lib/cli/${name}`, '').length > 0, name);
  }
  for (const name of ['link.ts', 'two-words.ts', 'link.test.ts', 'fake-link.test-support.ts']) {
    assert.deepEqual(messages(`lib/cli/${name}`, ''), [], name);
  }
});

test('nothing is left for later', () => {
  assert.equal(messages('lib/cli/a.ts', `// ${'TO' + 'DO'}: later`).length, 1);
  assert.equal(messages('lib/cli/a.ts', `f(); // ${'FIX' + 'ME'} this`).length, 1);
  assert.equal(messages('lib/cli/a.ts', `// A line '# ${'TO' + 'DO'} words' of TAP counts as passed.`).length, 0);
  assert.equal(messages('lib/cli/a.test.ts', `test.${'skip'}('x', () => {});`).length, 1);
  assert.equal(messages('lib/cli/a.ts', `// @ts-${'ignore'}`).length, 1);
  assert.equal(messages('lib/cli/a.ts', `// eslint-${'disable'}-next-line no-console`).length, 1);
  assert.equal(messages('lib/cli/a.ts', `// eslint-${'disable'}-next-line no-console -- it is the console`).length, 0);
  assert.equal(messages('lib/cli/a.ts', "export * from './b.js';").length, 1);
});
