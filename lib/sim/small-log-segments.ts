// small-log-segments.ts — intent logs in small segments, for the simulations of this process.
// A volume's log takes 16 MiB from the disk at every start; a simulated site writes some kilobytes in its life. Small segments are what
// makes a schedule take milliseconds, and they roll over, which the long ones would not do here.

import { IntentLog } from '../journal/intent-log.js';

const SEGMENT_BYTES = 64 << 10;

const open = IntentLog.open.bind(IntentLog);
IntentLog.open = (directory, foldedLsn, options) =>
  open(directory, foldedLsn, { ...options, segmentBytes: SEGMENT_BYTES });
