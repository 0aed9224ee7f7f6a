import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { RowCounter } from '../../../stores/artifact/write/frames.ts';
import { CopyOut } from '../../../stores/postgres/copy/copy-out.ts';
import type { RowFormat } from '../../../stores/spi/rows.ts';
import { createDatabase } from '../../support/postgres.ts';

const queries = [
  ['no row', 'SELECT 1 WHERE false'],
  ['one row', 'SELECT 1'],
  ['rows of no columns', 'SELECT FROM generate_series(1, 17)'],
  ['rows with line ends in them', `SELECT E'a\\nb\\r\\n' FROM generate_series(1, 23)`],
  ['many rows', `SELECT g, repeat('x', g % 300) FROM generate_series(1, 50000) g`],
  ['rows of 3 MB', `SELECT repeat('y', 3000000) FROM generate_series(1, 3)`],
] as const;
const formats: readonly RowFormat[] = ['binary', 'text', 'csv'];

describe.each([18, 15] as const)('rows that PostgreSQL %i sends', (version) => {
  it('are as many as its own tag says, in every format', async () => {
    const database = await createDatabase(version);
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    try {
      for (const [what, query] of queries) {
        for (const format of formats) {
          const copy = new CopyOut(`COPY (${query}) TO STDOUT (FORMAT ${format})`, { framed: true });
          const counter = new RowCounter(format);
          copy.start(client).pipe(counter);
          let bytes = 0;
          for await (const piece of counter as AsyncIterable<Buffer>) bytes += piece.length;
          expect([what, format, counter.rows]).toEqual([what, format, await copy.finished]);
          expect(bytes).toBe(copy.payloadBytes);
        }
      }
    } finally {
      await client.end();
      await database.drop();
    }
  });
});
