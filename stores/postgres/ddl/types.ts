import type { TableName } from '../../spi/tables.ts';
import type { Session } from '../connection.ts';
import { quoteIdent, quoteLiteral, quoteName } from '../identifiers.ts';
import { nameLiteral, onlyIf } from './statements.ts';

interface TypeRow {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: 'e' | 'c' | 'd' | 'r' | 'other';
  /** Types it is made of. */
  readonly parts: readonly number[];
  readonly extension: string | null;
  readonly extensionSchema: string | null;
  /** What stands after `CREATE TYPE name AS` or `CREATE DOMAIN name AS`. */
  readonly definition: string | null;
}

/** Statements that build types, and sentences about types that cannot be built. Schemas come with them. */
export interface TypeScript {
  readonly schemas: readonly string[];
  readonly statements: readonly string[];
  readonly notCarried: readonly string[];
}

/** All types that columns of these relations are made of, but the server's own and the arrays, which come along. */
const typesQuery = `
WITH RECURSIVE edges(type, part) AS (
  SELECT oid, typbasetype FROM pg_type WHERE typtype = 'd'
  UNION ALL SELECT oid, typelem FROM pg_type WHERE typsubscript = 'array_subscript_handler'::regproc
  UNION ALL SELECT t.oid, f.atttypid FROM pg_type t
              JOIN pg_attribute f ON f.attrelid = t.typrelid AND f.attnum > 0 AND NOT f.attisdropped
             WHERE t.typtype = 'c'
  UNION ALL SELECT rngtypid, rngsubtype FROM pg_range
  UNION ALL SELECT rngmultitypid, rngtypid FROM pg_range
), needed(type) AS (
  SELECT atttypid FROM pg_attribute WHERE attrelid = ANY ($1::oid[]) AND attnum > 0 AND NOT attisdropped
  UNION SELECT e.part FROM needed n JOIN edges e ON e.type = n.type
)
SELECT t.oid, n.nspname AS schema, t.typname AS name,
       CASE WHEN t.typtype IN ('e', 'd', 'r') THEN t.typtype
            WHEN t.typtype = 'c' AND rel.relkind = 'c' THEN 'c' ELSE 'other' END AS kind,
       ARRAY(SELECT DISTINCT coalesce(NULLIF(pt.typelem, 0), e.part) FROM edges e JOIN pg_type pt ON pt.oid = e.part
              WHERE e.type = t.oid) AS parts,
       x.extname AS extension, xn.nspname AS "extensionSchema",
       CASE t.typtype
         WHEN 'e' THEN (SELECT format('ENUM (%s)', string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder))
                          FROM pg_enum WHERE enumtypid = t.oid)
         WHEN 'c' THEN (SELECT format('(%s)', string_agg(format('%I %s', f.attname, format_type(f.atttypid, f.atttypmod))
                          || CASE WHEN f.attcollation <> ft.typcollation THEN ' COLLATE ' || f.attcollation::regcollation ELSE '' END,
                          ', ' ORDER BY f.attnum))
                          FROM pg_attribute f JOIN pg_type ft ON ft.oid = f.atttypid
                         WHERE f.attrelid = t.typrelid AND f.attnum > 0 AND NOT f.attisdropped)
         WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod)
           || CASE WHEN t.typcollation <> bt.typcollation THEN ' COLLATE ' || t.typcollation::regcollation ELSE '' END
           || coalesce(' DEFAULT ' || pg_get_expr(t.typdefaultbin, 0), '')
           || coalesce((SELECT string_agg(format(' CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)), '' ORDER BY conname)
                          FROM pg_constraint WHERE contypid = t.oid AND contype = 'c'), '')
           || CASE WHEN t.typnotnull THEN ' NOT NULL' ELSE '' END
         WHEN 'r' THEN (SELECT format('RANGE (subtype = %s, subtype_opclass = %I.%I', format_type(r.rngsubtype, NULL), opn.nspname, op.opcname)
                          || CASE WHEN r.rngcollation <> 0 THEN format(', collation = %s', r.rngcollation::regcollation) ELSE '' END
                          || CASE WHEN r.rngsubdiff <> 0 THEN format(', subtype_diff = %s', r.rngsubdiff::regproc) ELSE '' END
                          || format(', multirange_type_name = %I.%I)', mn.nspname, m.typname)
                          FROM pg_range r JOIN pg_opclass op ON op.oid = r.rngsubopc
                          JOIN pg_namespace opn ON opn.oid = op.opcnamespace
                          JOIN pg_type m ON m.oid = r.rngmultitypid JOIN pg_namespace mn ON mn.oid = m.typnamespace
                         WHERE r.rngtypid = t.oid AND r.rngcanonical = 0)
       END AS definition
  FROM needed JOIN pg_type t ON t.oid = needed.type
  JOIN pg_namespace n ON n.oid = t.typnamespace
  LEFT JOIN pg_class rel ON rel.oid = t.typrelid
  LEFT JOIN pg_type bt ON bt.oid = t.typbasetype
  LEFT JOIN pg_depend d ON d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'
  LEFT JOIN pg_extension x ON x.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
  LEFT JOIN pg_namespace xn ON xn.oid = x.extnamespace
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
   AND t.typsubscript <> 'array_subscript_handler'::regproc AND t.typtype <> 'm'
 ORDER BY t.oid`;

/** Types that the columns need, each after the types it is made of. */
export async function scriptTypes(session: Session, relations: readonly number[]): Promise<TypeScript> {
  const rows = await session.query<TypeRow>(typesQuery, [relations]);
  const schemas = new Set<string>();
  const statements: string[] = [];
  const notCarried: string[] = [];
  for (const row of inDependencyOrder(rows)) {
    if (row.extension !== null) continue;
    const name: TableName = { schema: row.schema, name: row.name };
    if (row.kind === 'other' || row.definition === null) {
      notCarried.push(`Type ${quoteName(name)} cannot be rebuilt and must be on the target already.`);
      continue;
    }
    schemas.add(row.schema);
    const create = row.kind === 'd' ? 'CREATE DOMAIN' : 'CREATE TYPE';
    statements.push(
      onlyIf(`to_regtype(${nameLiteral(name)}) IS NULL`, `${create} ${quoteName(name)} AS ${row.definition}`),
    );
  }
  return { schemas: [...schemas], statements, notCarried };
}

function inDependencyOrder(rows: readonly TypeRow[]): TypeRow[] {
  const byOid = new Map(rows.map((row) => [row.oid, row]));
  const ordered = new Set<TypeRow>();
  const visit = (row: TypeRow): void => {
    if (ordered.has(row)) return;
    for (const part of row.parts) {
      const needed = byOid.get(part);
      if (needed !== undefined && needed !== row) visit(needed);
    }
    ordered.add(row);
  };
  rows.forEach(visit);
  return [...ordered];
}

/** Extensions that types, index methods or functions of these relations come from. */
const extensionsQuery = `
WITH used AS (
  SELECT 'pg_class'::regclass AS classid, unnest($1::oid[]) AS objid
  UNION SELECT 'pg_class'::regclass, indexrelid FROM pg_index WHERE indrelid = ANY ($1::oid[])
  UNION SELECT 'pg_constraint'::regclass, oid FROM pg_constraint WHERE conrelid = ANY ($1::oid[])
  UNION SELECT 'pg_attrdef'::regclass, oid FROM pg_attrdef WHERE adrelid = ANY ($1::oid[])
), needs AS (
  SELECT d.refclassid, d.refobjid FROM used u JOIN pg_depend d ON d.classid = u.classid AND d.objid = u.objid
  UNION SELECT 'pg_type'::regclass, t.typelem FROM used u JOIN pg_attribute a ON a.attrelid = u.objid
          JOIN pg_type t ON t.oid = a.atttypid WHERE u.classid = 'pg_class'::regclass AND t.typelem <> 0
)
SELECT DISTINCT x.extname AS name, n.nspname AS schema
  FROM needs JOIN pg_depend d ON d.classid = needs.refclassid AND d.objid = needs.refobjid AND d.deptype = 'e'
  JOIN pg_extension x ON x.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
  JOIN pg_namespace n ON n.oid = x.extnamespace
 WHERE x.extname <> 'plpgsql' ORDER BY 1`;

export async function scriptExtensions(session: Session, relations: readonly number[]): Promise<TypeScript> {
  const rows = await session.query<{ readonly name: string; readonly schema: string }>(extensionsQuery, [
    relations,
  ]);
  return {
    schemas: rows.map((row) => row.schema),
    statements: rows.map((row) =>
      onlyIf(
        `EXISTS (SELECT FROM pg_available_extensions WHERE name = ${quoteLiteral(row.name)})`,
        `CREATE EXTENSION IF NOT EXISTS ${quoteIdent(row.name)} WITH SCHEMA ${quoteIdent(row.schema)}`,
      ),
    ),
    notCarried: rows.map(
      (row) => `Extension ${row.name} is created only where the target server has it installed.`,
    ),
  };
}
