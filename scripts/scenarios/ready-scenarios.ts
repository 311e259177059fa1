// ready-scenarios.ts — the scenario files of this folder.

import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { projectRoot } from '../sites/project-root.js';
import { parseScenario } from './parse-scenario.js';
import type { Scenario } from './scenario.js';

/** Sorted by name. @throws ScenarioError */
export function readyScenarios(): Scenario[] {
  const directory = join(projectRoot(), 'scripts/scenarios');
  return readdirSync(directory)
    .filter((name) => name.endsWith('.scenario'))
    .toSorted()
    .map((name) => {
      const file = join(directory, name);
      return parseScenario(relative(process.cwd(), file), readFileSync(file, 'utf8'));
    });
}
