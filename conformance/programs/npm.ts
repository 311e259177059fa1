// npm.ts — npm ci of this project on the place (93 packages, one of them compiled by node-gyp), and this project's tests run from there.

import { join } from 'node:path';
import { projectRoot } from '../../scripts/sites/project-root.js';
import { command, type Program } from './program.js';

/** Tests of what is stored: those that start no daemon, which would mount again, and measure no time. */
const TESTS = ['codec', 'crdt', 'journal', 'chunks', 'volume', 'sim'];

export const npm: Program = {
  name: 'npm',
  needs: [command('npm'), command('make'), command('g++')],
  prepare: async (inputs) => {
    const build = join(import.meta.dirname, '../..');
    await inputs.bash(
      `
      cp '${projectRoot()}'/package.json '${projectRoot()}'/package-lock.json .
      mkdir dist; cp -r '${build}/lib' '${build}/scripts' dist/
      mkdir warm; cp package*.json warm/
      # Fills npm's cache, so that neither run waits for the network.
      (cd warm; npm ci --ignore-scripts --no-audit --no-fund > log 2>&1 || fail "$(tail -20 log)"; rm -rf node_modules)
    `,
    );
  },
  run: async (place) => {
    await place.bash(
      `
      cp "$INPUTS"/package*.json .
      npm ci --include=dev --prefer-offline --no-audit --no-fund > log 2>&1 || fail "$(tail -20 log)"
      npm ls > /dev/null || fail 'npm ls finds something missing'
      test -z "$(find node_modules -name '*.~*')"
      cp -r "$INPUTS/dist" .
      mkdir tmp; export TMPDIR=$PWD/tmp
      node --test --test-reporter=tap $(find ${TESTS.map((folder) => `dist/lib/${folder}`).join(' ')} -name '*.test.js') > tests 2>&1 \\
        || fail "$(grep -A12 '^ *not ok' tests | head -60)"
      node_modules/.bin/prettier --version > /dev/null
      # npm moves trees aside and back while it works.
      npm uninstall --no-audit --no-fund --ignore-scripts fuse-native > log 2>&1 || fail "$(tail -20 log)"
      test ! -e node_modules/fuse-native
      npm install --prefer-offline --no-audit --no-fund --ignore-scripts ws@8.23.0 > log 2>&1 || fail "$(tail -20 log)"
    `,
      60 * 60_000,
    );
  },
};
