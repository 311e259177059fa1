// switched-network.test.ts — packets between the hosts of a network go through until they are cut off, in one direction or both.

import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { run } from '../sites/command.js';
import { namespacesLack } from './namespace.js';
import { type Host, SwitchedNetwork } from './switched-network.js';

const lacking = await namespacesLack();

/** Connects to a port where nobody listens: who can answer refuses at once. */
async function reaches(from: Host, to: Host): Promise<boolean> {
  const program = `
    const socket = require('node:net').connect(7420, '${to.address}');
    socket.on('error', ({ code }) => process.exit(code === 'ECONNREFUSED' ? 0 : 2));
    setTimeout(() => process.exit(1), 1500);`;
  const [first, ...words] = [...from.namespace.entering, process.execPath, '-e', program];
  const { code, stderr } = await run(first!, words);
  assert.ok(code === 0 || code === 1, stderr);
  return code === 0;
}

test(
  'a cut drops packets of one direction, and nothing is left of the network',
  { skip: lacking ?? false },
  async () => {
    const network = await SwitchedNetwork.create();
    try {
      const [paris, oslo, rome] = [
        await network.attach('paris'),
        await network.attach('oslo'),
        await network.attach('rome'),
      ];
      assert.ok(await reaches(paris, oslo));
      // Oslo answers, and the answer does not arrive.
      await network.cut([{ from: 'oslo', to: 'paris' }]);
      assert.ok(!(await reaches(paris, oslo)));
      assert.ok(await reaches(paris, rome));
      await network.detach(rome);
      await network.cut([]);
      assert.ok(await reaches(oslo, paris));
    } finally {
      await network.delete();
    }
    const left = existsSync('/run/netns') ? readdirSync('/run/netns') : [];
    assert.deepEqual(
      left.filter((name) => name.startsWith(`weft-${process.pid}-`)),
      [],
    );
  },
);
