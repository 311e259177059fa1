// crash-duels.ts — duels in which what a kill, the loss of power or of a link may cut in two. See duels.ts.

import { type Duel, FILES, type Words } from './duel.js';

/** What a site did is folded by its next life, when others did something to the same long after. */
export function killedBeforeFold(d: Duel): void {
  const f = d.pick(...FILES);
  d.say(d.one, ...d.write(d.one, f));
  d.meet();
  d.part();
  const change = (site: string): Words =>
    d.pick<Words>(
      ['chmod', f, d.pick('600', '640', '755')],
      ['setxattr', f, 'user.x', d.mark(site)],
      ['mv', f, d.pick(...FILES)],
      ['touch', f, 1_100_000_000],
      d.write(site, f),
    );
  d.say(d.one, ...change(d.one));
  d.say(d.one, 'kill');
  d.wait(10, 5_000);
  d.say(d.other, ...change(d.other));
  d.wait(1, 2_000);
  d.say(d.one, 'restart');
  d.meet();
}

/** What was written to an open file stays where it is in the log, while much else goes through that. */
export function draftInOldLog(d: Duel): void {
  const [f, g] = d.random.shuffled(FILES) as [string, string];
  d.say(d.one, ...d.write(d.one, f));
  d.wait(1, 300);
  d.say(d.one, 'open', 'h4', f);
  d.say(d.one, 'put', 'h4', -1, d.mark(d.one), d.chance(0.7) ? 100 : 200_000);
  const count = 3 + d.random.below(3);
  for (let i = 0; i < count; i++) {
    d.say(d.one, 'write', g, d.mark(d.one), 30_000);
    d.wait(20, 600);
  }
  if (d.chance(0.3)) d.say(d.one, 'put', 'h4', 2, d.mark(d.one), 50);
  d.say(d.one, 'kill');
  d.wait(1, 500);
  d.say(d.one, 'restart');
}

/** Links break while large files are fetched. */
export function lostLink(d: Duel): void {
  const f = d.pick(...FILES);
  d.meet();
  d.say(d.one, 'write', f, d.mark(d.one), 300_000 + d.random.below(100_000));
  const count = 2 + d.random.below(4);
  for (let i = 0; i < count; i++) {
    d.wait(30, 900);
    d.say('', 'reset', d.one, d.third && d.chance(0.3) ? d.third : d.other);
  }
}

/** Only where power may fail. */
export function syncedThenPowerLost(d: Duel): void {
  const [f, g] = d.random.shuffled(FILES) as [string, string];
  const size = (): number =>
    d.chance(0.5) ? Math.ceil(d.random.logUniform(10, 3_000)) : 70_000 + d.random.below(90_000);
  if (d.chance(0.8)) d.say(d.one, 'write', f, d.mark(d.one), size());
  if (d.chance(0.5)) d.wait(1, 1_000);
  d.say(d.one, 'open', 'h5', f);
  const rounds = 1 + d.random.below(3);
  for (let i = 0; i < rounds; i++) {
    d.say(d.one, 'put', 'h5', d.pick(-1, -1, 5), d.mark(d.one), i === 0 ? size() : d.pick(20, 400, size()));
    if (d.chance(0.3)) d.wait(1, 800);
    d.say(d.one, 'fsync', 'h5');
  }
  const count = d.chance(0.5) ? 0 : 1 + d.random.below(3);
  for (let i = 0; i < count; i++) d.say(d.one, 'write', g, d.mark(d.one), 30_000);
  if (d.chance(0.3)) d.say(d.one, 'close', 'h5');
  if (d.chance(0.5)) d.wait(1, 1_000);
  d.say(d.one, 'power');
  d.wait(1, 500);
  d.say(d.one, 'restart');
}

/** What was just written becomes a version, which is not durable yet when a descriptor goes on from it and is synced. */
export function syncedOnUnsynced(d: Duel): void {
  const f = d.pick(...FILES);
  d.say(d.one, 'rm', f);
  d.wait(300, 1_500);
  d.say(d.one, 'write', f, d.mark(d.one), d.pick(50, 900, 9_000));
  d.wait(2, 12);
  d.say(d.one, 'open', 'h6', f);
  d.say(d.one, 'put', 'h6', -1, d.mark(d.one), d.pick(20, 400));
  d.say(d.one, 'fsync', 'h6');
  d.say(d.one, 'power');
  d.wait(1, 500);
  d.say(d.one, 'restart');
}

/** What was synced is folded, and the log goes on to its next segment, before the commit that holds it is durable. */
export function syncedThenFolded(d: Duel): void {
  const [f, g] = d.random.shuffled(FILES) as [string, string];
  d.say(d.one, 'open', 'h7', f);
  d.say(d.one, 'put', 'h7', -1, d.mark(d.one), d.pick(20, 400, 3_000));
  d.say(d.one, 'fsync', 'h7');
  d.say(d.one, 'close', 'h7');
  const count = 3 + d.random.below(2);
  for (let i = 0; i < count; i++) d.say(d.one, 'write', g, d.mark(d.one), 30_000);
  if (d.chance(0.8)) d.wait(2, 20);
  if (d.chance(0.5)) {
    // The log goes on where that was, and is synced.
    for (let i = 0; i < 4; i++) d.say(d.one, 'write', g, d.mark(d.one), 30_000);
    const h = `${f}2`;
    d.say(d.one, 'rm', h);
    d.say(d.one, 'create', 'h8', h);
    d.say(d.one, 'put', 'h8', -1, d.mark(d.one), 20);
    d.say(d.one, 'fsync', 'h8');
  }
  d.say(d.one, 'power');
  d.wait(1, 500);
  d.say(d.one, 'restart');
}

/** A sync fails, and so the site ends or the program tries again; what is synced afterwards is there after power loss. */
export function syncedAfterFailedSync(d: Duel): void {
  const [f, g] = d.random.shuffled(FILES) as [string, string];
  const size = (): number => d.pick(20, 400, 3_000, 70_000 + d.random.below(90_000));
  if (d.chance(0.8)) d.say(d.one, 'write', f, d.mark(d.one), size());
  if (d.chance(0.5)) d.wait(1, 1_000);
  const put = (handle: string): void => {
    d.say(d.one, 'open', handle, f);
    d.say(d.one, 'put', handle, d.pick(-1, 5), d.mark(d.one), size());
  };
  const fail = (): void => d.say(d.one, 'fail', 'sync', d.pick(1, 1, 1, 2, 2, 3, 4));
  if (d.chance(0.6)) {
    put('h10');
    if (d.chance(0.3)) d.say(d.one, 'write', g, d.mark(d.one), 30_000);
    fail();
    d.say(d.one, 'fsync', 'h10');
    if (d.chance(0.3)) d.say(d.one, 'fsync', 'h10');
    if (d.chance(0.5)) d.wait(1, 1_500);
  } else {
    // A sync fails that nobody waits for: of a pack, say.
    fail();
    d.say(d.one, 'write', d.pick(f, g), d.mark(d.one), size());
    d.wait(1, 3_000);
  }
  if (d.chance(0.5)) d.say(d.one, 'kill');
  d.say(d.one, 'restart');
  if (d.chance(0.3)) d.wait(1, 500);
  if (d.chance(0.5)) put('h11');
  else d.say(d.one, 'open', 'h11', f);
  d.say(d.one, 'fsync', 'h11');
  if (d.chance(0.3)) d.wait(1, 1_000);
  d.say(d.one, 'power');
  d.wait(1, 500);
  d.say(d.one, 'restart');
}
