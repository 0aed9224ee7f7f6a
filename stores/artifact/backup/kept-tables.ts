import { z } from 'zod';
import type { BackupTable } from '../../spi/artifact.ts';
import type { TablePlan } from '../../spi/chunk-source.ts';
import { countShape } from '../objects/sealed.ts';
import { definitionShape, planShape, scriptShape } from './shapes.ts';

/** A table of a backup that is being made. */
export const backupTableShape: z.ZodType<BackupTable> = z.strictObject({
  definition: definitionShape,
  script: scriptShape,
});

/** A table of a published one: how it was read, and which entries are its own. One line of the schema object. */
export interface PublishedTable extends BackupTable {
  readonly plan: TablePlan;
  /** Index of its first entry over all pages, from 0, and how many there are: tables follow each other. */
  readonly firstEntry: number;
  readonly entries: number;
}

export const publishedTableShape: z.ZodType<PublishedTable> = z.strictObject({
  definition: definitionShape,
  script: scriptShape,
  plan: planShape,
  firstEntry: countShape,
  entries: countShape,
});
