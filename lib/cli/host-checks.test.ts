import assert from 'node:assert/strict';
import { test } from 'node:test';
import { doctorText } from './doctor.js';
import { checkClock, checkHost } from './host-checks.js';

test('every check comes to a result, and each that is not ok has a remedy', async () => {
  const results = await checkHost();
  const names = results.map((result) => result.check);
  for (const name of [
    'Node.js',
    '/dev/fuse',
    'mounting',
    'better-sqlite3',
    'koffi',
    'state directory',
    'disk space',
    'clock',
  ]) {
    assert.ok(names.includes(name), name);
  }
  for (const { check, detail, state, remedy } of results) {
    assert.notEqual(detail, '', check);
    assert.equal(remedy === null, state === 'ok', check);
  }
});

test('a clock from before the program was installed, or from far ahead, is a problem', () => {
  const installedMs = Date.UTC(2026, 1, 1);
  assert.equal(checkClock(installedMs + 1, installedMs).state, 'ok');
  assert.equal(checkClock(0, installedMs).state, 'problem');
  assert.equal(checkClock(Date.UTC(2345, 1), installedMs).state, 'problem');
});

test('a remedy stands below the line that needs it', () => {
  const text = doctorText([
    { check: 'koffi', state: 'ok', detail: 'loads', remedy: null },
    { check: '/dev/fuse', state: 'problem', detail: 'absent', remedy: 'sudo modprobe fuse' },
  ]);
  assert.equal(text, 'ok       koffi      loads\nproblem  /dev/fuse  absent\n         → sudo modprobe fuse');
});
