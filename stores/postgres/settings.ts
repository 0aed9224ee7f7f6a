import { z } from 'zod';
import { taskQueueSetting } from '../spi/settings.ts';

/** The entry of a PostgreSQL store under `stores:` in syncline.yaml, after `${NAME}` was resolved. */
export const postgresSettings = z.strictObject({
  kind: z.literal('postgres'),
  url: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'must begin with postgres:// or postgresql://')
    .describe(
      'Connection URL, `postgres://user:password@host:port/database?sslmode=…`; use `${NAME}` for secrets.',
    ),
  connections: z
    .int()
    .min(2)
    .max(1000)
    .default(16)
    .describe('Most sessions that one worker holds on this server at a time.'),
  connectTimeoutMs: z
    .int()
    .min(100)
    .default(10_000)
    .describe('How long a new session may take to open, in ms.'),
  volumes: z
    .record(z.string(), z.string())
    .optional()
    .describe('Names of volumes and the tablespaces they stand for.'),
  taskQueue: taskQueueSetting,
});

export type PostgresSettings = z.infer<typeof postgresSettings>;
