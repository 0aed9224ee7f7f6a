import { describe, expect, it } from 'vitest';
import type { LeafMatch } from '../../planning/leaf-match.ts';
import { chooseStrategy, type StrategyRequest } from '../../planning/load-strategy.ts';
import type { ColumnFacts, HangingFacts, LeafFacts, TableFacts } from '../../planning/table-facts.ts';

const mebibyte = 1024 * 1024;

const column = (name: string, type = 'bigint', more: Partial<ColumnFacts> = {}): ColumnFacts => ({
  name,
  type,
  notNull: true,
  generated: false,
  identity: null,
  binarySafe: true,
  comparesExactly: type === 'bigint' || type === 'date',
  ...more,
});

const day = (number: number, bytes = 100 * mebibyte): LeafFacts => ({
  name: { schema: 'public', name: `t_${number}` },
  bounds: [`FOR VALUES FROM ('${number}') TO ('${number + 1}')`],
  partitionedBy: ['RANGE (id)'],
  bytes,
});

const noneHangs: HangingFacts = { referencedBy: [], views: [], publications: [], other: [] };

const table = (more: Partial<TableFacts> = {}): TableFacts => ({
  name: { schema: 'public', name: 't' },
  shape: 'partitioned',
  columns: [column('id'), column('v', 'text', { notNull: false })],
  key: ['id'],
  leaves: [day(1), day(2)],
  dialect: 'postgres 18',
  hanging: noneHangs,
  ...more,
});

const toLeaves = (source: TableFacts, routed = false): LeafMatch[] =>
  source.leaves.map((leaf) => ({ source: leaf.name, target: leaf.name, routed, toCreate: false }));

const request = (more: Partial<StrategyRequest> = {}): StrategyRequest => {
  const source = more.source ?? table();
  return {
    mode: 'replace',
    source,
    target: table(),
    leaves: toLeaves(source),
    key: ['id'],
    filtered: false,
    chunkBytes: 1024 * mebibyte,
    ...more,
  };
};

const strategyOf = (more: Partial<StrategyRequest> = {}): string => {
  const answer = chooseStrategy(request(more));
  return answer.decision?.strategy ?? answer.refused?.code ?? 'nothing';
};

const hangs = (more: Partial<HangingFacts>): TableFacts => table({ hanging: { ...noneHangs, ...more } });

describe('the way a table is loaded', () => {
  it('is the mode itself for append and upsert, whatever hangs on the table', () => {
    const target = hangs({ referencedBy: ['fk'], views: ['v'], publications: ['p'], other: ['rule'] });
    expect(strategyOf({ mode: 'append', target })).toBe('append');
    expect(strategyOf({ mode: 'upsert', target })).toBe('upsert');
  });

  it('is a swap for big partitions that correspond one to one, and for tables that are still to be made', () => {
    expect(chooseStrategy(request()).decision).toEqual({ strategy: 'swap', slices: true, reason: null });
    expect(strategyOf({ target: null })).toBe('swap');
  });

  it('is in place for small leaves and below parents of very many, unless they are sliced', () => {
    const small = table({ leaves: [day(1, 8 * mebibyte)] });
    expect(strategyOf({ source: small })).toBe('in-place');
    expect(strategyOf({ source: table({ leaves: [day(1, 8 * mebibyte + 1)] }) })).toBe('swap');
    expect(strategyOf({ source: small, chunkBytes: mebibyte })).toBe('swap');
    const many = table({ leaves: Array.from({ length: 1001 }, (_, index) => day(index)) });
    expect(strategyOf({ source: many, target: many })).toBe('in-place');
    expect(strategyOf({ source: many, target: many, chunkBytes: mebibyte })).toBe('swap');
    const fewer = table({ leaves: many.leaves.slice(1) });
    expect(strategyOf({ source: fewer, target: fewer })).toBe('swap');
  });

  it('keeps the table, with the reason, where views, rules or inheritance hang on it', () => {
    const answer = chooseStrategy(request({ target: hangs({ views: ['public.report'] }) }));
    expect(answer.decision?.strategy).toBe('in-place');
    expect(answer.decision?.reason).toContain('public.report');
    expect(strategyOf({ target: hangs({ other: ['rule r on public.t_1'] }) })).toBe('in-place');
    expect(strategyOf({ source: table({ shape: 'inherited' }) })).toBe('in-place');
  });

  it('writes only the difference where foreign keys point at the table or it is published, and refuses without a key', () => {
    for (const target of [hangs({ referencedBy: ['fk on public.o'] }), hangs({ publications: ['pub'] })]) {
      expect(strategyOf({ target })).toBe('difference');
      expect(strategyOf({ target, filtered: true })).toBe('difference');
      expect(strategyOf({ target, key: null })).toBe('target.replaceRefused');
    }
  });

  it('refuses the difference where a GENERATED ALWAYS identity outside the key would have to be updated', () => {
    const columns = [column('id'), column('n', 'bigint', { identity: 'always' })];
    const target = { ...hangs({ publications: ['pub'] }), columns };
    expect(strategyOf({ target })).toBe('target.replaceRefused');
    expect(
      strategyOf({ target: { ...target, columns: [column('id', 'bigint', { identity: 'always' })] } }),
    ).toBe('difference');
  });

  it('deletes and inserts only what a window or filter takes, never by swap', () => {
    expect(strategyOf({ filtered: true })).toBe('delete-insert');
    expect(strategyOf({ filtered: true, target: hangs({ views: ['v'] }) })).toBe('delete-insert');
  });

  it('deletes by the bound of the chunk where rows are routed', () => {
    const source = table();
    expect(strategyOf({ source, leaves: toLeaves(source, true) })).toBe('delete-insert');
  });

  it('routes a single unpartitioned table into any layout', () => {
    const source = table({ shape: 'plain', leaves: [{ ...day(1), bounds: [], partitionedBy: [] }] });
    expect(strategyOf({ source, leaves: toLeaves(source, true) })).toBe('delete-insert');
  });

  it('refuses to replace routed rows whose chunk has no bound that means the same on both servers', () => {
    const refused = (leaf: Partial<LeafFacts>, more: Partial<TableFacts> = {}): string => {
      const source = table({ leaves: [{ ...day(1), ...leaf }, day(2)], ...more });
      return strategyOf({ source, leaves: toLeaves(source, true) });
    };
    expect(refused({ partitionedBy: ['HASH (id)'] })).toBe('target.replaceRefused');
    expect(refused({ partitionedBy: ['RANGE (id)', 'HASH (id)'] })).toBe('target.replaceRefused');
    expect(refused({ partitionedBy: ['RANGE (v)'] })).toBe('target.replaceRefused');
    expect(refused({ partitionedBy: ['RANGE (lower(v))'] })).toBe('target.replaceRefused');
    expect(refused({ partitionedBy: ['LIST (v)'] })).toBe('delete-insert');
    expect(refused({}, { shape: 'inherited' })).toBe('target.replaceRefused');
  });

  it('does not cut into slices where the target deletes by a key that the servers may order differently', () => {
    const source = table({ columns: [column('id', 'text')] });
    const decision = (more: Partial<StrategyRequest>): boolean | undefined =>
      chooseStrategy(request({ source, target: source, ...more })).decision?.slices;
    expect(decision({ filtered: true })).toBe(false);
    expect(decision({ filtered: false })).toBe(true);
    expect(decision({ mode: 'append', filtered: true })).toBe(true);
    expect(chooseStrategy(request({ filtered: true })).decision?.slices).toBe(true);
    const numeric = table({ columns: [column('id', 'numeric(20,0)')] });
    expect(
      chooseStrategy(request({ source: numeric, target: numeric, filtered: true })).decision?.slices,
    ).toBe(true);
  });

  it('says that a filled default partition is scanned by every exchange', () => {
    const leaves = [day(1), { ...day(9), bounds: ['DEFAULT'] }];
    expect(chooseStrategy(request({ target: table({ leaves }) })).decision?.reason).toContain(
      'default partition',
    );
  });
});
