// fuse-native.d.ts — the part of fuse-native 2.2.6 that fuse-native-host.ts uses; the package ships no types.

declare module 'fuse-native' {
  /** A negative errno, or for read and write the number of bytes. */
  type Result = number;
  type Callback = (result: Result, ...values: unknown[]) => void;
  type Operation = (...args: [...unknown[], Callback]) => void;

  export default class Fuse {
    constructor(mountpoint: string, operations: Record<string, Operation>, options: Record<string, unknown>);
    mount(done: (error: Error | null) => void): void;
  }
}
