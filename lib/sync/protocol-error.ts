// protocol-error.ts — a peer broke a rule of the protocol with a message that was well formed. It ends the link, never the site.

export class ProtocolError extends Error {
  constructor(what: string) {
    super(what);
    this.name = 'ProtocolError';
  }
}
