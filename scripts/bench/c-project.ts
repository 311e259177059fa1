// c-project.ts — a small C project that make(1) builds, generated: many short files that include a header each, as real ones do.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Writes a project of `modules` C files, as many headers, and a Makefile into a new directory. */
export function writeCProject(directory: string, modules: number): void {
  mkdirSync(join(directory, 'src'), { recursive: true });
  mkdirSync(join(directory, 'include'));
  const names = Array.from({ length: modules }, (_, index) => `module${index}`);
  for (const [index, name] of names.entries()) {
    const next = names[(index + 1) % modules]!;
    writeFileSync(
      join(directory, 'include', `${name}.h`),
      `#pragma once\nstruct ${name} { int value; };\nint ${name}(int);\n`,
    );
    writeFileSync(
      join(directory, 'src', `${name}.c`),
      [
        '#include <stdio.h>',
        `#include "${name}.h"`,
        `#include "${next}.h"`,
        `int ${name}(int depth) {`,
        `  struct ${name} state = {depth};`,
        `  if (depth <= 0) return printf("%d\\n", state.value);`,
        `  return ${next}(depth - 1) + ${index};`,
        '}',
        '',
      ].join('\n'),
    );
  }
  writeFileSync(join(directory, 'src/main.c'), '#include "module0.h"\nint main(void) { return module0(3) < 0; }\n');
  writeFileSync(
    join(directory, 'Makefile'),
    [
      'OBJECTS := $(patsubst src/%.c,obj/%.o,$(wildcard src/*.c))',
      'program: $(OBJECTS)',
      '\t$(CC) -o $@ $^',
      'obj/%.o: src/%.c | obj',
      '\t$(CC) -O1 -Iinclude -MMD -c -o $@ $<',
      'obj:',
      '\tmkdir obj',
      '-include $(wildcard obj/*.d)',
      '',
    ].join('\n'),
  );
}
