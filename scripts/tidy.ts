#!/usr/bin/env node
// tidy.ts — `make tidy`: checks the repository's own rules (tidy/source-rules.ts) over all TypeScript sources.
// Exit code 1 and one line per finding, `path:line: what is wrong: remedy`, when there are any.

import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { projectRoot } from './sites/project-root.js';
import { checkSource } from './tidy/source-rules.js';

const root = projectRoot();
const files = ['lib', 'scripts', 'conformance']
  .flatMap((folder) => readdirSync(join(root, folder), { recursive: true, withFileTypes: true }))
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry) => relative(root, join(entry.parentPath, entry.name)))
  .toSorted();

const findings = files.flatMap((path) => checkSource(path, readFileSync(join(root, path), 'utf8')));
for (const { path, line, message } of findings) process.stdout.write(`${path}:${line}: ${message}\n`);
process.stdout.write(`tidy: ${files.length} files, ${findings.length} findings\n`);
process.exitCode = findings.length === 0 ? 0 : 1;
