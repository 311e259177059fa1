// file-duels.ts — duels in which several sites write, name and remove one file. See duels.ts.

import { DIRECTORIES, type Duel, FILES, type Words } from './duel.js';
import { step } from './step.js';
import { createAndCreate } from './name-duels.js';

export function writeAndWrite(d: Duel): void {
  const f = d.pick(...FILES);
  d.say(d.one, ...d.write(d.one, f));
  d.meet();
  const change = (site: string): Words[] => [
    d.pick<Words>(d.write(site, f), d.write(site, f), ['patch', f, 3, d.mark(site), 20], ['truncate', f, 4]),
  ];
  d.apart(change(d.one), change(d.other), d.third && d.chance(0.5) ? change(d.third) : []);
  d.touchResult(f);
}

export function writeAndRemove(d: Duel): void {
  const f = d.pick(...FILES);
  d.say(d.one, ...d.write(d.one, f));
  d.meet();
  const again = d.pick<Words[]>(
    [],
    [d.write(d.one, f)],
    [d.write(d.one, f)],
    [['mkdir', f]],
    [['mv', d.pick(...FILES), f]],
  );
  const write = d.pick<Words>(
    d.write(d.other, f),
    ['patch', f, -1, d.mark(d.other), 20],
    ['save', f, d.mark(d.other), 30],
  );
  d.apart([['rm', f], ...again], [write], d.chance(0.2) ? [['rm', f]] : []);
  d.touchResult(f);
}

export function changeInRemovedTree(d: Duel): void {
  const [s, t] = d.random.shuffled(DIRECTORIES) as [string, string];
  d.say(d.one, 'mkdir', s);
  d.say(d.one, 'mkdir', `${s}/u`);
  d.say(d.one, 'write', `${s}/u/e`, d.mark(d.one), 20);
  d.say(d.one, 'write', `${s}/f`, d.mark(d.one), 20);
  d.meet();
  const again = d.pick<Words[]>([], [], [['mkdir', s]], [d.write(d.one, s)]);
  const change = d.pick<Words>(
    ['write', `${s}/u/e`, d.mark(d.other), 30],
    ['write', `${s}/u/g`, d.mark(d.other), 30],
    ['chmod', `${s}/u/e`, '600'],
    ['setxattr', `${s}/f`, 'user.x', 'late'],
    ['mkdir', `${s}/u/t`],
    ['mv', d.pick(...FILES), `${s}/u/f`],
    ['mv', t, `${s}/u/t`],
    ['mv', `${s}/u`, t],
    ['mv', s, t],
  );
  d.apart([['rmr', s], ...again], [change], d.chance(0.3) ? [['rmr', s]] : []);
  if (d.chance(0.6))
    d.say(
      d.anyone(),
      ...d.pick<Words>(['rmr', s], ['mv', s, t], ['write', `${s}/u/e`, d.mark(d.one), 20], ['mkdir', s]),
    );
}

export function attributesAndRemove(d: Duel): void {
  const f = d.pick(...FILES);
  d.say(d.one, ...d.write(d.one, f));
  d.meet();
  const change = d.pick<Words>(
    ['chmod', f, '600'],
    ['touch', f, 1_100_000_000],
    ['setxattr', f, 'user.x', 'late'],
    ['chown', f, 1001, 1001],
  );
  d.apart([['rm', f]], [change]);
}

export function renameAndRemove(d: Duel): void {
  const isFile = d.chance(0.5);
  const [name, to] = d.random.shuffled(isFile ? FILES : DIRECTORIES) as [string, string];
  if (isFile) d.say(d.one, ...d.write(d.one, name));
  else {
    d.say(d.one, 'rmr', to);
    d.say(d.one, 'mkdir', name);
    if (d.chance(0.5)) d.say(d.one, 'write', `${name}/e`, d.mark(d.one), 20);
  }
  d.meet();
  d.apart([[isFile ? 'rm' : 'rmr', name]], [['mv', name, to]]);
}

export function renameTwice(d: Duel): void {
  const isFile = d.chance(0.5);
  const [name, to, or] = d.random.shuffled(isFile ? FILES : DIRECTORIES) as [string, string, string];
  if (isFile) d.say(d.one, ...d.write(d.one, name));
  else {
    d.say(d.one, 'rmr', to);
    d.say(d.one, 'mkdir', name);
    d.say(d.one, 'write', `${name}/e`, d.mark(d.one), 20);
    if (d.chance(0.5)) d.say(d.one, 'mkdir', or);
  }
  d.meet();
  const elsewhere = isFile || d.chance(0.5) ? or : `${or}/${name}`;
  d.apart([['mv', name, to]], [['mv', name, elsewhere]], d.chance(0.3) ? [[isFile ? 'rm' : 'rmr', name]] : []);
  if (d.chance(0.3)) d.say(d.anyone(), 'mv', d.pick(to, elsewhere), name);
}

export function renameToOneName(d: Duel): void {
  const [f, g, h] = d.random.shuffled(FILES) as [string, string, string];
  for (const name of [f, g, h]) d.say(d.one, ...d.write(d.one, name));
  d.meet();
  d.apart([['mv', f, h]], [['mv', g, h]]);
  d.touchResult(h);
}

export function severalNames(d: Duel): void {
  const [f, g, h] = d.random.shuffled(FILES) as [string, string, string];
  d.say(d.one, 'rm', g);
  d.say(d.one, ...d.write(d.one, f));
  d.say(d.one, 'ln', f, g);
  if (d.chance(0.3)) d.say(d.one, 'rm', h);
  d.meet();
  const change = d.pick<Words[]>(
    [['rm', g]],
    [['rm', g]],
    [d.write(d.other, g)],
    [['ln', g, h]],
    [['mv', h, g]],
    [
      ['rm', f],
      ['rm', g],
    ],
  );
  const removal = d.pick<Words[]>(
    [['rm', f]],
    [['rm', f]],
    [['ln', f, h]],
    [
      ['rm', f],
      ['rm', g],
    ],
  );
  d.apart(removal, change, d.chance(0.2) ? [d.write(d.anyone(), f)] : []);
}

export function linkTwice(d: Duel): void {
  const [f, g] = d.random.shuffled(FILES) as [string, string];
  d.say(d.one, ...d.write(d.one, f));
  d.say(d.one, 'rm', g);
  d.meet();
  d.apart([['ln', f, g]], [['ln', f, g]]);
  if (d.chance(0.7)) d.say(d.anyone(), ...d.pick<Words>(['rm', g], ['rm', f], ['mv', g, f], ['chmod', g, '640']));
}

export function replaceAndWrite(d: Duel): void {
  const [f, g] = d.random.shuffled(FILES) as [string, string];
  d.say(d.one, ...d.write(d.one, f));
  d.say(d.one, ...d.write(d.one, g));
  d.meet();
  const save = (site: string): Words => ['save', f, d.mark(site), d.size()];
  d.apart(
    [d.pick<Words>(['mv', g, f], save(d.one))],
    [d.pick<Words>(d.write(d.other, f), save(d.other))],
    d.third && d.chance(0.4) ? [save(d.third)] : [],
  );
  d.touchResult(f);
}

export function copiesOfCopies(d: Duel): void {
  const f = d.pick(...FILES);
  d.say(d.one, ...d.write(d.one, f));
  d.meet();
  d.apart([d.write(d.one, f)], [d.write(d.other, f)]);
  d.part();
  for (const site of [d.one, d.other])
    d.choices.push((scenes) => {
      const copy = d.copyOf(scenes, site, f);
      if (copy === undefined) return undefined;
      const calls: Words[] = [d.write(site, copy), ['rm', copy], ['mv', copy, f], ['chmod', copy, '600']];
      return step(site, ...d.pick(...calls, d.write(site, copy)));
    });
  d.meet();
  d.touchResult(f);
}

/** A conflict copy is open here while it becomes something else, or goes, there; and is written to then. */
export function copyOpenMeanwhile(d: Duel): void {
  const [f, g] = d.random.shuffled(FILES) as [string, string];
  d.say(d.one, 'lines', f, [d.mark(d.one), d.mark(d.one), d.mark(d.one)].join(','));
  d.meet();
  const size = d.pick(30, 300, 70_000);
  const change = (site: string): Words =>
    d.pick<Words>(['append', f, d.mark(site), size], ['patch', f, 3, d.mark(site), 30], d.write(site, f));
  d.apart([change(d.one)], [change(d.other)], d.third && d.chance(0.3) ? [change(d.third)] : []);
  const onCopy = (site: string, act: (copy: string) => Words): void =>
    void d.choices.push((scenes) => {
      const copy = d.copyOf(scenes, site, f);
      return copy === undefined ? undefined : step(site, ...act(copy));
    });
  onCopy(d.one, (copy) => ['open', 'c1', copy, d.pick('rw', 'rw', 'sync')]);
  const put = (): Words => ['put', 'c1', d.pick(-1, -1, 3), d.mark(d.one), d.pick(20, 400)];
  if (d.chance(0.2)) d.say(d.one, ...put());
  if (d.chance(0.3)) d.part();
  const policy = d.pick('append', 'ranges', 'text');
  const acts: ((copy: string) => Words)[] = [
    (copy) => ['mv', copy, g],
    (copy) => ['mv', copy, f],
    (copy) => ['append', copy, d.mark(d.other), 40],
    (copy) => ['setxattr', copy, 'user.weft.merge', policy],
    (copy) => ['chmod', copy, '640'],
    (copy) => ['rm', copy],
    () => ['rm', f],
    () => ['mv', f, g],
    () => ['setxattr', f, 'user.weft.merge', policy],
  ];
  const times = 1 + d.random.below(2);
  for (let n = 0; n < times; n++) onCopy(d.other, d.pick(...acts));
  if (d.chance(0.7)) d.meet();
  d.say(d.one, ...put());
  if (d.chance(0.5)) d.say(d.one, 'fsync', 'c1');
  if (d.chance(0.2)) d.say(d.one, 'rm', f);
  if (d.chance(0.6)) d.say(d.one, 'close', 'c1');
  d.meet();
  d.touchResult(d.pick(f, g));
}

/** A file has the very name that a conflict copy would get: somebody copied it from where the conflict is known already. */
export function takenSuffix(d: Duel): void {
  const { third } = d;
  const f = d.pick(...FILES);
  if (third === undefined) return createAndCreate(d);
  d.say(d.one, 'rm', f);
  if (d.chance(0.5)) d.say(d.one, ...d.write(d.one, f));
  d.meet();
  d.say('', 'partition', third, '|', d.one, d.other);
  d.race([d.one, [d.write(d.one, f)]], [d.other, [d.write(d.other, f)]]);
  d.wait(900, 4_000);
  d.choices.push((scenes) => {
    const copy = d.copyOf(scenes, d.one, f);
    return copy === undefined ? undefined : step(third, 'write', copy, d.mark(third), 25);
  });
  d.meet();
  d.touchResult(f);
}

export function openMeanwhile(d: Duel): void {
  const f = d.pick(...FILES);
  d.say(d.one, ...d.write(d.one, f));
  d.meet();
  d.say(d.one, 'open', 'h3', f);
  const put = (): Words => ['put', 'h3', d.pick(-1, 3), d.mark(d.one), d.size()];
  const change = d.pick<Words[]>([d.write(d.other, f)], [['rm', f]], [['save', f, d.mark(d.other), 30]]);
  if (d.chance(0.5)) d.say(d.one, ...put());
  d.say(d.other, ...change[0]!);
  d.wait(1, 3_000);
  if (d.chance(0.2)) d.say(d.one, 'rm', f);
  d.say(d.one, ...put());
  if (d.chance(0.4)) d.say(d.one, 'fsync', 'h3');
  d.say(d.one, 'close', 'h3');
  d.meet();
  d.touchResult(f);
}
