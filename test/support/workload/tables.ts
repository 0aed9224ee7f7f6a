/**
 * The tables that a workload writes to, in schema `lab`, and what makes every commit boundary of them recognisable
 * from outside: see invariants.ts. Nothing here knows syncline.
 */

export interface WorkloadShape {
  /** 1: about 30,000 rows in 12 MB before anything runs. */
  readonly scale: number;
  readonly writers: number;
  /** Of the table with large values: `key` leaves them out of what the log says of an update. */
  readonly toastIdentity: 'key' | 'full';
}

export interface WorkloadTable {
  /** As SQL names it. */
  readonly name: string;
  /**
   * Whether `lab.tally` says how many rows it has and what their hashes sum up to. `atEnd`: partitions join it, so that it
   * may lag behind the other tables for as long as they are loaded.
   */
  readonly tallied: 'always' | 'atEnd' | 'never';
}

export const oddTable = 'lab."odd ""ones"".x"';

export const workloadTables: readonly WorkloadTable[] = [
  { name: 'lab.branch', tallied: 'never' },
  { name: 'lab.teller', tallied: 'never' },
  { name: 'lab.account', tallied: 'never' },
  { name: 'lab.history', tallied: 'always' },
  { name: 'lab.counter_a', tallied: 'never' },
  { name: 'lab.counter_b', tallied: 'never' },
  { name: 'lab.ticket', tallied: 'never' },
  { name: 'lab.clock', tallied: 'never' },
  { name: 'lab.tick', tallied: 'never' },
  { name: 'lab.tally', tallied: 'never' },
  { name: 'lab.event', tallied: 'always' },
  { name: 'lab.growing', tallied: 'atEnd' },
  { name: 'lab.toast', tallied: 'always' },
  { name: 'lab.keyless', tallied: 'always' },
  { name: 'lab.seat', tallied: 'always' },
  { name: 'lab.booking', tallied: 'always' },
  { name: 'lab.word', tallied: 'always' },
  { name: 'lab.parent', tallied: 'always' },
  { name: 'lab.child', tallied: 'always' },
  { name: oddTable, tallied: 'always' },
];

/** Leaves that may be emptied by themselves. */
export const eventLeaves = [
  'lab.event_0',
  'lab.event_1',
  'lab.event_2',
  'lab.event_3a',
  'lab.event_3b',
  'lab.event_other',
] as const;

export const accounts = 3_000;
export const seats = 600;
export const parents = 800;

/** Partitions of `lab.growing` that are there from the beginning: slots 0, 1 and 2. */
export const firstSlots = 3;

const types = `
CREATE SCHEMA lab;
CREATE TYPE lab.mood AS ENUM ('sad', 'it''s ok', 'Very, "happy"');
CREATE TYPE lab.spot AS (x int, y float8, note text);
CREATE DOMAIN lab.positive AS numeric(10,2) CHECK (VALUE > 0);`;

/** Each writer's own numbers, the order of commits, and accounts as in TPC-B. */
const books = `
CREATE TABLE lab.branch (id int PRIMARY KEY, balance bigint NOT NULL, filler text);
CREATE TABLE lab.teller (id int PRIMARY KEY, branch int NOT NULL, balance bigint NOT NULL, filler text);
CREATE TABLE lab.account (id int PRIMARY KEY, branch int NOT NULL, balance bigint NOT NULL, filler text);
CREATE TABLE lab.history (tag text NOT NULL, branch int NOT NULL, teller int NOT NULL, account int NOT NULL, delta int NOT NULL, at timestamptz);
ALTER TABLE lab.history REPLICA IDENTITY FULL;
CREATE TABLE lab.counter_a (writer int PRIMARY KEY, n int NOT NULL);
CREATE TABLE lab.counter_b (writer int PRIMARY KEY, n int NOT NULL);
CREATE TABLE lab.ticket (writer int, seq int, note text, PRIMARY KEY (writer, seq));
CREATE TABLE lab.clock (id int PRIMARY KEY, n int NOT NULL);
CREATE TABLE lab.tick (n int PRIMARY KEY, writer int NOT NULL);
CREATE TABLE lab.tally (writer int, name text, rows bigint NOT NULL, hash numeric NOT NULL, PRIMARY KEY (writer, name));`;

const partitioned = `
CREATE TABLE lab.event (id bigint, day int, kind text NOT NULL, qty numeric, payload text, at timestamptz, PRIMARY KEY (id, day))
  PARTITION BY RANGE (day);
CREATE TABLE lab.event_0 PARTITION OF lab.event FOR VALUES FROM (0) TO (10);
CREATE TABLE lab.event_1 PARTITION OF lab.event FOR VALUES FROM (10) TO (20);
CREATE TABLE lab.event_2 PARTITION OF lab.event FOR VALUES FROM (20) TO (30);
CREATE TABLE lab.event_3 PARTITION OF lab.event FOR VALUES FROM (30) TO (40) PARTITION BY HASH (id);
CREATE TABLE lab.event_3a PARTITION OF lab.event_3 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE lab.event_3b PARTITION OF lab.event_3 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE lab.event_other PARTITION OF lab.event DEFAULT;
CREATE INDEX event_at ON lab.event (at);
CREATE TABLE lab.growing (slot int, id int, note text, PRIMARY KEY (slot, id)) PARTITION BY RANGE (slot);
${Array.from({ length: firstSlots }, (_, slot) => partitionOf(slot)).join('\n')}`;

function plain(shape: WorkloadShape): string {
  return `
CREATE TABLE lab.toast (id bigint PRIMARY KEY, small int, big text, bytes bytea, note text);
ALTER TABLE lab.toast ALTER big SET STORAGE EXTERNAL, REPLICA IDENTITY ${shape.toastIdentity === 'full' ? 'FULL' : 'DEFAULT'};
CREATE TABLE lab.keyless (a int, b text, c numeric, d float8);
ALTER TABLE lab.keyless REPLICA IDENTITY FULL;
CREATE TABLE lab.seat (id int PRIMARY KEY, place int NOT NULL UNIQUE, line int NOT NULL, who text, UNIQUE (line) DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE lab.booking (id int PRIMARY KEY, during int4range NOT NULL, who text, EXCLUDE USING gist (during WITH &&));
CREATE TABLE lab.word (lang text, word text, n int NOT NULL, note text, PRIMARY KEY (lang, word));
CREATE TABLE lab.parent (id int PRIMARY KEY, note text);
CREATE TABLE lab.child (id int PRIMARY KEY, parent int NOT NULL REFERENCES lab.parent ON DELETE CASCADE ON UPDATE CASCADE, n int);
CREATE TABLE ${oddTable} ("Sel""ect" bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, m lab.mood, ma lab.mood[], r int4range, nm nummultirange,
  j jsonb, n numeric, f float8, ts timestamp, tz timestamptz, iv interval, by bytea, p lab.spot, pa lab.spot[], d lab.positive,
  twice numeric GENERATED ALWAYS AS (n * 2) STORED, c6 char(6), b bit(3), ip inet, u uuid, js json, "a.b" text[], mo money, cc "char");`;
}

/** The same tables on either side; without the functions that keep the tally. */
export function definitionOf(shape: WorkloadShape): string {
  return [types, books, partitioned, plain(shape)].join('\n');
}

/** For a target whose tables the job makes. */
export const definitionOfTypes = types;

export function partitionOf(slot: number): string {
  return `CREATE TABLE lab.growing_${slot} PARTITION OF lab.growing FOR VALUES FROM (${slot}) TO (${slot + 1});`;
}

/** Text of `bytes` characters that cannot be made smaller; the same for the same tag. */
export function noise(tag: string, bytes: number): string {
  return `(SELECT string_agg(md5(${tag} || '/' || noise_i), '') FROM generate_series(1, ${Math.ceil(bytes / 32)}) AS noise_i)`;
}

/** Rows before the workload; on the source, with the tally running. */
export function contentOf({ scale, writers }: WorkloadShape): string {
  const many = (rows: number): string => `generate_series(1, ${Math.ceil(rows * scale)}) AS i`;
  return `
SET lab.writer = 0;
INSERT INTO lab.branch SELECT i, 0, repeat('b', 80) FROM generate_series(1, 3) AS i;
INSERT INTO lab.teller SELECT i, 1 + i % 3, 0, repeat('t', 80) FROM generate_series(1, 30) AS i;
INSERT INTO lab.account SELECT i, 1 + i % 3, 0, repeat('a', 80) FROM generate_series(1, ${accounts}) AS i;
INSERT INTO lab.counter_a SELECT i, 0 FROM generate_series(1, ${writers}) AS i;
INSERT INTO lab.counter_b SELECT i, 0 FROM generate_series(1, ${writers}) AS i;
INSERT INTO lab.clock VALUES (1, 0);
INSERT INTO lab.event SELECT i, i % 50, 'old', i / 7.0, CASE WHEN i % 40 = 0 THEN ${noise('i', 3_000)} WHEN i % 3 = 0 THEN md5(i::text) END,
  timestamptz '2026-01-01' + i * interval '1 s' FROM ${many(15_000)};
INSERT INTO lab.growing SELECT i % ${firstSlots}, i, md5(i::text) FROM ${many(3_000)};
INSERT INTO lab.toast SELECT i, 0, ${noise(`'t' || i`, 11_000)}, CASE WHEN i % 2 = 0 THEN convert_to(${noise(`'y' || i`, 4_000)}, 'UTF8') END, 'old' FROM ${many(300)};
INSERT INTO lab.keyless SELECT i % 20, CASE WHEN i % 3 > 0 THEN 'same' END, CASE i % 4 WHEN 0 THEN 'NaN' WHEN 1 THEN 1.0 WHEN 2 THEN 1.00 END, CASE i % 5 WHEN 0 THEN '-0' WHEN 1 THEN 0 END FROM ${many(400)};
INSERT INTO lab.seat SELECT i, i * 10, i, 'nobody' FROM generate_series(1, ${seats}) AS i;
INSERT INTO lab.booking SELECT i, int4range(i * 10, i * 10 + 10), 'nobody' FROM generate_series(1, ${seats}) AS i;
INSERT INTO lab.word SELECT (ARRAY['de', 'en', '', 'žł', 'EN '])[1 + i % 5], 'w' || i, i, md5(i::text) FROM ${many(3_000)};
INSERT INTO lab.parent SELECT i, 'old' FROM generate_series(1, ${parents}) AS i;
INSERT INTO lab.child SELECT i, 1 + i % ${parents}, 0 FROM ${many(2_000)};
INSERT INTO ${oddTable} (${oddColumns}) SELECT i, ${oddValues('i')} FROM ${many(400)};
SELECT setval(pg_get_serial_sequence('${oddTable}', 'Sel"ect'), 1000000);
ANALYZE;`;
}

export const oddColumns =
  '"Sel""ect", m, ma, r, nm, j, n, f, ts, tz, iv, by, p, pa, d, c6, b, ip, u, js, "a.b", mo, cc';

/** A row of many kinds of values, by a number; NULLs and extremes among them. */
export function oddValues(i: string): string {
  const one = (...choices: string[]): string =>
    `(ARRAY[${choices.join(', ')}])[1 + abs(${i}) % ${choices.length}]`;
  return [
    one(`'sad'`, `'it''s ok'`, `'Very, "happy"'`, 'NULL') + '::lab.mood',
    one(`'{}'`, `'{sad,NULL}'`, `'{"Very, \\"happy\\""}'`) + '::lab.mood[]',
    one(`'empty'`, `'[1,10)'`, `'(,5]'`, `'(,)'`, 'NULL') + '::int4range',
    one(`'{}'`, `'{[1.0,2.00),(3,)}'`, 'NULL') + '::nummultirange',
    one(`'{"a": 1.00, "b": [null, 1e2]}'`, `'"é"'`, `'null'`, 'NULL') + '::jsonb',
    one(`'NaN'`, `'1.0'`, `'1.00'`, `'-Infinity'`, `'1e-40'`, `'123456789012345678901234567890.5'`) +
      '::numeric',
    one(`'NaN'`, `'-0'`, `'0'`, `'5e-324'`, `'0.1'`, 'NULL') + '::float8',
    one(`'infinity'`, `'-infinity'`, `'0044-03-15 12:00 BC'`, `'2024-02-29 23:59:59.999999'`) + '::timestamp',
    one(`'-infinity'`, `'infinity'`, `'2038-01-19 03:14:07.5+02'`, 'NULL') + '::timestamptz',
    one(`'1 mon'`, `'30 days'`, `'720:00:00'`, `'-1 year +2 mons -3 days +04:05:06.000007'`) + '::interval',
    one(`'\\x'`, `'\\x00ff5c4e'`, `'\\x5c'`, 'NULL') + '::bytea',
    one(`'(1,2.5,"a,b")'`, `'(,,)'`, `'(0,NaN,"")'`, 'NULL') + '::lab.spot',
    one(`'{}'`, `'{"(1,-0,x)",NULL}'`, 'NULL') + '::lab.spot[]',
    one('0.01', '99999999.99', 'NULL') + '::lab.positive',
    one(`''`, `'ab  c'`, `'abc'`) + '::char(6)',
    one(`B'000'`, `B'101'`, 'NULL') + '::bit(3)',
    one(`'::1'`, `'192.168.1.1/24'`, `'10.0.0.1'`) + '::inet',
    `md5(${i}::text)::uuid`,
    one(`'{"a" : 1,  "a":2}'`, `'[1,2 , 3]'`, 'NULL') + '::json',
    one(`'{NULL,"NULL","",","}'`, `'[0:1]={a,b}'`, 'NULL') + '::text[]',
    one(`'0.01'`, `'-92233720368547758.08'`, 'NULL') + '::money',
    one(`'a'`, `''`, `' '`) + '::"char"',
  ].join(', ');
}
