// schema-issues.ts — what zod found wrong with a value, on one line.

import type { z } from 'zod';

/** e.g. "peers.0: expected string, received number; extra: unrecognized key" */
export function schemaIssues(error: z.ZodError): string {
  return error.issues
    .map(({ path, message }) => (path.length === 0 ? message : `${path.join('.')}: ${message}`))
    .join('; ');
}
