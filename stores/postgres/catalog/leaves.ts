import type { LeafDefinition, TableName } from '../../spi/tables.ts';
import type { Session } from '../connection.ts';

/** One relation of a tree: the root, an intermediate level, or a leaf. */
export interface Member {
  readonly oid: number;
  readonly name: TableName;
  /** `p` partitioned, `r` table, `f` foreign table. */
  readonly kind: 'p' | 'r' | 'f';
  readonly level: number;
  /** The relation directly above in this tree; null for the root. */
  readonly parent: number | null;
  /** Bound at every level below the root, as the server prints it. */
  readonly bounds: readonly string[];
  /** Partition key of the parent at the same levels, `RANGE (ts)`. */
  readonly partitionedBy: readonly string[];
  readonly bytes: number;
  readonly rows: number;
}

interface MemberRow extends Omit<Member, 'name' | 'bounds' | 'partitionedBy'> {
  readonly root: number;
  readonly schema: string;
  readonly table: string;
  readonly bound: string | null;
  readonly key: string | null;
}

/**
 * The whole tree of every root in one statement, whatever the number of leaves; parents come before their children.
 * An enum hashes by object id, so hash partitions over one are alike only where the ids are: the key text says them.
 */
const treeQuery = `
WITH RECURSIVE tree(root, parent, oid, level) AS (
  SELECT oid, NULL::oid, oid, 0 FROM unnest($1::oid[]) AS asked(oid)
  UNION
  SELECT t.root, t.oid, i.inhrelid, t.level + 1
    FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid WHERE NOT i.inhdetachpending
), deepest AS (
  SELECT DISTINCT ON (root, oid) * FROM tree ORDER BY root, oid, level DESC
)
SELECT d.root, d.parent, d.oid, d.level, n.nspname AS schema, c.relname AS table, c.relkind AS kind,
       CASE WHEN d.parent IS NOT NULL THEN pg_get_expr(c.relpartbound, c.oid) END AS bound,
       CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) || coalesce(
         (SELECT ' enum ' || string_agg(e.oid::text, ',' ORDER BY e.enumsortorder)
            FROM pg_partitioned_table p CROSS JOIN LATERAL unnest(p.partattrs) AS k(attnum)
            JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = k.attnum
            JOIN pg_enum e ON e.enumtypid = a.atttypid
           WHERE p.partrelid = c.oid AND p.partstrat = 'h'), '') END AS key,
       CASE WHEN c.relkind = 'r' THEN coalesce(pg_table_size(c.oid), 0) ELSE 0 END::float8 AS bytes,
       c.reltuples::float8 AS rows
  FROM deepest d JOIN pg_class c ON c.oid = d.oid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'f')
 ORDER BY d.root, d.level`;

/** All members of each root's tree, the root first, then in the order of their bounds, level by level. */
export async function readMembers(
  session: Session,
  roots: readonly number[],
): Promise<ReadonlyMap<number, readonly Member[]>> {
  const trees = new Map<number, Member[]>();
  const keys = new Map<number, string>();
  for (const row of await session.query<MemberRow>(treeQuery, [roots])) {
    const tree = trees.get(row.root) ?? [];
    if (row.key !== null) keys.set(row.oid, row.key);
    tree.push(toMember(row, tree, row.parent === null ? '' : (keys.get(row.parent) ?? '')));
    trees.set(row.root, tree);
  }
  for (const tree of trees.values()) tree.sort(compareMembers);
  return trees;
}

/** Members that hold rows: everything but partitioned tables. Foreign tables are reported elsewhere. */
export function leavesOf(members: readonly Member[]): LeafDefinition[] {
  return members
    .filter((member) => member.kind === 'r')
    .map(({ name, bounds, partitionedBy, bytes, rows }) => ({ name, bounds, partitionedBy, bytes, rows }));
}

const parents = new WeakMap<Member[], Map<number, Member>>();

function toMember(row: MemberRow, tree: Member[], parentKey: string): Member {
  const byOid = parents.get(tree) ?? new Map<number, Member>();
  parents.set(tree, byOid);
  const parent = row.parent === null ? undefined : byOid.get(row.parent);
  const isPartition = row.bound !== null && parent !== undefined;
  const member: Member = {
    oid: row.oid,
    name: { schema: row.schema, name: row.table },
    kind: row.kind,
    level: row.level,
    parent: row.parent,
    bounds: isPartition ? [...parent.bounds, normaliseBound(row.bound)] : [],
    partitionedBy: isPartition ? [...parent.partitionedBy, parentKey] : [],
    bytes: row.bytes,
    rows: row.rows,
  };
  byOid.set(row.oid, member);
  return member;
}

/** The values of a list bound are a set, but printed in the order of the DDL. */
export function normaliseBound(bound: string): string {
  const list = /^FOR VALUES IN \((.*)\)$/s.exec(bound)?.[1];
  if (list === undefined) return bound;
  const values = list.match(/(?:[^',]|'(?:[^']|'')*')+/g) ?? [];
  return `FOR VALUES IN (${values
    .map((value) => value.trim())
    .sort()
    .join(', ')})`;
}

const naturalOrder = new Intl.Collator('en', { numeric: true });

function compareMembers(left: Member, right: Member): number {
  const levels = Math.min(left.bounds.length, right.bounds.length);
  for (let level = 0; level < levels; level += 1) {
    const order = compareBounds(left.bounds[level] ?? '', right.bounds[level] ?? '');
    if (order !== 0) return order;
  }
  return (
    left.bounds.length - right.bounds.length ||
    left.level - right.level ||
    naturalOrder.compare(left.name.name, right.name.name) ||
    left.oid - right.oid
  );
}

/** For people: MINVALUE first, then by the numbers in the text, DEFAULT last. Hash bounds by remainder. */
function compareBounds(left: string, right: string): number {
  if (left === right) return 0;
  if (left === 'DEFAULT') return 1;
  if (right === 'DEFAULT') return -1;
  const [isFirst, isSecond] = [left, right].map((bound) => bound.includes('FROM (MINVALUE'));
  if (isFirst !== isSecond) return isFirst === true ? -1 : 1;
  return naturalOrder.compare(sortText(left), sortText(right));
}

function sortText(bound: string): string {
  return bound.replace(/modulus (\d+), remainder (\d+)/, '$2 of $1');
}
