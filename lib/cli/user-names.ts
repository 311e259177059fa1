// user-names.ts — user numbers as names, by /etc/passwd; a number that is not in it stays one.

import { readFileSync } from 'node:fs';

let names: ReadonlyMap<number, string> | undefined;

export function userName(uid: number): string {
  return (names ??= readNames()).get(uid) ?? String(uid);
}

function readNames(): Map<number, string> {
  const found = new Map<number, string>();
  let text: string;
  try {
    text = readFileSync('/etc/passwd', 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return found; // a system without one
    throw error;
  }
  for (const line of text.split('\n')) {
    const [name, , uid] = line.split(':');
    if (name && uid && /^\d+$/.test(uid) && !found.has(Number(uid))) found.set(Number(uid), name);
  }
  return found;
}
