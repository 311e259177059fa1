// fuse-native-messages.ts — what the two processes of the fuse-native driver say to each other.

/** What the host process is asked to mount; its first message. */
export interface HostStart {
  readonly mountpoint: string;
  readonly options: Record<string, unknown>;
}

/** An operation of fuse-native, with its arguments but for buffers to fill. */
export interface OperationCall {
  readonly id: number;
  readonly operation: string;
  readonly args: readonly unknown[];
}

export interface OperationResult {
  readonly id: number;
  /** 0, a number of bytes, or a negated errno. */
  readonly result: number;
  readonly value?: unknown;
}

/** What the host process says. */
export type FromHost =
  | { readonly kind: 'mounted' }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'call'; readonly call: OperationCall };
