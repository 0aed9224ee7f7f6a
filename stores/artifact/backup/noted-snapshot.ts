import { z } from 'zod';
import type { NotedSnapshot } from '../../spi/artifact.ts';
import { markShape } from './shapes.ts';

export const notedSnapshotShape: z.ZodType<NotedSnapshot> = z.strictObject({
  id: z.string().max(1_000),
  mark: markShape,
});
