// eviction-duels.ts — duels in which a site that fetches on demand gives content up while programs write what is laid over it, while it is
// packed and while it is fetched, and is killed in the middle. See duels.ts.

import { type Duel, FILES, type Words } from './duel.js';

const SIZES = [40, 2_000, 70_000, 200_000];

/** What the first site has, given up or not, the others have too. */
function shared(d: Duel, path: string): void {
  d.say(d.one, 'content', 'on-demand');
  d.say(d.chance(0.6) ? d.one : d.other, 'write', path, d.mark(d.one), d.pick(...SIZES));
  d.meet();
  if (d.chance(0.5)) {
    d.say(d.one, 'evict');
    d.wait(100, 3_000);
  }
}

/** Things go on at once; sooner or later the daemon is killed or power fails, if it is so. */
function atOnce(d: Duel, steps: readonly Words[], end: 'kill' | 'power' = 'kill'): void {
  for (const words of steps) {
    d.say(d.one, ...words);
    if (d.chance(0.7)) d.wait(1, 60);
  }
  if (d.chance(0.7)) {
    d.wait(1, 300);
    if (d.chance(0.5)) d.say(d.one, end);
    else d.say(d.one, end, 'after', 1 + d.random.below(20));
    d.wait(1, 500);
    d.say(d.one, 'restart');
  }
  d.meet();
}

/** A file is written to as what it shows is given up. */
export function evictedWhileWritten(d: Duel): void {
  const f = d.pick(...FILES);
  shared(d, f);
  const put = (): Words => ['put', 'h8', d.pick(-1, -1, 3), d.mark(d.one), d.pick(20, 400)];
  const steps: Words[] = [['open', 'h8', f], put(), ['evict'], put(), ['evict'], put()];
  if (d.chance(0.3)) steps.push(['close', 'h8'], ['evict']);
  atOnce(d, steps.slice(0, 3 + d.random.below(steps.length - 2)));
}

/** What is packed meanwhile goes to packs that the collection did not see. */
export function packedWhileGivenUp(d: Duel): void {
  packed(d, 'kill');
}

/** What is packed right after a collection is in packs that have the numbers of those that went. */
export function packedThenPowerLost(d: Duel): void {
  packed(d, 'power');
}

function packed(d: Duel, end: 'kill' | 'power'): void {
  const [f, g] = d.random.shuffled(FILES) as [string, string];
  shared(d, f);
  const steps: Words[] = [];
  const count = 2 + d.random.below(4);
  for (let i = 0; i < count; i++) {
    steps.push(d.chance(0.6) ? ['write', g, d.mark(d.one), d.pick(...SIZES)] : ['patch', f, -1, d.mark(d.one), 50]);
    steps.push(d.chance(0.7) ? ['evict'] : ['collect']);
  }
  if (end === 'power') steps.push(d.chance(0.5) ? ['write', g, d.mark(d.one), 40] : ['sync', g]);
  atOnce(d, steps, end);
}

/** What is being given up is read, and so fetched, and given up. */
export function fetchedWhileGivenUp(d: Duel): void {
  const f = d.pick(...FILES);
  shared(d, f);
  const change = (): Words => d.pick<Words>(['patch', f, -1, d.mark(d.one), 60], ['append', f, d.mark(d.one), 60]);
  const steps: Words[] = [change(), ['evict'], change(), change(), ['evict'], change(), change()];
  if (d.chance(0.3)) steps.splice(d.random.below(steps.length), 0, ['content', 'everything']);
  atOnce(d, steps);
}

/** Two that know of each other's changes give up what a third one, which they do not hear, has made needed again. */
export function givenUpBehindThird(d: Duel): void {
  const f = d.pick(...FILES);
  shared(d, f);
  if (d.chance(0.6)) d.say(d.other, 'setxattr', f, 'user.weft.merge', d.pick('append', 'text', 'ranges'));
  d.meet();
  d.part();
  const open = d.chance(0.4);
  const third = d.third ?? d.other;
  d.race(
    [d.one, [['write', f, d.mark(d.one), d.pick(...SIZES)], d.chance(0.7) ? ['rm', f] : d.write(d.one, f)]],
    [third, [...(open ? ([['open', 'h8', f]] as const) : []), ['patch', f, -1, d.mark(third), 50]]],
  );
  d.wait(10, 2_000);
  if (d.third !== undefined) d.say('', 'partition', d.one, d.other, '|', d.third);
  else d.say('', 'heal');
  d.wait(500, 2_000);
  d.race([d.one, [['evict'], ['collect']]], [d.other, [['collect']]]);
  d.say('', 'heal');
  d.wait(1, 1_000);
  d.race([d.one, [['evict'], ['collect']]], [d.other, [['collect']]], [third, open ? [['close', 'h8']] : []]);
  d.meet();
}

/** A file of which little was fetched is appended to, while others go on without it and give up what nobody says that he needs. */
export function writtenUnfetched(d: Duel): void {
  const f = d.pick(...FILES);
  d.say(d.one, 'content', 'on-demand');
  d.say(d.other, 'write', f, d.mark(d.other), d.pick(...SIZES));
  d.meet();
  const log = (): Words => ['log', 'h8', d.mark(d.one), d.pick(20, 400)];
  d.say(d.one, 'open', 'h8', f, 'log');
  d.say(d.one, ...log()); // its list of chunks comes
  d.wait(100, 2_000);
  const isApart = d.chance(0.5);
  if (isApart) d.part();
  const change = d.pick<readonly Words[]>(
    [d.write(d.other, f)],
    [['rm', f]],
    [d.write(d.other, f), ['rm', f]],
    [['patch', f, 3, d.mark(d.other), 50]],
  );
  d.race([d.one, d.chance(0.5) ? [log()] : [log(), log()]], [d.other, change]);
  if (isApart) d.say('', 'heal');
  d.wait(200, 1_500);
  const end = d.pick<readonly Words[]>(
    [['close', 'h8']],
    [log(), ['close', 'h8']],
    [['evict'], log()],
    [['kill'], ['restart']],
  );
  d.race([d.one, end], [d.other, [['collect'], ['collect']]]);
  d.wait(200, 1_500);
  d.say(d.other, 'collect');
  d.meet();
}
