import type { TableBuilder } from '../../spi/tables.ts';
import type { Sessions } from '../connection.ts';
import { analyzeTables } from '../load/analyze.ts';
import { runScript } from './create.ts';
import { readRecipe, recipeText, scriptFrom, writtenScript } from './recipe.ts';

/** Rebuilds tables from the catalogue of one PostgreSQL server on another. */
export function createTableBuilder(sessions: Sessions): TableBuilder {
  return {
    script: (table, as) =>
      sessions.use('catalog', async (session) => scriptFrom(await readRecipe(session, table), as)),
    scriptToKeep: (table) =>
      sessions.use('catalog', async (session) => {
        const recipe = await readRecipe(session, table);
        return { ...scriptFrom(recipe, table.name), recipe: recipeText(recipe) };
      }),
    create: (script) => sessions.use('create', (session) => runScript(session, writtenScript(script))),
    complete: (script) =>
      sessions.use('complete', async (session) => {
        for (const statement of writtenScript(script).after) await session.query(statement);
      }),
    analyze: (names) => analyzeTables(sessions, names),
  };
}
