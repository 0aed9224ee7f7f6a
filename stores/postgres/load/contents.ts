import type { Contents, ReadContents } from '../../spi/chunk-source.ts';
import { displayName, type TableName } from '../../spi/tables.ts';
import type { Session, Sessions } from '../connection.ts';
import { quoteName } from '../identifiers.ts';
import { importSnapshot } from './deferred-reading.ts';
import { addDigests, digestExpression } from './digest.ts';

/** Counts and digests leaf after leaf under a snapshot of another session, which must live until this has begun. */
export async function readContents(sessions: Sessions, request: ReadContents): Promise<Contents> {
  const { job, leaves, signal, snapshot } = request;
  const [first] = leaves;
  const label = `${job}/${first === undefined ? 'verify' : displayName(first)}`;
  return await sessions.use(
    label,
    async (session) => {
      await importSnapshot(session, snapshot);
      const parts: Contents[] = [];
      for (const leaf of leaves) parts.push(await contentsOf(session, leaf, request.plan));
      await session.query('COMMIT');
      return {
        rows: parts.reduce((sum, { rows }) => sum + rows, 0),
        digest: addDigests(parts.map(({ digest }) => digest)),
      };
    },
    signal,
  );
}

async function contentsOf(
  session: Session,
  leaf: TableName,
  { columns, retyped }: ReadContents['plan'],
): Promise<Contents> {
  const expression = await digestExpression(session, leaf, { all: columns, retyped });
  const [row] = await session.query<{ rows: string; digest: string }>(
    `SELECT count(*) AS rows, ${expression} AS digest FROM ONLY ${quoteName(leaf)}`,
  );
  return { rows: Number(row?.rows ?? 0), digest: row?.digest ?? '' };
}
