// name-duels.ts — duels in which several sites give one name to different things. See duels.ts.

import { DIRECTORIES, type Duel, FILES, type Words } from './duel.js';

export function createAndCreate(d: Duel): void {
  const f = d.pick(...FILES);
  d.say(d.one, 'rm', f);
  d.meet();
  const all = [d.one, d.other, ...(d.third ? [d.third] : [])];
  const [ones, others, thirds] = all.map((site) => [d.write(site, f)]) as [Words[], Words[], Words[]?];
  d.apart(ones, others, thirds);
  d.touchResult(f);
}

export function longNames(d: Duel): void {
  const f = d.pick(...FILES).repeat(d.pick(250, 255));
  d.apart([d.write(d.one, f)], [d.write(d.other, f)]);
  d.touchResult(f);
  d.say(d.anyone(), 'rm', f);
}

export function twins(d: Duel): void {
  const f = d.pick(...FILES);
  d.say(d.one, 'rm', f);
  d.meet();
  const isEqual = d.chance(0.5);
  const twin = (): Words[] => {
    const made: Words[] = [['twin', f, '<same:0>', isEqual ? '644' : d.pick('644', '600', '640')]];
    if (!isEqual && d.chance(0.3)) made.push(['setxattr', f, 'user.x', d.pick('v', 'w')]);
    if (!isEqual && d.chance(0.3)) made.push(['chown', f, 1001, 1000]);
    return made;
  };
  d.apart(twin(), twin());
  d.touchResult(f);
}

export function createAndMakeDirectory(d: Duel): void {
  const name = d.pick(...DIRECTORIES);
  d.say(d.one, 'rmr', name);
  d.meet();
  d.apart(
    [d.pick(d.write(d.one, name), ['symlink', 'to', name], ['mkfifo', name])],
    [
      ['mkdir', name],
      ['write', `${name}/e`, d.mark(d.other), 20],
    ],
  );
  if (d.chance(0.5)) d.say(d.anyone(), 'mv', name, d.pick(...DIRECTORIES));
}

export function makeDirectoryTwice(d: Duel): void {
  const [s, t] = d.random.shuffled(DIRECTORIES) as [string, string];
  d.say(d.one, 'rmr', s);
  d.meet();
  const make = (site: string, inside: string): Words[] => [
    ['mkdir', s],
    ['write', `${s}/${inside}`, d.mark(site), 20],
    ...(d.chance(0.3) ? ([['mkdir', `${s}/u`]] as Words[]) : []),
  ];
  d.apart(make(d.one, 'e'), make(d.other, d.pick('e', 'f')), d.chance(0.3) ? make(d.anyone(), 'g') : []);
  const move: Words = ['mv', s, t];
  if (d.chance(0.5)) d.apart([move], [d.pick<Words>(['write', `${s}/g`, d.mark(d.other), 20], ['rmr', s], move)]);
  else d.say(d.anyone(), ...d.pick<Words>(move, move, ['rmr', s], ['mkdir', `${s}/t`], ['chmod', s, '700']));
  if (d.chance(0.4)) d.say(d.anyone(), 'mkdir', s);
  if (d.chance(0.4)) d.say(d.anyone(), 'write', `${t}/e`, d.mark(d.one), 20);
}

export function moveDirectoryOnto(d: Duel): void {
  const [s, t, u] = d.random.shuffled(DIRECTORIES) as [string, string, string];
  d.say(d.one, 'rmr', s);
  d.say(d.one, 'mkdir', t);
  d.say(d.one, 'write', `${t}/e`, d.mark(d.one), 20);
  if (d.chance(0.4)) d.say(d.one, 'mkdir', u);
  d.meet();
  d.apart(
    [['mv', t, s]],
    d.pick<Words[]>(
      [
        ['mkdir', s],
        ['write', `${s}/f`, d.mark(d.other), 20],
      ],
      [['mv', u, s]],
    ),
  );
  if (d.chance(0.5)) d.say(d.anyone(), ...d.pick<Words>(['rmr', s], ['mv', s, u]));
}
