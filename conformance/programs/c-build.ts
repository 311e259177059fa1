// c-build.ts — make -j4 of a C project: everything once, then nothing, then only what a changed header asks for.

import { writeCProject } from '../../scripts/bench/c-project.js';
import { command, type Program } from './program.js';

export const cBuild: Program = {
  name: 'c-build',
  needs: [command('make'), command('gcc')],
  prepare: async (inputs) => writeCProject(`${inputs.directory}/project`, 200),
  run: async (place) => {
    await place.bash(`
      cp -a "$INPUTS/project" .
      cd project
      make -s -j4
      test "$(./program)" = 0 || fail "the program printed $(./program)"
      make -q || fail 'make wants to build again what it has just built'
      touch include/module7.h
      make -n | grep -c -- ' -c ' > rebuilt || true
      test "$(cat rebuilt)" = 2 || fail "a touched header rebuilds $(cat rebuilt) objects, not 2"
      make -s -j4
      make -q
      # Archives and shared objects: ar(1) rewrites in place, ld maps what it links.
      ar rcs libmodules.a obj/module*.o
      test "$(ar t libmodules.a | wc -l)" = 200
      gcc -shared -fPIC -o libshared.so src/module*.c -Iinclude
      gcc -Iinclude -o linked src/main.c ./libshared.so
      test "$(./linked)" = 0
      strip program && test "$(./program)" = 0
    `);
  },
};
