import { z } from 'zod';
import { isSafeKey } from '../spi/files.ts';
import { encryptionSetting, taskQueueSetting } from '../spi/settings.ts';

/** The entry of a bucket under `stores:` in syncline.yaml, after `${NAME}` was resolved. */
export const s3Settings = z
  .strictObject({
    kind: z.literal('s3'),
    bucket: z.string().min(1).describe('Name of the bucket, which must exist.'),
    prefix: z
      .string()
      .transform((prefix) => prefix.replace(/\/$/, ''))
      .refine((prefix) => prefix === '' || isSafeKey(prefix), 'must be names joined by `/`, none hidden')
      .default('')
      .describe('Folder within the bucket that the store keeps to, e.g. `trades/`.'),
    endpoint: z
      .url({ protocol: /^https?$/ })
      .optional()
      .describe('URL of the server, for any but AWS, e.g. `https://minio.example:9000`.'),
    region: z
      .string()
      .min(1)
      .optional()
      .describe(
        'Region of the bucket. Without it: AWS_REGION or the profile; with an endpoint, `us-east-1`.',
      ),
    accessKeyId: z
      .string()
      .min(1)
      .optional()
      .describe(
        'Access key. Without it: environment, profile, or role of the machine, as the AWS SDK finds them.',
      ),
    secretAccessKey: z.string().min(1).optional().describe('Secret of the access key; use `${NAME}`.'),
    forcePathStyle: z
      .boolean()
      .optional()
      .describe('Name the bucket in the path instead of the host. Default: with an endpoint, yes; else no.'),
    encryption: encryptionSetting,
    taskQueue: taskQueueSetting,
  })
  .refine(
    ({ accessKeyId, secretAccessKey }) => (accessKeyId === undefined) === (secretAccessKey === undefined),
    '`accessKeyId` and `secretAccessKey` go together',
  );

export type S3Settings = z.output<typeof s3Settings>;
