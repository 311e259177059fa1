// phantom-conflicts.test.ts — what people do at two real mounts at once that is no conflict: programs that do the same at both, and
// what changes nothing. Needs root and /dev/fuse; git and npm, which need no network here.

import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs';
import { writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { runChecked } from '../scripts/sites/command.js';
import type { Site } from '../scripts/sites/site.js';
import { at, Team } from './team.test-support.js';

describe('no phantom conflicts', () => {
  const team = new Team('weft-phantoms');
  const { cluster, paris, oslo } = team;

  before(() => team.found());
  after(() => team.close());

  async function bash(script: string, cwd: string): Promise<void> {
    const env = { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_SYSTEM: '/dev/null', HOME: cluster.directory };
    await runChecked('bash', ['-euc', script], { cwd, env, timeoutMs: 120_000 });
  }

  async function assertNone(sites: readonly Site[] = [paris, oslo]): Promise<void> {
    const states = [];
    for (const site of sites) {
      const { stdout } = await site.weft(['conflicts'], { cwd: site.mountpoint });
      assert.equal(stdout, 'no conflicts\n');
      states.push(await site.status());
    }
    assert.equal(new Set(states.map(({ digest }) => digest)).size, 1);
    assert.deepEqual(new Set(states.map(({ conflicts }) => conflicts)), new Set([0]));
  }

  test('npm ci of one lock file', async () => {
    const source = cluster.scratch('package');
    await bash(
      `mkdir one two
       echo '{"name":"one","version":"1.0.0","bin":{"one":"cli.js"}}' > one/package.json
       echo '#!/usr/bin/env node' > one/cli.js
       echo '{"name":"two","version":"1.0.0","dependencies":{"one":"file:one-1.0.0.tgz"}}' > two/package.json
       seq 200000 > two/large.js
       npm pack --silent ./one; npm pack --silent ./two`,
      source,
    );
    const dependencies = { one: 'file:one-1.0.0.tgz', two: 'file:two-1.0.0.tgz' };
    mkdirSync(at(paris, 'project'));
    writeFileSync(
      at(paris, 'project/package.json'),
      JSON.stringify({ name: 'project', version: '1.0.0', dependencies }),
    );
    await bash(
      `cp ${source}/*.tgz .
       npm install --silent --offline --no-audit --no-fund --package-lock-only`,
      at(paris, 'project'),
    );
    await cluster.apart(async () => {
      for (const site of [paris, oslo])
        await bash('npm ci --silent --offline --no-audit --no-fund', at(site, 'project'));
    });
    await assertNone();
    assert.equal(statSync(at(oslo, 'project/node_modules/.bin/one')).mode & 0o111, 0o111);
    // Over what is there already.
    await cluster.apart(async () => {
      for (const site of [paris, oslo])
        await bash('npm ci --silent --offline --no-audit --no-fund', at(site, 'project'));
    });
    await assertNone();
  });

  test('git checkout of one branch', async () => {
    const repository = cluster.scratch('repository');
    await bash(
      `git init -q -b main .; git config user.name Weft; git config user.email weft@example.org
       mkdir -p src/old docs; for i in $(seq 30); do echo "$i" > src/old/$i; echo "$i" > docs/$i; done
       git add .; git commit -qm one
       git checkout -q -b feature; git mv src/old src/new; for i in $(seq 10 30); do echo "feature $i" > docs/$i; done
       git rm -qr docs/1; ln -s docs link; chmod +x docs/2; git add .; git commit -qm two; git checkout -q main`,
      repository,
    );
    for (const site of [paris, oslo]) await bash(`cp -r ${repository}/.git ${cluster.directory}/git-${site.name}`, '/');
    const git = (site: Site, command: string): Promise<void> =>
      bash(`git --git-dir=${cluster.directory}/git-${site.name} --work-tree=. ${command}`, at(site, 'tree'));
    await cluster.apart(async () => {
      for (const site of [paris, oslo]) mkdirSync(at(site, 'tree'));
      for (const site of [paris, oslo]) await git(site, 'checkout -qf main');
    });
    await assertNone();
    await cluster.apart(async () => {
      for (const site of [paris, oslo]) await git(site, 'checkout -qf feature');
    });
    await assertNone();
    for (const site of [paris, oslo]) await git(site, 'diff --exit-code');
  });

  test('mkdir -p, touch, cp -a, editors that save the same, the same renames, modes and removals', async () => {
    await bash('mkdir -p d/e old; for f in a b c d/x d/e/y old/z; do echo base > $f; done', paris.mountpoint);
    await cluster.apart(async () => {
      for (const site of [paris, oslo]) {
        await bash(
          `mkdir -p new/tree/of/directories; touch a d empty; cp -a ${cluster.directory}/package copied
           echo edited > b; sed -i s/base/saved/ d/x; mv c d/renamed; mv d/e moved; rm -r old
           chmod 600 a; chown 5:6 a; ln a link; ln -s a symlink; truncate -s 2 moved/y`,
          site.mountpoint,
        );
      }
    });
    await assertNone();
  });

  test('an edit, a chmod, a chown and a removal stand beside what changes nothing', async () => {
    for (const path of ['edited', 'owned', 'removed']) writeFileSync(at(paris, path), 'base\n');
    await cluster.apart(() => {
      writeFileSync(at(paris, 'edited'), 'edited\n');
      chmodSync(at(paris, 'edited'), 0o600);
      chownSync(at(paris, 'owned'), 7, 8);
      rmSync(at(paris, 'removed'));
      writeFileSync(at(oslo, 'edited'), 'base\n');
      chmodSync(at(oslo, 'edited'), 0o644);
      chownSync(at(oslo, 'owned'), 0, 0);
      writeFileSync(at(oslo, 'removed'), 'base\n');
      utimesSync(at(oslo, 'edited'), 1, 1);
    });
    await assertNone();
    for (const site of [paris, oslo]) {
      assert.equal(readFileSync(at(site, 'edited'), 'utf8'), 'edited\n');
      assert.equal(statSync(at(site, 'edited')).mode & 0o777, 0o600);
      assert.equal(statSync(at(site, 'owned')).uid, 7);
      assert.throws(() => statSync(at(site, 'removed')), { code: 'ENOENT' });
    }
  });

  test('a restart, a crash, a site that starts anew, and a site that gets its own changes back', async () => {
    renameSync(at(paris, 'b'), at(paris, 'b2'));
    writeFileSync(at(oslo, 'd/x'), 'last\n');
    await assertNone(await team.startAnew());
  });
});
