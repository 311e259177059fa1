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

export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** What others can dial when this is listened on: all interfaces (0.0.0.0, ::) become the first that faces outward. */
export function announcedAddress({ host, port }: Address): string {
  if (host !== '0.0.0.0' && host !== '::') return formatAddress({ host, port });
  const outward = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter((address) => !address.internal && !address.address.startsWith('fe80:'));
  const chosen = outward.find((address) => address.family === 'IPv4') ?? outward[0];
  return formatAddress({ host: chosen?.address ?? '127.0.0.1', port });
}
