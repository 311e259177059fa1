// content-duels.ts — duels in which several sites change a file whose policy is to merge its versions. See duels.ts.

import { DIRECTORIES, type Duel, FILES, type Words } from './duel.js';

const LINES = 6;

/** A file with a policy, of its own or of its directory. */
function governed(d: Duel, policy: string): string {
  const s = d.pick(...DIRECTORIES);
  const inherits = d.chance(0.3);
  const path = inherits ? `${s}/e` : d.pick(...FILES);
  if (inherits) {
    d.say(d.one, 'mkdir', s);
    d.say(d.one, 'setxattr', s, 'user.weft.merge', policy);
  }
  d.say(d.one, 'rm', path);
  return path;
}

/** The changes that two or three make to one file so that its policy can merge them; now and then it must not. */
function changes(d: Duel, policy: string, path: string, base: readonly string[]): (site: string) => Words {
  const clash = d.chance(0.35) ? d.random.below(LINES) : undefined;
  const open = d.random.shuffled([0, 1, 2, 3, 4, 5]);
  return (site) => {
    const mark = d.mark(site);
    if (policy === 'append') return ['append', path, mark, d.size()];
    const place = clash ?? open.pop() ?? d.random.below(LINES);
    if (policy === 'ranges') return ['patch', path, 200 * place, mark, 30 + d.random.below(100)];
    if (clash !== undefined) return ['lines', path, base.with(place, mark).join(',')];
    const changed = base.toSpliced(place, d.random.below(2), ...(d.chance(0.8) ? [mark] : []));
    return ['lines', path, changed.join(',')];
  };
}

export function mergeContents(d: Duel): void {
  const policy = d.pick('append', 'ranges', 'text');
  const path = governed(d, policy);
  const base = Array.from({ length: LINES }, () => d.mark(d.one));
  const isOwn = FILES.includes(path);
  if (policy === 'text' || (policy === 'append' && d.chance(0.4))) d.say(d.one, 'lines', path, base.join(','));
  else d.say(d.one, 'write', path, base[0]!, d.chance(0.1) ? 100_000 : 1_300);
  // Now and then the policy comes when the copies are there, or they come to where it holds.
  const isLate = isOwn && d.chance(0.3);
  if (isOwn && !isLate) d.say(d.one, 'setxattr', path, 'user.weft.merge', policy);
  d.meet();
  const change = changes(d, policy, path, base);
  d.apart([change(d.one)], [change(d.other)], d.third && d.chance(0.5) ? [change(d.third)] : []);
  if (isLate) {
    const site = d.anyone();
    if (d.chance(0.6)) d.say(site, 'setxattr', path, 'user.weft.merge', policy);
    else {
      const s = d.pick(...DIRECTORIES);
      d.say(site, 'mkdir', s);
      d.say(site, 'setxattr', s, 'user.weft.merge', policy);
      d.say(site, 'mv', path, `${s}/e`);
    }
    d.wait(1, 2_000);
  }
  if (d.chance(0.5)) d.apart([change(d.one)], [change(d.other)]);
  if (d.chance(0.2)) d.say(d.anyone(), 'rm', path);
}

/** Two sites merge the same versions, or more than the same, and somebody removes the file meanwhile. */
export function mergeTwice(d: Duel): void {
  const { third } = d;
  const policy = d.pick('append', 'text');
  const path = governed(d, policy);
  const base = Array.from({ length: LINES }, () => d.mark(d.one));
  d.say(d.one, 'lines', path, base.join(','));
  if (FILES.includes(path)) d.say(d.one, 'setxattr', path, 'user.weft.merge', policy);
  d.meet();
  const change = changes(d, policy, path, base);
  d.part();
  d.race([d.one, [change(d.one)]], [d.other, [change(d.other)]], ...(third ? [[third, [change(third)]] as const] : []));
  if (third) {
    // Some know of all versions, some of two.
    d.say('', 'partition', third, '|', d.one, d.other);
    d.wait(900, 3_000);
    if (d.chance(0.5)) d.say(d.anyone(), ...d.pick<Words>(['rm', path], change(d.one)));
    d.say('', 'partition', d.one, '|', d.other, third);
    d.wait(900, 3_000);
  } else {
    d.say('', 'heal');
    d.wait(1, 100);
  }
  if (d.chance(0.4)) d.say(d.anyone(), ...d.pick<Words>(['rm', path], change(d.other)));
  d.meet();
}

/** Both hold both versions when they are told, apart, to merge them: each goes on from a merge of its own, or removes it. */
export function mergeApart(d: Duel): void {
  const policy = d.pick('append', 'append', 'text');
  const path = d.pick(...FILES);
  const base = Array.from({ length: LINES }, () => d.mark(d.one));
  d.say(d.one, 'rm', path);
  d.say(d.one, 'lines', path, base.join(','));
  d.meet();
  const change = changes(d, policy, path, base);
  d.part();
  d.race([d.one, [change(d.one)]], [d.other, [change(d.other)]]);
  d.meet();
  d.part();
  for (const site of [d.one, d.other]) d.say(site, 'setxattr', path, 'user.weft.merge', policy);
  d.wait(300, 2_000);
  const next = (site: string): Words[] => d.pick<Words[]>([], [], [['rm', path]], [['append', path, d.mark(site), 40]]);
  d.race([d.one, next(d.one)], [d.other, next(d.other)]);
  d.wait(1, 500);
  d.meet();
}
