import type { LoadRef } from '../../../definitions/contracts/copy.ts';
import type { KeyRange, LoadUnit } from '../../spi/chunk-source.ts';
import type { TableName } from '../../spi/tables.ts';

/** How a unit lies in `syncline.unit`. */
export interface UnitRow {
  readonly ordinal: string;
  readonly first_of_chunk: string;
  readonly kind: LoadUnit['kind'];
  readonly chunk: string;
  readonly slice: number;
  readonly table_ordinal: number;
  readonly source_leaf: TableName;
  readonly target_leaf: TableName;
  readonly range: KeyRange | null;
  readonly bound: string | null;
  readonly bytes: string;
}

export const unitColumns =
  'job, load, ordinal, first_of_chunk, kind, chunk, slice, table_ordinal, source_leaf, target_leaf, range, bound, bytes';

export function unitOf(row: UnitRow): LoadUnit {
  return {
    ordinal: Number(row.ordinal),
    firstOfChunk: Number(row.first_of_chunk),
    kind: row.kind,
    chunk: row.chunk,
    slice: row.slice,
    table: row.table_ordinal,
    sourceLeaf: row.source_leaf,
    targetLeaf: row.target_leaf,
    range: row.range,
    bound: row.bound,
    bytes: Number(row.bytes),
  };
}

/** One line of COPY text format, in the order of `unitColumns`. */
export function copyTextOf(ref: LoadRef, unit: LoadUnit): string {
  const fields = [
    ref.job,
    ref.load,
    String(unit.ordinal),
    String(unit.firstOfChunk),
    unit.kind,
    unit.chunk,
    String(unit.slice),
    String(unit.table),
    JSON.stringify(unit.sourceLeaf),
    JSON.stringify(unit.targetLeaf),
    unit.range === null ? null : JSON.stringify(unit.range),
    unit.bound,
    String(Math.round(unit.bytes)),
  ];
  return `${fields.map((field) => (field === null ? '\\N' : escapeField(field))).join('\t')}\n`;
}

function escapeField(text: string): string {
  return text
    .replaceAll('\\', '\\\\')
    .replaceAll('\t', '\\t')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r');
}
