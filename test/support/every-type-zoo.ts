/**
 * Tables with every kind of column and value that a server has, in schema `zoo`; hstore and citext must be there.
 * Values are chosen where formats, hashes or comparisons are known to lose something.
 */
export function everyTypeZoo(version: 18 | 15): string {
  return [types, numbers, times, texts, structures, networks, identities, oddities, partitioned]
    .concat(version === 18 ? [virtual] : [])
    .join('\n');
}

const types = `
CREATE SCHEMA zoo;
CREATE TYPE zoo.mood AS ENUM ('sad', 'it''s ok', 'Very, "happy"');
CREATE TYPE zoo.point3 AS (x int, y float8, note text);
CREATE TYPE zoo.nested AS (p zoo.point3, moods zoo.mood[], inner_points zoo.point3[]);
CREATE DOMAIN zoo.positive AS numeric(10,2) CHECK (VALUE > 0);
CREATE DOMAIN zoo.moods AS zoo.mood[] CHECK (cardinality(VALUE) < 5);
CREATE TYPE zoo.floats AS RANGE (subtype = float8, subtype_diff = float8mi);
`;

const numbers = `
CREATE TABLE zoo.numbers (id int PRIMARY KEY, i2 smallint, i4 int, i8 bigint, n numeric, n2 numeric(12,4), n3 numeric(3,-2),
  f4 real, f8 float8, m money, o oid, b bool, d zoo.positive, x xid, x8 xid8, c cid, t tid);
INSERT INTO zoo.numbers VALUES
 (1, -32768, -2147483648, -9223372036854775808, 'NaN', 1.0, 12345, 'NaN', 'NaN', '-92233720368547758.08', 4294967295, true, 0.01, '7', '9', '3', '(1,2)'),
 (2, 32767, 2147483647, 9223372036854775807, 'Infinity', 1.00, -12300, 'Infinity', '-Infinity', '0.01', 0, false, 99999999.99, '4294967295', '18446744073709551615', '0', '(0,0)'),
 (3, 0, 0, -1, '-Infinity', 0, 0, '-0', '-0', '0', 1, NULL, 1.5, NULL, NULL, NULL, NULL),
 (4, 1, 1, 4294967295, 1.0, 1.5, 100, 1e-45, 5e-324, '1.23', 42, true, 3, NULL, NULL, NULL, NULL),
 (5, 2, 2, 4294967296, 1.00, -1.5, 200, 3.4028235e38, 1.7976931348623157e308, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
 (6, NULL, NULL, NULL, 1e-1000, NULL, NULL, 0.1, 0.1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
 (7, NULL, NULL, NULL, 123456789012345678901234567890.123456789012345678901234567890e300, NULL, NULL, NULL, 0.30000000000000004, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
 (8, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
`;

const times = `
CREATE TABLE zoo.times (id int PRIMARY KEY, d date, t time, tz timetz, ts timestamp, tstz timestamptz, ts0 timestamp(0), i interval, ih interval day to second(3));
INSERT INTO zoo.times VALUES
 (1, '4713-01-01 BC', '00:00', '24:00:00-15:59', '4713-01-01 00:00 BC', '0044-03-15 12:00 BC +00', '2020-01-01', '1 mon', '1 day'),
 (2, 'infinity', '24:00', '12:00+05:30', 'infinity', '-infinity', 'infinity', '30 days', '1 day 02:03:04.567'),
 (3, '-infinity', '23:59:59.999999', '12:00:00.000001-08', '-infinity', '294276-12-31 23:59:59.999999+00', '-infinity', '720:00:00', NULL),
 (4, '5874897-12-31', '01:02:03.4', '00:00+00', '2024-02-29 23:59:59.999999', '2038-01-19 03:14:07.5+02', '1969-12-31 23:59:59', '-1 year +2 mons -3 days +04:05:06.000007', NULL),
 (5, NULL, NULL, NULL, NULL, NULL, NULL, '178000000 years', NULL), (6, NULL, NULL, NULL, NULL, NULL, NULL, '1 day -00:00:01', NULL);
`;

const texts = `
CREATE TABLE zoo.texts (id int PRIMARY KEY, t text, v varchar(20), c char(6), c1 "char", n name, by bytea, j json, jb jsonb, jp jsonpath, x xml,
  ci public.citext, h public.hstore, coll text COLLATE "C", b3 bit(3), vb varbit(9), u uuid, tv tsvector, tq tsquery);
INSERT INTO zoo.texts VALUES
 (1, '', '', '', '', '', '', '{}', '{}', '$', '<a/>', '', '', '', B'000', B'', '00000000-0000-0000-0000-000000000000', '', ''),
 (2, E'tab\\there\\nline\\r\\\\N \\\\. "q" ''s''', E'\\\\.', 'a', 'a', 'A Name', '\\x00ff5c4e', '{"a" : 1.0,  "a":2}', '{"a":1.00,"b":[null,1e2]}', '$.a[*] ? (@ > 1)', '<r>&amp;<!-- c --></r>', 'Hello', 'a=>1,"b c"=>NULL', E'\\\\N', B'101', B'10101', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', $$'a b':1A,3 'it''s':2$$, $$'a' & !'b' | 'c':*$$),
 (3, 'žluťoučký 漢字 🐘 ' || U&'\\FEFF', 'end  ', 'abc   ', NULL, NULL, decode(repeat('00', 5000), 'hex'), '[1,2 , 3]', '"\\u00e9"', NULL, NULL, 'HELLO', NULL, 'É', NULL, NULL, NULL, NULL, NULL),
 (4, repeat('long ', 20000), NULL, 'ab  c ', ' ', NULL, sha256('x'), 'null', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
 (5, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
`;

const structures = `
CREATE TABLE zoo.structures (id int PRIMARY KEY, ia int[], ta text[], m zoo.mood, ma zoo.mood[], md zoo.moods, p zoo.point3, pa zoo.point3[], n zoo.nested,
  ir int4range, nr numrange, tr tstzrange, fr zoo.floats, im int4multirange, tm tsmultirange, ba bytea[], ja jsonb[], na numeric[], da zoo.positive[], fa float8[]);
INSERT INTO zoo.structures VALUES
 (1, '{}', '{}', 'sad', '{}', '{}', '(1,2.5,"a,b")', '{}', NULL, 'empty', '[1.0,2.00)', '[2020-01-01 00:00+00,)', '[-0,1)', '{}', '{}', '{}', '{}', '{}', '{}', '{-0,0,NaN}'),
 (2, '{{1,2},{NULL,4}}', '{NULL,"NULL","",",","\\"","\\\\\\\\"}', 'Very, "happy"', '{sad,NULL,"Very, \\"happy\\""}', '{"it''s ok"}', '(,,)',
  ARRAY[ROW(1,'NaN',NULL)::zoo.point3, NULL], ROW(ROW(1,-0.0::float8,'x'), '{sad}', ARRAY[ROW(NULL,NULL,'é')::zoo.point3])::zoo.nested,
  '[1,10)', '(,)', NULL, '(,0]', '{[1,3),[5,7)}', '{[2020-01-01,2020-01-02)}', ARRAY['\\x00'::bytea, NULL], ARRAY['{"a":1.0}'::jsonb], '{1.0,1.00,NaN}', '{1.50}', '{1e-300}'),
 (3, '[0:2]={1,2,3}', '[-1:0][5:6]={{a,b},{c,NULL}}', 'it''s ok', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
`;

const networks = `
CREATE TABLE zoo.networks (id int PRIMARY KEY, i inet, c cidr, m macaddr, m8 macaddr8, p point, l line, s lseg, b box, pa path, po polygon, ci circle, lsn pg_lsn,
  sn pg_snapshot, rc regclass, rt regtype, rp regprocedure, ro regrole, rn regnamespace);
INSERT INTO zoo.networks VALUES
 (1, '192.168.1.1/24', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', '(-0,1e300)', '{1,-1,0}', '[(0,0),(1,1)]', '(1,1),(0,0)', '[(0,0),(1,2)]', '((0,0),(1,1),(2,0))', '<(1,2),3>', '16/B374D848',
  '10:20:10,14,15', 'zoo.numbers', 'zoo.mood', 'pg_catalog.lower(text)', 'postgres', 'zoo'),
 (2, '::1', '2001:db8::/32', NULL, NULL, '(NaN,Infinity)', NULL, NULL, NULL, '((0,0),(1,2))', NULL, NULL, '0/0', NULL, 'pg_class', 'zoo.point3[]', NULL, NULL, NULL),
 (3, '10.1.2.3', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
`;

const identities = `
CREATE TABLE zoo.always (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, g int GENERATED ALWAYS AS (a * 2) STORED, s serial);
INSERT INTO zoo.always (a) SELECT i FROM generate_series(1, 50) i;
DELETE FROM zoo.always WHERE id % 7 = 0;
CREATE TABLE zoo.by_default (k text PRIMARY KEY, id bigint GENERATED BY DEFAULT AS IDENTITY);
INSERT INTO zoo.by_default VALUES ('a'), ('b'), ('c');
`;

const oddities = `
CREATE TABLE zoo."Odd ""table"".x" ("Sel""ect" int PRIMARY KEY, "a.b" text, "naïve col" int);
INSERT INTO zoo."Odd ""table"".x" VALUES (1, 'x', 2), (2, NULL, NULL);
CREATE TABLE zoo.dropped (a int, gone text, id int PRIMARY KEY, b text);
INSERT INTO zoo.dropped VALUES (1, 'g', 1, 'b'); ALTER TABLE zoo.dropped DROP gone, ADD later int DEFAULT 7;
INSERT INTO zoo.dropped VALUES (2, 2, 'c', NULL);
CREATE TABLE zoo.nulls (id int PRIMARY KEY, a int, b text); INSERT INTO zoo.nulls SELECT i FROM generate_series(1, 20) i;
CREATE TABLE zoo.empty (id int PRIMARY KEY, t text);
`;

/** No key, no upsert: these take the other modes only. */
export const keylessZoo = `CREATE SCHEMA keyless;
CREATE TABLE keyless.no_columns (); INSERT INTO keyless.no_columns DEFAULT VALUES; INSERT INTO keyless.no_columns DEFAULT VALUES;
CREATE TABLE keyless.no_columns_no_rows ();
CREATE TABLE keyless.same_rows (a int, b text); INSERT INTO keyless.same_rows SELECT 1, 'x' FROM generate_series(1, 5); INSERT INTO keyless.same_rows VALUES (NULL, NULL), (NULL, NULL);
CREATE TABLE keyless.only_generated (g int GENERATED ALWAYS AS (1 + 1) STORED);
INSERT INTO keyless.only_generated DEFAULT VALUES; INSERT INTO keyless.only_generated DEFAULT VALUES;
`;

const partitioned = `
CREATE TABLE zoo.parts (id int, at timestamptz, m zoo.mood, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE zoo.parts_1 PARTITION OF zoo.parts FOR VALUES FROM (MINVALUE) TO ('2024-01-01 00:00+00');
CREATE TABLE zoo.parts_2 PARTITION OF zoo.parts FOR VALUES FROM ('2024-01-01 00:00+00') TO (MAXVALUE) PARTITION BY HASH (id);
CREATE TABLE zoo.parts_2a PARTITION OF zoo.parts_2 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE zoo.parts_2b PARTITION OF zoo.parts_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO zoo.parts SELECT i, timestamptz '2023-12-20 00:00+00' + i * interval '1 day', 'sad' FROM generate_series(1, 100) i;
CREATE TABLE zoo.lists (m zoo.mood, id int, PRIMARY KEY (m, id)) PARTITION BY LIST (m);
CREATE TABLE zoo.lists_sad PARTITION OF zoo.lists FOR VALUES IN ('sad');
CREATE TABLE zoo.lists_rest PARTITION OF zoo.lists DEFAULT;
INSERT INTO zoo.lists SELECT (ARRAY['sad','it''s ok','Very, "happy"'])[1 + i % 3]::zoo.mood, i FROM generate_series(1, 30) i;
`;

const virtual = `
CREATE TABLE zoo.virtuals (id int PRIMARY KEY, v int GENERATED ALWAYS AS (id + 1) VIRTUAL, t text);
INSERT INTO zoo.virtuals (id, t) VALUES (1, 'x'), (2, NULL);
`;
