// site-ended.ts — the answer to whatever was asked of a site thread that has ended. It comes in any orderly unmount, so that those who
// do not wait for answers have to expect it; anything else that goes wrong with what they asked is a bug, and ends the daemon.

export class SiteEnded extends Error {}

/** For a request whose answer nobody waits for: a site that ends first need not carry it out. */
export function unlessEnded(answer: Promise<unknown>): void {
  void answer.catch((error: unknown) => {
    if (!(error instanceof SiteEnded)) throw error;
  });
}
