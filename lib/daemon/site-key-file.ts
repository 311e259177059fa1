// site-key-file.ts — the key of this site, in its state directory's site.key: the private key and the certificate, PEM, mode 0600.
// Invariant: a site has one key at a time, which is on stable storage before anybody is told of it. A site made by a version that
// knew no keys gets one at its next start.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatSiteKey, makeSiteKey, parseSiteKey } from '../sync/site-key.js';
import type { SiteKey } from '../sync/site-key.js';
import { replaceFile } from './durable-file.js';

export const SITE_KEY_FILE = 'site.key';

/** The key; a new one where there is none. Throws an Error that names the file and the remedy. */
export async function siteKey(stateDirectory: string): Promise<SiteKey> {
  const path = join(stateDirectory, SITE_KEY_FILE);
  let text;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const key = await makeSiteKey();
    keepSiteKey(stateDirectory, key);
    return key;
  }
  try {
    return parseSiteKey(text);
  } catch (error) {
    throw new Error(
      `${path} is damaged (${(error as Error).message}): restore it from a backup; or remove it, mount, and let another site give an invite to weft link add`,
      { cause: error },
    );
  }
}

export function keepSiteKey(stateDirectory: string, key: SiteKey): void {
  replaceFile(join(stateDirectory, SITE_KEY_FILE), formatSiteKey(key), 0o600);
}
