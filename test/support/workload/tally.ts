import { type WorkloadShape, workloadTables } from './tables.ts';

/**
 * Triggers on the source that add to `lab.tally`, in the writing transaction itself and in a row of the writer's own, how
 * the number of rows of a table and the sum of their hashes change. So at every commit boundary, and hardly anywhere
 * else, a table equals its tally.
 */

const functions = `
CREATE SCHEMA labfn;
CREATE FUNCTION labfn.add(of_table text, more_rows bigint, more_hash numeric) RETURNS void LANGUAGE sql AS $$
  UPDATE lab.tally SET rows = rows + more_rows, hash = hash + more_hash
   WHERE writer = current_setting('lab.writer')::int AND name = of_table AND (more_rows <> 0 OR more_hash <> 0) $$;

CREATE FUNCTION labfn.inserted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  PERFORM labfn.add(TG_ARGV[0], count(*), coalesce(sum(hashtextextended(t::text, 0)), 0)) FROM new_rows t;
  RETURN NULL; END $$;
CREATE FUNCTION labfn.deleted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  PERFORM labfn.add(TG_ARGV[0], -count(*), -coalesce(sum(hashtextextended(t::text, 0)), 0)) FROM old_rows t;
  RETURN NULL; END $$;
CREATE FUNCTION labfn.updated() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  PERFORM labfn.add(TG_ARGV[0], (SELECT count(*) FROM new_rows) - (SELECT count(*) FROM old_rows),
    coalesce((SELECT sum(hashtextextended(t::text, 0)) FROM new_rows t), 0) - coalesce((SELECT sum(hashtextextended(t::text, 0)) FROM old_rows t), 0));
  RETURN NULL; END $$;

-- Rows of one leaf as rows of its root, whose columns may be in another order.
CREATE FUNCTION labfn.leaf(root text, leaf oid, sign int) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
  EXECUTE format('SELECT labfn.add($1, $2 * count(*), $2 * coalesce(sum(hashtextextended(t::text, 0)), 0)) FROM %s t WHERE t.tableoid = $3', root)
    USING root, sign, leaf; END $$;
CREATE FUNCTION labfn.emptied() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  PERFORM labfn.leaf(TG_ARGV[0], TG_RELID, -1);
  RETURN NULL; END $$;
CREATE FUNCTION labfn.watch_leaf(root text, leaf regclass) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
  EXECUTE format('CREATE TRIGGER tally_emptied BEFORE TRUNCATE ON %s EXECUTE FUNCTION labfn.emptied(%L)', leaf, root); END $$;`;

/** After `definitionOf`. */
export function tallyOf({ writers }: WorkloadShape): string {
  const tallied = workloadTables.filter((table) => table.tallied !== 'never');
  return [functions, ...tallied.map(({ name }) => watch(name, writers))].join('\n');
}

function watch(table: string, writers: number): string {
  const name = `'${table}'`;
  return `
CREATE TRIGGER tally_inserted AFTER INSERT ON ${table} REFERENCING NEW TABLE AS new_rows EXECUTE FUNCTION labfn.inserted(${name});
CREATE TRIGGER tally_deleted AFTER DELETE ON ${table} REFERENCING OLD TABLE AS old_rows EXECUTE FUNCTION labfn.deleted(${name});
CREATE TRIGGER tally_updated AFTER UPDATE ON ${table} REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows EXECUTE FUNCTION labfn.updated(${name});
SELECT labfn.watch_leaf(${name}, oid::regclass) FROM pg_class
 WHERE relkind = 'r' AND oid IN (SELECT relid FROM pg_partition_tree(${name}) UNION SELECT ${name}::regclass);
INSERT INTO lab.tally SELECT i, ${name}, 0, 0 FROM generate_series(0, ${writers}) AS i;`;
}
