import { z } from 'zod';
import { schedule } from './time.ts';
import { duration, text } from './text.ts';

/** What jobs of every kind have in common. */

const onFailure = z
  .strictObject({
    mode: z
      .enum(['slow', 'skip', 'stop'])
      .default('slow')
      .describe(
        'What happens to a chunk, or to a transaction of a followed log, that keeps failing. `slow`: it is tried for ever, ever more slowly. `skip`: after `attempts` it is ' +
          'set aside, visibly, and `syncline retry` takes it up again. `stop`: after `attempts` the job waits for an operator.',
      ),
    attempts: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(30)
      .describe('Attempts per chunk, or per transaction of a followed log, before `skip` or `stop` acts.'),
    backoff: z
      .strictObject({
        initial: duration(1, '1ms')
          .prefault('1s')
          .describe('Wait after the first failure; it doubles each time.'),
        max: duration(1, '1ms').prefault('1m').describe('Longest wait between two attempts.'),
      })
      .refine((value) => value.initial <= value.max, {
        message: 'must be at least `initial`',
        path: ['max'],
      })
      .prefault({})
      .meta({ title: 'backoff' })
      .describe('How long to wait before the next attempt.'),
  })
  .meta({ title: 'onFailure' });

const jobNamePattern = /^[a-z0-9][a-z0-9._-]{0,99}$/;

export const header = {
  name: z
    .string()
    .regex(
      jobNamePattern,
      'must be at most 100 lower-case letters, digits, `-`, `_` and `.`, beginning with a letter or digit',
    )
    .describe('Identifies the job; applying a file with the same name again updates it.'),
  description: text.optional().describe('For people; shown in the Temporal UI.'),
  onFailure: onFailure
    .prefault({})
    .describe('What happens when a chunk, or a transaction of a followed log, fails.'),
  schedule: schedule.optional(),
};
