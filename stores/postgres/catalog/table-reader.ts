import type { PreflightFinding } from '../../../definitions/contracts/copy.ts';
import type { TableDefinition, TableReader } from '../../spi/tables.ts';
import type { Sessions } from '../connection.ts';
import { describeRelations } from './describe.ts';
import { checkRole } from './preflight.ts';
import { findRelations } from './relations.ts';
import { checkSelection, selectRelations } from './select-tables.ts';

/** Reads the catalogue of one PostgreSQL server. Every call is one session, given back at its end. */
export function createTableReader(sessions: Sessions, storeName: string): TableReader {
  return {
    describe: (selections) =>
      sessions.use('catalog', async (session) => {
        const { selected, findings } = await selectRelations(session, selections);
        const definitions = await describeRelations(
          session,
          selected.map((match) => match.relation),
        );
        const all: PreflightFinding[] = [...findings];
        const tables: { selection: (typeof selections)[number]; definition: TableDefinition }[] = [];
        for (const { selection, relation } of selected) {
          const definition = definitions.get(relation.oid);
          if (definition === undefined) continue;
          tables.push({ selection, definition });
          all.push(...(await checkSelection(session, selection, definition)));
        }
        return { tables, findings: all };
      }),
    find: (names) =>
      sessions.use('catalog', async (session) => {
        const relations = await findRelations(session, names);
        const definitions = await describeRelations(
          session,
          relations.filter((relation) => relation !== null),
        );
        return relations.map((relation) =>
          relation === null ? null : (definitions.get(relation.oid) ?? null),
        );
      }),
    preflight: (role, names) =>
      sessions.use('catalog', (session) => checkRole(session, { role, names, store: storeName })),
  };
}
