import { SynclineError } from '../../../definitions/errors.ts';
import {
  displayName,
  type TableBuilder,
  type TableDefinition,
  type TableName,
  type TableScript,
} from '../../spi/tables.ts';
import type { Artifact } from '../artifact.ts';
import { findTable } from '../read/chunk-source.ts';

/**
 * Hands out the scripts that a backup keeps. Under the table's own name that is the script as it was made. Under another
 * one the statements cannot be changed as text (names stand in literals, in checks, in comments, cut to 63 bytes), so
 * the recipe goes out instead, and the builder that runs it writes the statements from it as if it stood at the source.
 */
export function createTableBuilder(artifact: Artifact): TableBuilder {
  const unsupported = (): Promise<never> =>
    Promise.reject(new SynclineError('store.unsupported', 'A backup holds rows; tables are not made in it.'));
  return {
    script: (table, as) => script(artifact, table, as),
    create: unsupported,
    complete: unsupported,
    analyze: unsupported,
  };
}

async function script(artifact: Artifact, table: TableDefinition, as: TableName): Promise<TableScript> {
  const kept = await findTable(await artifact.published(artifact.backup()), table.name);
  const [name, wanted] = [displayName(table.name), displayName(as)];
  if (kept === null) {
    throw new SynclineError('source.tableMissing', `The backup holds no table ${name}.`, {
      details: { table: name },
    });
  }
  const { recipe, ...own } = kept.script;
  if (name === wanted) return own;
  if (recipe !== undefined) return { ...own, table: as, before: [], shape: [], after: [], recipe };
  throw new SynclineError(
    'target.tableMissing',
    `The backup can make ${name} under its own name only: make ${wanted} yourself, and set \`createTables: false\`.`,
    { details: { table: wanted } },
  );
}
