import type { TestDatabase } from '../../../support/postgres.ts';

/** Everything that the catalogue says of a table, without OIDs: equal before and after an exchange. */
export async function catalogueOf(database: TestDatabase, table: string): Promise<unknown> {
  const [row] = await database.query(
    `SELECT json_build_object(
      'table', (SELECT json_build_object('owner', relowner::regrole, 'acl', (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(relacl) a),
          'rls', relrowsecurity, 'force', relforcerowsecurity, 'identity', relreplident, 'options', reloptions, 'persistence', relpersistence,
          'tablespace', (SELECT spcname FROM pg_tablespace s WHERE s.oid = reltablespace), 'bound', pg_get_expr(relpartbound, oid), 'comment', obj_description(oid, 'pg_class'),
          'parent', (SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = c.oid),
          'toast', (SELECT reloptions FROM pg_class t WHERE t.oid = c.reltoastrelid)) FROM pg_class c WHERE oid = $1::regclass),
      'columns', (SELECT json_agg(json_build_object('name', attname, 'type', format_type(atttypid, atttypmod), 'notNull', attnotnull, 'storage', attstorage,
          'compression', attcompression, 'identity', attidentity, 'generated', attgenerated, 'acl', (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(attacl) a),
          'options', attoptions, 'statistics', nullif(attstattarget, -1), 'collation', attcollation::regcollation::text, 'comment', col_description(attrelid, attnum),
          'default', (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef d WHERE adrelid = attrelid AND adnum = attnum)) ORDER BY attnum)
        FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped),
      'constraints', (SELECT json_agg(json_build_object('name', conname, 'definition', pg_get_constraintdef(oid), 'local', conislocal, 'inherited', coninhcount,
          'validated', convalidated, 'comment', obj_description(oid, 'pg_constraint'), 'parent', conparentid <> 0) ORDER BY conname) FROM pg_constraint WHERE conrelid = $1::regclass),
      'indexes', (SELECT json_agg(json_build_object('definition', pg_get_indexdef(indexrelid), 'clustered', indisclustered, 'identity', indisreplident, 'valid', indisvalid,
          'comment', obj_description(indexrelid, 'pg_class'), 'options', ic.reloptions, 'tablespace', (SELECT spcname FROM pg_tablespace s WHERE s.oid = ic.reltablespace),
          'parent', (SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = indexrelid)) ORDER BY ic.relname)
        FROM pg_index JOIN pg_class ic ON ic.oid = indexrelid WHERE indrelid = $1::regclass),
      'triggers', (SELECT json_agg(json_build_object('definition', pg_get_triggerdef(oid), 'enabled', tgenabled) ORDER BY tgname) FROM pg_trigger WHERE tgrelid = $1::regclass AND NOT tgisinternal),
      'policies', (SELECT json_agg(json_build_object('name', polname, 'for', polcmd, 'permissive', polpermissive, 'roles', polroles::regrole[]::text[],
          'using', pg_get_expr(polqual, polrelid), 'check', pg_get_expr(polwithcheck, polrelid)) ORDER BY polname) FROM pg_policy WHERE polrelid = $1::regclass),
      'statistics', (SELECT json_agg(pg_get_statisticsobjdef(oid) ORDER BY stxname) FROM pg_statistic_ext WHERE stxrelid = $1::regclass),
      'sequences', (SELECT json_agg(json_build_object('name', objid::regclass::text, 'kind', deptype, 'column', refobjsubid) ORDER BY objid::regclass::text) FROM pg_depend
         WHERE refobjid = $1::regclass AND refclassid = 'pg_class'::regclass AND classid = 'pg_class'::regclass AND deptype IN ('a', 'i')
           AND (SELECT relkind FROM pg_class WHERE oid = objid) = 'S')) AS all`,
    [table],
  );
  return row?.['all'];
}

/** Two tables, a plain one and a partition, with one of everything that can hang on them. */
export function dressed(role: string): string {
  return `
CREATE TABLE referenced (id int PRIMARY KEY); INSERT INTO referenced VALUES (1), (2);
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE SEQUENCE loose;
CREATE TABLE plain (id int GENERATED ALWAYS AS IDENTITY (START 7 INCREMENT 3), s serial, a int DEFAULT nextval('loose'), ref int,
  t text COLLATE "C" NOT NULL, g int GENERATED ALWAYS AS (a + 1) STORED, r int4range, big text COMPRESSION pglz,
  CONSTRAINT "Plain pk" PRIMARY KEY (id) WITH (fillfactor = 71), CONSTRAINT plain_u UNIQUE (a) INCLUDE (t) DEFERRABLE INITIALLY DEFERRED, CONSTRAINT positive CHECK (a > 0),
  CONSTRAINT apart EXCLUDE USING gist (r WITH &&), CONSTRAINT plain_ref FOREIGN KEY (ref) REFERENCES referenced ON DELETE SET NULL)
  WITH (fillfactor = 77, autovacuum_enabled = false, toast.autovacuum_enabled = false);
CREATE INDEX "expr USING x" ON plain (lower(t), a DESC NULLS LAST) INCLUDE (ref) WHERE a > 3;
CREATE INDEX plain_gin ON plain USING gin (to_tsvector('simple', t)) WITH (fastupdate = off);
CREATE UNIQUE INDEX plain_identity ON plain (s); ALTER TABLE plain ALTER s SET NOT NULL;
ALTER TABLE plain REPLICA IDENTITY USING INDEX plain_identity; CREATE INDEX plain_clu ON plain (ref); ALTER TABLE plain CLUSTER ON plain_clu;
ALTER TABLE plain ALTER a SET STATISTICS 77, ALTER a SET (n_distinct = 5), ALTER t SET STORAGE EXTERNAL;
CREATE STATISTICS plain_stats (ndistinct) ON a, ref FROM plain;
CREATE TRIGGER t_on AFTER INSERT ON plain FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE TRIGGER t_off BEFORE UPDATE OF a ON plain FOR EACH ROW WHEN (new.a > 1) EXECUTE FUNCTION nothing();
CREATE TRIGGER t_always AFTER TRUNCATE ON plain EXECUTE FUNCTION nothing();
ALTER TABLE plain DISABLE TRIGGER t_off, ENABLE REPLICA TRIGGER t_always;
ALTER TABLE plain ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY p1 ON plain FOR SELECT TO ${role}, public USING (a > 0);
CREATE POLICY p2 ON plain AS RESTRICTIVE FOR INSERT WITH CHECK (a < 100);
COMMENT ON TABLE plain IS 'it''s plain'; COMMENT ON COLUMN plain.a IS 'a col'; COMMENT ON INDEX plain_gin IS 'gin';
COMMENT ON CONSTRAINT positive ON plain IS 'pos'; COMMENT ON CONSTRAINT plain_u ON plain IS 'uniq';
GRANT SELECT, INSERT ON plain TO ${role} WITH GRANT OPTION; GRANT TRUNCATE ON plain TO public; GRANT UPDATE (a, t) ON plain TO ${role};
ALTER TABLE plain OWNER TO ${role}_owner;
INSERT INTO plain (a, t) VALUES (5, 'x'), (6, 'y');

CREATE TABLE parted (id int, a int, t text, ref int REFERENCES referenced, CONSTRAINT parted_pk PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE INDEX parted_a ON parted (a); ALTER TABLE parted ADD CONSTRAINT parent_check CHECK (a < 1000);
CREATE TRIGGER from_parent AFTER INSERT ON parted FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE TABLE "Leaf.1" PARTITION OF parted (CONSTRAINT own_check CHECK (a > 0)) FOR VALUES FROM (1) TO (100) WITH (fillfactor = 80);
CREATE TABLE leaf_2 PARTITION OF parted FOR VALUES FROM (100) TO (200);
CREATE TABLE leaf_rest PARTITION OF parted DEFAULT;
CREATE INDEX leaf_own ON "Leaf.1" (t) WHERE t <> 'x'; ALTER TABLE "Leaf.1" REPLICA IDENTITY FULL;
ALTER TABLE "Leaf.1" DISABLE TRIGGER from_parent; ALTER TABLE "Leaf.1" ADD FOREIGN KEY (a) REFERENCES referenced NOT VALID;
GRANT SELECT ON "Leaf.1" TO ${role}; COMMENT ON TABLE "Leaf.1" IS 'leaf';
INSERT INTO parted VALUES (1, 1, 'x', 1), (150, 2, 'y', NULL), (500, 3, 'z', 2);
`;
}
