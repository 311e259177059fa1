// daemon-logger.ts — what writes the daemon's log: pino, to the file, and in the foreground to stderr as text too.
// Written synchronously: what was logged before a crash is in the file. What the disk has no room for waits in memory for the next line
// that it has room for: a log that cannot be written ends no daemon. Apart from daemon-log.ts, so that a verb that starts a daemon, or
// tells how one ended, need not load pino.

import { Writable } from 'node:stream';
import { pino } from 'pino';
import type { Log } from '../daemon/daemon-interface.js';
import { type LogLevel, logLineText } from './daemon-log.js';

/** Of lines that wait for the disk; further ones are left out. */
const WAITING_MAX_BYTES = 1024 * 1024;

/** A logger to `path`; in the foreground to stderr as text too. */
export function openLog(path: string, options: { level: LogLevel; foreground: boolean }): Log {
  const { level } = options;
  const file = pino.destination({ dest: path, sync: true, mode: 0o600, maxLength: WAITING_MAX_BYTES });
  // There is nowhere to say it. Without a listener it would be thrown where something was to be said.
  file.on('error', () => {});
  const streams: pino.StreamEntry[] = [{ level, stream: file }];
  if (options.foreground) streams.push({ level, stream: textStream(process.stderr) });
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.multistream(streams));
}

function textStream(output: NodeJS.WritableStream): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      for (const line of chunk.toString('utf8').split('\n')) if (line !== '') output.write(`${logLineText(line)}\n`);
      done();
    },
  });
}
