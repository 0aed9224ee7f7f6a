import type { LinkAddress, PublishedTable } from '../../spi/log.ts';
import type { TableName } from '../../spi/tables.ts';
import type { Session } from '../connection.ts';
import { quoteIdent, quoteLiteral, quoteName } from '../identifiers.ts';

/**
 * A link has two publications from the first moment, even if one is empty: a name that is added to a slot's reading later
 * would be missing in the catalogue of the time before, which 15 answers with an error for ever. The second one
 * carries tables whose updates cannot be told apart.
 *
 * `publish_via_partition_root = false`: the log names the leaf, which is what a chunk is.
 */

interface Publication {
  readonly name: string;
  readonly publish: string;
  readonly tables: readonly TableName[];
}

const everything = 'insert, update, delete, truncate';
const insertsOnly = 'insert, truncate';

export function publicationNames({ publication }: LinkAddress): readonly [string, string] {
  return [publication, `${publication}_i`];
}

/** Makes both carry exactly these tables. Answers whether one had to be created: a slot that is older is worthless then. */
export async function ensurePublications(
  session: Session,
  address: LinkAddress,
  tables: readonly PublishedTable[],
): Promise<{ readonly created: boolean; readonly changed: boolean }> {
  const [all, inserts] = publicationNames(address);
  const wanted: readonly Publication[] = [
    { name: all, publish: everything, tables: namesOf(tables, false) },
    { name: inserts, publish: insertsOnly, tables: namesOf(tables, true) },
  ];
  let created = false;
  let changed = false;
  for (const publication of wanted) {
    const there = await carried(session, publication.name);
    if (there === null) {
      created = true;
      await session.query(createStatement(publication));
    } else if (!sameNames(there, await withDescendants(session, publication.tables))) {
      changed = true;
      await change(session, publication, there);
    }
  }
  return { created, changed };
}

/** What the publications carry, as selected; null when there is none. */
export async function readPublished(
  session: Session,
  address: LinkAddress,
): Promise<readonly PublishedTable[] | null> {
  const [all, inserts] = publicationNames(address);
  const names = await carried(session, all);
  if (names === null) return null;
  const others = (await carried(session, inserts)) ?? [];
  const asSelected = await withoutDescendants(session, [...names, ...others]);
  const isSelected = (name: TableName): boolean => asSelected.has(quoteName(name));
  return [
    ...names.filter(isSelected).map((table) => ({ table, insertsOnly: false })),
    ...others.filter(isSelected).map((table) => ({ table, insertsOnly: true })),
  ];
}

export async function dropPublications(session: Session, address: LinkAddress): Promise<void> {
  for (const name of publicationNames(address))
    await session.query(`DROP PUBLICATION IF EXISTS ${quoteIdent(name)}`);
}

function namesOf(tables: readonly PublishedTable[], inserts: boolean): readonly TableName[] {
  return tables.filter((table) => table.insertsOnly === inserts).map(({ table }) => table);
}

function createStatement({ name, publish, tables }: Publication): string {
  const forTables = tables.length === 0 ? '' : ` FOR TABLE ${tables.map(quoteName).join(', ')}`;
  return `CREATE PUBLICATION ${quoteIdent(name)}${forTables}
    WITH (publish = ${quoteLiteral(publish)}, publish_via_partition_root = false)`;
}

/** An empty list cannot be SET, so the last tables are dropped by name. */
async function change(
  session: Session,
  { name, tables }: Publication,
  there: readonly TableName[],
): Promise<void> {
  const publication = `ALTER PUBLICATION ${quoteIdent(name)}`;
  if (tables.length > 0) {
    await session.query(`${publication} SET TABLE ${tables.map(quoteName).join(', ')}`);
    return;
  }
  await session.query(
    `${publication} DROP TABLE ${there.map((table) => `ONLY ${quoteName(table)}`).join(', ')}`,
  );
}

async function carried(session: Session, publication: string): Promise<readonly TableName[] | null> {
  const rows = await session.query<{ schema: string | null; name: string | null }>(
    `SELECT n.nspname AS schema, c.relname AS name
       FROM pg_publication p LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid
       LEFT JOIN pg_class c ON c.oid = r.prrelid LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE p.pubname = $1 ORDER BY 1, 2`,
    [publication],
  );
  if (rows.length === 0) return null;
  return rows.flatMap(({ schema, name }) => (schema === null || name === null ? [] : [{ schema, name }]));
}

/** A table that others inherit from brings them along by name; partitions come by their root alone. */
const descendants = `WITH RECURSIVE tree(root, oid) AS (
    SELECT c.oid, c.oid FROM unnest($1::text[]) AS asked(name) JOIN pg_class c ON c.oid = to_regclass(asked.name)
    UNION SELECT t.root, i.inhrelid FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid
     JOIN pg_class parent ON parent.oid = i.inhparent AND parent.relkind = 'r')
  SELECT DISTINCT n.nspname AS schema, c.relname AS name, t.root <> t.oid AS below
    FROM tree t JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace`;

async function withDescendants(
  session: Session,
  tables: readonly TableName[],
): Promise<readonly TableName[]> {
  return await session.query<TableName>(descendants, [tables.map(quoteName)]);
}

async function withoutDescendants(
  session: Session,
  tables: readonly TableName[],
): Promise<ReadonlySet<string>> {
  const rows = await session.query<TableName & { below: boolean }>(descendants, [tables.map(quoteName)]);
  const below = new Set(rows.filter((row) => row.below).map(quoteName));
  return new Set(tables.map(quoteName).filter((name) => !below.has(name)));
}

function sameNames(some: readonly TableName[], others: readonly TableName[]): boolean {
  const names = new Set(some.map(quoteName));
  const wanted = new Set(others.map(quoteName));
  return names.size === wanted.size && [...wanted].every((name) => names.has(name));
}
