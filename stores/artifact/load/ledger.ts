import { z } from 'zod';
import type { LoadLedger, Watermarks } from '../../spi/load-ledger.ts';
import type { Artifact } from '../artifact.ts';
import { watermarkKey } from '../objects/layout.ts';
import { forgetJob } from './clean-up.ts';
import { createDeadLetters } from './dead-letters.ts';
import { createPlans } from './plans.ts';
import { listRecords } from './records.ts';
import { readTotals } from './totals.ts';

export function createLedger(artifact: Artifact): LoadLedger {
  const plans = createPlans(artifact);
  return {
    plans,
    deadLetters: createDeadLetters(artifact),
    watermarks: createWatermarks(artifact),
    totals: (ref) => readTotals(artifact, artifact.backupOf(ref)),
    records: (request) => listRecords(artifact, plans, request),
    forget: (job) => forgetJob(artifact, job),
  };
}

const watermarkShape = z.strictObject({
  job: z.string(),
  reached: z.string(),
  load: z.string(),
  movedAt: z.iso.datetime(),
});

/** One object at a path, since a path has one job. */
function createWatermarks({ place }: Artifact): Watermarks {
  return {
    async get(job) {
      const mark = await place.readJson(watermarkKey, watermarkShape);
      return mark?.job === job ? mark.reached : null;
    },
    async advance(job, to, load) {
      const mark = await place.readJson(watermarkKey, watermarkShape);
      // Text of one column type: for ISO 8601 the order of the text is the order of time.
      if (mark?.job === job && mark.reached >= to) return;
      await place.writeJson(watermarkKey, { job, reached: to, load, movedAt: new Date().toISOString() });
    },
  };
}
