import { SynclineError } from '../../../definitions/errors.ts';
import { type Renaming, renamed } from '../../../planning/leaf-names.ts';
import type { TableDefinition, TableName, TableScript } from '../../spi/tables.ts';
import { type Member, readMembers } from '../catalog/leaves.ts';
import { findRelations } from '../catalog/relations.ts';
import type { Session } from '../connection.ts';
import { displayName, quoteIdent, quoteLiteral } from '../identifiers.ts';
import {
  type ColumnComment,
  type ForeignKey,
  readColumnComments,
  readForeignKeys,
  readStatistics,
  scriptComments,
  scriptForeignKeys,
  scriptStatistics,
  setSequences,
  type StatisticsRow,
} from './after.ts';
import { listNotCarried } from './not-carried.ts';
import { byRelation, readTables, type TableFacts } from './read-tables.ts';
import { onlyIf } from './statements.ts';
import { scriptExtensions, scriptTypes, type TypeScript } from './types.ts';
import { createIndexes, createSequences, createTables, sequenceName, type Tree } from './write-tables.ts';

/**
 * All that the catalogue says of a table: a script under any name is written from it without the server. Names stand in
 * statements in many ways (in literals, in checks, in marks), so a finished script is never renamed as text.
 */
export interface Recipe {
  readonly dialect: string;
  readonly from: TableName;
  readonly members: readonly Member[];
  readonly facts: TableFacts;
  readonly types: TypeScript;
  readonly extensions: TypeScript;
  readonly foreignKeys: readonly ForeignKey[];
  readonly statistics: readonly StatisticsRow[];
  readonly comments: readonly ColumnComment[];
  readonly notCarried: readonly string[];
}

/** Sequence values are those of this moment: whoever completes a load asks for a new script first. */
export async function readRecipe(session: Session, table: TableDefinition): Promise<Recipe> {
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
  return {
    dialect: table.dialect,
    from: table.name,
    members,
    facts: await readTables(session, oids, relation.oid),
    types: await scriptTypes(session, oids),
    extensions: await scriptExtensions(session, oids),
    foreignKeys: await readForeignKeys(session, oids, members[0]?.oid),
    statistics: await readStatistics(session, oids),
    comments: await readColumnComments(session, oids),
    notCarried: await listNotCarried(session, oids, displayName(table.name)),
  };
}

/** Pure: the same recipe and name, the same script, wherever it is written. */
export function scriptFrom(recipe: Recipe, as: TableName): TableScript {
  const { members, facts, types, extensions } = recipe;
  const renaming: Renaming = { from: recipe.from, to: as };
  const tree: Tree = { members, facts, renaming };
  const foreignKeys = scriptForeignKeys(recipe.foreignKeys, renaming);
  const schemas = new Set([
    ...extensions.schemas,
    ...types.schemas,
    ...members.map((member) => renamed(member.name, renaming).schema),
    ...facts.sequences.map((sequence) => sequenceName(sequence, renaming).schema),
  ]);
  return {
    dialect: recipe.dialect,
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
      ...scriptStatistics(recipe.statistics, renaming),
      ...foreignKeys.statements,
      ...scriptComments(recipe.comments, tree),
      ...setSequences(tree),
    ],
    notCarried: [...extensions.notCarried, ...types.notCarried, ...foreignKeys.notes, ...recipe.notCarried],
  };
}

/** IF NOT EXISTS would ask for the right to create schemas even where there is nothing to do. */
function createSchema(schema: string): string {
  const missing = `NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = ${quoteLiteral(schema)})`;
  return onlyIf(missing, `CREATE SCHEMA ${quoteIdent(schema)}`);
}

const recipeFormat = 1;

/** Rows by relation are written one after the other: each says which relation is its own. */
interface RecipeJson extends Omit<Recipe, 'facts'> {
  readonly format: number;
  readonly facts: { readonly [Part in keyof TableFacts]: readonly Row<Part>[] };
}

type Row<Part extends keyof TableFacts> =
  TableFacts[Part] extends ReadonlyMap<number, readonly (infer One)[]>
    ? One
    : TableFacts[Part] extends readonly (infer One)[]
      ? One
      : never;

export function recipeText(recipe: Recipe): string {
  const { columns, constraints, indexes, options, sequences } = recipe.facts;
  const json: RecipeJson = {
    ...recipe,
    format: recipeFormat,
    facts: {
      columns: [...columns.values()].flat(),
      constraints: [...constraints.values()].flat(),
      indexes: [...indexes.values()].flat(),
      options: [...options.values()].flat(),
      sequences,
    },
  };
  return JSON.stringify(json);
}

function recipeOf(text: string): Recipe {
  const { format, facts, ...recipe } = JSON.parse(text) as RecipeJson;
  if (format > recipeFormat)
    throw new SynclineError(
      'artifact.newerFormat',
      'The definition of a table was kept by a newer syncline.',
    );
  return {
    ...recipe,
    facts: {
      columns: byRelation(facts.columns),
      constraints: byRelation(facts.constraints),
      indexes: byRelation(facts.indexes),
      options: byRelation(facts.options),
      sequences: facts.sequences,
    },
  };
}

/** The script itself, or, where it comes with a recipe only, what the recipe says under the script's name. */
export function writtenScript(script: TableScript): TableScript {
  const { recipe, before, shape, after } = script;
  if (recipe === undefined || before.length + shape.length + after.length > 0) return script;
  return scriptFrom(recipeOf(recipe), script.table);
}
