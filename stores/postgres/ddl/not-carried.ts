import type { Session } from '../connection.ts';

/** Names shown of each kind; the rest is counted. */
const namesShown = 5;

/** Kind, and the names of what has it. `all` are the members of the tree, `$2` the root. */
const queries: readonly (readonly [what: string, query: string])[] = [
  [
    'Triggers',
    `SELECT format('%I on %s', tgname, tgrelid::regclass) FROM pg_trigger
     WHERE tgrelid = ANY ($1::oid[]) AND NOT tgisinternal AND (tgparentid = 0 OR tgrelid = $2::oid)`,
  ],
  [
    'Rules',
    `SELECT format('%I on %s', rulename, ev_class::regclass) FROM pg_rewrite
     WHERE ev_class = ANY ($1::oid[]) AND rulename <> '_RETURN'`,
  ],
  [
    'Row policies',
    `SELECT format('%I on %s', polname, polrelid::regclass) FROM pg_policy WHERE polrelid = ANY ($1::oid[])`,
  ],
  [
    'Row level security',
    `SELECT oid::regclass::text FROM pg_class WHERE oid = ANY ($1::oid[]) AND relrowsecurity`,
  ],
  [
    'Grants',
    `SELECT oid::regclass::text FROM pg_class WHERE oid = ANY ($1::oid[]) AND (relacl IS NOT NULL
     OR EXISTS (SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attacl IS NOT NULL))`,
  ],
  [
    'Owners other than the role of the store',
    `SELECT format('%I of %s', pg_get_userbyid(relowner), oid::regclass)
     FROM pg_class WHERE oid = ANY ($1::oid[]) AND pg_get_userbyid(relowner) <> current_user`,
  ],
  [
    'Memberships in publications',
    `SELECT format('%I of %s', p.pubname, r.prrelid::regclass)
     FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = ANY ($1::oid[])`,
  ],
  [
    'Views that read it',
    `SELECT DISTINCT v.oid::regclass::text FROM pg_depend d
     JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class
     WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY ($1::oid[]) AND v.oid <> ALL ($1::oid[])`,
  ],
  [
    'Foreign keys of other tables',
    `SELECT format('%I on %s', conname, conrelid::regclass) FROM pg_constraint
     WHERE contype = 'f' AND conparentid = 0 AND confrelid = ANY ($1::oid[]) AND conrelid <> ALL ($1::oid[])`,
  ],
  [
    'Security labels',
    `SELECT DISTINCT format('%s of %s', provider, objoid::regclass) FROM pg_seclabel
     WHERE classoid = 'pg_class'::regclass AND objoid = ANY ($1::oid[])`,
  ],
  [
    'Tablespaces',
    `SELECT format('%I of %s', t.spcname, c.oid::regclass) FROM pg_class c
     JOIN pg_tablespace t ON t.oid = c.reltablespace WHERE c.oid = ANY ($1::oid[])
        OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = ANY ($1::oid[]))`,
  ],
  [
    'Access methods',
    `SELECT format('%I of %s', am.amname, c.oid::regclass) FROM pg_class c
     JOIN pg_am am ON am.oid = c.relam WHERE c.oid = ANY ($1::oid[]) AND am.amname <> 'heap'`,
  ],
  [
    'Being unlogged',
    `SELECT oid::regclass::text FROM pg_class WHERE oid = ANY ($1::oid[]) AND relpersistence = 'u'`,
  ],
  [
    'Being typed tables',
    `SELECT format('%s of %s', reloftype::regtype, oid::regclass) FROM pg_class
     WHERE oid = ANY ($1::oid[]) AND reloftype <> 0`,
  ],
  [
    'Foreign tables',
    `SELECT oid::regclass::text FROM pg_class WHERE oid = ANY ($1::oid[]) AND relkind = 'f'`,
  ],
  [
    'Its place below another table',
    `SELECT format('%s below %s', inhrelid::regclass, inhparent::regclass)
     FROM pg_inherits WHERE inhrelid = ANY ($1::oid[]) AND inhparent <> ALL ($1::oid[])`,
  ],
  [
    'Virtual columns are stored ones where the target is older than 18',
    `SELECT format('%I of %s', attname, attrelid::regclass) FROM pg_attribute
     WHERE attrelid = ANY ($1::oid[]) AND attgenerated = 'v' AND NOT attisdropped AND (attislocal OR attrelid = $2::oid)`,
  ],
  [
    'CLUSTER marks',
    `SELECT format('%s', indexrelid::regclass) FROM pg_index WHERE indrelid = ANY ($1::oid[]) AND indisclustered`,
  ],
  [
    'Replica identities by an inherited index',
    `SELECT i.indrelid::regclass::text FROM pg_index i
     JOIN pg_class ic ON ic.oid = i.indexrelid
     WHERE i.indrelid = ANY ($1::oid[]) AND i.indisreplident AND ic.relispartition`,
  ],
  [
    'Constraints that are not validated come validated',
    `SELECT format('%I on %s', conname, conrelid::regclass)
     FROM pg_constraint WHERE conrelid = ANY ($1::oid[]) AND contype = 'c' AND NOT convalidated`,
  ],
];

/** Objects that its own expressions call or sort by: the target needs them before the table can be made. */
const neededQuery = `
WITH used(classid, objid) AS (
  SELECT 'pg_attrdef'::regclass, oid FROM pg_attrdef WHERE adrelid = ANY ($1::oid[])
  UNION SELECT 'pg_constraint'::regclass, oid FROM pg_constraint WHERE conrelid = ANY ($1::oid[])
  UNION SELECT 'pg_class'::regclass, indexrelid FROM pg_index WHERE indrelid = ANY ($1::oid[])
  UNION SELECT 'pg_class'::regclass, unnest($1::oid[])
)
SELECT DISTINCT pg_describe_object(d.refclassid, d.refobjid, 0) AS name
  FROM used u JOIN pg_depend d ON d.classid = u.classid AND d.objid = u.objid AND d.deptype = 'n'
 WHERE d.refclassid IN ('pg_proc'::regclass, 'pg_collation'::regclass, 'pg_opclass'::regclass, 'pg_operator'::regclass)
   AND d.refobjid >= 16384
   AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.refclassid AND e.objid = d.refobjid AND e.deptype = 'e')
 ORDER BY 1`;

/** One sentence for each kind of thing that the script leaves out. `table` is its name for people. */
export async function listNotCarried(
  session: Session,
  oids: readonly number[],
  table: string,
): Promise<string[]> {
  const union = queries
    .map(
      ([what, query]) =>
        `SELECT '${what}' AS what, found.name FROM (${query.replaceAll('$2::oid', 'root.oid')}) AS found(name)`,
    )
    .join('\nUNION ALL ');
  const rows = await session.query<{ readonly what: string; readonly name: string }>(
    `WITH root AS (SELECT $2::oid AS oid) SELECT found.* FROM root CROSS JOIN LATERAL (${union}) found ORDER BY what, name`,
    [oids, oids[0]],
  );
  const kinds = [...new Set(rows.map((row) => row.what))];
  const sentences = kinds.map((what) => {
    const names = rows.filter((row) => row.what === what).map((row) => row.name);
    const more = names.length > namesShown ? ` and ${names.length - namesShown} more` : '';
    return `${what} (${table}): ${names.slice(0, namesShown).join(', ')}${more}.`;
  });
  const needed = await session.query<{ readonly name: string }>(neededQuery, [oids]);
  return [
    ...sentences,
    ...needed.map((row) => `The target needs ${row.name} of its own (${table} uses it).`),
  ];
}
