// exit-on-signals.ts — a signal that ends the process lets its 'exit' handlers clean up first. Invariant: the exit code says which it was.

let installed = false;

/** From now on SIGINT, SIGTERM and SIGHUP end the process by process.exit. */
export function exitOnSignals(): void {
  if (installed) return;
  installed = true;
  const signals = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;
  for (const [signal, number] of Object.entries(signals)) process.on(signal, () => process.exit(128 + number));
}
