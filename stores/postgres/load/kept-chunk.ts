import type { AnnouncedSlice } from '../../spi/chunk-source.ts';
import type { BeginWriting } from '../../spi/chunk-target.ts';
import type { Session, Sessions } from '../connection.ts';
import { addDigests } from './digest.ts';
import { readLeafFacts } from './leaf-facts.ts';
import { shadowName } from './names.ts';
import { areRowsThere } from './rows-there.ts';
import { createShadow, slicesMeet } from './way-slice.ts';

/**
 * Whether a sliced chunk must be written at all is decided once, by whichever slice comes first, under the lock that
 * also guards the making of the shadow table: the others wait and find either ledger rows or the shadow. See
 * ChunkTarget.keepChunk.
 */
export async function keepChunk(
  sessions: Sessions,
  request: BeginWriting,
  slices: readonly AnnouncedSlice[],
): Promise<boolean> {
  const { ref, unit, plan, signal } = request;
  const digests = slices.flatMap((slice) => (slice.digest === null ? [] : [slice.digest]));
  if (unit.kind !== 'slice' || !slicesMeet(plan) || digests.length !== slices.length) return false;
  const shadow = shadowName(ref, unit.chunk);
  const work = async (session: Session): Promise<boolean> => {
    if ((await decided(session, request, shadow)) === 'differs') return false;
    const facts = await readLeafFacts(session, unit.targetLeaf);
    await session.query('BEGIN');
    await session.query(`SELECT pg_advisory_xact_lock(hashtextextended($1, 2))`, [shadow]);
    let answer = await decided(session, request, shadow);
    if (answer === null) {
      const whole = { plan, unit: { ...unit, range: null } };
      const same =
        (await arePlanned(session, request, slices)) &&
        (await areRowsThere(session, whole, addDigests(digests)));
      answer = same ? 'kept' : 'differs';
      if (same) await record(session, request, slices);
      else await createShadow(session, facts, shadow);
    }
    await session.query('COMMIT');
    return answer === 'kept';
  };
  return await sessions.use(`${ref.job}/${unit.chunk}`, work, signal);
}

async function decided(
  session: Session,
  { ref, unit }: BeginWriting,
  shadow: string,
): Promise<'kept' | 'differs' | null> {
  const [found] = await session.query<{ differs: boolean; kept: boolean }>(
    `SELECT EXISTS (SELECT FROM pg_class WHERE relname = $1 AND relnamespace = 'syncline'::regnamespace) AS differs,
            EXISTS (SELECT FROM syncline.ledger WHERE (job, load, chunk, slice) = ($2, $3, $4, $5)) AS kept`,
    [shadow, ref.job, ref.load, unit.chunk, unit.slice],
  );
  if (found?.kept === true) return 'kept';
  return found?.differs === true ? 'differs' : null;
}

/** The plan has the slices that are spoken of, each of them. */
async function arePlanned(
  session: Session,
  { ref, unit }: BeginWriting,
  slices: readonly AnnouncedSlice[],
): Promise<boolean> {
  const [found] = await session.query<{ same: boolean }>(
    `SELECT coalesce(array_agg(slice ORDER BY slice), '{}') = $4::int[] AS same FROM syncline.unit
      WHERE (job, load, chunk) = ($1, $2, $3) AND kind = 'slice'`,
    [ref.job, ref.load, unit.chunk, slices.map((each) => each.slice).sort((one, other) => one - other)],
  );
  return found?.same === true;
}

async function record(
  session: Session,
  { ref, unit, attempt }: BeginWriting,
  slices: readonly AnnouncedSlice[],
): Promise<void> {
  const rows = slices.map(({ slice, rows, digest, mark }) => ({ slice, rows, digest, ...mark }));
  const finish = {
    slice: 0,
    rows: rows.reduce((sum, row) => sum + row.rows, 0),
    digest: addDigests(slices.flatMap((slice) => slice.digest ?? [])),
    ...{ snapshot: '', insertPosition: '0/0', systemId: '', timeline: 0 },
  };
  await session.query(
    `INSERT INTO syncline.ledger (job, load, chunk, slice, run, attempt, rows, bytes, digest, snapshot, insert_lsn,
       system_id, timeline)
     SELECT u.job, u.load, u.chunk, u.slice, $4, $5, a.rows, 0, a.digest, a.snapshot, a."insertPosition", a."systemId", a.timeline
       FROM syncline.unit u JOIN jsonb_to_recordset($6::jsonb) AS a(slice int, rows bigint, digest text, snapshot text,
         "insertPosition" pg_lsn, "systemId" text, timeline int) USING (slice)
      WHERE (u.job, u.load, u.chunk) = ($1, $2, $3) AND u.kind IN ('slice', 'finish')`,
    [ref.job, ref.load, unit.chunk, ref.run, attempt, JSON.stringify([...rows, finish])],
  );
}
