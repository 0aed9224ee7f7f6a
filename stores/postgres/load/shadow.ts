import type { Session } from '../connection.ts';
import { quoteIdent, quoteLiteral, quoteName } from '../identifiers.ts';
import { SynclineError } from '../../../definitions/errors.ts';
import type { IndexFacts, LeafFacts } from './leaf-facts.ts';
import { boundConstraint, inSyncline } from './names.ts';

/** A fresh table with the shape of a leaf, built beside it and exchanged with it at the end. */

/**
 * `LIKE` the leaf, never its parent (that would lock the parent and deadlock parallel swaps). The bound is a CHECK
 * from the first, so that neither adding it later nor ATTACH scans the rows.
 */
export function createShadowStatement(facts: LeafFacts, shadow: string, options: readonly string[]): string {
  const including = ['COMMENTS', 'COMPRESSION', 'CONSTRAINTS', 'DEFAULTS', 'GENERATED', 'STORAGE'];
  // On a partition the identity comes with ATTACH; a plain table needs its own (17 and later refuse the former).
  if (facts.parent === null && facts.identityColumns.length > 0) including.push('IDENTITY');
  const like = `LIKE ${quoteName(facts.name)} ${including.map((word) => `INCLUDING ${word}`).join(' ')}`;
  const check = hasBoundCheck(facts)
    ? `, CONSTRAINT ${boundConstraint} CHECK (${facts.boundCondition ?? ''})`
    : '';
  const storage = options.length === 0 ? '' : ` WITH (${options.map(storageOption).join(', ')})`;
  const tablespace = facts.tablespace === null ? '' : ` TABLESPACE ${quoteIdent(facts.tablespace)}`;
  return `CREATE TABLE ${inSyncline(shadow)} (${like}${check})${storage}${tablespace}`;
}

/**
 * The condition of a hash bound opens the parent and keeps it locked until commit, so parallel exchanges deadlocked:
 * there ATTACH scans the rows instead.
 */
export function hasBoundCheck({ boundCondition }: LeafFacts): boolean {
  return boundCondition !== null && !boundCondition.includes('satisfies_hash_partition(');
}

function storageOption(option: string): string {
  const at = option.indexOf('=');
  return `${option.slice(0, at)} = ${quoteLiteral(option.slice(at + 1))}`;
}

/** Name of the n-th index while the old one still holds the right name. */
export function shadowIndexName(shadow: string, index: number): string {
  return `${shadow}_i${String(index)}`;
}

/** Keys and indexes, after the rows: a sorted build beats one insertion a row. */
export async function buildIndexes(session: Session, facts: LeafFacts, shadow: string): Promise<void> {
  for (const [position, index] of facts.indexes.entries()) {
    const name = shadowIndexName(shadow, position);
    const table = inSyncline(shadow);
    const statement =
      index.constraint === null
        ? createIndexStatement(facts, index, { name, table })
        : `ALTER TABLE ${table} ADD CONSTRAINT ${quoteIdent(name)} ${constraintWithOptions(index)}`;
    await session.query(
      `SET LOCAL default_tablespace = ${quoteLiteral(index.tablespace ?? '')}; ${statement}; SET LOCAL default_tablespace = ''`,
    );
  }
  for (const foreignKey of facts.foreignKeys) {
    await session.query(
      `ALTER TABLE ${inSyncline(shadow)} ADD CONSTRAINT ${quoteIdent(foreignKey.name)} ${foreignKey.definition}`,
    );
  }
}

/** pg_get_constraintdef leaves out how the index is stored; its place is before DEFERRABLE. */
function constraintWithOptions({ constraint, options }: IndexFacts): string {
  const text = constraint ?? '';
  if (options === null || text.startsWith('EXCLUDE')) return text;
  const end = / (?:NOT )?(?:DEFERRABLE|INITIALLY)[^)]*$/.exec(text)?.index ?? text.length;
  return `${text.slice(0, end)} WITH (${options})${text.slice(end)}`;
}

function createIndexStatement(
  facts: LeafFacts,
  index: IndexFacts,
  as: { name: string; table: string },
): string {
  const unique = index.unique ? 'UNIQUE ' : '';
  if (!index.definition.startsWith(' USING ')) {
    throw new SynclineError('target.replaceRefused', `An index of ${facts.name.name} cannot be rebuilt.`);
  }
  return `CREATE ${unique}INDEX ${quoteIdent(as.name)} ON ${as.table}${index.definition}`;
}

/** What can be given to the shadow before any lock on the old table: owner, rights, storage, identity of rows. */
export function dressStatements(facts: LeafFacts, shadow: string): string[] {
  const table = inSyncline(shadow);
  const clustered = facts.indexes.findIndex((index) => index.clustered);
  const identityIndex = facts.indexes.findIndex((index) => index.isReplicaIdentity);
  return [
    ...(facts.comment === null ? [] : [`COMMENT ON TABLE ${table} IS ${quoteLiteral(facts.comment)}`]),
    ...facts.indexes.flatMap((index, position) =>
      index.comment === null
        ? []
        : [
            `COMMENT ON INDEX ${inSyncline(shadowIndexName(shadow, position))} IS ${quoteLiteral(index.comment)}`,
          ],
    ),
    ...(clustered === -1
      ? []
      : [`ALTER TABLE ${table} CLUSTER ON ${quoteIdent(shadowIndexName(shadow, clustered))}`]),
    ...replicaIdentity(facts, table, identityIndex === -1 ? null : shadowIndexName(shadow, identityIndex)),
    ...(facts.rowSecurity ? [`ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY`] : []),
    ...(facts.forceRowSecurity ? [`ALTER TABLE ${table} FORCE ROW LEVEL SECURITY`] : []),
    `DO $$ BEGIN IF current_user <> ${quoteLiteral(facts.owner)} THEN EXECUTE ${quoteLiteral(
      `ALTER TABLE ${table} OWNER TO ${quoteIdent(facts.owner)}`,
    )}; END IF; END $$`,
    ...facts.grants.map((grant) => grant.replace('%TABLE%', table)),
  ];
}

function replicaIdentity(facts: LeafFacts, table: string, index: string | null): string[] {
  switch (facts.replicaIdentity) {
    case 'd':
      return [];
    case 'n':
      return [`ALTER TABLE ${table} REPLICA IDENTITY NOTHING`];
    case 'f':
      return [`ALTER TABLE ${table} REPLICA IDENTITY FULL`];
    case 'i':
      return index === null ? [] : [`ALTER TABLE ${table} REPLICA IDENTITY USING INDEX ${quoteIdent(index)}`];
  }
}
