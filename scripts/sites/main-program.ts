// main-program.ts — what the programs of this repository make of their command line and of what goes wrong, all alike.
// Exit codes: that of the work; 0 where only help is wanted; 1 with one line when it failed; 2 with the usage when the call is wrong.

/** Says what is wrong with a command line. */
export class UsageError extends Error {}

/** @param readOptions returns null when only help is wanted; throws UsageError, or what parseArgs throws */
export async function runMain<Options>(
  usage: string,
  readOptions: () => Options | null,
  work: (options: Options) => Promise<number>,
): Promise<number> {
  let options: Options | null;
  try {
    options = readOptions();
  } catch (error) {
    const known = error instanceof UsageError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS');
    if (!known) throw error;
    console.error(`${(error as Error).message}\n${usage}`);
    return 2;
  }
  if (options === null) {
    console.log(usage);
    return 0;
  }
  try {
    return await work(options);
  } catch (error) {
    console.error((error as Error).message);
    return 1;
  }
}
