import { describe, expect, it } from 'vitest';
import { renamed } from '../../planning/leaf-names.ts';
import { likeMatcher } from '../../planning/like-pattern.ts';
import type { ColumnFacts, LeafFacts, TableFacts } from '../../planning/table-facts.ts';
import { matchTables, type MatchRequest, type TableMatch } from '../../planning/table-match.ts';
import { matchType } from '../../planning/type-match.ts';

const column = (name: string, type = 'integer', more: Partial<ColumnFacts> = {}): ColumnFacts => ({
  name,
  type,
  notNull: false,
  generated: false,
  identity: null,
  binarySafe: true,
  comparesExactly: true,
  ...more,
});

const name = (text: string): { schema: string; name: string } => ({ schema: 'public', name: text });
const leaf = (text: string, bound: string, key = 'RANGE (d)'): LeafFacts => ({
  name: name(text),
  bounds: [bound],
  partitionedBy: [key],
  bytes: 1,
});

const plain = (columns: ColumnFacts[], more: Partial<TableFacts> = {}): TableFacts => ({
  name: name('t'),
  shape: 'plain',
  columns,
  key: null,
  leaves: [{ name: name('t'), bounds: [], partitionedBy: [], bytes: 1 }],
  dialect: 'postgres 18',
  hanging: { referencedBy: [], views: [], publications: [], other: [] },
  ...more,
});

const partitioned = (leaves: LeafFacts[], more: Partial<TableFacts> = {}): TableFacts =>
  plain([column('d', 'date')], { shape: 'partitioned', leaves, ...more });

const match = (source: TableFacts, target: TableFacts | null, more: Partial<MatchRequest> = {}): TableMatch =>
  matchTables({
    source,
    target,
    as: source.name,
    mode: 'replace',
    createTables: false,
    chunks: '%',
    ...more,
  });

const codes = (found: TableMatch): (string | null)[] => found.findings.map((finding) => finding.code);

describe('columns of two tables', () => {
  it('are copied in the order of the source, in binary, when they are alike', () => {
    const found = match(plain([column('b'), column('a', 'text')]), plain([column('a', 'text'), column('b')]));
    expect(found).toMatchObject({
      columns: ['b', 'a'],
      format: 'binary',
      retyped: [],
      findings: [],
      slowPath: [],
    });
  });

  it('leave out what was not selected and what a server computes', () => {
    const columns = [column('a'), column('g', 'integer', { generated: true }), column('c')];
    expect(match(plain(columns), plain(columns)).columns).toEqual(['a', 'c']);
    expect(match(plain(columns), plain(columns), { columns: ['c'] }).columns).toEqual(['c']);
  });

  it('must be on the target, all at once', () => {
    const found = match(plain([column('a'), column('b'), column('c')]), plain([column('b')]));
    expect(codes(found)).toEqual(['target.columnMissing', 'target.columnMissing']);
  });

  it('may be computed by the target, with a warning, but not be computed by the source alone', () => {
    const ordinary = plain([column('a')]);
    const computed = plain([column('a', 'integer', { generated: true })]);
    expect(match(ordinary, computed)).toMatchObject({ columns: [], findings: [{ severity: 'warning' }] });
    expect(codes(match(computed, ordinary))).toEqual(['target.typeMismatch']);
  });

  it('must be filled where the target demands a value', () => {
    const extra = (more: Partial<ColumnFacts>): (string | null)[] =>
      codes(
        match(plain([column('a')]), plain([column('a'), column('x', 'integer', { notNull: true, ...more })])),
      );
    expect(extra({})).toEqual(['target.constraint']);
    expect(extra({ hasDefault: true })).toEqual([]);
    expect(extra({ identity: 'by-default' })).toEqual([]);
    expect(extra({ generated: true })).toEqual([]);
    expect(extra({ notNull: false })).toEqual([]);
  });

  it('travel as text, with the reason, when one of them cannot travel in binary', () => {
    const found = match(
      plain([column('r', 'regclass', { binarySafe: false })]),
      plain([column('r', 'regclass')]),
    );
    expect(found.format).toBe('text');
    expect(found.slowPath[0]).toContain('r (regclass)');
    const widened = match(plain([column('n')]), plain([column('n', 'bigint')]));
    expect(widened).toMatchObject({ format: 'text', retyped: ['n'], findings: [] });
    expect(match(plain([column('n')]), plain([column('n')], { dialect: 'other 1' })).format).toBe('text');
    expect(match(plain([column('n')]), plain([column('n')], { dialect: 'postgres 15' })).format).toBe(
      'binary',
    );
  });

  it('warn where equal values look different, because a digest would fail', () => {
    const found = match(plain([column('n', 'numeric(5,2)')]), plain([column('n', 'numeric(9,4)')]));
    expect(found).toMatchObject({ format: 'binary', retyped: ['n'], findings: [{ severity: 'warning' }] });
  });
});

describe('the key of an upsert', () => {
  const keyed = (key: string[] | null): TableFacts => plain([column('a'), column('b')], { key });

  it("is the target's own, else the source's, within the copied columns", () => {
    expect(match(keyed(['a']), keyed(['b'])).key).toEqual(['b']);
    expect(match(keyed(['a']), keyed(null)).key).toEqual(['a']);
    expect(match(keyed(['a']), keyed(['b']), { columns: ['a'] }).key).toEqual(['a']);
  });

  it('is demanded by upsert only', () => {
    expect(codes(match(keyed(null), keyed(null), { mode: 'upsert' }))).toEqual(['source.noKey']);
    expect(codes(match(keyed(null), keyed(null), { mode: 'append' }))).toEqual([]);
  });

  it('must hold every GENERATED ALWAYS identity', () => {
    const target = plain([column('a', 'integer', { identity: 'always' }), column('b')], { key: ['b'] });
    expect(codes(match(keyed(['b']), target, { mode: 'upsert' }))).toEqual(['target.typeMismatch']);
    expect(codes(match(keyed(['a']), { ...target, key: ['a'] }, { mode: 'upsert' }))).toEqual([]);
  });
});

describe('leaves of two tables', () => {
  const source = partitioned([leaf('t_1', 'one'), leaf('t_2', 'two')]);
  const targets = (found: TableMatch): string[] =>
    found.leaves.map(
      ({ target, routed, toCreate }) => `${target.name}${routed ? ' routed' : ''}${toCreate ? ' new' : ''}`,
    );

  it('belong together by key and bounds, whatever their names', () => {
    const target = partitioned([leaf('x', 'two'), leaf('y', 'one')]);
    expect(targets(match(source, target))).toEqual(['y', 'x']);
  });

  it('do not belong together when the same bounds are of another key', () => {
    const target = partitioned([leaf('t_1', 'one', 'RANGE (e)'), leaf('t_2', 'two', 'RANGE (e)')]);
    expect(targets(match(source, target))).toEqual(['t routed', 't routed']);
    expect(match(source, target).slowPath[0]).toContain('2 of 2 chunks');
  });

  it('are routed by a table that is not partitioned alike', () => {
    expect(targets(match(source, plain([column('d', 'date')])))).toEqual(['t routed', 't routed']);
    expect(targets(match(plain([column('d', 'date')]), source))).toEqual(['t routed']);
  });

  it('are missing, each by name, where the target lacks some of them and has no default', () => {
    const target = partitioned([leaf('t_1', 'one')]);
    const found = match(source, target);
    expect(codes(found)).toEqual(['target.partitionMissing']);
    expect(found.findings[0]?.message).toContain('t_2');
    expect(codes(match(source, target, { chunks: 't\\_1' }))).toEqual([]);
    expect(codes(match(source, partitioned([leaf('t_1', 'one'), leaf('t_d', 'DEFAULT')])))).toEqual(
      [null].slice(1),
    );
  });

  it('are made by createTables, in a table partitioned alike', () => {
    const target = partitioned([leaf('t_1', 'one')]);
    const found = match(source, target, { createTables: true });
    expect(targets(found)).toEqual(['t_1', 't_2 new']);
    expect(found).toMatchObject({ create: true, findings: [] });
    expect(match(source, source, { createTables: true }).create).toBe(false);
    expect(match(source, plain([column('d', 'date')]), { createTables: true }).create).toBe(false);
  });

  it('take names after the new name of their table', () => {
    const found = match(source, null, { createTables: true, as: { schema: 'dr', name: 'trades' } });
    expect(targets(found)).toEqual(['trades_1 new', 'trades_2 new']);
    expect(codes(match(source, null))).toEqual(['target.tableMissing']);
  });

  it('that only the target has keep their rows, with a warning, under replace', () => {
    const target = partitioned([...source.leaves, leaf('old', 'zero')]);
    expect(match(source, target).findings).toMatchObject([
      { severity: 'warning', message: expect.stringContaining('old') as string },
    ]);
    expect(match(source, target, { mode: 'append' }).findings).toEqual([]);
  });
});

/** Every pair of these that is not listed must be refused. */
const everyType =
  'smallint,integer,bigint,oid,numeric,numeric(5,0),numeric(12,2),real,double precision,text,character varying,character varying(10),character(5),name,"char",date,timestamp without time zone,timestamp(3) without time zone,timestamp with time zone,bit(4),bit varying,bit varying(4),inet,cidr,macaddr,macaddr8,json,jsonb,uuid,bytea,boolean,interval,sales.mood,other.mood,integer[],text[],xml'.split(
    /,(?!\d)/,
  );
const intoText: { wider?: string[]; converted?: string[] } = { converted: ['text', 'character varying'] };
const allowed: Record<string, { wider?: string[]; converted?: string[] }> = {
  smallint: {
    converted: [
      'integer',
      'bigint',
      'numeric',
      'numeric(5,0)',
      'numeric(12,2)',
      'real',
      'double precision',
      'text',
      'character varying',
    ],
  },
  integer: {
    converted: ['bigint', 'numeric', 'numeric(12,2)', 'double precision', 'text', 'character varying'],
  },
  bigint: { converted: ['numeric', 'text', 'character varying'] },
  oid: { converted: ['bigint', 'numeric', 'numeric(12,2)', 'text', 'character varying'] },
  'numeric(5,0)': { wider: ['numeric', 'numeric(12,2)'], ...intoText },
  'numeric(12,2)': { wider: ['numeric'], ...intoText },
  text: { wider: ['character varying'] },
  'character varying': { wider: ['text'] },
  'character varying(10)': { wider: ['text', 'character varying'] },
  'character(5)': { wider: ['text', 'character varying', 'character varying(10)'] },
  name: { wider: ['text', 'character varying'] },
  date: {
    converted: ['timestamp without time zone', 'timestamp(3) without time zone', 'text', 'character varying'],
  },
  'timestamp(3) without time zone': { wider: ['timestamp without time zone'], ...intoText },
  'bit(4)': { wider: ['bit varying', 'bit varying(4)'], ...intoText },
  'bit varying(4)': { wider: ['bit varying'], ...intoText },
  cidr: { converted: ['inet', 'text', 'character varying'] },
  macaddr: { converted: ['macaddr8', 'text', 'character varying'] },
  jsonb: { converted: ['json', 'text', 'character varying'] },
  'sales.mood': { converted: ['other.mood', 'text', 'character varying'] },
  'other.mood': { converted: ['sales.mood', 'text', 'character varying'] },
  'integer[]': { converted: ['text', 'text[]'] },
  'text[]': { converted: ['text'] },
};

describe('a column type on the target', () => {
  it.each(everyType)('%s takes exactly the types whose every value it holds', (target) => {
    for (const source of everyType) {
      const rules = allowed[source] ?? intoText;
      const expected =
        source === target
          ? 'same'
          : rules.wider?.includes(target)
            ? 'wider'
            : rules.converted?.includes(target)
              ? 'converted'
              : 'refused';
      const { kind } = matchType(source, target);
      const actual = kind === 'narrower' || kind === 'different' ? 'refused' : kind;
      expect(`${source} → ${target}: ${actual}`).toBe(`${source} → ${target}: ${expected}`);
    }
  });

  it.each([
    ['numeric(10,2)', 'numeric(12,2)', 'wider'],
    ['numeric(10,2)', 'numeric(12,4)', 'wider'],
    ['numeric(10,2)', 'numeric(11,4)', 'narrower'],
    ['numeric(10,2)', 'numeric(12,1)', 'narrower'],
    ['numeric', 'numeric(1000,500)', 'narrower'],
    ['numeric(2,-3)', 'numeric(5,0)', 'wider'],
    ['numeric(2,-3)', 'numeric(4,0)', 'narrower'],
    ['character varying(10)', 'character varying(9)', 'narrower'],
    ['character varying(10)', 'character varying(11)', 'wider'],
    ['text', 'character varying(1000)', 'narrower'],
    ['name', 'character varying(63)', 'wider'],
    ['name', 'character varying(62)', 'narrower'],
    ['timestamp(3) with time zone', 'timestamp(2) with time zone', 'narrower'],
    ['timestamp with time zone', 'timestamp(6) with time zone', 'wider'],
    ['timestamp with time zone', 'timestamp without time zone', 'narrower'],
    ['timestamp without time zone', 'timestamp with time zone', 'narrower'],
    ['integer[]', 'bigint[]', 'converted'],
    ['bigint[]', 'integer[]', 'narrower'],
    ['character varying(3)[]', 'text[]', 'converted'],
    ['character varying(3)[]', 'character varying(5)[]', 'wider'],
    ['integer', 'integer[]', 'different'],
    ['bit(3)', 'bit(4)', 'narrower'],
    ['bit(3)', 'bit', 'narrower'],
    ['bigint', 'integer', 'narrower'],
    ['bigint', 'double precision', 'narrower'],
    ['double precision', 'real', 'narrower'],
    ['real', 'double precision', 'narrower'],
    ['numeric', 'double precision', 'narrower'],
    ['json', 'jsonb', 'narrower'],
    ['smallint', 'numeric(4,0)', 'narrower'],
    ['bigint', 'numeric(19,0)', 'converted'],
    ['uuid', 'bytea', 'different'],
    ['public.vector(3)', 'public.vector(4)', 'narrower'],
  ])('%s into %s is %s', (source, target, kind) => {
    expect(matchType(source, target).kind).toBe(kind);
  });
});

describe('names', () => {
  it('of leaves follow the schema, the table name at their beginning, or take it in front', () => {
    const to = { schema: 'dr', name: 'deals' };
    expect(renamed(name('t_2024'), { from: name('t'), to })).toEqual({ schema: 'dr', name: 'deals_2024' });
    expect(renamed(name('x'), { from: name('t'), to })).toEqual({ schema: 'dr', name: 'deals_x' });
    expect(
      renamed({ schema: 'cold', name: 't_1' }, { from: name('t'), to: { schema: 'dr', name: 't' } }),
    ).toEqual({
      schema: 'cold',
      name: 't_1',
    });
  });

  it('stay within 63 bytes and apart from each other', () => {
    const to = { schema: 'dr', name: 'ü'.repeat(31) };
    const names = ['t_1', 't_2'].map((old) => renamed(name(old), { from: name('t'), to }).name);
    expect(new Set(names).size).toBe(2);
    for (const each of names) expect(Buffer.byteLength(each)).toBeLessThanOrEqual(63);
  });

  it('match LIKE patterns as the server does', () => {
    expect(likeMatcher('t\\_20__%')('t_2024_01')).toBe(true);
    expect(likeMatcher('t\\_20__%')('tx2024_01')).toBe(false);
    expect(likeMatcher('a.b%')('axb')).toBe(false);
    expect(likeMatcher('%')('any\nthing')).toBe(true);
    expect(likeMatcher('A%')('abc')).toBe(false);
  });
});
