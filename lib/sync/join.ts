// join.ts — the guest's side of an invite: shows it to the site that gave it, and is told the volume's id, key and peers.

export interface JoinGrant {
  readonly volumeId: string;
  readonly volumeName: string;
  readonly volumeKey: Uint8Array;
  /** HOST:PORT of the inviter first, then of the sites that it knows. Dial the first; the others are for the user to choose. */
  readonly peers: readonly { readonly site: string; readonly address: string }[];
}

/**
 * Redeems an invite; it is used up by that. Rejects with one line that names what is wrong and the remedy: malformed, used,
 * expired, nobody listening.
 */
export declare function redeemInvite(invite: string, siteName: string, timeoutMs?: number): Promise<JoinGrant>;
