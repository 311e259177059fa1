// fuse-requests.test.ts — reading of a kernel trace.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countRequests } from './fuse-requests.js';

test('requests are counted between marks, for one connection', () => {
  const trace = `# tracer: nop
           fsbench-11  [000] .....   1.1: fuse_request_send: connection 43 req 2 opcode 1 (FUSE_LOOKUP) len 48
           fsbench-11  [000] .....   1.2: tracing_mark_write: fsbench:create
           fsbench-11  [000] .....   1.3: fuse_request_send: connection 43 req 4 opcode 1 (FUSE_LOOKUP) len 48
           fsbench-11  [000] .....   1.4: fuse_request_send: connection 43 req 6 opcode 35 (FUSE_CREATE) len 64
            bindfs-12  [001] .....   1.5: fuse_request_send: connection 44 req 6 opcode 35 (FUSE_CREATE) len 64
           fsbench-11  [000] .....   1.6: fuse_request_send: connection 43 req 8 opcode 35 (FUSE_CREATE) len 64
           fsbench-11  [000] .....   1.7: tracing_mark_write: fsbench:end
           fsbench-11  [000] .....   1.8: fuse_request_send: connection 43 req 9 opcode 3 (FUSE_GETATTR) len 56
           fsbench-11  [000] .....   1.9: tracing_mark_write: fsbench:stat missing
`;
  assert.deepEqual(
    countRequests(trace, 43),
    new Map([
      [
        'create',
        new Map([
          ['LOOKUP', 1],
          ['CREATE', 2],
        ]),
      ],
      ['stat missing', new Map()],
    ]),
  );
});
