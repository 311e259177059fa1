// control-socket-path.ts — where the daemon's control socket lies.
// sockaddr_un holds 107 bytes of path on Linux, 103 on macOS (unix(7)): a state directory may be deeper. Then the socket
// lies in a short run-time directory of the user, and `control.path` in the state directory says where. Everything
// that leads to the socket is 0700: whoever can open it can unmount the volume.

import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { replaceFile } from './durable-file.js';

export const MAX_SOCKET_PATH_BYTES = 103;

/** Chooses the socket's path for a daemon that is about to listen, and records it. Needs the state lock. */
export function chooseSocketPath(directory: string): string {
  const near = join(directory, 'control.sock');
  const record = join(directory, 'control.path');
  if (fits(near)) {
    rmSync(record, { force: true });
    return near;
  }
  const name = `${createHash('sha256').update(directory).digest('hex').slice(0, 16)}.sock`;
  for (const runtime of runtimeDirectories()) {
    const path = join(runtime, name);
    if (!fits(path)) continue;
    makePrivate(runtime);
    replaceFile(record, `${path}\n`, 0o600);
    return path;
  }
  throw new Error(`${directory} is too long for a control socket: choose a shorter --state directory`);
}

/** The path that the last daemon chose. Nobody needs to listen there now. */
export function readSocketPath(directory: string): string {
  try {
    return readFileSync(join(directory, 'control.path'), 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return join(directory, 'control.sock');
  }
}

function fits(path: string): boolean {
  return Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES;
}

function runtimeDirectories(): string[] {
  const uid = process.getuid?.() ?? 0;
  const xdg = process.env['XDG_RUNTIME_DIR'];
  const found = [join(tmpdir(), `weft-${uid}`), join('/tmp', `weft-${uid}`)];
  if (uid === 0) found.unshift('/run/weft');
  if (xdg !== undefined && isAbsolute(xdg)) found.unshift(join(xdg, 'weft'));
  return found;
}

/** In a directory that others can write, another user could have made ours first. */
function makePrivate(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const stats = lstatSync(directory);
  if (!stats.isDirectory() || stats.uid !== process.getuid?.() || (stats.mode & 0o077) !== 0) {
    throw new Error(
      `${directory} is not a private directory of yours: remove it, or choose a shorter --state directory`,
    );
  }
}
