import type {
  LogChange,
  LogColumn,
  LogRelation,
  LogTransaction,
  RowImage,
  TruncateChange,
} from '../../../../stores/spi/log.ts';
import type { TableName } from '../../../../stores/spi/tables.ts';

/** Log changes made by hand. */

/** A value in an image: null, unchanged, text, or the type's binary form. */
export type Value = null | typeof unchanged | string | Buffer;
export const unchanged = Symbol('unchanged');

export function image(...values: readonly Value[]): RowImage {
  const parts: Buffer[] = [int16(values.length)];
  for (const value of values) {
    if (value === null) parts.push(Buffer.from('n'));
    else if (value === unchanged) parts.push(Buffer.from('u'));
    else {
      const bytes = typeof value === 'string' ? Buffer.from(value) : value;
      parts.push(Buffer.from(typeof value === 'string' ? 't' : 'b'), int32(bytes.length), bytes);
    }
  }
  return Buffer.concat(parts);
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

export function text(value: string): Buffer {
  return Buffer.from(value);
}

/** `id*` is part of the key. */
export function relation(
  name: TableName,
  columns: readonly string[],
  identity: LogRelation['identity'] = 'key',
): LogRelation {
  return {
    name,
    columns: columns.map((column): LogColumn => ({
      name: column.replace('*', ''),
      typeId: 23,
      typeModifier: -1,
      isKey: column.endsWith('*') || identity === 'row',
    })),
    identity,
  };
}

let lastXid = 1_000;

export function positionAt(number: number): string {
  return number.toString(16).padStart(16, '0');
}

/** Each has an id of its own, and is committed at the second that its position says. */
export function transaction(position: number): LogTransaction {
  lastXid += 1;
  return { xid: lastXid, position: positionAt(position), committedAtMs: position * 1_000 };
}

/** Makes changes of one relation in one transaction. */
export class Changes {
  readonly relation: LogRelation;
  readonly transaction: LogTransaction;

  constructor(relationOf: LogRelation, transactionOf: LogTransaction) {
    this.relation = relationOf;
    this.transaction = transactionOf;
  }

  insert(...values: readonly Value[]): LogChange {
    return { ...this.common(), kind: 'insert', old: null, new: image(...values) };
  }

  update(...values: readonly Value[]): LogChange {
    return { ...this.common(), kind: 'update', old: null, new: image(...values) };
  }

  /** With the old row, or the old key and nulls. */
  updateFrom(old: readonly Value[], values: readonly Value[]): LogChange {
    return { ...this.common(), kind: 'update', old: image(...old), new: image(...values) };
  }

  delete(...old: readonly Value[]): LogChange {
    return { ...this.common(), kind: 'delete', old: image(...old), new: null };
  }

  truncate(ranges?: TruncateChange['ranges']): LogChange {
    return { ...this.common(), kind: 'truncate', ...(ranges === undefined ? {} : { ranges }) };
  }

  private common(): { relation: LogRelation; transaction: LogTransaction } {
    return { relation: this.relation, transaction: this.transaction };
  }
}
