import type { TouchedRows } from '../../spi/touched-rows.ts';
import type { Sessions } from '../connection.ts';
import { alteredLeaves } from './altered.ts';
import { Collector } from './collector.ts';
import { openTouched } from './touched-reading.ts';

export function createTouchedRows(sessions: Sessions): TouchedRows {
  return {
    collect: (options) => new Collector(options),
    altered: (request) => alteredLeaves(sessions, request),
    open: (request) => openTouched(sessions, request),
  };
}
