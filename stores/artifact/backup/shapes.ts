import { z } from 'zod';
import type { LoadUnit, TablePlan, WindowFilter } from '../../spi/chunk-source.ts';
import type { ContentMark, SnapshotMark } from '../../spi/rows.ts';
import type { TableDefinition, TableName, TableScript } from '../../spi/tables.ts';
import { countShape } from '../objects/sealed.ts';

/** What comes back out of an artifact, checked: whoever can write to the store can write anything into it. */

export const consistencyShape = z.enum(['chunk', 'snapshot', 'cut']);

const nameText = z.string().max(1_000);
export const longText = z.string().max(64 * 1024 * 1024);
const textList = z.array(longText);

export const tableNameShape: z.ZodType<TableName> = z.strictObject({ schema: nameText, name: nameText });

export const markShape: z.ZodType<SnapshotMark> = z.strictObject({
  snapshot: longText,
  insertPosition: nameText,
  systemId: nameText,
  timeline: countShape,
});

export const contentShape: z.ZodType<ContentMark> = z.strictObject({
  relation: longText,
  columns: longText,
  snapshot: longText,
  systemId: nameText,
  timeline: countShape,
});

export const rangeShape: z.ZodType<NonNullable<LoadUnit['range']>> = z.strictObject({
  columns: z.array(nameText),
  from: textList.nullable(),
  to: textList.nullable(),
});

export const windowShape: z.ZodType<WindowFilter> = z.strictObject({
  column: nameText,
  from: nameText.nullable(),
  to: nameText.nullable(),
});

export const planShape: z.ZodType<TablePlan> = z.strictObject({
  ordinal: countShape,
  source: tableNameShape,
  target: tableNameShape,
  columns: z.array(nameText),
  key: z.array(nameText).nullable(),
  format: z.enum(['binary', 'text', 'csv']),
  retyped: z.array(nameText),
  where: longText.nullable(),
  window: windowShape.nullable(),
  strategy: z.enum(['swap', 'in-place', 'difference', 'delete-insert', 'append', 'upsert', 'object']),
  filteredOnTarget: z.boolean().exactOptional(),
});

export const unitShape: z.ZodType<LoadUnit> = z.strictObject({
  ordinal: countShape,
  firstOfChunk: countShape,
  kind: z.enum(['whole', 'slice', 'finish']),
  chunk: nameText,
  slice: countShape,
  table: countShape,
  sourceLeaf: tableNameShape,
  targetLeaf: tableNameShape,
  range: rangeShape.nullable(),
  bound: longText.nullable(),
  bytes: z.number().nonnegative(),
});

const columnShape = z.strictObject({
  name: nameText,
  type: nameText,
  notNull: z.boolean(),
  generated: z.boolean(),
  identity: z.enum(['always', 'by-default']).nullable(),
  hasDefault: z.boolean().exactOptional(),
  binarySafe: z.boolean(),
  comparesExactly: z.boolean(),
});

const leafShape = z.strictObject({
  name: tableNameShape,
  bounds: textList,
  partitionedBy: textList.exactOptional(),
  bytes: z.number(),
  rows: z.number(),
});

export const definitionShape: z.ZodType<TableDefinition> = z.strictObject({
  name: tableNameShape,
  shape: z.enum(['plain', 'partitioned', 'inherited']),
  columns: z.array(columnShape),
  key: z.array(nameText).nullable(),
  leaves: z.array(leafShape),
  dialect: nameText,
  hasSecondaryUnique: z.boolean(),
  hanging: z.strictObject({
    referencedBy: textList,
    views: textList,
    publications: textList,
    other: textList,
  }),
});

export const scriptShape: z.ZodType<TableScript> = z.strictObject({
  dialect: nameText,
  table: tableNameShape,
  before: textList,
  shape: textList,
  after: textList,
  notCarried: textList,
  recipe: longText.exactOptional(),
});
