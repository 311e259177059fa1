// packing-duels.ts — duels about what an ingest worker has read, or found here, by the time its answer comes: files that are written to
// meanwhile, and contents that a collection takes as they come back. See duels.ts.

import { type Duel, FILES } from './duel.js';

/** Large enough for chunks. */
function size(d: Duel): number {
  return 70_000 + d.random.below(90_000);
}

/** A large file that was closed is being packed, and is opened and written to again, within one tick of the files' clock or later. */
export function rewrittenWhilePacked(d: Duel): void {
  const f = d.pick(...FILES);
  d.say(d.one, 'write', f, d.mark(d.one), size(d));
  if (d.chance(0.5)) d.wait(1, 3_000);
  const rounds = 3 + d.random.below(6);
  for (let round = 0; round < rounds; round++) {
    d.say(d.one, 'open', 'h9', f, 'rw');
    d.say(d.one, 'put', 'h9', 5, d.mark(d.one), 30);
    d.say(d.one, 'close', 'h9');
    if (d.chance(0.3)) d.wait(1, 4);
  }
  d.wait(100, 3_000);
  if (d.chance(0.5)) d.meet();
}

/** What only one site keeps comes back while a collection takes it; sometimes the site is killed then. */
export function comesBackWhileCollected(d: Duel): void {
  const { first } = d;
  for (const site of d.sites) if (site !== first) d.say(site, 'content', 'on-demand');
  d.say('', 'heal');
  const contents = [0, 1].map(() => [d.mark('same'), size(d)] as const);
  const rounds = 2 + d.random.below(3);
  for (let round = 0; round < rounds; round++) {
    // The others know that it was there, and then that nobody needs it.
    const names = d.random.shuffled(FILES);
    for (const [i, content] of contents.entries()) d.say(first, 'write', names[i]!, ...content);
    d.wait(900, 4_000);
    for (const name of FILES) d.say(first, 'rm', name);
    d.wait(900, 4_000);
    d.say(first, 'collect');
    // It discards some two milliseconds later.
    if (d.chance(0.4)) d.wait(1, 3);
    d.say(first, 'write', d.pick(...FILES), ...d.pick(...contents));
    d.wait(1, 300);
    if (d.chance(0.7)) continue;
    d.say(first, 'kill');
    d.say(first, 'restart');
  }
  d.meet();
}
