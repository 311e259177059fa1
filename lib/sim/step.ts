// step.ts — one step of a simulated history, as a value and as a line of text.
// `oslo: mv a b/c` is a call at a site; without a site it is something that happens to them all: `partition oslo | paris rome`.
// Words are separated by blanks; one that has other characters than those of ordinary paths is written as a JSON string.

export interface Step {
  /** Name of the site; '' when it is about all of them. */
  readonly site: string;
  readonly verb: string;
  readonly words: readonly string[];
}

export function step(site: string, verb: string, ...words: readonly (string | number)[]): Step {
  return { site, verb, words: words.map(String) };
}

const PLAIN = /^[\w./~,+|=-]+$/;
const WORD = /"(?:[^"\\]|\\.)*"|[^\s"]+/g;

export function formatStep({ site, verb, words }: Step): string {
  const text = [verb, ...words.map((word) => (PLAIN.test(word) ? word : JSON.stringify(word)))].join(' ');
  return site === '' ? text : `${site}: ${text}`;
}

/** @throws Error naming the line */
export function parseStep(line: string): Step {
  const match = /^(?:(\w+):\s+)?(\w+)\s*(.*)$/s.exec(line.trim());
  if (!match) throw new Error(`${JSON.stringify(line)} is no step: write "SITE: VERB WORD…" or "VERB WORD…"`);
  const words = [...match[3]!.matchAll(WORD)].map(([word]) =>
    word.startsWith('"') ? (JSON.parse(word) as string) : word,
  );
  return { site: match[1] ?? '', verb: match[2]!, words };
}
