import { z } from 'zod';
import { defaultTaskQueue } from '../contracts/names.ts';
import { duration, storeName, text } from './text.ts';

const store = z
  .looseObject({
    kind: text.describe(
      'Kind of store, e.g. `postgres`. It decides the other settings; see docs/reference/stores.md.',
    ),
  })
  .meta({ title: 'store' });

const temporal = z
  .strictObject({
    profile: text
      .optional()
      .describe('Profile of the Temporal client configuration. Without it: the TEMPORAL_* variables.'),
    taskQueue: text
      .default(defaultTaskQueue)
      .describe('Task queue that workers poll and jobs are started on.'),
    address: text.optional().describe('`host:port` of the Temporal server; wins over the profile.'),
    namespace: text.optional().describe('Temporal namespace; wins over the profile.'),
  })
  .prefault({})
  .meta({ title: 'temporal' })
  .describe('How to reach Temporal.');

const listenAddress = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[^\s:[\]]+):\d{1,5}$/, 'expected `host:port`, e.g. `127.0.0.1:9464`');

const endpoint = (description: string) =>
  z
    .strictObject({ address: listenAddress.describe('`host:port` to listen on.') })
    .optional()
    .describe(description);

const worker = z
  .strictObject({
    metrics: endpoint('Prometheus metrics. Without it: none are served.'),
    http: z
      .strictObject({
        address: listenAddress
          .default('127.0.0.1:9465')
          .describe('`host:port` to listen on. Whoever reaches it may read, without a password.'),
      })
      .optional()
      .meta({ title: 'http' })
      .describe('Jobs over HTTP, to be read only: `GET /jobs`. Without it: none are served.'),
    health: endpoint('Health of the worker over HTTP. Without it: none is served.'),
    shutdownGraceTime: duration(0, '0s')
      .prefault('30s')
      .describe('After SIGTERM, how long chunks in flight may take to end before they are cancelled.'),
    log: z
      .strictObject({
        level: z
          .enum(['trace', 'debug', 'info', 'warn', 'error'])
          .default('info')
          .describe('Least severe level that is written.'),
      })
      .prefault({})
      .meta({ title: 'log' })
      .describe('Log of the worker.'),
    maxActivities: z
      .int()
      .min(1)
      .max(10_000)
      .default(16)
      .describe('Most activities (chunks and small steps) at a time in one worker, over all jobs.'),
  })
  .prefault({})
  .meta({ title: 'worker' })
  .describe('The worker process.');

/** Shape of syncline.yaml. Settings of a store stay open: each kind checks its own once secrets are filled in. */
export const storesShape = z
  .strictObject({
    stores: z
      .record(storeName, store)
      .describe('Stores by name; jobs name them under `source.store` and `target.store`.'),
    temporal,
    worker,
  })
  .meta({ title: 'syncline.yaml' });
