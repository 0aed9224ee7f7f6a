import { describe, expect, it } from 'vitest';
import { filterOf } from '../../../activities/duplication/follow/snapshot-filter.ts';
import type { LogRelation, LogSource, LogTransaction, RowChange, RowImage } from '../../../stores/spi/log.ts';
import type { SnapshotMark } from '../../../stores/spi/rows.ts';

/** A store of the test: a snapshot is the list of transactions that it sees, a row is its key. */
const log = {
  positionOf: (mark: SnapshotMark) => mark.insertPosition,
  visibility: (mark: SnapshotMark) => {
    const seen = new Set(mark.snapshot.split(',').map(Number));
    return (xid: number) => seen.has(xid);
  },
  locate: () => (image: RowImage) => (Number(image.toString()) < 100 ? 0 : 1),
} as unknown as LogSource;

const relation = { name: { schema: 'public', name: 't' }, columns: [], identity: 'key' } as LogRelation;

function mark(snapshot: string, insertPosition = '0000000000000100'): SnapshotMark {
  return { snapshot, insertPosition, systemId: '1', timeline: 1 };
}

function transaction(xid: number, position = '0000000000000050'): LogTransaction {
  return { xid, position, committedAtMs: 0 };
}

function row(key: number | null): RowImage | null {
  return key === null ? null : Buffer.from(String(key));
}

function change(kind: RowChange['kind'], keys: { old?: number; new?: number }, xid: number): RowChange {
  const { old, new: next } = keys;
  return { kind, relation, transaction: transaction(xid), old: row(old ?? null), new: row(next ?? null) };
}

const range = (from: string | null, to: string | null) => ({
  columns: ['id'],
  from: from === null ? null : [from],
  to: to === null ? null : [to],
});

describe('a chunk under one snapshot', () => {
  const filter = filterOf(log, [{ range: null, mark: mark('7') }]);

  it('leaves out what its snapshot sees', () => {
    expect(filter.rows(change('insert', { new: 1 }, 7))).toEqual([]);
  });

  it('takes what its snapshot does not see, although its commit lies before the snapshot in the log', () => {
    const late = change('insert', { new: 1 }, 8);
    expect(filter.rows(late)).toEqual([late]);
  });

  it('does not compare transactions that lie behind the snapshot in the log', () => {
    const later = { ...change('insert', { new: 1 }, 7), transaction: transaction(7, '0000000000000101') };
    expect(filter.rows(later)).toEqual([later]);
  });

  it('takes everything of a chunk that was loaded under no snapshot', () => {
    const any = change('delete', { old: 1 }, 7);
    expect(filterOf(log, [{ range: null, mark: null }]).rows(any)).toEqual([any]);
  });
});

describe('slices under different snapshots', () => {
  // Below 100: sees 7 and 8. From 100: sees 8 and 9.
  const slices = [
    { range: range(null, '100'), mark: mark('7,8') },
    { range: range('100', null), mark: mark('8,9', '0000000000000200') },
  ];
  const filter = filterOf(log, slices);

  it('nothing of a change is applied that both slices see', () => {
    expect(filter.rows(change('update', { old: 1, new: 101 }, 8))).toEqual([]);
  });

  it('all of a change is applied that neither slice sees', () => {
    const unseen = change('update', { old: 1, new: 101 }, 5);
    expect(filter.rows(unseen)).toEqual([unseen]);
  });

  it('a row that left a slice which saw it go comes into the slice that did not see it come', () => {
    const [insert, ...rest] = filter.rows(change('update', { old: 1, new: 101 }, 7));
    expect(rest).toEqual([]);
    expect(insert).toMatchObject({ kind: 'insert', old: null, new: row(101) });
  });

  it('a row that came into a slice which saw it come leaves the slice that did not see it go', () => {
    const [gone, ...rest] = filter.rows(change('update', { old: 1, new: 101 }, 9));
    expect(rest).toEqual([]);
    expect(gone).toMatchObject({ kind: 'delete', old: row(1), new: null });
  });

  it('an update within a slice is that slice’s alone', () => {
    expect(filter.rows(change('update', { new: 1 }, 7))).toEqual([]);
    expect(filter.rows(change('update', { new: 101 }, 7))).toHaveLength(1);
  });

  it('a deletion is left out of the slice that saw it', () => {
    expect(filter.rows(change('delete', { old: 1 }, 7))).toEqual([]);
    expect(filter.rows(change('delete', { old: 101 }, 7))).toHaveLength(1);
  });

  it('a truncate that one slice saw empties only the ranges of the others', () => {
    const truncate = { kind: 'truncate', relation, transaction: transaction(7) } as const;
    expect(filter.truncate(truncate)).toEqual([{ ...truncate, ranges: [slices[1]?.range] }]);
    expect(filter.truncate({ ...truncate, transaction: transaction(8) })).toEqual([]);
    const unseen = { ...truncate, transaction: transaction(5) };
    expect(filter.truncate(unseen)).toEqual([unseen]);
  });

  it('it is over beyond the latest of the snapshots', () => {
    expect(filter.until).toBe('0000000000000200');
  });
});
