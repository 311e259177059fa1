// acknowledged-texts.ts — every text that a scenario wrote and that no site has knowingly done away with.
// A site does away with a text when it overwrites or removes a file whose content, as that site sees it, holds the text. What is
// left must be found in some file after all sites merged (promise P4), whatever happened elsewhere meanwhile.

export interface Origin {
  readonly line: number;
  readonly site: string;
  readonly path: string;
}

export class AcknowledgedTexts {
  private readonly texts = new Map<string, Origin>();

  /** Call only once the write has been acknowledged. The empty text is everywhere, so it is not kept. */
  wrote(text: string, origin: Origin): void {
    if (text !== '') this.texts.set(text, origin);
  }

  /** A site overwrote or removed a file that it saw with this content. */
  discarded(content: string): void {
    for (const text of this.texts.keys()) if (content.includes(text)) this.texts.delete(text);
  }

  /** Texts that none of these file contents holds. */
  missingFrom(contents: readonly string[]): (Origin & { readonly text: string })[] {
    return [...this.texts]
      .filter(([text]) => !contents.some((content) => content.includes(text)))
      .map(([text, origin]) => ({ text, ...origin }));
  }
}
