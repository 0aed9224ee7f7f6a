import { describe, expect, it } from 'vitest';
import { Collector } from '../../../../stores/postgres/touched/collector.ts';
import type { LogChange, LogRelation, LogTransaction } from '../../../../stores/spi/log.ts';

const transaction: LogTransaction = { xid: 7, position: '0'.repeat(16), committedAtMs: 0 };
const int8 = 20;

function relationOf(more: Partial<LogRelation> = {}): LogRelation {
  return {
    name: { schema: 'public', name: 't' },
    columns: [
      { name: 'note', typeId: 25, typeModifier: -1, isKey: false },
      { name: 'id', typeId: int8, typeModifier: -1, isKey: true },
    ],
    identity: 'key',
    ...more,
  };
}

function image(id: bigint | 'unchanged' | 'text', note: string | null = 'n'): Buffer {
  const value = (kind: string, bytes: Buffer): Buffer => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(bytes.length);
    return Buffer.concat([Buffer.from(kind), length, bytes]);
  };
  const key = Buffer.alloc(8);
  if (typeof id === 'bigint') key.writeBigInt64BE(id);
  const keyField =
    id === 'unchanged' ? Buffer.from('u') : id === 'text' ? value('t', Buffer.from('5')) : value('b', key);
  const noteField = note === null ? Buffer.from('n') : value('b', Buffer.from(note));
  return Buffer.concat([Buffer.from([0, 2]), noteField, keyField]);
}

function keyText(id: bigint): string {
  const bytes = Buffer.alloc(12);
  bytes.writeInt32BE(8, 0);
  bytes.writeBigInt64BE(id, 4);
  return bytes.toString('latin1');
}

const relation = relationOf();
const insert = (id: bigint): LogChange => ({
  kind: 'insert',
  relation,
  transaction,
  old: null,
  new: image(id),
});
const collectorOf = (mostBytes = 1e6): Collector => new Collector({ keyOf: () => ['id'], mostBytes });

describe('touched rows', () => {
  it('are those of new and old keys, each once', () => {
    const collector = collectorOf();
    collector.add([
      insert(1n),
      insert(1n),
      { kind: 'update', relation, transaction, old: image(1n, null), new: image(2n) },
      { kind: 'update', relation, transaction, old: null, new: image(3n) },
      { kind: 'delete', relation, transaction, old: image(4n, null), new: null },
    ]);
    const [keys] = collector.leaves.get('public.t')?.keysIn([null]) ?? [];
    expect(keys).toEqual({ columns: ['id'], typeIds: [int8], keys: [1n, 2n, 3n, 4n].map(keyText) });
  });

  it('have their key in the old row when it is too large to be repeated in the new one', () => {
    const collector = collectorOf();
    collector.add([{ kind: 'update', relation, transaction, old: image(9n, null), new: image('unchanged') }]);
    expect(collector.leaves.get('public.t')?.keysIn([null])[0]?.keys).toEqual([keyText(9n)]);
  });

  it.each(['unchanged', 'text'] as const)('make their leaf be read again when their key is %s', (id) => {
    const collector = collectorOf();
    collector.add([
      insert(1n),
      { kind: 'update', relation, transaction, old: null, new: image(id) },
      insert(2n),
    ]);
    const leaf = collector.leaves.get('public.t');
    expect(leaf?.isWhole).toBe(true);
    expect(leaf?.keysIn([null])[0]?.keys).toEqual([]);
  });

  it('are all rows of a leaf that was emptied', () => {
    const collector = collectorOf();
    collector.add([insert(1n), { kind: 'truncate', relation, transaction }, insert(2n)]);
    expect(collector.leaves.get('public.t')?.isWhole).toBe(true);
  });

  it('of a leaf that is not asked for are not remembered', () => {
    const collector = new Collector({ keyOf: () => null, mostBytes: 1e6 });
    collector.add([insert(1n)]);
    expect(collector.leaves.size).toBe(0);
  });

  it('are too many where they need more room than there is: then the leaf with most of them is read again', () => {
    const other = relationOf({ name: { schema: 'public', name: 'small' } });
    const collector = collectorOf(1_000);
    collector.add([{ kind: 'insert', relation: other, transaction, old: null, new: image(1n) }]);
    for (let id = 0n; id < 50n; id += 1n) collector.add([insert(id)]);
    expect(collector.leaves.get('public.t')?.isWhole).toBe(true);
    expect(collector.leaves.get('public.small')?.keysIn([null])[0]?.keys).toHaveLength(1);
  });

  it('with a whole row as identity are told apart by the key of the table, and without a key not at all', () => {
    const full = relationOf({ identity: 'row' });
    const collector = collectorOf();
    collector.add([{ kind: 'delete', relation: full, transaction, old: image(6n), new: null }]);
    expect(collector.leaves.get('public.t')?.keysIn([null])[0]?.keys).toEqual([keyText(6n)]);
    const keyless = new Collector({ keyOf: () => [], mostBytes: 1e6 });
    expect(() =>
      keyless.add([{ kind: 'delete', relation: full, transaction, old: image(6n), new: null }]),
    ).toThrow(/no key/);
  });

  it('of a cut leaf belong to the range that their key lies in, or to all where nobody can tell', () => {
    const collector = collectorOf();
    collector.add([insert(5n), insert(15n)]);
    const columns = ['id'];
    const ranges = [
      { columns, from: null, to: ['10'] },
      { columns, from: ['10'], to: null },
    ];
    const leaf = collector.leaves.get('public.t');
    expect(leaf?.keysIn(ranges).map(({ keys }) => keys)).toEqual([[keyText(5n)], [keyText(15n)]]);
    const unknown = ranges.map((range) => ({ ...range, columns: ['note'] }));
    expect(leaf?.keysIn(unknown).map(({ keys }) => keys.length)).toEqual([2, 2]);
  });
});
