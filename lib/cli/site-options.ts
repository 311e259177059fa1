// site-options.ts — the options that create, join and mount share, and the checks of their values.
// What is wrong here is wrong usage (exit 2); what the machine refuses later is a failure (exit 1).

import { hostname } from 'node:os';
import type { Argv } from 'yargs';
import type { ContentPolicy } from '../daemon/content-interface.js';
import type { SiteConfig } from '../daemon/daemon-interface.js';
import { parseMountOptions } from '../fuse/mount-options.js';
import { formatAddress, isLoopback, parseAddress } from '../sync/address.js';
import type { LogLevel } from './daemon-log.js';
import { messageOf, UsageError } from './failure.js';

export type Driver = 'kernel' | 'fuse-native';

export interface StartOptions {
  state: string | undefined;
  listen: string | undefined;
  driver: Driver | undefined;
  o: string[] | undefined;
  content: ContentPolicy | undefined;
  foreground: boolean;
  debug: boolean;
  'log-level': LogLevel | undefined;
  metrics: string | undefined;
  progress: boolean;
}

export const CONTENT_POLICIES: readonly ContentPolicy[] = ['everything', 'on-demand'];

/** What --help says becomes of an option that is not given. */
interface StartDefaults {
  readonly listen: string;
  readonly driver: string;
  readonly content: string;
}

export const OF_NEW_SITES: StartDefaults = {
  listen: '127.0.0.1 and a free port',
  driver: 'kernel',
  content: 'everything',
};
export const AS_BEFORE: StartDefaults = { listen: 'as before', driver: 'as before', content: 'as before' };

export function withStartOptions<T>(parser: Argv<T>, defaults: StartDefaults): Argv<T & StartOptions> {
  return withState(parser)
    .option('listen', {
      type: 'string',
      requiresArg: true,
      coerce: (value: string | string[] | undefined) => parsedAddress(once(value, '--listen'), '--listen'),
      describe: `HOST:PORT for other sites [default: ${defaults.listen}]`,
    })
    .option('driver', {
      choices: ['kernel', 'fuse-native'] as const,
      requiresArg: true,
      describe: `how to mount [default: ${defaults.driver}]`,
    })
    .option('o', { type: 'string', array: true, nargs: 1, describe: 'mount options, as mount(8) spells them' })
    .option('content', {
      choices: CONTENT_POLICIES,
      requiresArg: true,
      describe: `files to fetch: everything, or what is read here [default: ${defaults.content}]`,
    })
    .option('foreground', { alias: 'f', type: 'boolean', default: false, describe: 'stay in the foreground' })
    .option('debug', { alias: 'd', type: 'boolean', default: false, describe: 'log more: --log-level debug' })
    .option('metrics', {
      type: 'string',
      requiresArg: true,
      coerce: (value: string | string[] | undefined) => checkedMetrics(once(value, '--metrics')),
      describe: 'HOST:PORT on this machine where Prometheus may ask, or off [default: off]',
    })
    .option('log-level', {
      choices: ['debug', 'info', 'warn', 'error'] as const,
      requiresArg: true,
      describe: 'what daemon.log gets, until the next start [default: info]',
    })
    .option('progress', {
      type: 'boolean',
      default: false,
      describe: 'progress on stderr, even when that is no terminal',
    });
}

export function logLevelOf(options: Pick<StartOptions, 'debug' | 'log-level'>): LogLevel {
  return options['log-level'] ?? (options.debug ? 'debug' : 'info');
}

function checkedMetrics(text: string | undefined): string | undefined {
  if (text === undefined || text === 'off') return text;
  const address = parsedAddress(text, '--metrics')!;
  if (!isLoopback(address)) {
    throw new UsageError(
      `--metrics ${text}: metrics are served on this machine alone; choose 127.0.0.1:PORT or [::1]:PORT`,
    );
  }
  return address;
}

/** The field of a site's config that --metrics sets. */
export function metricsOf({ metrics }: Pick<StartOptions, 'metrics'>): Pick<SiteConfig, 'metrics'> {
  return metrics === undefined ? {} : { metrics };
}

/** The field of a new site's config that --content sets. */
export function contentOf({ content }: StartOptions): Pick<SiteConfig, 'content'> {
  return content === undefined ? {} : { content };
}

/** What --content changes of a site that is not mounted: content that was not kept before is asked for once it is. */
export function contentChange(
  { content: before = 'everything', wantsDue }: SiteConfig,
  content: ContentPolicy,
): Pick<SiteConfig, 'content' | 'wantsDue'> {
  if (content === 'on-demand') return { content };
  return before === 'on-demand' || wantsDue ? { content, wantsDue: true } : { content };
}

/** --state, for every command about one site. */
export function withState<T>(parser: Argv<T>): Argv<T & { state: string | undefined }> {
  return parser.option('state', {
    type: 'string',
    requiresArg: true,
    coerce: (value: string | string[] | undefined) => once(value, '--state'),
    describe: 'state directory, where it is not the default one',
  });
}

export function withSite<T>(parser: Argv<T>): Argv<T & { site: string }> {
  return parser.option('site', {
    type: 'string',
    requiresArg: true,
    default: siteNameOf(hostname()),
    defaultDescription: 'host name',
    coerce: (value: string | string[] | undefined) => checkedSite(once(value, '--site') ?? ''),
    describe: 'name of this site',
  });
}

export function withJson<T>(parser: Argv<T>): Argv<T & { json: boolean }> {
  return parser.option('json', { type: 'boolean', default: false, describe: 'as JSON' });
}

/** A volume's name is a directory's name and part of an invite. */
export function checkedVolume(name: string): string {
  if (!/^[\p{L}\p{N}][\p{L}\p{N}._-]*$/u.test(name) || Buffer.byteLength(name) > 64) {
    throw new UsageError(
      `${JSON.stringify(name)} is no volume name: letters, digits, "." "_" "-", beginning with a letter or digit, 64 bytes`,
    );
  }
  return name;
}

/** HOST:PORT, checked; a port of 0 means a free one where one is to listen. */
export function parsedAddress(text: string | undefined, what: string): string | undefined {
  if (text === undefined) return undefined;
  try {
    return formatAddress(parseAddress(text));
  } catch (error) {
    throw new UsageError(`${what}: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * The words of all `-o`. `nonempty` is for us alone: it allows a mountpoint with something in it, which the mount hides.
 * Throws {@link UsageError} for one that no mount takes.
 */
export function readMountOptions(values: readonly string[]): { options: string[]; allowNonEmpty: boolean } {
  const given = values.flatMap((value) => value.split(',')).filter((option) => option !== '');
  const options = given.filter((option) => option !== 'nonempty');
  try {
    parseMountOptions(options);
  } catch (error) {
    throw new UsageError(messageOf(error), { cause: error });
  }
  return { options, allowNonEmpty: given.includes('nonempty') };
}

/** Site names end up in the names of conflict copies: short, and harmless in any shell. */
export function checkedSite(name: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) {
    throw new UsageError(
      `${JSON.stringify(name)} is no site name: letters, digits, "." "_" "-", beginning with a letter or digit, 64 at most`,
    );
  }
  return name;
}

function siteNameOf(host: string): string {
  return (
    host
      .replaceAll(/[^A-Za-z0-9._-]/g, '-')
      .replace(/^[^A-Za-z0-9]+/, '')
      .slice(0, 64) || 'site'
  );
}

/** yargs makes an array of an option that is given twice. */
function once(value: string | string[] | undefined, what: string): string | undefined {
  if (Array.isArray(value)) throw new UsageError(`${what} is given twice`);
  if (value === '') throw new UsageError(`${what} is empty`);
  return value;
}
