// failure.ts — how a command says that it did not work.
// Failure: exit 1, one line that names what is wrong and the remedy. UsageError: exit 2, the command line itself is wrong.
// Any other Error that reaches main.ts is reported like a Failure, by its message.

/** The command could not do what it was asked to; the message names what is wrong and the remedy. */
export class Failure extends Error {
  /** `details` are printed below the one line, e.g. the end of a log. */
  constructor(
    message: string,
    readonly details: readonly string[] = [],
  ) {
    super(message);
    this.name = 'Failure';
  }
}

/** The command line is wrong. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Folds a message of several lines into one. */
export function oneLine(message: string): string {
  return message
    .trim()
    .replaceAll(/:\s*\n\s*/g, ': ')
    .replaceAll(/\s*\n\s*/g, '; ');
}

/** Quotes a path for the shell where that is needed, so that a printed remedy can be pasted. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
