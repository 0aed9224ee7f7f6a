import { SynclineError } from '../../../definitions/errors.ts';
import type { TableName } from '../../spi/tables.ts';
import type { Session } from '../connection.ts';
import { displayName } from '../identifiers.ts';

/** What must be known of a table on the target before it is replaced; read before the load's transaction begins. */
export interface LeafFacts {
  readonly oid: string;
  readonly name: TableName;
  readonly owner: string;
  readonly kind: 'r' | 'p' | 'f';
  /** The partitioned table directly above; null for a plain table. */
  readonly parent: TableName | null;
  /** `FOR VALUES …` or `DEFAULT`. */
  readonly bound: string | null;
  /** The bound and those of all levels above as one condition. */
  readonly boundCondition: string | null;
  readonly tablespace: string | null;
  readonly options: readonly string[];
  readonly grants: readonly string[];
  readonly comment: string | null;
  readonly rowSecurity: boolean;
  readonly forceRowSecurity: boolean;
  readonly replicaIdentity: 'd' | 'n' | 'f' | 'i';
  readonly indexes: readonly IndexFacts[];
  /** Outgoing foreign keys and (not inherited) other constraints to add after the load, as `ADD CONSTRAINT` clauses. */
  readonly foreignKeys: readonly { readonly name: string; readonly definition: string }[];
  /** Statements that name the table itself; repeated once the new table has its name. */
  readonly byName: readonly string[];
  /** `column`, `sequence` pairs of serial columns. */
  readonly ownedSequences: readonly { readonly column: string; readonly sequence: TableName }[];
  readonly identityColumns: readonly string[];
  /** Sequences behind identity columns of a plain table: the new table gets new ones, which take over name and value. */
  readonly identitySequences: readonly { readonly column: string; readonly sequence: TableName }[];
}

export interface IndexFacts {
  readonly name: string;
  /** pg_get_indexdef from ` USING` on: what comes before is names. */
  readonly definition: string;
  /** `fillfactor='70'`, as text of WITH; null for none. Part of `definition`, not of `constraint`. */
  readonly options: string | null;
  readonly tablespace: string | null;
  readonly unique: boolean;
  /** Constraint definition when the index belongs to one. */
  readonly constraint: string | null;
  readonly comment: string | null;
  readonly clustered: boolean;
  readonly isReplicaIdentity: boolean;
  readonly valid: boolean;
}

/**
 * One statement in its own transaction: `pg_get_partition_constraintdef` locks the parent for a moment, and nothing
 * in the load's transaction may (parallel swaps deadlocked otherwise; research/postgres.md 2.5).
 */
const factsStatement = `
SELECT c.oid::text AS oid, pg_get_userbyid(c.relowner) AS owner, c.relkind AS kind,
  (SELECT json_build_object('schema', pn.nspname, 'name', p.relname)
     FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace
    WHERE i.inhrelid = c.oid AND c.relispartition) AS parent,
  pg_get_expr(c.relpartbound, c.oid) AS bound,
  CASE WHEN c.relispartition THEN pg_get_partition_constraintdef(c.oid) END AS bound_condition,
  (SELECT spcname FROM pg_tablespace WHERE oid = c.reltablespace) AS tablespace,
  coalesce(c.reloptions, '{}') || coalesce((SELECT array_agg('toast.' || o) FROM pg_class t, unnest(t.reloptions) o
     WHERE t.oid = c.reltoastrelid), '{}') AS options,
  obj_description(c.oid, 'pg_class') AS comment,
  c.relrowsecurity AS row_security, c.relforcerowsecurity AS force_row_security, c.relreplident AS replica_identity,
  coalesce((SELECT json_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
     WHERE a.attrelid = c.oid AND a.attidentity <> '' AND NOT a.attisdropped), '[]') AS identity_columns,
  coalesce((SELECT json_agg(format('GRANT %s%s ON %s TO %s%s', g.privilege_type, '', '%TABLE%',
       CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,
       CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END))
     FROM aclexplode(c.relacl) g WHERE g.grantee <> c.relowner), '[]') AS grants,
  coalesce((SELECT json_agg(format('GRANT %s (%I) ON %s TO %s%s', g.privilege_type, a.attname, '%TABLE%',
       CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,
       CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END))
     FROM pg_attribute a, aclexplode(a.attacl) g WHERE a.attrelid = c.oid AND NOT a.attisdropped), '[]') AS column_grants,
  coalesce((SELECT json_agg(json_build_object('name', ic.relname, 'definition', substr(pg_get_indexdef(x.indexrelid), 1 + length(format('CREATE %sINDEX %s ON %s.%s',
         CASE WHEN x.indisunique THEN 'UNIQUE ' END, quote_ident(ic.relname), quote_ident(n.nspname), quote_ident(c.relname)))),
       'options', (SELECT string_agg(format('%s=%L', split_part(o, '=', 1), substr(o, 1 + strpos(o, '='))), ', ') FROM unnest(ic.reloptions) o),
       'tablespace', (SELECT spcname FROM pg_tablespace WHERE oid = ic.reltablespace),
       'unique', x.indisunique,
       'constraint', (SELECT pg_get_constraintdef(k.oid) FROM pg_constraint k WHERE k.conindid = x.indexrelid AND k.contype IN ('p','u','x') LIMIT 1),
       'comment', obj_description(x.indexrelid, 'pg_class'), 'clustered', x.indisclustered,
       'isReplicaIdentity', x.indisreplident, 'valid', x.indisvalid) ORDER BY x.indisprimary DESC, ic.relname)
     FROM pg_index x JOIN pg_class ic ON ic.oid = x.indexrelid WHERE x.indrelid = c.oid), '[]') AS indexes,
  coalesce((SELECT json_agg(json_build_object('name', k.conname, 'definition', pg_get_constraintdef(k.oid)) ORDER BY k.conname)
     FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'f'), '[]') AS foreign_keys,
  coalesce((SELECT json_agg(s.stmt) FROM (
     SELECT pg_get_triggerdef(t.oid) AS stmt FROM pg_trigger t
      WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgparentid = 0
     UNION ALL
     SELECT format('ALTER TABLE %s %s TRIGGER %I', c.oid::regclass,
       CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, t.tgname)
       FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'O'
     UNION ALL
     SELECT format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', p.polname, c.oid::regclass,
       CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
       CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
       (SELECT string_agg(CASE WHEN r = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END, ', ') FROM unnest(p.polroles) r),
       coalesce(' USING (' || pg_get_expr(p.polqual, c.oid) || ')', ''),
       coalesce(' WITH CHECK (' || pg_get_expr(p.polwithcheck, c.oid) || ')', ''))
       FROM pg_policy p WHERE p.polrelid = c.oid
     UNION ALL
     SELECT pg_get_statisticsobjdef(e.oid) FROM pg_statistic_ext e WHERE e.stxrelid = c.oid
     UNION ALL
     SELECT format('COMMENT ON CONSTRAINT %I ON %s IS %L', k.conname, c.oid::regclass, d.description)
       FROM pg_constraint k JOIN pg_description d ON d.objoid = k.oid AND d.classoid = 'pg_constraint'::regclass WHERE k.conrelid = c.oid
     UNION ALL
     SELECT format('ALTER TABLE %s ALTER COLUMN %I SET (%s)', c.oid::regclass, a.attname, array_to_string(a.attoptions, ', '))
       FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attoptions IS NOT NULL
     UNION ALL
     SELECT format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s', c.oid::regclass, a.attname, a.attstattarget)
       FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attstattarget >= 0
  ) s), '[]') AS by_name,
  coalesce((SELECT json_agg(json_build_object('column', a.attname, 'sequence', json_build_object('schema', sn.nspname, 'name', s.relname)))
     FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_namespace sn ON sn.oid = s.relnamespace
     JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.deptype = 'a'), '[]') AS owned_sequences,
  coalesce((SELECT json_agg(json_build_object('column', a.attname, 'sequence', json_build_object('schema', sn.nspname, 'name', s.relname)))
     FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_namespace sn ON sn.oid = s.relnamespace
     JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.deptype = 'i' AND NOT c.relispartition), '[]') AS identity_sequences
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2`;

interface FactsRow {
  readonly oid: string;
  readonly owner: string;
  readonly kind: LeafFacts['kind'];
  readonly parent: TableName | null;
  readonly bound: string | null;
  readonly bound_condition: string | null;
  readonly tablespace: string | null;
  readonly options: readonly string[];
  readonly comment: string | null;
  readonly row_security: boolean;
  readonly force_row_security: boolean;
  readonly replica_identity: LeafFacts['replicaIdentity'];
  readonly identity_columns: readonly string[];
  readonly grants: readonly string[];
  readonly column_grants: readonly string[];
  readonly indexes: readonly IndexFacts[];
  readonly foreign_keys: LeafFacts['foreignKeys'];
  readonly by_name: readonly string[];
  readonly owned_sequences: LeafFacts['ownedSequences'];
  readonly identity_sequences: LeafFacts['identitySequences'];
}

export async function readLeafFacts(session: Session, name: TableName): Promise<LeafFacts> {
  const rows = await session.query<FactsRow>(factsStatement, [name.schema, name.name]);
  const row = rows[0];
  if (row === undefined) throw missingOnTarget(name);
  return {
    oid: row.oid,
    name,
    owner: row.owner,
    kind: row.kind,
    parent: row.parent,
    bound: row.bound,
    boundCondition: row.bound_condition,
    tablespace: row.tablespace,
    options: row.options,
    grants: [...row.grants, ...row.column_grants],
    comment: row.comment,
    rowSecurity: row.row_security,
    forceRowSecurity: row.force_row_security,
    replicaIdentity: row.replica_identity,
    indexes: row.indexes,
    foreignKeys: row.foreign_keys,
    byName: row.by_name,
    ownedSequences: row.owned_sequences,
    identitySequences: row.identity_sequences,
    identityColumns: row.identity_columns,
  };
}

/** Enough for ways that keep the table: nothing is rebuilt, so only its kind and identity columns matter. */
export async function readTableKind(session: Session, name: TableName): Promise<LeafFacts> {
  const rows = await session.query<{ oid: string; kind: LeafFacts['kind']; identity: readonly string[] }>(
    `SELECT c.oid::text AS oid, c.relkind AS kind,
       coalesce((SELECT json_agg(a.attname) FROM pg_attribute a
          WHERE a.attrelid = c.oid AND a.attidentity = 'a' AND NOT a.attisdropped), '[]') AS identity
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2`,
    [name.schema, name.name],
  );
  const row = rows[0];
  if (row === undefined) throw missingOnTarget(name);
  return { ...plainFacts(name), oid: row.oid, kind: row.kind, identityColumns: row.identity };
}

/** For a way that looks at nothing but the name. */
export function plainFacts(name: TableName): LeafFacts {
  return {
    oid: '',
    name,
    owner: '',
    kind: 'r',
    parent: null,
    bound: null,
    boundCondition: null,
    tablespace: null,
    options: [],
    grants: [],
    comment: null,
    rowSecurity: false,
    forceRowSecurity: false,
    replicaIdentity: 'd',
    indexes: [],
    foreignKeys: [],
    byName: [],
    ownedSequences: [],
    identitySequences: [],
    identityColumns: [],
  };
}

export function missingOnTarget(name: TableName): SynclineError {
  return new SynclineError('target.partitionMissing', `${displayName(name)} does not exist on the target.`, {
    details: { table: displayName(name) },
  });
}
