// doctor.ts — `weft doctor`: what this machine lacks for Weft, and how to get it. Exit 1 when something needed is missing.

import type { CommandModule } from 'yargs';
import { Failure } from './failure.js';
import { checkHost, type CheckResult } from './host-checks.js';
import { withJson } from './site-options.js';
import { renderTable } from './text-table.js';

export const doctorCommand: CommandModule<object, { json: boolean }> = {
  command: 'doctor',
  describe: 'what this machine lacks for Weft, and how to get it',
  builder: (parser) => withJson(parser),
  handler: async ({ json }) => {
    const results = await checkHost();
    process.stdout.write(json ? `${JSON.stringify(results, null, 2)}\n` : `${doctorText(results)}\n`);
    const missing = results.filter((result) => result.state === 'problem').map((result) => result.check);
    if (missing.length > 0) {
      throw new Failure(
        `${missing.join(', ')}: ${missing.length === 1 ? 'needed' : 'all needed'}; follow the arrows of weft doctor`,
      );
    }
  },
};

/** One line per check, and one with the remedy below those that have one. */
export function doctorText(results: readonly CheckResult[]): string {
  const lines = renderTable(results.map(({ state, check, detail }) => [state, check, detail])).split('\n');
  return results
    .map(({ remedy }, index) => (remedy === null ? lines[index] : `${lines[index]}\n         → ${remedy}`))
    .join('\n');
}
