import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTableReader } from '../../../../stores/postgres/catalog/table-reader.ts';
import type { Sessions } from '../../../../stores/postgres/connection.ts';
import { createTableBuilder } from '../../../../stores/postgres/ddl/table-builder.ts';
import { writtenScript } from '../../../../stores/postgres/ddl/recipe.ts';
import { createDatabasePair, type DatabasePair } from '../../../support/postgres.ts';
import { openSessions, selection, zoo } from '../catalog/zoo.ts';

let pair: DatabasePair;
let source: Sessions;
let target: Sessions;

beforeAll(async () => {
  pair = await createDatabasePair();
  for (const statement of [zoo].flat()) await pair.source.query(statement);
  source = openSessions(pair.source);
  target = openSessions(pair.target);
});
afterAll(async () => {
  await Promise.all([source.close(), target.close()]);
  await pair.drop();
});

const names = [
  { schema: 'other', name: 'Odd "new" \' \\ name' },
  { schema: 'public', name: 'x'.repeat(60) },
  null,
];

it('a script that was kept is, under any name, the one that the server would give', async () => {
  const { tables } = await createTableReader(source, 'source').describe([selection('*.*')]);
  expect(tables.length).toBeGreaterThan(5);
  const builder = createTableBuilder(source);
  for (const { definition } of tables) {
    const kept = await builder.scriptToKeep?.(definition);
    if (kept?.recipe === undefined) throw new Error('no recipe');
    const { recipe, ...own } = kept;
    expect(own).toEqual(await builder.script(definition, definition.name));
    for (const name of names) {
      const as = name ?? { schema: 'other', name: definition.name.name };
      const bare = { ...own, table: as, before: [], shape: [], after: [], recipe };
      const { recipe: gone, ...written } = { recipe: null, ...writtenScript(bare) };
      expect(gone).toBeNull();
      expect(written).toEqual(await builder.script(definition, as));
    }
  }
});

it('a table is made under another name from what was kept of it', async () => {
  await pair.source.query(`CREATE TABLE plain_one (id serial PRIMARY KEY, v text CHECK (v <> 'plain_one'))`);
  const { tables } = await createTableReader(source, 'source').describe([selection('public.plain_one')]);
  const [table] = tables;
  const kept = table && (await createTableBuilder(source).scriptToKeep?.(table.definition));
  if (kept === undefined) throw new Error('nothing kept');
  const as = { schema: 'Archive', name: 'plain two' };
  const script = { ...kept, table: as, before: [], shape: [], after: [] };
  await createTableBuilder(target).create(script);
  await createTableBuilder(target).complete(script);
  const [found = null] = await createTableReader(target, 'target').find([as]);
  expect(found?.columns.map((column) => column.name)).toEqual(['id', 'v']);
});
