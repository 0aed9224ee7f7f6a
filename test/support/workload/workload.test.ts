import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compare } from './compare.ts';
import { type Evidence, judge } from './invariants.ts';
import { bulkOperations, smallOperations, truncations } from './operations.ts';
import { type PlannedTransaction, transactionsOf } from './transactions.ts';

function first(count: number, seed: number, writer: number): PlannedTransaction[] {
  const all = transactionsOf(seed, writer);
  return Array.from({ length: count }, () => all.next().value);
}

describe('the transactions of a seed', () => {
  it('are the same every time, and others for another seed and another writer', () => {
    expect(first(50, 3, 2)).toEqual(first(50, 3, 2));
    expect(first(50, 3, 2)).not.toEqual(first(50, 4, 2));
    expect(first(50, 3, 2)).not.toEqual(first(50, 3, 3));
  });

  it('contain every operation and every ending', () => {
    const all = [1, 2, 3, 4].flatMap((writer) => first(1_500, 1, writer));
    const operations = all.flatMap(({ steps }) =>
      steps.flatMap((step) => (step.kind === 'sql' ? [step.operation] : [])),
    );
    const known = [smallOperations, bulkOperations, truncations].flatMap((some) => Object.keys(some));
    expect([...new Set(operations)].sort()).toEqual(known.sort());
    expect([...new Set(all.map(({ ending }) => ending))].sort()).toEqual([
      'commit',
      'commitPrepared',
      'rollback',
      'rollbackPrepared',
    ]);
    const kinds = all.flatMap(({ steps }) => steps.map(({ kind }) => kind));
    expect([...new Set(kinds)].sort()).toEqual(['release', 'rollbackTo', 'savepoint', 'sql', 'wait']);
  });

  it('go back only to savepoints that are open', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 999_999 }), fc.integer({ min: 1, max: 8 }), (seed, writer) => {
        for (const { steps } of first(40, seed, writer)) {
          const open: string[] = [];
          for (const step of steps) {
            if (step.kind === 'savepoint') open.push(step.name);
            if (step.kind !== 'rollbackTo' && step.kind !== 'release') continue;
            expect(open).toContain(step.name);
            open.length = open.indexOf(step.name) + (step.kind === 'rollbackTo' ? 1 : 0);
          }
        }
      }),
      { numRuns: 30 },
    );
  });
});

const right: Evidence = {
  writers: [
    { writer: 1, a: 3, b: 3, tickets: 3, first: 1, last: 3 },
    { writer: 2, a: 0, b: 0, tickets: 0, first: 0, last: 0 },
  ],
  clock: { hand: 2, ticks: 2, last: 2 },
  bank: { branches: '5', tellers: '5', accounts: '5', history: '5', unequal: 0 },
  history: { rows: 4, distinct: 4 },
  tables: [{ name: 'lab.t', rows: 2, hash: '7', talliedRows: 2, talliedHash: '7' }],
};

describe('what was seen at one instant', () => {
  it('is right when everything adds up', () => {
    expect(judge(right)).toEqual([]);
  });

  it.each<{ kind: string; what: string; doctored: Partial<Evidence> }>([
    {
      kind: 'lost',
      what: 'a gap in the tickets of a writer',
      doctored: { writers: [{ writer: 1, a: 3, b: 3, tickets: 2, first: 1, last: 3 }] },
    },
    {
      kind: 'lost',
      what: 'a missing first ticket',
      doctored: { writers: [{ writer: 1, a: 3, b: 3, tickets: 2, first: 2, last: 3 }] },
    },
    {
      kind: 'doubled',
      what: 'a ticket twice',
      doctored: { writers: [{ writer: 1, a: 3, b: 3, tickets: 4, first: 1, last: 3 }] },
    },
    {
      kind: 'torn',
      what: 'counters that differ',
      doctored: { writers: [{ writer: 1, a: 3, b: 2, tickets: 3, first: 1, last: 3 }] },
    },
    {
      kind: 'torn',
      what: 'a counter without its ticket',
      doctored: { writers: [{ writer: 1, a: 4, b: 4, tickets: 3, first: 1, last: 3 }] },
    },
    {
      kind: 'lost',
      what: 'an earlier commit that is not there',
      doctored: { clock: { hand: 2, ticks: 1, last: 2 } },
    },
    { kind: 'torn', what: 'a clock without its tick', doctored: { clock: { hand: 3, ticks: 2, last: 2 } } },
    { kind: 'torn', what: 'unequal sums', doctored: { bank: { ...right.bank, tellers: '6' } } },
    { kind: 'torn', what: 'unequal branches', doctored: { bank: { ...right.bank, unequal: 2 } } },
    { kind: 'doubled', what: 'history twice', doctored: { history: { rows: 5, distinct: 4 } } },
    {
      kind: 'torn',
      what: 'a row too many',
      doctored: { tables: [{ name: 'lab.t', rows: 3, hash: '7', talliedRows: 2, talliedHash: '7' }] },
    },
    {
      kind: 'torn',
      what: 'a row with other content',
      doctored: { tables: [{ name: 'lab.t', rows: 2, hash: '8', talliedRows: 2, talliedHash: '7' }] },
    },
  ])('$kind: $what', ({ kind, doctored }) => {
    expect(judge({ ...right, ...doctored }).map((violation) => violation.kind)).toEqual([kind]);
  });
});

describe('two sides of a table', () => {
  it('are compared as bags of rows', () => {
    const source = [
      { hash: 'a', rows: 1 },
      { hash: 'b', rows: 2 },
      { hash: 'c', rows: 1 },
    ];
    expect(compare(source, [...source].reverse())).toEqual({ lost: 0, doubled: 0 });
    expect(compare(source, source.slice(1))).toEqual({ lost: 1, doubled: 0 });
    expect(compare(source.slice(1), source)).toEqual({ lost: 0, doubled: 1 });
    expect(
      compare(
        source,
        [source[0], { hash: 'b', rows: 3 }, { hash: 'd', rows: 1 }].flatMap((row) => row ?? []),
      ),
    ).toEqual({
      lost: 1,
      doubled: 2,
    });
  });
});
