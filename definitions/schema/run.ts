import { z } from 'zod';
import type { VerifyMode } from '../contracts/job.ts';
import { rate, size } from './text.ts';

/** Shape of `run`; what is verified without a word differs by kind. */
export function runShape(verify: VerifyMode) {
  return z
    .strictObject({
      parallel: z.int().min(1).max(1000).default(4).describe('Chunks in flight at a time, over all workers.'),
      memory: size(1_000_000, '1MB')
        .prefault('256MB')
        .describe('Bound on the buffers of one worker for this job.'),
      throttle: rate
        .optional()
        .describe('Most bytes per second, over all chunks in flight. Without it: no limit.'),
      verify: z
        .enum(['none', 'count', 'digest'])
        .default(verify)
        .describe(
          'What is compared on both sides before rows become visible: nothing, their number, or their content too.',
        ),
      analyze: z
        .boolean()
        .default(true)
        .describe('Refresh the planner statistics of the target tables at the end.'),
    })
    .prefault({})
    .meta({ title: 'run' })
    .describe('How it runs.');
}
