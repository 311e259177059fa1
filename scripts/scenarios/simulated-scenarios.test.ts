// Every scenario that the simulator can play, on simulated sites.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { readyScenarios } from './ready-scenarios.js';
import { ScenarioPlayer } from './scenario-player.js';

const player = new ScenarioPlayer();
after(() => player.close());

for (const scenario of readyScenarios()) {
  if (scenario.only?.stage === 'real') continue;
  test(scenario.name.replaceAll('-', ' '), async () => {
    assert.deepEqual((await player.play(scenario, 'simulator')).failures, []);
  });
}
