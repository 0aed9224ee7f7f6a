import type { TestDatabase } from './postgres.ts';

/** Every row as the text of COPY, in the order of the bytes: knows nothing of how syncline compares. */
export async function contentOf(database: TestDatabase, table: string, columns = '*'): Promise<string[]> {
  const client = await database.connect();
  try {
    await client.query(
      `SET extra_float_digits = 3; SET DateStyle = 'ISO, MDY'; SET TimeZone = 'UTC'; SET IntervalStyle = 'postgres';
       SET lc_monetary = 'C'; SET bytea_output = 'hex'; SET search_path = pg_catalog`,
    );
    const wanted = await client.query<{ list: string }>(
      `SELECT string_agg(format('%I::text', attname), ', ' ORDER BY attname COLLATE "C") AS list
         FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped
          AND ($2 = '*' OR attname = ANY (string_to_array($2, ',')))`,
      [table, columns],
    );
    const list = wanted.rows[0]?.list ?? null;
    const rows = await client.query<{ line: string }>(
      `SELECT line FROM (SELECT (${list === null ? 'ARRAY[]::text[]' : `ARRAY[${list}]`})::text AS line FROM ${table}) AS lines
        ORDER BY line COLLATE "C"`,
    );
    return rows.rows.map((row) => row.line);
  } finally {
    await client.end();
  }
}
