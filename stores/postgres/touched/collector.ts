import { SynclineError } from '../../../definitions/errors.ts';
import type { KeyRange } from '../../spi/chunk-source.ts';
import type { LogChange, LogRelation, RowImage } from '../../spi/log.ts';
import { displayName } from '../../spi/tables.ts';
import type { CollectTouched, TouchedCollector, TouchedKeys, TouchedLeaf } from '../../spi/touched-rows.ts';
import { locateIn } from '../log/locate.ts';
import { fieldsOfKey } from './key-fields.ts';

const binaryValue = 'b'.charCodeAt(0);
const textValue = 't'.charCodeAt(0);
const nullValue = 'n'.charCodeAt(0);
/** What one key costs beside its bytes, about: a text and its place in a set. */
const keyOverhead = 80;

/**
 * The keys of every row that a log speaks of: new ones, and old ones where they changed or the row went. A key stands in the
 * log as it is stored, byte by byte, and so it does in a row of binary COPY.
 */
export class Collector implements TouchedCollector {
  readonly leaves = new Map<string, Leaf>();
  private readonly options: CollectTouched;
  private readonly known = new Map<LogRelation, Leaf | null>();
  private bytes = 0;

  constructor(options: CollectTouched) {
    this.options = options;
  }

  add(changes: readonly LogChange[]): void {
    for (const change of changes) {
      const leaf = this.leafOf(change.relation);
      if (leaf === null || leaf.isWhole) continue;
      if (change.kind === 'truncate') this.forget(leaf);
      else {
        this.bytes += leaf.touch(change.relation, change);
        if (this.bytes > this.options.mostBytes) this.forgetLargest();
      }
    }
  }

  private leafOf(relation: LogRelation): Leaf | null {
    const known = this.known.get(relation);
    if (known !== undefined) return known;
    const key = this.options.keyOf(relation.name);
    const name = displayName(relation.name);
    const leaf = key === null ? null : (this.leaves.get(name) ?? new Leaf(relation, key));
    if (leaf !== null) this.leaves.set(name, leaf);
    this.known.set(relation, leaf);
    return leaf;
  }

  private forget(leaf: Leaf): void {
    this.bytes -= leaf.bytes;
    leaf.becomeWhole();
  }

  private forgetLargest(): void {
    let largest: Leaf | null = null;
    for (const leaf of this.leaves.values()) if (leaf.bytes > (largest?.bytes ?? 0)) largest = leaf;
    if (largest !== null) this.forget(largest);
  }
}

class Leaf implements TouchedLeaf {
  isWhole = false;
  bytes = 0;
  private readonly relation: LogRelation;
  private readonly columns: readonly string[];
  private readonly keys = new Set<string>();

  constructor(relation: LogRelation, key: readonly string[]) {
    this.relation = relation;
    // The log only promises old values of the columns of the replica identity.
    const identity = relation.columns.filter((column) => column.isKey).map((column) => column.name);
    this.columns = relation.identity === 'key' ? identity : key;
    if (this.columns.length > 0) return;
    const table = displayName(relation.name);
    throw new SynclineError('source.noKey', `${table} has no key that its log tells rows by.`, {
      details: { table },
    });
  }

  /** Answers how many bytes more are remembered. */
  touch(
    relation: LogRelation,
    { old, new: row }: { readonly old: RowImage | null; readonly new: RowImage | null },
  ): number {
    const before = this.bytes;
    for (const image of [old, row]) {
      if (image === null) continue;
      const key = keyOf(image, relation, this.columns);
      // A large key that did not change is not repeated in the new row: the old one has it.
      if (key === null && image === row && old !== null) continue;
      if (key === null) {
        this.becomeWhole();
        break;
      }
      if (this.keys.has(key)) continue;
      this.keys.add(key);
      this.bytes += key.length + keyOverhead;
    }
    return this.bytes - before;
  }

  becomeWhole(): void {
    this.isWhole = true;
    this.bytes = 0;
    this.keys.clear();
  }

  keysIn(ranges: readonly (KeyRange | null)[]): readonly TouchedKeys[] {
    const { columns, relation } = this;
    const typeIds = columns.map(
      (name) => relation.columns.find((column) => column.name === name)?.typeId ?? 0,
    );
    const keys = ranges.map((): string[] => []);
    const locate = locateIn(relation, ranges);
    for (const key of this.keys) {
      const at = locate === null ? -1 : locate(imageOf(key, relation, columns));
      if (at >= 0) keys[at]?.push(key);
      else for (const one of keys) one.push(key);
    }
    return keys.map((some) => ({ columns, typeIds, keys: some }));
  }
}

/** Null when a column is not there in its binary form. */
function keyOf(image: RowImage, relation: LogRelation, columns: readonly string[]): string | null {
  const values = new Map<string, string>();
  let at = 2;
  for (const column of relation.columns) {
    const kind = image[at];
    const hasValue = kind === binaryValue || kind === textValue;
    const end = hasValue ? at + 5 + image.readUInt32BE(at + 1) : at + 1;
    if (kind === binaryValue && columns.includes(column.name))
      values.set(column.name, image.toString('latin1', at + 1, end));
    at = end;
  }
  const parts = columns.map((name) => values.get(name));
  return parts.includes(undefined) ? null : parts.join('');
}

/** A row of which only the key is known. */
function imageOf(key: string, relation: LogRelation, columns: readonly string[]): RowImage {
  const fields = fieldsOfKey(key);
  const count = Buffer.alloc(2);
  count.writeUInt16BE(relation.columns.length);
  const parts = relation.columns.flatMap(({ name }) => {
    const field = fields[columns.indexOf(name)];
    return field === undefined ? [Buffer.of(nullValue)] : [Buffer.of(binaryValue), field];
  });
  return Buffer.concat([count, ...parts]);
}
