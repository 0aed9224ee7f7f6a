import pg from 'pg';

export interface TableDigest {
  readonly rows: number;
  /** Sum of a 64-bit hash of every row's text: it does not depend on the order of the rows. */
  readonly digest: string;
}

/** A check of its own, with nothing of syncline in it. Both servers must have the same column order and settings. */
export async function digestOf(url: string, table: string): Promise<TableDigest> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ rows: string; digest: string }>(
      `SELECT count(*)::text AS rows, coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text AS digest FROM ${table} AS t`,
    );
    const [row] = rows;
    return { rows: Number(row?.rows ?? 0), digest: row?.digest ?? '' };
  } finally {
    await client.end();
  }
}
