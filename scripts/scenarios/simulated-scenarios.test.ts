// Every scenario that the simulator can play, on simulated sites.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { projectRoot } from '../sites/project-root.js';
import { parseScenario } from './parse-scenario.js';
import { ScenarioPlayer } from './scenario-player.js';

const player = new ScenarioPlayer();
after(() => player.close());

const directory = join(projectRoot(), 'scripts/scenarios');
for (const file of readdirSync(directory).filter((name) => name.endsWith('.scenario'))) {
  const scenario = parseScenario(file, readFileSync(join(directory, file), 'utf8'));
  if (scenario.only?.stage === 'real') continue;
  test(scenario.name.replaceAll('-', ' '), async () => {
    assert.deepEqual((await player.play(scenario, 'simulator')).failures, []);
  });
}
