// path-text.ts — paths of the volume (latin1 strings of their bytes) in messages: as text where they are UTF-8.

export function pathText(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
