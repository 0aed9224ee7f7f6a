import { inject } from 'vitest';
import '../../support/provided.ts';
import type { Place } from './rig.ts';

/** The servers of the test run, which other tests use at the same time: only workers and networks may break. */
export function sharedPlace(): Place {
  return {
    source: inject('postgresSource'),
    target: inject('postgresTarget'),
    temporalAddress: inject('temporalAddress'),
  };
}
