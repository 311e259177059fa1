// attribute-duels.ts — duels in which several sites change modes, owners, attributes and times of one thing. See duels.ts.

import { DIRECTORIES, type Duel, FILES, type Words } from './duel.js';

const MODES = [0o600, 0o640, 0o644, 0o666, 0o755, 0o777, 0o1777, 0o700];

function subject(d: Duel): string {
  const name = d.chance(0.7) ? d.pick(...FILES) : d.pick(...DIRECTORIES);
  if (FILES.includes(name)) d.say(d.one, ...d.write(d.one, name));
  else d.say(d.one, 'mkdir', name);
  return name;
}

export function changeModes(d: Duel): void {
  const name = subject(d);
  const chmod = (): Words => ['chmod', name, d.pick(...MODES).toString(8)];
  d.say(d.one, ...chmod());
  d.meet();
  const part = (): Words[] => (d.chance(0.5) ? [chmod(), chmod()] : [chmod()]);
  d.apart(part(), part(), d.chance(0.3) ? part() : []);
}

export function dropSetId(d: Duel): void {
  const f = d.pick(...FILES);
  d.say(d.one, ...d.write(d.one, f));
  d.say(d.one, 'chmod', f, d.pick('2755', '4755'));
  d.meet();
  const drop = d.pick<Words>(['chown', f, 1001 + d.random.below(2), 1000], d.write(d.one, f), [
    'patch',
    f,
    -1,
    d.mark(d.one),
    20,
  ]);
  d.apart([drop], [['chmod', f, d.pick('6755', '6755', '4755', '2755', '755')]]);
}

export function changeOwners(d: Duel): void {
  const name = subject(d);
  d.meet();
  const chown = (): Words => ['chown', name, 1000 + d.random.below(3), 1000 + d.random.below(3)];
  d.apart([chown()], [chown()]);
}

export function changeXattrs(d: Duel): void {
  const name = subject(d);
  if (d.chance(0.7)) d.say(d.one, 'setxattr', name, 'user.x', 'before');
  d.meet();
  const change = (site: string): Words =>
    d.chance(0.5) ? ['setxattr', name, 'user.x', d.mark(site)] : ['removexattr', name, 'user.x'];
  d.apart([change(d.one)], [change(d.other)], d.third && d.chance(0.3) ? [change(d.third)] : []);
}

export function changeTimes(d: Duel): void {
  const f = d.pick(...FILES);
  d.say(d.one, ...d.write(d.one, f));
  d.meet();
  const touch = (): Words => ['touch', f, 1_000_000_000 + d.random.below(1_000_000_000)];
  d.apart([touch()], [d.pick(d.write(d.other, f), touch())]);
}

export function exchangeAndAnything(d: Duel): void {
  const [f, g, h] = d.random.shuffled(FILES) as [string, string, string];
  const s = d.pick(...DIRECTORIES);
  d.say(d.one, ...d.write(d.one, f));
  if (d.chance(0.5)) d.say(d.one, ...d.write(d.one, g));
  else {
    d.say(d.one, 'rm', g);
    d.say(d.one, 'mkdir', s);
  }
  d.meet();
  const second = d.pick(g, s);
  const change = d.pick<Words>(
    d.write(d.other, f),
    ['rm', f],
    ['mv', f, h],
    ['mv', second, h],
    ['exchange', f, second],
    ['rmr', second],
  );
  d.apart([['exchange', f, second]], [change]);
}
