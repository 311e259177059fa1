// perform.ts — the calls of a history as what a program does: one step in, one method of Process called.
// Invariant: every verb of step.ts that is a call is here; events are those of the simulation.

import { marked } from './contents.js';
import { OPEN_FLAGS, type OpenMode } from './file-calls.js';
import type { Process } from './process.js';
import type { Step } from './step.js';

/** @returns what came of it, where that is for people to read */
export function perform(process: Process, { verb, words }: Step): string | void {
  const [a = '', b = '', c = '', d = ''] = words;
  switch (verb) {
    case 'write':
      return process.write(a, marked(b, Number(c)));
    case 'patch':
      return process.patch(a, Number(b), marked(c, Number(d)));
    case 'lines':
      return process.write(a, Buffer.from(`${b.split(',').join('\n')}\n`));
    case 'append':
      return process.append(a, marked(b, Number(c)));
    case 'allocate':
      return process.allocate(a, Number(b), Number(c), Number(d));
    case 'twin':
      return process.twin(a, b, Number.parseInt(c, 8));
    case 'storm':
      return process.storm(a, b, Number(c));
    case 'truncate':
      return process.truncate(a, Number(b));
    case 'save':
      return process.save(a, marked(b, Number(c)));
    case 'unnamed':
      return process.unnamed(a, marked(b, Number(c)));
    case 'mkdir':
      return process.mkdir(a);
    case 'rmdir':
      return process.rmdir(a);
    case 'mv':
      return process.rename(a, b);
    case 'exchange':
      return process.exchange(a, b);
    case 'rm':
      return process.unlink(a);
    case 'rmr':
      return process.removeTree(a);
    case 'ln':
      return process.link(a, b);
    case 'symlink':
      return process.symlink(a, b);
    case 'mkfifo':
      return process.mkfifo(a);
    case 'chmod':
      return process.chmod(a, Number.parseInt(b, 8));
    case 'chown':
      return process.chown(a, Number(b), Number(c));
    case 'touch':
      return process.touch(a, Number(b));
    case 'setxattr':
      return process.setxattr(a, b, c);
    case 'removexattr':
      return process.removexattr(a, b);
    case 'open':
      return process.open(a, b, modeOf(c));
    case 'create':
      return process.create(a, b, modeOf(c));
    case 'put':
      return process.put(a, Number(b), marked(c, Number(d)));
    case 'log':
      return process.log(a, marked(b, Number(c)));
    case 'store':
      return process.store(a, Number(b), marked(c, Number(d)));
    case 'cut':
      return process.cut(a, Number(b));
    case 'sync':
      return process.sync(a);
    case 'fsync':
      return process.fsync(a);
    case 'close':
      return process.close(a);
    case 'resolve':
      return process.settle(Number(a), Number(b));
    case 'undo':
      return process.undo();
    default:
      throw new Error(`${verb} is no call`);
  }
}

/** '' in histories of before there were several. */
function modeOf(word: string): OpenMode | undefined {
  if (word === '') return undefined;
  if (!(word in OPEN_FLAGS)) throw new Error(`${word} is no way to open a file: ${Object.keys(OPEN_FLAGS).join(', ')}`);
  return word as OpenMode;
}
