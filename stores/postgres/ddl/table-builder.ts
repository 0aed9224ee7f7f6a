import { SynclineError } from '../../../definitions/errors.ts';
import type { TableBuilder, TableDefinition, TableName, TableScript } from '../../spi/tables.ts';
import { readMembers } from '../catalog/leaves.ts';
import { findRelations } from '../catalog/relations.ts';
import type { Session, Sessions } from '../connection.ts';
import { displayName, quoteIdent, quoteLiteral } from '../identifiers.ts';
import { analyzeTables } from '../load/analyze.ts';
import { scriptComments, scriptForeignKeys, scriptStatistics, setSequences } from './after.ts';
import { runScript } from './create.ts';
import { listNotCarried } from './not-carried.ts';
import { readTables } from './read-tables.ts';
import { scriptExtensions, scriptTypes } from './types.ts';
import { onlyIf } from './statements.ts';
import { createIndexes, createSequences, createTables, sequenceName, type Tree } from './write-tables.ts';
import { renamed } from '../../../planning/leaf-names.ts';

/** Rebuilds tables from the catalogue of one PostgreSQL server on another. */
export function createTableBuilder(sessions: Sessions): TableBuilder {
  return {
    script: (table, as) => sessions.use('catalog', (session) => writeScript(session, table, as)),
    create: (script) => sessions.use('create', (session) => runScript(session, script)),
    complete: (script) =>
      sessions.use('complete', async (session) => {
        for (const statement of script.after) await session.query(statement);
      }),
    analyze: (names) => analyzeTables(sessions, names),
  };
}

/** Sequence values are those of this moment: whoever completes a load asks for a new script first. */
async function writeScript(session: Session, table: TableDefinition, as: TableName): Promise<TableScript> {
  const [relation] = await findRelations(session, [table.name]);
  if (relation === null || relation === undefined) {
    throw new SynclineError('source.tableMissing', `There is no table ${displayName(table.name)}.`, {
      details: { table: displayName(table.name) },
    });
  }
  // The root comes first whatever its order among the leaves.
  const members = [...((await readMembers(session, [relation.oid])).get(relation.oid) ?? [])].sort(
    (left, right) => left.level - right.level,
  );
  const oids = members.map((member) => member.oid);
  const facts = await readTables(session, oids, relation.oid);
  const tree: Tree = { members, facts, renaming: { from: table.name, to: as } };
  const types = await scriptTypes(session, oids);
  const extensions = await scriptExtensions(session, oids);
  const foreignKeys = await scriptForeignKeys(session, tree);
  const schemas = new Set([
    ...extensions.schemas,
    ...types.schemas,
    ...members.map((member) => renamed(member.name, tree.renaming).schema),
    ...facts.sequences.map((sequence) => sequenceName(sequence, tree.renaming).schema),
  ]);
  return {
    dialect: table.dialect,
    table: as,
    before: [
      ...[...schemas].map(createSchema),
      ...extensions.statements,
      ...types.statements,
      ...createSequences(tree),
      ...createTables(tree),
    ],
    shape: createIndexes(tree),
    after: [
      ...(await scriptStatistics(session, tree)),
      ...foreignKeys.statements,
      ...(await scriptComments(session, tree)),
      ...setSequences(tree),
    ],
    notCarried: [
      ...extensions.notCarried,
      ...types.notCarried,
      ...foreignKeys.notes,
      ...(await listNotCarried(session, oids, displayName(table.name))),
    ],
  };
}

/** IF NOT EXISTS would ask for the right to create schemas even where there is nothing to do. */
function createSchema(schema: string): string {
  const missing = `NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = ${quoteLiteral(schema)})`;
  return onlyIf(missing, `CREATE SCHEMA ${quoteIdent(schema)}`);
}
