// address.ts — HOST:PORT as users write it: a name, an IPv4 address or an IPv6 address in brackets, and a port.

import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';

export interface Address {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
}

/** Throws an Error that names the remedy. Port 0 (any free one) is for listening only. */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535 || (match?.[1] !== undefined && !isIPv6(host))) {
    throw new Error(
      `${JSON.stringify(text)} is no address; write HOST:PORT, for example 192.0.2.7:7420 or [2001:db8::7]:7420`,
    );
  }
  return { host, port };
}

/** Whether others can dial it. */
export function isDialable(text: string): boolean {
  try {
    return parseAddress(text).port !== 0;
  } catch {
    return false;
  }
}

/** Whether only this machine reaches it. */
export function isLoopback(text: string): boolean {
  return /^(127(\.\d{1,3}){3}|::1|localhost)$/.test(parseAddress(text).host);
}

export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Enough for a machine of several networks; an invite stays short enough to be handed on. */
const MAX_ANNOUNCED = 4;

/** What others can dial when this is listened on, the best first: all interfaces (0.0.0.0, ::) become those that face outward. */
export function announcedAddresses({ host, port }: Address): string[] {
  if (host !== '0.0.0.0' && host !== '::') return [formatAddress({ host, port })];
  const outward = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(
      ({ internal, address, family }) =>
        !internal && !address.startsWith('fe80:') && (host === '::' || family === 'IPv4'),
    )
    .toSorted((a, b) => Number(a.family !== 'IPv4') - Number(b.family !== 'IPv4'));
  const hosts = outward.length > 0 ? outward.map(({ address }) => address) : ['127.0.0.1'];
  return hosts.slice(0, MAX_ANNOUNCED).map((each) => formatAddress({ host: each, port }));
}
