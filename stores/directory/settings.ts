import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { encryptionSetting, taskQueueSetting } from '../spi/settings.ts';

/** The entry of a directory under `stores:` in syncline.yaml, after `${NAME}` was resolved. */
export const directorySettings = z.strictObject({
  kind: z.literal('directory'),
  path: z
    .string()
    .refine(isAbsolute, 'must be an absolute path')
    .describe('Absolute path on the machine of the worker; the first write creates it.'),
  encryption: encryptionSetting,
  taskQueue: taskQueueSetting,
});

export type DirectorySettings = z.output<typeof directorySettings>;
