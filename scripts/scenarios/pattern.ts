// pattern.ts — shell patterns on paths: `*` and `?` stay within a name, `**` crosses directories, `[abc]` and `[!abc]` as in glob(7).

import type { Pattern } from './scenario.js';

/** True when the whole path fits the pattern. A quoted pattern fits only itself. */
export function fits(pattern: Pattern, path: string): boolean {
  return pattern.quoted ? pattern.text === path : expression(pattern.text).test(path);
}

/** True when the pattern fits no path but its own text. */
export function isExact(pattern: Pattern): boolean {
  return pattern.quoted || !/[*?[]/.test(pattern.text);
}

function expression(glob: string): RegExp {
  const source = glob.replace(/\*\*|\*|\?|\[!?[^\]/]+\]|[^*?[]|\[/gs, (part) => {
    if (part === '**') return '.*';
    if (part === '*') return '[^/]*';
    if (part === '?') return '[^/]';
    if (part.length > 2) return part.replace(/^\[!/, '[^').replaceAll('\\', '\\\\');
    return part.replace(/[\\^$.|+(){}[\]]/, '\\$&');
  });
  return new RegExp(`^${source}$`, 's');
}
