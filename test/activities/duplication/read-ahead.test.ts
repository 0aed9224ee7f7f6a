import { describe, expect, it } from 'vitest';
import { ReadAhead } from '../../../activities/duplication/follow/read-ahead.ts';
import { splitAfter } from '../../../activities/duplication/follow/route-batch.ts';
import { Care, verdictOn } from '../../../activities/duplication/follow/poison.ts';
import { SynclineError } from '../../../definitions/errors.ts';
import type { LogChange, LogPiece } from '../../../stores/spi/log.ts';

function place(number: number): string {
  return number.toString(16).padStart(16, '0');
}

function piece(xid: number, changes: number, position: number | null = xid * 10 + 5): LogPiece {
  const transaction = { xid, position: place(xid * 10), committedAtMs: 0 };
  const one = { kind: 'insert', transaction } as unknown as LogChange;
  return {
    changes: Array.from({ length: changes }, () => one),
    position: position === null ? null : place(position),
    transactions: position === null ? 0 : 1,
    bytes: changes * 100,
  };
}

// eslint wants an await in an async generator; the log of a server waits for each piece.
async function* log(pieces: readonly LogPiece[], seen: { read: number } = { read: 0 }) {
  for (const one of pieces) {
    seen.read += 1;
    await Promise.resolve();
    yield one;
  }
  await new Promise<never>(() => undefined);
}

const limits = { changes: 5, bytes: 1_000_000 };
const soon = 50;

describe('reading ahead', () => {
  it('hands over together what came meanwhile, in order, with the last position', async () => {
    const ahead = new ReadAhead(log([piece(1, 2), piece(2, 1)]), limits);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const batch = await ahead.next(soon);
    expect(batch?.changes.map(({ transaction }) => transaction.xid)).toEqual([1, 1, 2]);
    expect(batch).toMatchObject({ position: place(25), transactions: 2, bytes: 300 });
    expect(await ahead.next(soon)).toBeNull();
  });

  it('reads no further than the limits while nobody takes, and goes on when somebody does', async () => {
    const seen = { read: 0 };
    const ahead = new ReadAhead(log([piece(1, 3), piece(2, 3), piece(3, 3), piece(4, 3)], seen), limits);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(seen.read).toBe(2);
    expect((await ahead.next(soon))?.changes).toHaveLength(6);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect((await ahead.next(soon))?.changes).toHaveLength(6);
  });

  it('a part of a big transaction has no position', async () => {
    const ahead = new ReadAhead(log([piece(1, 6, null), piece(1, 1)]), limits);
    expect((await ahead.next(soon))?.position).toBeNull();
    expect((await ahead.next(soon))?.position).toBe(place(15));
  });

  it('what came before an error is handed over first', async () => {
    const broken = (async function* () {
      yield await Promise.resolve(piece(1, 1));
      throw new SynclineError('store.connectionLost', 'gone');
    })();
    const ahead = new ReadAhead(broken, limits);
    expect((await ahead.next(soon))?.changes).toHaveLength(1);
    await expect(ahead.next(soon)).rejects.toMatchObject({ code: 'store.connectionLost' });
  });
});

describe('a batch is split between transactions', () => {
  const batch = {
    changes: [...piece(1, 2).changes, ...piece(2, 1).changes, ...piece(3, 2).changes],
    position: place(99),
    transactions: 3,
    bytes: 500,
  };

  it('the first part ends where the commit of the next one begins', () => {
    const [first, rest] = splitAfter(batch, 2);
    expect(first.changes).toHaveLength(3);
    expect(first.position).toBe(place(30));
    expect(rest).toMatchObject({ position: place(99), transactions: 1 });
    expect(rest?.changes).toHaveLength(2);
  });

  it('is left whole when it has no more transactions than asked for', () => {
    expect(splitAfter(batch, 3)).toEqual([batch, null]);
    expect(splitAfter(batch, Number.POSITIVE_INFINITY)).toEqual([batch, null]);
  });
});

describe('what the target refuses', () => {
  const error = new SynclineError('target.constraint', 'no');
  const asked = { error, table: 'public.t', transactions: 8, position: place(10) } as const;

  it('slow: the table waits, the others go on', () => {
    expect(verdictOn({ ...asked, mode: 'slow' })).toEqual({ act: 'holdTable', table: 'public.t' });
    expect(verdictOn({ ...asked, mode: 'slow', table: null })).toEqual({ act: 'fail' });
  });

  it('skip: halved until the transaction stands alone, which is set aside then', () => {
    expect(verdictOn({ ...asked, mode: 'skip' })).toEqual({ act: 'halve' });
    expect(verdictOn({ ...asked, mode: 'skip', transactions: 1 })).toEqual({
      act: 'setAside',
      position: place(10),
    });
  });

  it('stop: it stops', () => {
    expect(verdictOn({ ...asked, mode: 'stop' })).toEqual({ act: 'fail' });
  });

  it.each(['store.connectionLost', 'store.diskFull', 'store.conflict', 'target.superseded'] as const)(
    '%s says nothing about a transaction',
    (code) => {
      expect(verdictOn({ ...asked, mode: 'skip', error: new SynclineError(code, 'x') })).toEqual({
        act: 'fail',
      });
    },
  );

  it('eight transactions are down to one after three refusals, and back to all after some commits', () => {
    const care = new Care();
    let tried = 8;
    for (let refusal = 0; refusal < 3; refusal += 1) {
      care.halve(tried);
      tried = care.transactions;
    }
    expect(care.transactions).toBe(1);
    for (let commit = 0; commit < 30; commit += 1) care.committed();
    expect(care.transactions).toBe(Number.POSITIVE_INFINITY);
  });
});
