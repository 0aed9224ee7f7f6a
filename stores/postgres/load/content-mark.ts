import { createHash } from 'node:crypto';
import type { OpenReading } from '../../spi/chunk-source.ts';
import type { ContentMark, EarlierLoad, SnapshotMark } from '../../spi/rows.ts';
import type { Session } from '../connection.ts';
import { rowsOfUnit } from './reading-statements.ts';
import { parseSnapshot, seesAllOf, writtenSince } from './snapshots.ts';

/**
 * Whether the rows of a unit are still those that an earlier load has read, proven without reading a value.
 *
 * S1 is the snapshot of the earlier load, S2 our own. Row versions are immutable, and S2 sees every transaction that S1
 * sees. Take a version visible in S2 that a transaction older than S1's xmin has written: that transaction was over in
 * S1, so S1 saw it written; had S1 seen it deleted, S2 would too. So S1 saw the version. If S2 sees no version but such
 * ones, its set is a part of S1's, and if it has as many rows, the whole of it. Subtransactions have higher ids than
 * their parents, so one whose id is below xmin is over with its parent.
 *
 * xmin of a row has 32 bits, and freezing leaves them as they are (since 9.4; before, they became 2). A version that S2
 * sees and that was written since S1 has its id in [xmin of S1, xmax of S2), which is narrower than 2^31, so its 32 bits
 * always meet the condition. The bits of a version from another age, frozen or not, may meet it too: then the unit is
 * found changed without being so, never the other way round.
 *
 * What changes rows without writing a version is pinned in the mark:
 * - another table or other storage under the name (DROP, exchange of partitions, TRUNCATE, rewrites): oid, relfilenode.
 *   TRUNCATE in place only happens to storage that its own transaction has made.
 * - the columns: attnum (a column dropped and added again has another), type, collation, missing value. Types down to
 *   their parts: labels of enums, attributes of composites, functions, each with the xmin of its row in the catalogue,
 *   so that renaming there and back is seen too. Text of `reg*` and aclitem names other objects: never proven.
 * - the condition: window and range are pinned and compare columns of the table with constants, whose order only a new
 *   version of a collation changes, so that is pinned too. A user's `where` may call anything: never proven. Neither is
 *   a window on a virtual generated column, whose expression can be replaced.
 * - the server's history: system identifier, timeline, database; and since a crash takes transactions back that were
 *   visible but not yet flushed (synchronous_commit = off), and gives their ids away again, the moment at which the
 *   server's statistics began: every recovery from a crash begins new ones (pg_upgrade gives a new system identifier).
 * What remains: files of a cleanly stopped server that are put back to an earlier state by other means than recovery.
 */
const pinsStatement = `
WITH RECURSIVE leaf AS (
  SELECT c.* FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2
), columns AS (
  SELECT a.* FROM leaf JOIN pg_attribute a ON a.attrelid = leaf.oid
   WHERE a.attname = ANY ($3::text[]) AND a.attnum > 0 AND NOT a.attisdropped
), parts(oid) AS (
  SELECT atttypid FROM columns
  UNION
  SELECT inner_type.oid FROM parts p JOIN pg_type t ON t.oid = p.oid
    CROSS JOIN LATERAL (
      SELECT t.typbasetype AS oid WHERE t.typtype = 'd'
      UNION ALL SELECT t.typelem WHERE t.typelem <> 0
      UNION ALL SELECT f.atttypid FROM pg_attribute f
                 WHERE t.typtype = 'c' AND f.attrelid = t.typrelid AND f.attnum > 0 AND NOT f.attisdropped
      UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)
    ) inner_type
), types AS (
  SELECT t.oid, json_build_array(t.oid, t.xmin, t.typtype, t.typname,
      (SELECT json_agg(json_build_array(p.oid, p.xmin) ORDER BY p.oid) FROM pg_proc p WHERE p.oid IN (t.typoutput, t.typsend)),
      (SELECT json_agg(json_build_array(e.oid, e.xmin, e.enumlabel) ORDER BY e.oid) FROM pg_enum e WHERE e.enumtypid = t.oid),
      (SELECT json_agg(json_build_array(f.attnum, f.xmin, f.attname, f.atttypid, f.atttypmod, f.attisdropped) ORDER BY f.attnum)
         FROM pg_attribute f WHERE t.typtype = 'c' AND f.attrelid = t.typrelid AND f.attnum > 0)) AS pin,
    t.typnamespace = 'pg_catalog'::regnamespace AND (t.typname ~ '^_?reg' OR t.typname ~ '^_?aclitem$') AS by_name
    FROM parts JOIN pg_type t ON t.oid = parts.oid
)
SELECT json_build_array((SELECT oid FROM pg_database WHERE datname = current_database()), leaf.oid,
    pg_relation_filenode(leaf.oid), leaf.relispartition, pg_get_expr(leaf.relpartbound, leaf.oid),
    (SELECT stats_reset FROM pg_stat_bgwriter))::text AS relation,
  md5(json_build_array(
    (SELECT json_agg(json_build_array(c.attnum, c.attname, format_type(c.atttypid, c.atttypmod), c.atttypid, c.attcollation,
         CASE WHEN c.attcollation <> 0 THEN pg_collation_actual_version(c.attcollation) END, c.attgenerated, c.atthasmissing,
         md5(c.attmissingval::text), CASE WHEN c.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END)
         ORDER BY c.attnum)
       FROM columns c LEFT JOIN pg_attrdef d ON d.adrelid = c.attrelid AND d.adnum = c.attnum),
    (SELECT json_agg(pin ORDER BY oid) FROM types),
    (SELECT max(pg_collation_actual_version(oid)) FROM pg_collation WHERE collprovider = 'c' AND collcollate NOT IN ('C', 'POSIX')),
    (SELECT max(pg_collation_actual_version(oid)) FROM pg_collation WHERE collname = 'und-x-icu'))::text) AS columns,
  (SELECT count(*)::int FROM columns) AS found,
  leaf.relkind = 'r' AND (SELECT amname = 'heap' FROM pg_am WHERE pg_am.oid = leaf.relam)
    AND NOT EXISTS (SELECT FROM types WHERE by_name)
    AND NOT EXISTS (SELECT FROM columns WHERE attgenerated NOT IN ('', 's')) AS provable,
  pg_is_in_recovery() AS recovering
FROM leaf`;

interface PinsRow {
  readonly relation: string;
  readonly columns: string;
  readonly found: number;
  readonly provable: boolean;
  readonly recovering: boolean;
}

export interface Content {
  readonly mark: ContentMark;
  readonly recovering: boolean;
}

/** Under the snapshot of the unit. Null where no later load could prove anything. */
export async function readContent(
  session: Session,
  { plan, unit }: OpenReading,
  mark: SnapshotMark,
): Promise<Content | null> {
  if (plan.where !== null) return null;
  const used = [...plan.columns, ...(plan.window === null ? [] : [plan.window.column])];
  const names = [...new Set([...used, ...(unit.range?.columns ?? [])])];
  const { schema, name } = unit.sourceLeaf;
  const [pins] = await session.query<PinsRow>(pinsStatement, [schema, name, names]);
  if (pins?.provable !== true || pins.found !== names.length) return null;
  const asked = JSON.stringify([pins.columns, plan.columns, plan.format, plan.window, unit.range]);
  return {
    recovering: pins.recovering,
    mark: {
      relation: pins.relation,
      columns: createHash('sha256').update(asked).digest('hex'),
      snapshot: mark.snapshot,
      systemId: mark.systemId,
      timeline: mark.timeline,
    },
  };
}

/** See above. False also when it cannot be proven. */
export async function isUnchangedSince(
  session: Session,
  request: OpenReading,
  { now, earlier }: { readonly now: Content; readonly earlier: EarlierLoad },
): Promise<boolean> {
  const pinned = ['relation', 'columns', 'systemId', 'timeline'] as const;
  if (pinned.some((pin) => now.mark[pin] !== earlier.content[pin])) return false;
  const [ours, theirs] = [parseSnapshot(now.mark.snapshot), parseSnapshot(earlier.content.snapshot)];
  if (ours === null || theirs === null || !seesAllOf(ours, theirs, !now.recovering)) return false;
  const written = writtenSince(ours, theirs);
  if (written === null) return false;
  const [found] = await session.query<{ rows: string; written: string }>(
    `SELECT count(*) AS rows, count(*) FILTER (WHERE ${written}) AS written FROM ${rowsOfUnit(request)}`,
  );
  return found?.written === '0' && Number(found.rows) === earlier.rows;
}
