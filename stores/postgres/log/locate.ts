import type { KeyRange } from '../../spi/chunk-source.ts';
import type { LogRelation, RowImage } from '../../spi/log.ts';
import { compareValues, type KeyType, keyTypeOf, type KeyValue } from './key-values.ts';

/**
 * Which of the ranges of a cut table a row lies in. Exact for the types of `key-values.ts`; text is taken to be in collation
 * C, which the log does not say: only such tables are cut under a log (`ColumnDefinition.comparesExactly`).
 */
export function locateIn(
  relation: LogRelation,
  ranges: readonly (KeyRange | null)[],
): ((image: RowImage) => number) | null {
  if (ranges.length <= 1) return () => 0;
  const key = keyOf(relation, ranges[0]?.columns ?? []);
  if (key === null) return null;
  const lower = ranges.slice(1).map((range) => boundOf(key, range?.from ?? null));
  if (lower.includes(null)) return null;
  const bounds = lower as readonly (readonly KeyValue[])[];
  return (image) => {
    const values = readKey(image, key);
    return values === null ? -1 : countAtOrBelow(bounds, values);
  };
}

interface KeyColumn {
  /** In the image. */
  readonly index: number;
  readonly type: KeyType;
}

function keyOf(relation: LogRelation, columns: readonly string[]): readonly KeyColumn[] | null {
  const key: KeyColumn[] = [];
  for (const name of columns) {
    const index = relation.columns.findIndex((column) => column.name === name);
    const type = keyTypeOf(relation.columns[index]?.typeId ?? 0);
    if (type === undefined) return null;
    key.push({ index, type });
  }
  return key.length === 0 ? null : key;
}

function boundOf(key: readonly KeyColumn[], bound: readonly string[] | null): readonly KeyValue[] | null {
  if (bound?.length !== key.length) return null;
  const values = key.map(({ type }, column) => type.fromText(bound[column] ?? ''));
  return values.includes(null) ? null : (values as readonly KeyValue[]);
}

/** Bounds ascend; each is the first key of its range. */
function countAtOrBelow(bounds: readonly (readonly KeyValue[])[], key: readonly KeyValue[]): number {
  let low = 0;
  let high = bounds.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKeys(bounds[middle] ?? [], key) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function compareKeys(some: readonly KeyValue[], other: readonly KeyValue[]): number {
  for (let column = 0; column < some.length; column += 1) {
    const order = compareValues(some[column] ?? 0, other[column] ?? 0);
    if (order !== 0) return order;
  }
  return 0;
}

const textValue = 't'.charCodeAt(0);
const binaryValue = 'b'.charCodeAt(0);

/** Null when a value of the key is not in the image: null, or unchanged and too large to be there. */
function readKey(image: RowImage, key: readonly KeyColumn[]): readonly KeyValue[] | null {
  const values = new Array<KeyValue>(key.length);
  const count = image.readUInt16BE(0);
  let missing = key.length;
  let at = 2;
  for (let column = 0; column < count && missing > 0; column += 1) {
    const kind = image[at];
    at += 1;
    if (kind !== textValue && kind !== binaryValue) continue;
    const end = at + 4 + image.readUInt32BE(at);
    for (let part = 0; part < key.length; part += 1) {
      const wanted = key[part];
      if (wanted?.index !== column) continue;
      const value =
        kind === binaryValue
          ? wanted.type.fromBinary(image.subarray(at + 4, end))
          : wanted.type.fromText(image.toString('utf8', at + 4, end));
      if (value === null) return null;
      values[part] = value;
      missing -= 1;
    }
    at = end;
  }
  return missing === 0 ? values : null;
}
