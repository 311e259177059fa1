// recovery-history.test-support.ts — seeded histories of file system calls, with a model of what each leaves behind.

import { USER, type VolumeFixture } from './volume-fixture.test-support.js';

/** path → bytes of a file, or null for a directory; with the mode. */
export type Model = Map<string, { content: Buffer | null; mode: number }>;

export interface Step {
  readonly name: string;
  carryOut(fixture: VolumeFixture): void;
  model(model: Model): void;
  /** What a crash between the calls of the step leaves; none when it is a single call. */
  partial?(model: Model): void;
  /** The file whose bytes it writes: a write(2) that was not acknowledged may have happened in part. */
  readonly writes?: string;
}

/** A small seeded generator (mulberry32): [0, 1). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const STEPS = 400;
const O_RDWR = 2;

function bytesOf(random: () => number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i += 4) bytes.writeUInt32LE(Math.floor(random() * 2 ** 32), Math.min(i, length - 4));
  return bytes;
}

/** The history of a seed. Steps never fail: each is chosen for the state that the ones before leave. */
export function stepsOf(seed: number): Step[] {
  const random = seeded(seed);
  const model: Model = new Map();
  const steps: Step[] = [];
  const pick = <T>(values: readonly T[]): T | undefined => values[Math.floor(random() * values.length)];
  while (steps.length < STEPS) {
    const files = [...model].filter(([, node]) => node.content !== null).map(([path]) => path);
    const directories = ['', ...[...model].filter(([, node]) => node.content === null).map(([path]) => path)];
    const fresh = `${pick(directories)}/n${steps.length}`.replace(/^\//, '');
    const step = chooseStep(random, pick(files), fresh, model);
    if (!step) continue;
    step.model(model);
    steps.push(step);
  }
  return steps;
}

function chooseStep(random: () => number, file: string | undefined, fresh: string, model: Model): Step | undefined {
  const kind = Math.floor(random() * 10);
  if (kind === 0) return mkdir(fresh);
  if (kind <= 3 || file === undefined) return write(fresh, bytesOf(random, 4 + Math.floor(random() ** 8 * 400_000)));
  const size = model.get(file)!.content!.length;
  switch (kind) {
    case 4:
      return rename(file, fresh);
    case 5:
      return unlink(file);
    case 6:
      return chmod(file, Math.floor(random() * 0o1000));
    case 7:
      return truncate(file, Math.floor(random() * size * 1.5));
    case 8:
      return patch(file, Math.floor(random() * size), bytesOf(random, 4 + Math.floor(random() * 5000)), random() < 0.5);
    default:
      return write(file, bytesOf(random, 4 + Math.floor(random() * 9000)));
  }
}

function mkdir(path: string): Step {
  return {
    name: `mkdir ${path}`,
    carryOut: (fixture) => void fixture.mkdir(path),
    model: (model) => void model.set(path, { content: null, mode: 0o755 }),
  };
}

function write(path: string, content: Buffer): Step {
  return {
    name: `write ${path} (${content.length})`,
    writes: path,
    carryOut: (fixture) => void fixture.write(path, content),
    model: (model) => void model.set(path, { content, mode: model.get(path)?.mode ?? 0o644 }),
    // Made or truncated by open(2), and not written to yet.
    partial: (model) => void model.set(path, { content: Buffer.alloc(0), mode: model.get(path)?.mode ?? 0o644 }),
  };
}

function patch(path: string, offset: number, data: Buffer, sync: boolean): Step {
  return {
    name: `patch ${path} at ${offset} (${data.length})${sync ? ' and sync' : ''}`,
    writes: path,
    carryOut: (fixture) => {
      const { handle } = fixture.volume.files.open(fixture.resolve(path), O_RDWR, false, USER);
      fixture.volume.files.write(handle, offset, data, false);
      if (sync) fixture.volume.files.fsync(handle);
      fixture.volume.files.release(handle);
    },
    model: (model) => {
      const node = model.get(path)!;
      const content = Buffer.alloc(Math.max(node.content!.length, offset + data.length));
      node.content!.copy(content);
      data.copy(content, offset);
      model.set(path, { ...node, content });
    },
  };
}

function truncate(path: string, size: number): Step {
  return {
    name: `truncate ${path} ${size}`,
    carryOut: (fixture) => void fixture.volume.files.setattr(fixture.resolve(path), { size }, USER, undefined),
    model: (model) => {
      const node = model.get(path)!;
      const content = Buffer.alloc(size);
      node.content!.copy(content);
      model.set(path, { ...node, content });
    },
  };
}

function rename(from: string, to: string): Step {
  return {
    name: `rename ${from} ${to}`,
    carryOut: (fixture) => fixture.rename(from, to),
    model: (model) => {
      model.set(to, model.get(from)!);
      model.delete(from);
    },
  };
}

function unlink(path: string): Step {
  return {
    name: `unlink ${path}`,
    carryOut: (fixture) => fixture.unlink(path),
    model: (model) => void model.delete(path),
  };
}

function chmod(path: string, mode: number): Step {
  return {
    name: `chmod ${path} ${mode.toString(8)}`,
    carryOut: (fixture) => void fixture.volume.files.setattr(fixture.resolve(path), { mode }, USER, undefined),
    model: (model) => void model.set(path, { ...model.get(path)!, mode }),
  };
}

/** What a volume shows, in the model's form. */
export function shownBy(fixture: VolumeFixture, path = '', into: Model = new Map()): Model {
  for (const name of fixture.list(path)) {
    const child = path === '' ? name : `${path}/${name}`;
    const { mode } = fixture.volume.files.getattr(fixture.resolve(child));
    const isDirectory = (mode & 0o170000) === 0o040000;
    into.set(child, { content: isDirectory ? null : Buffer.from(fixture.read(child)), mode: mode & 0o7777 });
    if (isDirectory) shownBy(fixture, child, into);
  }
  return into;
}
