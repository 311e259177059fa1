// cycle-duels.ts — duels in which moves that are possible at each site, and together make directories go round in a circle. See duels.ts.

import { DIRECTORIES, type Duel, type Words } from './duel.js';

export function cycle(d: Duel): void {
  const [s, t, u] = d.random.shuffled(DIRECTORIES) as [string, string, string];
  for (const name of [s, t, u]) d.say(d.one, 'mkdir', name);
  d.say(d.one, 'write', `${s}/e`, d.mark(d.one), 20);
  // So that where they were before is not where they were born.
  const [atS, atT] = [d.chance(0.5) ? `${u}/${s}` : s, d.chance(0.5) ? `${u}/${t}` : t];
  if (atS !== s) d.say(d.one, 'mv', s, atS);
  if (atT !== t) d.say(d.one, 'mv', t, atT);
  d.meet();
  const also = d.pick<Words[]>([], [], [['mv', atS, `${s}2`]], [['mv', atT, `${u}/2`]]);
  d.apart([['mv', atS, `${atT}/${s}`]], [['mv', atT, `${atS}/${t}`]], also);
  // What blocks the deferred move goes: one of these is there.
  if (d.chance(0.6)) for (const blocking of [`${atS}/${t}`, `${atT}/${s}`]) d.say(d.anyone(), 'mv', blocking, '3');
  // Or somebody does something else with what fell back.
  const chosen = [s, t, `${u}/${s}`, `${u}/${t}`, `${s}/${t}`, `${t}/${s}`, atS, atT];
  const times = d.random.below(4);
  for (let i = 0; i < times; i++) {
    const from = d.pick(...chosen);
    d.say(
      d.anyone(),
      ...d.pick<Words>(['mv', from, d.pick(s, `${u}/${t}`, `${u}/2`, '3')], ['mv', from, '3'], ['rmr', from]),
    );
    d.wait(1, 1_500);
  }
  if (d.chance(0.5)) for (const name of ['3', `${s}2`]) d.say(d.one, 'rmr', name);
}

/** Where the latest move went, and where it was before, both come to be below it: what is left is where it was born. */
export function cycleBackToBirth(d: Duel): void {
  const [s, t, u] = d.random.shuffled(DIRECTORIES) as [string, string, string];
  for (const name of ['3', `3/${s}`, t, u]) d.say(d.one, 'mkdir', name);
  d.meet();
  d.apart(
    [
      ['mv', `3/${s}`, `${u}/${s}`],
      ['mv', `${u}/${s}`, `${t}/${s}`],
    ],
    [
      ['mv', t, `3/${s}/${t}`],
      ['mv', u, `3/${s}/${u}`],
    ],
  );
  if (d.chance(0.5)) d.say(d.anyone(), 'mv', `3/${s}/${t}`, t);
  if (d.chance(0.7)) d.say(d.one, 'rmr', '3');
}

export function cycleOfThree(d: Duel): void {
  const [s, t, u] = d.random.shuffled(DIRECTORIES) as [string, string, string];
  for (const name of [s, t, u]) d.say(d.one, 'mkdir', name);
  d.meet();
  const first: Words[] = d.chance(0.4) ? [['mv', s, `${s}2`]] : [];
  const from = first.length > 0 ? `${s}2` : s;
  d.apart(
    [...first, ['mv', from, `${t}/${s}`]],
    d.pick<Words[]>([['mv', t, `${u}/${t}`]], [['mv', s, `${u}/${s}`]], [['mv', t, `${s}/${t}`]]),
    d.pick<Words[]>([['mv', u, `${s}/${u}`]], [['mv', t, `${s}/${t}`]]),
  );
  for (const name of [s, t, u])
    if (d.chance(0.4)) d.say(d.anyone(), ...d.pick<Words>(['rmr', name], ['mv', name, '3'], ['mkdir', name]));
  d.wait(1, 1_500);
  if (d.chance(0.5)) for (const name of ['3', `${s}2`]) d.say(d.one, 'rmr', name);
}
