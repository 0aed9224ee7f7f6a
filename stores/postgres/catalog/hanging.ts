import type { HangingObjects } from '../../spi/tables.ts';
import type { Session } from '../connection.ts';
import type { Membership } from './keys.ts';

/** At most this many names a list; the rest is counted. */
const namesShown = 20;

type HangingKind = keyof HangingObjects;

interface HangingRow {
  readonly root: number;
  readonly kind: HangingKind;
  readonly what: string;
}

/**
 * Foreign keys at any member; the copies that the server makes of one for partitions are left out, unless they
 * pin a partition that stands alone.
 */
const referencedBy = `
  SELECT m.root, 'referencedBy' AS kind, format('%I on %s', con.conname, con.conrelid::regclass) AS what
    FROM members m
    JOIN pg_constraint con ON con.confrelid = m.oid AND con.contype = 'f'
    LEFT JOIN pg_constraint above ON above.oid = con.conparentid
   WHERE above.oid IS NULL OR (m.oid = m.root AND above.confrelid <> con.confrelid)`;

/** Views, functions and row-type columns follow the old table; only members with rows are ever exchanged. */
const dependents = `
  SELECT m.root, 'views', v.oid::regclass::text
    FROM holders m
    JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = m.oid AND d.deptype = 'n'
                    AND d.classid = 'pg_rewrite'::regclass
    JOIN pg_rewrite r ON r.oid = d.objid
    JOIN pg_class v ON v.oid = r.ev_class AND v.oid <> m.oid
  UNION SELECT m.root, 'other', 'function ' || d.objid::regprocedure::text
    FROM holders m
    JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = m.oid AND d.deptype = 'n'
                    AND d.classid = 'pg_proc'::regclass
  UNION SELECT m.root, 'other', 'row type used by ' || pg_describe_object(d.classid, d.objid, d.objsubid)
    FROM holders m JOIN pg_class c ON c.oid = m.oid JOIN pg_type t ON t.oid = c.reltype
    JOIN pg_depend d ON d.refclassid = 'pg_type'::regclass AND d.refobjid IN (t.oid, t.typarray) AND d.deptype = 'n'`;

/** What the exchange cannot carry over. Triggers, policies, grants and the like it can: see load/leaf-facts.ts. */
const ownObjects = `
  SELECT m.root, 'other', format('rule %I on %s', r.rulename, m.oid::regclass)
    FROM holders m JOIN pg_rewrite r ON r.ev_class = m.oid AND r.rulename <> '_RETURN'
  UNION SELECT m.root, 'other', format('security label on %s', m.oid::regclass)
    FROM holders m JOIN pg_seclabel s ON s.classoid = 'pg_class'::regclass AND s.objoid = m.oid
  UNION SELECT m.root, 'other', format('%s is a typed table', m.oid::regclass)
    FROM holders m JOIN pg_class c ON c.oid = m.oid AND c.reloftype <> 0
  UNION SELECT m.root, 'other', format('%s is unlogged', m.oid::regclass)
    FROM holders m JOIN pg_class c ON c.oid = m.oid AND c.relpersistence = 'u'
  UNION SELECT m.root, 'other', format('%s is stored by %I', m.oid::regclass, am.amname)
    FROM holders m JOIN pg_class c ON c.oid = m.oid JOIN pg_am am ON am.oid = c.relam AND am.amname <> 'heap'
  UNION SELECT m.root, 'other', format('%s is a foreign table', m.oid::regclass)
    FROM members m JOIN pg_class c ON c.oid = m.oid AND c.relkind = 'f'
  UNION SELECT m.root, 'other', format('%s belongs to extension %I', m.oid::regclass, e.extname)
    FROM holders m
    JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = m.oid AND d.deptype = 'e'
    JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
  UNION SELECT m.root, 'other', format('%s inherits from %s', m.oid::regclass, i.inhparent::regclass)
    FROM holders m JOIN pg_inherits i ON i.inhrelid = m.oid
    JOIN pg_class p ON p.oid = i.inhparent AND p.relkind = 'r'
  UNION SELECT m.root, 'other', format('role %I does not own %s', current_user, m.oid::regclass)
    FROM members m JOIN pg_class c ON c.oid = m.oid WHERE NOT pg_has_role(c.relowner, 'USAGE')`;

/** By name, by schema (15 and later) or as one of all tables; a partition is published with any table above it. */
const publications = `
  SELECT m.root, 'publications', quote_ident(p.pubname)
    FROM members m JOIN pg_publication_rel r ON r.prrelid = m.oid JOIN pg_publication p ON p.oid = r.prpubid
  UNION SELECT m.root, 'publications', quote_ident(p.pubname)
    FROM members m JOIN pg_class c ON c.oid = m.oid AND c.relpersistence = 'p'
    CROSS JOIN pg_publication p WHERE p.puballtables`;

const schemaPublications = `
  UNION SELECT m.root, 'publications', quote_ident(p.pubname)
    FROM members m JOIN pg_class c ON c.oid = m.oid
    JOIN pg_publication_namespace n ON n.pnnspid = c.relnamespace JOIN pg_publication p ON p.oid = n.pnpubid`;

function hangingQuery(version: number): string {
  return `
WITH members AS (SELECT * FROM unnest($1::oid[], $2::oid[]) AS m(root, oid)),
     holders AS (SELECT m.* FROM members m JOIN pg_class c ON c.oid = m.oid AND c.relkind = 'r')
SELECT * FROM (${referencedBy}
  UNION ${dependents}
  UNION ${ownObjects}
  UNION ${publications}${version >= 150000 ? schemaPublications : ''}) AS found(root, kind, what)
 ORDER BY root, kind, what COLLATE "C"`;
}

/** What hangs on each root and on the members of its tree. `version` is server_version_num. */
export async function readHanging(
  session: Session,
  all: Membership,
  version: number,
): Promise<ReadonlyMap<number, HangingObjects>> {
  const rows = await session.query<HangingRow>(hangingQuery(version), [all.roots, all.members]);
  const byRoot = new Map<number, Record<HangingKind, string[]>>();
  for (const { root, kind, what } of rows) {
    const lists = byRoot.get(root) ?? { referencedBy: [], views: [], publications: [], other: [] };
    lists[kind].push(what);
    byRoot.set(root, lists);
  }
  return new Map([...byRoot].map(([root, lists]) => [root, shorten(lists)]));
}

function shorten(lists: Record<HangingKind, string[]>): HangingObjects {
  const cut = (names: readonly string[]): readonly string[] =>
    names.length <= namesShown
      ? names
      : [...names.slice(0, namesShown), `and ${names.length - namesShown} more`];
  return {
    referencedBy: cut(lists.referencedBy),
    views: cut(lists.views),
    publications: cut(lists.publications),
    other: cut(lists.other),
  };
}
