// site-config.ts — checks what a site.json holds.
// Invariant: what checkSiteConfig returns has every field of SiteConfig, well formed, and nothing else. By hand and not with
// zod: every command reads a site.json, and loading zod would cost it more than everything else it does.

import type { SiteConfig } from './daemon-interface.js';

interface Rule {
  holds: (value: unknown) => boolean;
  /** Completes "must be …". */
  be: string;
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isTextList = (value: unknown): boolean => Array.isArray(value) && value.every((item) => typeof item === 'string');

const ID: Rule = {
  holds: (value) => typeof value === 'string' && /^[0-9a-f]{32}$/.test(value),
  be: '32 lower-case hex digits',
};
const TEXT: Rule = { holds: isText, be: 'a text' };
const TEXTS: Rule = { holds: isTextList, be: 'a list of texts' };

const isRate = (value: unknown): boolean => value === null || (Number.isSafeInteger(value) && (value as number) > 0);
const isMinute = (value: unknown): boolean =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= 1440;

function isLimits(value: unknown): boolean {
  if (!Array.isArray(value)) return false;
  return (value as unknown[]).every((item) => {
    const { between, upBytesPerS, downBytesPerS } = (item ?? {}) as Record<string, unknown>;
    const { from, to } = (between ?? {}) as Record<string, unknown>;
    return isRate(upBytesPerS) && isRate(downBytesPerS) && (between === null || (isMinute(from) && isMinute(to)));
  });
}

const BYTES: Rule = { holds: (value) => Number.isSafeInteger(value) && (value as number) >= 0, be: 'bytes, 0 or more' };

const MILLISECONDS: Rule = {
  holds: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
  be: 'milliseconds, 0 or more',
};

const RULES: Record<keyof SiteConfig, Rule> = {
  volumeId: ID,
  volume: TEXT,
  siteId: ID,
  site: TEXT,
  mountpoint: { holds: (value) => isText(value) && value.startsWith('/'), be: 'an absolute path' },
  listen: TEXT,
  driver: { holds: (value) => value === 'kernel' || value === 'fuse-native', be: '"kernel" or "fuse-native"' },
  mountOptions: TEXTS,
  peers: TEXTS,
  slot: {
    holds: (value) => value === null || (Number.isSafeInteger(value) && (value as number) > 0),
    be: 'a positive number or null',
  },
  content: { holds: (value) => value === 'everything' || value === 'on-demand', be: '"everything" or "on-demand"' },
  cacheBytes: BYTES,
  keepFreeBytes: BYTES,
  limits: {
    holds: isLimits,
    be: 'a list of limits: between (null, or from and to in minutes), upBytesPerS, downBytesPerS',
  },
  pins: {
    holds: (value) => Array.isArray(value) && value.every((ino) => Number.isSafeInteger(ino) && ino > 0),
    be: 'a list of inode numbers',
  },
  wantsDue: { holds: (value) => value === true, be: 'true' },
  keepHistoryMs: MILLISECONDS,
  metrics: TEXT,
  awayMs: MILLISECONDS,
};

/** Fields that need not be there. */
const OPTIONAL: ReadonlySet<string> = new Set<keyof SiteConfig>([
  'content',
  'cacheBytes',
  'keepFreeBytes',
  'limits',
  'pins',
  'wantsDue',
  'keepHistoryMs',
  'metrics',
  'awayMs',
]);

/** The value as a config, its fields in the order of {@link SiteConfig}. Throws an Error that lists what is wrong with it. */
export function checkSiteConfig(value: unknown): SiteConfig {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('not an object');
  const given = value as Record<string, unknown>;
  const names = (Object.keys(RULES) as (keyof SiteConfig)[]).filter(
    (name) => Object.hasOwn(given, name) || !OPTIONAL.has(name),
  );
  const wrong = names
    .filter((name) => !RULES[name].holds(given[name]))
    .map((name) => `${name} ${Object.hasOwn(given, name) ? `must be ${RULES[name].be}` : 'is missing'}`);
  const unknown = Object.keys(given).filter((name) => !Object.hasOwn(RULES, name));
  const issues = [...wrong, ...unknown.map((name) => `${name} is unknown`)];
  if (issues.length > 0) throw new Error(issues.join('; '));
  return Object.fromEntries(names.map((name) => [name, given[name]])) as unknown as SiteConfig;
}
